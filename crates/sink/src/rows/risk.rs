//! Table `risks`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::CodecError;
use tributary_model::borrowed::{Borrowed, Risk};

use super::{Source, fraction, json};

/// A row of `risks`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RiskRow<'a> {
    pub component: &'a str,
    pub risk: &'a str,
    pub bucket: u8,
    pub version: u64,
    pub generation: i64,
    pub revision: i64,
    pub state: &'a str,
    pub class: &'a str,
    pub title: &'a str,
    pub name: &'a str,
    pub vulnerability_ids: Vec<&'a str>,
    pub cwes: Vec<u32>,
    pub package: &'a str,
    pub installed_versions: Vec<&'a str>,
    pub place: &'a str,
    pub band: &'a str,
    pub band_rank: u8,
    pub score: i32,
    pub severity: &'a str,
    pub contributions: String,
    pub decision: String,
    pub model_version: &'a str,
    pub inputs_digest: &'a str,
    pub owner: &'a str,
    pub owner_source: &'a str,
    pub owner_confidence: &'a str,
    pub tier: i32,
    pub environments: Vec<&'a str>,
    pub exposure: &'a str,
    pub deployed: Option<bool>,
    pub runtime: &'a str,
    pub kev: Option<bool>,
    pub epss: Option<f64>,
    pub cvss: Option<f64>,
    pub verified: bool,
    pub fix_kind: &'a str,
    pub fix_target: &'a str,
    pub fix_version: &'a str,
    pub fix: &'a str,
    pub first_seen: i64,
    pub opened_at: i64,
    pub clock_start: i64,
    pub due_at: Option<i64>,
    pub resolved_at: Option<i64>,
    pub reopened: u32,
    pub suppressed_by: &'a str,
    pub confirmed_by: Vec<&'a str>,
    pub tools: Vec<&'a str>,
    pub evidence: String,
    pub evidence_total: u32,
    pub backfill: bool,
    pub decided_at: i64,
    pub chain_head: &'a str,
}

/// Revisions per generation that a version can count: 2^20, so that generations (seconds) and revisions share 64 bits.
const REVISIONS: i64 = 1 << 20;

impl<'a> RiskRow<'a> {
    /// The row of an encoded [`Risk`]. Its version is (generation, revision), not the offset: a mirrored topic keeps it.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn read(value: &'a [u8], source: Source) -> Result<Self, CodecError> {
        let risk = Risk::decode(value)?;
        Ok(Self {
            bucket: source.bucket,
            version: (risk.generation.max(0) * REVISIONS + risk.revision.clamp(0, REVISIONS - 1)) as u64,
            state: risk.state.into(),
            class: risk.class.name(),
            band: risk.band.name(),
            band_rank: risk.band as u8,
            severity: risk.severity.name(),
            contributions: json(&risk.contributions),
            decision: json(&risk.decision),
            exposure: risk.exposure.into(),
            runtime: risk.runtime.into(),
            epss: risk.epss_ppm.map(fraction),
            confirmed_by: risk.confirmed_by,
            evidence: json(&risk.evidence),
            risk: risk.risk,
            component: risk.component,
            generation: risk.generation,
            revision: risk.revision,
            title: risk.title,
            name: risk.name,
            vulnerability_ids: risk.vulnerability_ids,
            cwes: risk.cwes,
            package: risk.package,
            installed_versions: risk.installed_versions,
            place: risk.place,
            score: risk.score,
            model_version: risk.model_version,
            inputs_digest: risk.inputs_digest,
            owner: risk.owner.team,
            owner_source: risk.owner.source,
            owner_confidence: risk.owner.confidence,
            tier: risk.tier,
            environments: risk.environments,
            deployed: risk.deployed,
            kev: risk.kev,
            cvss: risk.cvss_score,
            verified: risk.verified,
            fix_kind: risk.fix.kind,
            fix_target: risk.fix.target,
            fix_version: risk.fix.version,
            fix: risk.fix.summary,
            first_seen: risk.first_seen,
            opened_at: risk.opened_at,
            clock_start: risk.clock_start,
            due_at: risk.due_at,
            resolved_at: risk.resolved_at,
            reopened: risk.reopened,
            suppressed_by: risk.suppressed_by,
            tools: risk.tools,
            evidence_total: risk.evidence_total,
            backfill: risk.backfill,
            decided_at: risk.decided_at,
            chain_head: risk.chain_head,
        })
    }
}
