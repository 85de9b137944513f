//! Nouns with their texts borrowed from the encoded record: for those who read many records and keep little. Same fields, same
//! order, ids as text; a test holds each to its original. What a field means is said there.

#![allow(missing_docs)]

use serde::{Deserialize, Serialize};

use crate::codec::{self, AvroRecord, CodecError};
use crate::finding::{FindingEnd, FindingState, RuntimeVerdict};
use crate::id::FindingId;
use crate::observation::UseLevel;
use crate::risk::{ChangeKind, Exposure, RiskState};
use crate::severity::{Band, Severity};
use crate::sighting::{DependencyScope, FindingClass, ToolStatus};
use crate::time::Millis;

/// The borrowed form of a record.
pub trait Borrowed<'a>: Deserialize<'a> {
    /// The record itself.
    type Of: AvroRecord;

    /// Reads an encoded record.
    ///
    /// # Errors
    /// As [`AvroRecord::decode`].
    fn decode(bytes: &'a [u8]) -> Result<Self, CodecError> {
        codec::decode_borrowed::<Self::Of, Self>(bytes)
    }
}

macro_rules! borrowed {
    ($($name:ident => $of:ty),+ $(,)?) => { $(impl<'a> Borrowed<'a> for $name<'a> { type Of = $of; })+ };
}

impl<'a> Borrowed<'a> for Finding<'a, FindingId> {
    type Of = crate::finding::Finding;
}

borrowed! {
    Finding => crate::finding::Finding,
    TrackedFinding => crate::finding::TrackedFinding,
    RemedyMember => crate::remedy::RemedyMember,
    Risk => crate::risk::Risk,
    Change => crate::risk::Change,
    Observation => crate::observation::Observation,
}

/// See [`crate::finding::Finding`]. `I`: the finding's id as text, or as what it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Finding<'a, I = &'a str> {
    pub component: &'a str,
    pub end: FindingEnd,
    pub moved_to: &'a str,
    #[serde(borrow)]
    pub tracked: TrackedFinding<'a, I>,
}

/// See [`crate::finding::TrackedFinding`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrackedFinding<'a, I = &'a str> {
    pub finding: I,
    pub asset: &'a str,
    #[serde(borrow)]
    pub sighting: Sighting<'a>,
    pub sighting_tool: &'a str,
    #[serde(borrow)]
    pub claims: Vec<ToolClaim<'a>>,
    pub state: FindingState,
    pub first_seen: Millis,
    pub state_since: Millis,
    pub reopened: u32,
    pub runtime: RuntimeVerdict,
    #[serde(borrow)]
    pub components: Vec<&'a str>,
    pub attributed_by: &'a str,
    #[serde(borrow)]
    pub left: Vec<Departure<'a>>,
    pub counts: bool,
    pub backfill: bool,
    #[serde(borrow)]
    pub cause: Origin<'a>,
}

/// See [`crate::finding::Departure`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Departure<'a> {
    pub component: &'a str,
    pub at: Millis,
}

/// See [`crate::finding::ToolClaim`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolClaim<'a> {
    pub tool: &'a str,
    pub scope: &'a str,
    pub scan_id: &'a str,
    pub observed_at: Millis,
    pub present: bool,
    pub rule: &'a str,
    pub severity: Severity,
    pub cvss_vector: &'a str,
    pub cvss_score: Option<f64>,
    #[serde(borrow)]
    pub aliases: Vec<&'a str>,
    #[serde(borrow)]
    pub fixed_versions: Vec<&'a str>,
    pub verified: bool,
    pub dismissed: bool,
    pub confidence: Severity,
    pub reachable: Option<bool>,
}

/// See [`crate::sighting::Sighting`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sighting<'a> {
    pub class: FindingClass,
    pub rule: &'a str,
    pub title: &'a str,
    pub severity: Severity,
    pub cvss_vector: &'a str,
    pub cvss_score: Option<f64>,
    #[serde(borrow)]
    pub aliases: Vec<&'a str>,
    pub cwes: Vec<u32>,
    #[serde(borrow)]
    pub package: Option<Package<'a>>,
    #[serde(borrow)]
    pub location: Option<Location<'a>>,
    #[serde(borrow)]
    pub secret: Option<Secret<'a>>,
    #[serde(borrow)]
    pub endpoint: Option<Endpoint<'a>>,
    pub resource: &'a str,
    pub control: &'a str,
    pub count: u32,
    pub status: ToolStatus,
    pub confidence: Severity,
    pub reachable: Option<bool>,
}

