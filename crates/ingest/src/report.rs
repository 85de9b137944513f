//! A scan report of one asset in canonical form, before it is cut into batches.

use tributary_model::sighting::{FindingClass, Sighting};
use tributary_model::time::Millis;

/// What one scan says about one covered asset.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Asset key (see [`tributary_model::asset`]).
    pub asset: String,
    /// Tool name, lower case, as the tool calls itself: `trivy`, `codeql`, `owasp zap`.
    pub tool: String,
    /// Tool version; empty when not given.
    pub tool_version: String,
    /// The producer's scan id when the report carries one (SARIF `automationDetails.guid`); otherwise it is derived.
    pub scan_id: Option<String>,
    /// What separates scans of this asset by this tool: configuration, filters, target paths, `automationDetails.id`. Canonical order.
    pub scope: Vec<String>,
    /// Event time at which the scan began; `None`: [`crate::event::Input::default_time`].
    pub started_at: Option<Millis>,
    /// Whether the format asserts that everything in the scope was looked at. `Some(false)` for diffs and failed scans,
    /// `None` when the format cannot say (then the producer's `complete` decides, else true for a full report).
    pub complete: Option<bool>,
    /// Rules that were enabled, where declared.
    pub rules_enabled: Vec<String>,
    /// Path prefixes that were scanned, where declared.
    pub paths: Vec<String>,
    /// Classes that this report can see, ascending.
    pub classes: Vec<FindingClass>,
    /// True for single alerts (webhooks): they belong to no scan and withdraw only through [`tributary_model::sighting::ToolStatus::Fixed`].
    pub is_alert: bool,
    /// The sightings, in report order.
    pub sightings: Vec<Sighting>,
}
