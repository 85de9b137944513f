//! Table `findings`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::finding::Finding;

use super::{Source, word};

/// A row of `findings`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FindingRow {
    pub component: String,
    pub finding: String,
    pub bucket: u8,
    pub version: u64,
    pub asset: String,
    pub class: String,
    pub state: String,
    pub counts: bool,
    pub left_component: String,
    pub moved_to: String,
    pub rule: String,
    pub title: String,
    pub severity: String,
    pub cvss: Option<f64>,
    pub cwes: Vec<u32>,
    pub aliases: Vec<String>,
    pub package: String,
    pub package_version: String,
    pub fixed_versions: Vec<String>,
    pub path: String,
    pub start_line: u32,
    pub resource: String,
    pub endpoint: String,
    pub secret_family: String,
    pub tools: Vec<String>,
    pub runtime: String,
    pub attributed_by: String,
    pub first_seen: i64,
    pub state_since: i64,
    pub reopened: u32,
    pub backfill: bool,
}

impl FindingRow {
    /// The row of a record.
    #[must_use]
    pub fn new(record: Finding, source: Source) -> Self {
        let tracked = record.tracked;
        let sighting = tracked.sighting;
        let highest = tracked.claims.iter().map(|claim| claim.severity).max().unwrap_or(sighting.severity);
        let mut aliases: Vec<String> = tracked.claims.iter().flat_map(|claim| claim.aliases.iter().cloned()).collect();
        aliases.sort_unstable();
        aliases.dedup();
        let mut tools: Vec<String> =
            tracked.claims.iter().filter(|claim| claim.present).map(|claim| claim.tool.clone()).collect();
        tools.sort_unstable();
        tools.dedup();
        let (path, start_line) = sighting.location.map(|l| (l.path, l.start_line)).unwrap_or_default();
        let package = sighting.package.unwrap_or_default();
        let endpoint = sighting.endpoint.map(|e| format!("{} {} {}", e.method, e.path_template, e.parameter));
        Self {
            component: record.component,
            finding: tracked.finding.to_string(),
            bucket: source.bucket,
            version: source.version,
            asset: tracked.asset,
            class: sighting.class.name().to_owned(),
            state: word(&tracked.state),
            counts: tracked.counts,
            left_component: word(&record.end),
            moved_to: record.moved_to,
            rule: sighting.rule,
            title: sighting.title,
            severity: highest.name().to_owned(),
            cvss: sighting.cvss_score,
            cwes: sighting.cwes,
            aliases,
            path: if path.is_empty() { package.file } else { path },
            package: package.purl,
            package_version: package.version,
            fixed_versions: package.fixed_versions,
            start_line,
            resource: sighting.resource,
            endpoint: endpoint.map(|text| text.trim_end().to_owned()).unwrap_or_default(),
            secret_family: sighting.secret.map(|secret| secret.family).unwrap_or_default(),
            tools,
            runtime: word(&tracked.runtime),
            attributed_by: tracked.attributed_by,
            first_seen: tracked.first_seen,
            state_since: tracked.state_since,
            reopened: tracked.reopened,
            backfill: tracked.backfill,
        }
    }
}