/// See [`crate::sighting::Package`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Package<'a> {
    pub purl: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub ecosystem: &'a str,
    pub source_purl: &'a str,
    pub is_os_package: bool,
    pub manifest_dir: &'a str,
    pub file: &'a str,
    pub scope: DependencyScope,
    #[serde(borrow)]
    pub fixed_versions: Vec<&'a str>,
    pub wont_fix: bool,
    #[serde(borrow)]
    pub introduced_by: Vec<&'a str>,
}

/// See [`crate::sighting::Location`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location<'a> {
    pub path: &'a str,
    pub start_line: u32,
    pub end_line: u32,
    pub line_hash: &'a str,
    pub snippet_hash: &'a str,
    pub enclosing: &'a str,
}

/// See [`crate::sighting::Endpoint`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint<'a> {
    pub method: &'a str,
    pub path_template: &'a str,
    pub parameter: &'a str,
}

/// See [`crate::sighting::Secret`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Secret<'a> {
    pub hmac: &'a str,
    pub key_id: &'a str,
    pub family: &'a str,
    pub verified: bool,
    pub revoked: bool,
}

/// See [`crate::reject::Origin`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Origin<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub offset: i64,
}

/// See [`crate::risk::Risk`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk<'a> {
    pub risk: &'a str,
    pub component: &'a str,
    pub generation: i64,
    pub revision: i64,
    pub state: RiskState,
    pub class: FindingClass,
    pub title: &'a str,
    pub name: &'a str,
    #[serde(borrow)]
    pub vulnerability_ids: Vec<&'a str>,
    pub cwes: Vec<u32>,
    pub package: &'a str,
    #[serde(borrow)]
    pub installed_versions: Vec<&'a str>,
    pub place: &'a str,
    pub band: Band,
    pub score: i32,
    pub severity: Severity,
    #[serde(borrow)]
    pub contributions: Vec<Contribution<'a>>,
    #[serde(borrow)]
    pub decision: Vec<DecisionStep<'a>>,
    pub model_version: &'a str,
    pub inputs_digest: &'a str,
    #[serde(borrow)]
    pub owner: Owner<'a>,
    pub tier: i32,
    #[serde(borrow)]
    pub environments: Vec<&'a str>,
    pub exposure: Exposure,
    pub deployed: Option<bool>,
    pub runtime: RuntimeVerdict,
    pub kev: Option<bool>,
    pub epss_ppm: Option<u32>,
    pub cvss_score: Option<f64>,
    pub verified: bool,
    #[serde(borrow)]
    pub fix: Fix<'a>,
    pub first_seen: Millis,
    pub opened_at: Millis,
    pub clock_start: Millis,
    pub due_at: Option<Millis>,
    pub resolved_at: Option<Millis>,
    pub reopened: u32,
    pub suppressed_by: &'a str,
    #[serde(borrow)]
    pub confirmed_by: Vec<&'a str>,
    #[serde(borrow)]
    pub tools: Vec<&'a str>,
    #[serde(borrow)]
    pub evidence: Vec<Evidence<'a>>,
    pub evidence_total: u32,
    pub backfill: bool,
    pub decided_at: Millis,
    pub chain_head: &'a str,
}

/// See [`crate::risk::Contribution`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution<'a> {
    pub factor: &'a str,
    pub value: &'a str,
    pub source: &'a str,
    pub observed_at: Millis,
    pub points: i32,
    pub assumed: bool,
}

/// See [`crate::risk::DecisionStep`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionStep<'a> {
    pub kind: &'a str,
    pub band: Band,
    pub reason: &'a str,
    pub assumed: bool,
}

/// See [`crate::risk::Evidence`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence<'a> {
    pub finding: &'a str,
    pub asset: &'a str,
    #[serde(borrow)]
    pub tools: Vec<&'a str>,
    #[serde(borrow)]
    pub rules: Vec<&'a str>,
    pub location: &'a str,
    pub state: FindingState,
    pub counts: bool,
    pub first_seen: Millis,
    pub runtime: RuntimeVerdict,
}

/// See [`crate::risk::Owner`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owner<'a> {
    pub team: &'a str,
    pub source: &'a str,
    pub confidence: &'a str,
}

/// See [`crate::risk::Fix`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fix<'a> {
    pub kind: &'a str,
    pub target: &'a str,
    pub scope: &'a str,
    pub version: &'a str,
    pub summary: &'a str,
    #[serde(borrow)]
    pub owner: Owner<'a>,
}

