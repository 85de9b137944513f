//! A risk: the derived, prioritised state of one problem of one component; and the changes that led to it.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::finding::{FindingState, RuntimeVerdict};
use crate::id::{FindingId, RiskId};
use crate::reject::Origin;
use crate::severity::{Band, Severity};
use crate::sighting::FindingClass;
use crate::time::Millis;

/// Whether a risk is open.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RiskState {
    /// At least one counting finding is not fixed.
    #[default]
    Open,
    /// Open, but every counting finding is covered by a trusted VEX statement or a decision.
    Suppressed,
    /// No counting finding is left.
    Resolved,
}

/// Where something can be reached from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Exposure {
    /// Nothing says.
    #[default]
    Unknown,
    /// Known to be deployed nowhere or reachable from nowhere.
    Small,
    /// Reachable inside.
    Controlled,
    /// Reachable from the internet.
    Open,
}

/// One number in a score: what, why, from whom, how many points.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Contribution {
    /// `threat`, `impact`, `exposure`, `runtime`, `business`.
    pub factor: String,
    /// The value in words: `in KEV since 2021-12-10 (ransomware)`, `EPSS 0.974`.
    pub value: String,
    /// Who said so: `cisa-kev`, `epss`, `cvss:trivy`, `assumed`.
    pub source: String,
    /// When it was said (event time); 0 when assumed.
    pub observed_at: Millis,
    /// Points added.
    pub points: i32,
    /// True when nothing was known and a default stood in.
    pub assumed: bool,
}

/// One step of the band's derivation, in words and as data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct DecisionStep {
    /// `table`, `floor`, `lower`, `cap`, `rule`.
    pub kind: String,
    /// Band after this step.
    pub band: Band,
    /// A sentence: `BOD 26-04: KEV yes, exposed yes, automatable yes, impact total → 3 days`.
    pub reason: String,
    /// True when an input of this step was assumed.
    pub assumed: bool,
}

/// One finding that is part of a risk.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Evidence {
    /// The finding.
    pub finding: FindingId,
    /// Its asset.
    pub asset: String,
    /// Tools that claim it, ascending.
    pub tools: Vec<String>,
    /// Ids they use.
    pub rules: Vec<String>,
    /// Where: `path:line`, package file, resource, endpoint.
    pub location: String,
    /// Its state.
    pub state: FindingState,
    /// Whether it counts.
    pub counts: bool,
    /// First seen (event time).
    pub first_seen: Millis,
    /// Run-time verdict.
    pub runtime: RuntimeVerdict,
}

/// Who should act.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Owner {
    /// Team; empty when nobody is known.
    pub team: String,
    /// `codeowners`, `catalog`, `label`, `none`.
    pub source: String,
    /// `high`, `medium`, `low`, `none`.
    pub confidence: String,
}

/// What would fix it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Fix {
    /// `upgrade`, `base_image`, `code`, `configuration`, `rotate_secret`, `remove_package`, `none`.
    pub kind: String,
    /// What is to be changed, without version: manifest and package, base image, file, resource, secret.
    pub target: String,
    /// Within what the target is changed: `host/org/name//manifest-dir`, `component:name`; empty when the target says it
    /// alone (a base image, a secret). Part of the remedy's identity.
    pub scope: String,
    /// Version to move to; empty when no version fixes it.
    pub version: String,
    /// One sentence: `Upgrade org.apache.logging.log4j:log4j-core to 2.17.1 in services/pay`.
    pub summary: String,
    /// Who owns the change where that is another than the risk's owner (a base image); no team otherwise.
    pub owner: Owner,
}

