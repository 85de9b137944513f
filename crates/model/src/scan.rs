//! Scans: which scan a sighting belongs to, and the ledger of what was expected, received and applied.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::time::Millis;

/// The scan an observation belongs to. Scans of one (asset, scope) are ordered by (`started_at`, `scan_id`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct ScanRef {
    /// The producer's id, else a hash of the report's canonical bytes: the same report posted twice is one scan (F2).
    pub scan_id: String,
    /// What can withdraw what: canonical text of tool, configuration, declared filters, target paths (the asset carries the branch).
    pub scope: String,
    /// Event time at which the scan began.
    pub started_at: Millis,
}

/// The end of a scan of one covered asset. Sent also when nothing was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct ScanCompleted {
    /// How many parts the scan of this asset has: their numbers are `0..parts`.
    pub parts: u32,
    /// Sightings in all parts.
    pub sightings: u32,
    /// Whether everything in the scope was looked at. False for diffs, pull requests and failed scans: they withdraw nothing.
    pub complete: bool,
    /// Rules that were enabled; empty means "not declared", and then every rule counts as enabled.
    pub rules_enabled: Vec<String>,
    /// Path prefixes that were scanned; empty means the whole asset.
    pub paths: Vec<String>,
    /// Classes that this scan can see (`vulnerability`, `secret` …): it withdraws no other.
    pub classes: Vec<crate::sighting::FindingClass>,
}

/// Where a scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ScanState {
    /// Parts are missing.
    #[default]
    Receiving,
    /// Every part is applied; what it no longer shows is withdrawn.
    Applied,
    /// Every part is applied, but the scan is partial: it withdrew nothing.
    Partial,
    /// It would withdraw too much; held until a second scan agrees.
    Suspect,
    /// An equal or newer complete scan of the scope was applied before: it withdrew nothing.
    Outdated,
}

/// One line of the scan ledger. Key on the log: `asset|scope|scan_id`; partition key: the asset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct ScanRun {
    /// Asset key.
    pub asset: String,
    /// Scope (see [`ScanRef::scope`]).
    pub scope: String,
    /// Scan id.
    pub scan_id: String,
    /// Tool name, lower case.
    pub tool: String,
    /// Format name.
    pub format: String,
    /// Classes that the scan can see.
    pub classes: Vec<crate::sighting::FindingClass>,
    /// Event time at which the scan began.
    pub started_at: Millis,
    /// Processing time of the last step that touched it.
    pub updated_at: Millis,
    /// Where it stands.
    pub state: ScanState,
    /// Parts announced; 0 while unknown.
    pub parts_expected: u32,
    /// The part numbers received: a set, ascending, never a count.
    pub parts_received: Vec<u32>,
    /// What the end of the scan said; kept while parts are missing.
    pub completed: Option<ScanCompleted>,
    /// Sightings applied.
    pub sightings: u32,
    /// Findings opened by it.
    pub new: u32,
    /// Findings it saw again.
    pub unchanged: u32,
    /// Findings it saw again after they were closed.
    pub reopened: u32,
    /// Findings it withdrew.
    pub gone: u32,
    /// Components that its findings are attributed to, at most 16.
    pub components: Vec<String>,
    /// In the record of one part (key `asset|scope|scan_id|part-N`), the ids that this part saw, ascending. Parts are
    /// kept while others are missing or the scan is suspect; the line of the scan itself has none.
    pub seen: Vec<crate::id::FindingId>,
    /// It became the watermark of (asset, scope) from which `last_seen` derives. The latest such scan is the watermark:
    /// older lines are not rewritten.
    pub is_watermark: bool,
}