/// See [`crate::risk::Change`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change<'a> {
    pub risk: &'a str,
    pub component: &'a str,
    pub generation: i64,
    pub revision: i64,
    pub kind: ChangeKind,
    #[serde(borrow)]
    pub fields: Vec<&'a str>,
    pub reason: &'a str,
    pub band_before: Band,
    pub band: Band,
    pub score: i32,
    pub state: RiskState,
    #[serde(borrow)]
    pub other: Option<&'a str>,
    pub actor: &'a str,
    #[serde(borrow)]
    pub cause: Origin<'a>,
    pub event_at: Millis,
    pub decided_at: Millis,
    pub model_version: &'a str,
    pub inputs_before: &'a str,
    pub inputs_after: &'a str,
    pub previous_hash: &'a str,
    pub hash: &'a str,
}

/// See [`crate::observation::Observation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation<'a> {
    pub asset: &'a str,
    pub observed_at: Millis,
    pub tool: &'a str,
    pub tool_version: &'a str,
    pub format: &'a str,
    pub source: &'a str,
    pub backfill: bool,
    #[serde(borrow)]
    pub origin: Origin<'a>,
    #[serde(borrow)]
    pub scan: Option<ScanRef<'a>>,
    pub part: u32,
    #[serde(borrow)]
    pub sightings: Vec<Sighting<'a>>,
    #[serde(borrow)]
    pub completed: Option<ScanCompleted<'a>>,
    #[serde(borrow)]
    pub runtime: Vec<RuntimeUse<'a>>,
    #[serde(borrow)]
    pub inventory: Vec<InventoryItem<'a>>,
}

/// See [`crate::scan::ScanRef`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanRef<'a> {
    pub scan_id: &'a str,
    pub scope: &'a str,
    pub started_at: Millis,
}

/// See [`crate::scan::ScanCompleted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanCompleted<'a> {
    pub parts: u32,
    pub sightings: u32,
    pub complete: bool,
    #[serde(borrow)]
    pub rules_enabled: Vec<&'a str>,
    #[serde(borrow)]
    pub paths: Vec<&'a str>,
    pub classes: Vec<FindingClass>,
}

/// See [`crate::observation::RuntimeUse`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuntimeUse<'a> {
    pub workload: &'a str,
    pub path: &'a str,
    pub level: UseLevel,
    pub count: u32,
}

/// See [`crate::observation::InventoryItem`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InventoryItem<'a> {
    pub purl: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub ecosystem: &'a str,
    pub licence: &'a str,
    #[serde(borrow)]
    pub files: Vec<&'a str>,
}

/// See [`crate::remedy::RemedyMember`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemedyMember<'a> {
    pub remedy: &'a str,
    pub kind: &'a str,
    pub target: &'a str,
    pub risk: &'a str,
    pub title: &'a str,
    pub name: &'a str,
    pub component: &'a str,
    #[serde(borrow)]
    pub owner: Owner<'a>,
    pub state: RiskState,
    pub band: Band,
    pub score: i32,
    pub version: &'a str,
    pub summary: &'a str,
    pub due_at: Option<Millis>,
    pub first_seen: Millis,
    pub backfill: bool,
    #[serde(borrow)]
    pub cause: Origin<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written again, a borrowed record gives the bytes it was read from: every field is there, in its place.
    #[test]
    fn borrowed_records_have_every_field_in_its_place() {
        fn check<'a, T: Borrowed<'a> + Serialize>(bytes: &'a [u8]) {
            let (borrowed, owned) = (T::decode(bytes).unwrap(), T::Of::decode(bytes).unwrap());
            assert_eq!(codec::write_again(&borrowed), codec::body_of(bytes), "{}", T::Of::NAME);
            // By their names, too: two texts that change places have the same bytes.
            assert_eq!(serde_json::to_value(&borrowed).unwrap(), serde_json::to_value(&owned).unwrap());
        }
        let samples = codec::samples();
        check::<Finding<'_>>(&samples.finding.encode().unwrap());
        check::<Finding<'_, FindingId>>(&samples.finding.encode().unwrap());
        check::<TrackedFinding<'_>>(&samples.finding.tracked.encode().unwrap());
        let member = crate::remedy::RemedyMember {
            kind: "upgrade".into(),
            target: "pkg:npm/x".into(),
            title: "a title".into(),
            name: "CVE-2026-1".into(),
            component: "store".into(),
            owner: samples.risk.owner.clone(),
            version: "1.2".into(),
            summary: "do it".into(),
            due_at: Some(9),
            first_seen: 8,
            cause: samples.change.cause.clone(),
            ..crate::remedy::RemedyMember::default()
        };
        check::<RemedyMember<'_>>(&member.encode().unwrap());
        check::<Risk<'_>>(&samples.risk.encode().unwrap());
        check::<Change<'_>>(&samples.change.encode().unwrap());
        check::<Observation<'_>>(&samples.observation.encode().unwrap());
    }
}
