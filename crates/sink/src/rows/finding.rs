//! Table `findings`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::CodecError;
use tributary_model::borrowed::{Borrowed, Finding};

use super::Source;

/// A row of `findings`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FindingRow<'a> {
    pub component: &'a str,
    pub finding: &'a str,
    pub bucket: u8,
    pub version: u64,
    pub asset: &'a str,
    pub class: &'a str,
    pub state: &'a str,
    pub counts: bool,
    pub left_component: &'a str,
    pub moved_to: &'a str,
    pub rule: &'a str,
    pub title: &'a str,
    pub severity: &'a str,
    pub cvss: Option<f64>,
    pub cwes: Vec<u32>,
    pub aliases: Vec<&'a str>,
    pub package: &'a str,
    pub package_version: &'a str,
    pub fixed_versions: Vec<&'a str>,
    pub path: &'a str,
    pub start_line: u32,
    pub resource: &'a str,
    pub endpoint: String,
    pub secret_family: &'a str,
    pub tools: Vec<&'a str>,
    pub runtime: &'a str,
    pub attributed_by: &'a str,
    pub first_seen: i64,
    pub state_since: i64,
    pub reopened: u32,
    pub backfill: bool,
}

impl<'a> FindingRow<'a> {
    /// The row of an encoded [`Finding`].
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn read(value: &'a [u8], source: Source) -> Result<Self, CodecError> {
        let record = Finding::decode(value)?;
        let tracked = record.tracked;
        let sighting = tracked.sighting;
        let highest = tracked.claims.iter().map(|claim| claim.severity).max().unwrap_or(sighting.severity);
        let aliases = sorted(tracked.claims.iter().flat_map(|claim| claim.aliases.iter().copied()));
        let tools = sorted(tracked.claims.iter().filter(|claim| claim.present).map(|claim| claim.tool));
        let (path, start_line) = sighting.location.map(|at| (at.path, at.start_line)).unwrap_or_default();
        let (package, package_version, file, fixed_versions) = sighting
            .package
            .map(|package| (package.purl, package.version, package.file, package.fixed_versions))
            .unwrap_or_default();
        let endpoint = sighting.endpoint.map(|e| format!("{} {} {}", e.method, e.path_template, e.parameter));
        Ok(Self {
            component: record.component,
            finding: tracked.finding,
            bucket: source.bucket,
            version: source.version,
            asset: tracked.asset,
            class: sighting.class.name(),
            state: tracked.state.into(),
            counts: tracked.counts,
            left_component: record.end.into(),
            moved_to: record.moved_to,
            rule: sighting.rule,
            title: sighting.title,
            severity: highest.name(),
            cvss: sighting.cvss_score,
            cwes: sighting.cwes,
            aliases,
            path: if path.is_empty() { file } else { path },
            package,
            package_version,
            fixed_versions,
            start_line,
            resource: sighting.resource,
            endpoint: endpoint.map(|text| text.trim_end().to_owned()).unwrap_or_default(),
            secret_family: sighting.secret.map_or("", |secret| secret.family),
            tools,
            runtime: tracked.runtime.into(),
            attributed_by: tracked.attributed_by,
            first_seen: tracked.first_seen,
            state_since: tracked.state_since,
            reopened: tracked.reopened,
            backfill: tracked.backfill,
        })
    }
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
