//! Tables `scan_runs` and `sbom_components`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::CodecError;
use tributary_model::borrowed::{Borrowed, Observation};
use tributary_model::scan::ScanRun;

use super::Source;

/// A row of `scan_runs`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ScanRow {
    pub asset: String,
    pub scope: String,
    pub scan_id: String,
    pub bucket: u8,
    pub version: u64,
    pub tool: String,
    pub format: String,
    pub classes: Vec<String>,
    pub components: Vec<String>,
    pub state: String,
    pub is_watermark: bool,
    pub parts_expected: u32,
    pub parts_received: u32,
    pub sightings: u32,
    pub new: u32,
    pub unchanged: u32,
    pub reopened: u32,
    pub gone: u32,
    pub started_at: i64,
    pub updated_at: i64,
}

impl ScanRow {
    /// The row of a ledger line.
    #[must_use]
    pub fn new(run: ScanRun, source: Source) -> Self {
        Self {
            bucket: source.bucket,
            version: source.version,
            state: <&str>::from(run.state).to_owned(),
            classes: run.classes.iter().map(|class| class.name().to_owned()).collect(),
            parts_received: run.parts_received.len() as u32,
            asset: run.asset,
            scope: run.scope,
            scan_id: run.scan_id,
            tool: run.tool,
            format: run.format,
            components: run.components,
            is_watermark: run.is_watermark,
            parts_expected: run.parts_expected,
            sightings: run.sightings,
            new: run.new,
            unchanged: run.unchanged,
            reopened: run.reopened,
            gone: run.gone,
            started_at: run.started_at,
            updated_at: run.updated_at,
        }
    }
}

/// A row of `sbom_components`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SbomRow<'a> {
    pub asset: &'a str,
    pub purl: &'a str,
    pub version_: &'a str,
    pub bucket: u8,
    pub version: u64,
    pub name: &'a str,
    pub ecosystem: &'a str,
    pub licence: &'a str,
    pub observed_at: i64,
}

/// The rows of an encoded [`Observation`]'s inventory; none for other observations.
///
/// # Errors
/// When the bytes are not an observation.
pub(super) fn inventory(value: &[u8], source: Source) -> Result<impl Iterator<Item = SbomRow<'_>>, CodecError> {
    let Observation { asset, observed_at, inventory, .. } = Observation::decode(value)?;
    Ok(inventory.into_iter().map(move |item| SbomRow {
        asset,
        purl: item.purl,
        version_: item.version,
        bucket: source.bucket,
        // By event time: the same inventory delivered again writes the same row, an older one replaces nothing.
        version: u64::try_from(observed_at).unwrap_or_default(),
        name: item.name,
        ecosystem: item.ecosystem,
        licence: item.licence,
        observed_at,
    }))
}