/// Full bounded snapshot of a risk. Topic `risks`, key: risk id, partition key: component.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Risk {
    /// Id: function of (component, class, group).
    pub risk: RiskId,
    /// Component name.
    pub component: String,
    /// Creation second; a new one after a chain break.
    pub generation: i64,
    /// Grows by exactly one within a generation (I6).
    pub revision: i64,
    /// Open, suppressed or resolved.
    pub state: RiskState,
    /// Kind of problem.
    pub class: FindingClass,
    /// One line for people.
    pub title: String,
    /// Name of the alias group (`CVE-2021-44228`), the CWE, the control or the rule.
    pub name: String,
    /// Every vulnerability id of the group that evidence or intelligence names, ascending.
    pub vulnerability_ids: Vec<String>,
    /// CWE numbers, ascending.
    pub cwes: Vec<u32>,
    /// Canonical purl without version; empty where there is no package.
    pub package: String,
    /// Versions installed, ascending text order, at most 16.
    pub installed_versions: Vec<String>,
    /// Path, resource, endpoint or secret family; empty for packages.
    pub place: String,
    /// Decided urgency.
    pub band: Band,
    /// Points inside the band, 0–1000.
    pub score: i32,
    /// Highest severity that a tool reports.
    pub severity: Severity,
    /// Where the points come from.
    pub contributions: Vec<Contribution>,
    /// How the band was decided, first step first.
    pub decision: Vec<DecisionStep>,
    /// Model that decided: `tributary-1`.
    pub model_version: String,
    /// SHA-256 of the canonical inputs, hex.
    pub inputs_digest: String,
    /// Who should act.
    pub owner: Owner,
    /// Business criticality 1–4; 0 when unknown.
    pub tier: i32,
    /// Environments in which evidence is deployed, ascending.
    pub environments: Vec<String>,
    /// Best known exposure of what is deployed.
    pub exposure: Exposure,
    /// Whether any evidence is deployed; absent when nothing says.
    pub deployed: Option<bool>,
    /// Strongest run-time verdict.
    pub runtime: RuntimeVerdict,
    /// In KEV; absent when no KEV catalogue was ever read.
    pub kev: Option<bool>,
    /// EPSS in parts per million; absent when unknown.
    pub epss_ppm: Option<u32>,
    /// Highest CVSS base score; absent when unknown.
    pub cvss_score: Option<f64>,
    /// Verified live (secrets).
    pub verified: bool,
    /// What would fix it.
    pub fix: Fix,
    /// When the story began: the earliest sighting of a counting finding, or of one that ended within 30 days before.
    pub first_seen: Millis,
    /// Processing time at which this generation opened.
    pub opened_at: Millis,
    /// When the clock started (event time).
    pub clock_start: Millis,
    /// Deadline that the band gives from the clock's start; absent for `defer`.
    pub due_at: Option<Millis>,
    /// Processing time at which it was resolved.
    pub resolved_at: Option<Millis>,
    /// How often it was reopened.
    pub reopened: u32,
    /// Why it is suppressed; empty otherwise.
    pub suppressed_by: String,
    /// Risks that confirm it from another angle (a web scan and a code weakness), ascending.
    pub confirmed_by: Vec<RiskId>,
    /// Tools with a present claim, ascending.
    pub tools: Vec<String>,
    /// First 32 pieces of evidence in canonical order.
    pub evidence: Vec<Evidence>,
    /// How many there are.
    pub evidence_total: u32,
    /// Old data only: opens no ticket unless immediate.
    pub backfill: bool,
    /// Processing time of this revision.
    pub decided_at: Millis,
    /// Hash of the last change: the head of the chain.
    pub chain_head: String,
}

/// What happened to a risk.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[allow(missing_docs)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    #[default]
    Opened,
    Updated,
    Reprioritised,
    Suppressed,
    Resolved,
    Reopened,
    Merged,
    Split,
    Moved,
}

/// One transition of a risk. Topic `changes`, key: risk id, partition key: component. Hash-chained.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Change {
    /// The risk.
    pub risk: RiskId,
    /// Its component.
    pub component: String,
    /// Generation.
    pub generation: i64,
    /// Revision this change made.
    pub revision: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// Names of the fields that differ, ascending.
    pub fields: Vec<String>,
    /// One sentence.
    pub reason: String,
    /// Band before; equals `band` when opened.
    pub band_before: Band,
    /// Band after.
    pub band: Band,
    /// Score after.
    pub score: i32,
    /// State after.
    pub state: RiskState,
    /// The other risk of a merge, split or move; absent otherwise.
    pub other: Option<RiskId>,
    /// Who or what caused it: `pipeline` or a pseudonymous actor id.
    pub actor: String,
    /// The input that caused it.
    pub cause: Origin,
    /// Event time of the cause.
    pub event_at: Millis,
    /// Processing time.
    pub decided_at: Millis,
    /// Model version.
    pub model_version: String,
    /// Inputs digest before; empty when opened.
    pub inputs_before: String,
    /// Inputs digest after.
    pub inputs_after: String,
    /// Hash of the previous change of this risk; empty for the first of a generation.
    pub previous_hash: String,
    /// SHA-256 (hex) of `previous_hash`, a line feed, and the canonical JSON of this record with `hash` empty.
    pub hash: String,
}
