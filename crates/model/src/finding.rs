//! A finding: the tracked claim about one asset, whoever saw it. TRACK's changelog, and what ASSESS reads per component.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::id::FindingId;
use crate::observation::UseLevel;
use crate::reject::Origin;
use crate::severity::Severity;
use crate::sighting::Sighting;
use crate::time::Millis;

/// Where a finding stands. Only `Fixed` resolves.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FindingState {
    /// Seen by the latest scan of at least one scope.
    #[default]
    Active,
    /// A complete scan of every scope that saw it no longer does.
    Fixed,
    /// No longer seen, but not by a scan that could prove it gone. Still counts.
    NotObserved,
    /// Its source fell silent. Still counts, visibly.
    Stale,
    /// Its asset was replaced and is deployed nowhere.
    Superseded,
}

/// What one tool says about a finding: the latest sighting per (tool, scope).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct ToolClaim {
    /// Tool name.
    pub tool: String,
    /// Scope of the scan that saw it; empty for alerts.
    pub scope: String,
    /// The scan that saw it last **and changed something**; the watermark of the scope tells when it was seen last.
    pub scan_id: String,
    /// Event time of that scan.
    pub observed_at: Millis,
    /// Whether the scope's latest complete scan still sees it.
    pub present: bool,
    /// The rule or advisory id this tool uses.
    pub rule: String,
    /// Severity this tool reports.
    pub severity: Severity,
    /// Best CVSS vector this tool reports; empty when none.
    pub cvss_vector: String,
    /// Score this tool reports.
    pub cvss_score: Option<f64>,
    /// Other ids this tool gives.
    pub aliases: Vec<String>,
    /// Versions that fix it, as this tool reports.
    pub fixed_versions: Vec<String>,
    /// Verified live (secrets).
    pub verified: bool,
    /// Dismissed in the tool or suppressed in source: a proposal.
    pub dismissed: bool,
    /// Tool's confidence.
    pub confidence: Severity,
    /// Tool's reachability verdict.
    pub reachable: Option<bool>,
}

/// State of one finding in TRACK, with all identity evidence. Topic `tracked`, key: finding id, partition key: asset.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct TrackedFinding {
    /// Id under [`crate::id::IDENTITY_VERSION`].
    pub finding: FindingId,
    /// Asset key.
    pub asset: String,
    /// The richest sighting seen (identity evidence and display); severity and aliases per tool are in `claims`.
    pub sighting: Sighting,
    /// The tool whose sighting that is. Another one's replaces it only when it says more.
    pub sighting_tool: String,
    /// One per (tool, scope), ascending; at most 16.
    pub claims: Vec<ToolClaim>,
    /// Where it stands.
    pub state: FindingState,
    /// Earliest event time of any sighting. Never moves later.
    pub first_seen: Millis,
    /// Event time of the last state change.
    pub state_since: Millis,
    /// How often it came back after being closed.
    pub reopened: u32,
    /// Run-time use of what it is in.
    pub runtime: RuntimeVerdict,
    /// Components it is attributed to, ascending; at most 64.
    pub components: Vec<String>,
    /// How attribution was decided: `build`, `source-path`, `deploys`, `owns-asset`, `label`, `unclaimed`.
    pub attributed_by: String,
    /// Components that it has left, ascending, until their tombstones are written. All components left and none
    /// attributed: it was closed for so long that it is being forgotten.
    pub left: Vec<Departure>,
    /// Whether it counts: its branch is tracked, its digest is deployed or newest.
    pub counts: bool,
    /// Old data that was loaded.
    pub backfill: bool,
    /// The input that caused the last change.
    pub cause: Origin,
}

/// A component that a finding has left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Departure {
    /// Component name.
    pub component: String,
    /// Processing time.
    pub at: Millis,
}

/// What run-time sensors say about the package or file a finding is in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RuntimeVerdict {
    /// No sensor watches the asset.
    #[default]
    Unknown,
    /// A sensor watches, and never saw it used.
    NotSeen,
    /// Loaded into a process.
    Loaded,
    /// Executed.
    Executed,
}

impl From<UseLevel> for RuntimeVerdict {
    fn from(level: UseLevel) -> Self {
        match level {
            UseLevel::Watched => RuntimeVerdict::NotSeen,
            UseLevel::Loaded => RuntimeVerdict::Loaded,
            UseLevel::Executed => RuntimeVerdict::Executed,
        }
    }
}

/// Why a finding left a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FindingEnd {
    /// It has not left.
    #[default]
    None,
    /// Attributed to another component now (see `moved_to`).
    Moved,
    /// Aged out after being closed.
    Forgotten,
}

/// State of one finding for one component. Topic `findings`, key: `component|finding`, partition key: component.
///
/// A finding that leaves a component ends as a valued record (`end` set); the tombstone follows later.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Finding {
    /// Component name (without `component:`); an unclaimed asset is its own component, named by its asset key.
    pub component: String,
    /// Whether it has left this component, and why.
    pub end: FindingEnd,
    /// The component it moved to; empty otherwise.
    pub moved_to: String,
    /// The finding itself.
    pub tracked: TrackedFinding,
}
