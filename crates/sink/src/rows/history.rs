//! Tables `risk_changes` and `rejects`: rows that are never updated.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::CodecError;
use tributary_model::borrowed::{Borrowed, Change};
use tributary_model::reject::Reject;

use super::Source;

/// A row of `risk_changes`; columns are described in `schemas/clickhouse/002_history.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ChangeRow<'a> {
    pub component: &'a str,
    pub risk: &'a str,
    pub generation: i64,
    pub revision: i64,
    pub version: u64,
    pub kind: &'a str,
    pub fields: Vec<&'a str>,
    pub reason: &'a str,
    pub band_before: &'a str,
    pub band: &'a str,
    pub score: i32,
    pub state: &'a str,
    pub other: &'a str,
    pub actor: &'a str,
    pub cause: String,
    pub event_at: i64,
    pub decided_at: i64,
    pub model_version: &'a str,
    pub inputs_before: &'a str,
    pub inputs_after: &'a str,
    pub previous_hash: &'a str,
    pub hash: &'a str,
}

impl<'a> ChangeRow<'a> {
    /// The row of an encoded [`Change`].
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn read(value: &'a [u8], source: Source) -> Result<Self, CodecError> {
        let change = Change::decode(value)?;
        Ok(Self {
            risk: change.risk,
            component: change.component,
            generation: change.generation,
            revision: change.revision,
            version: source.version,
            kind: change.kind.into(),
            fields: change.fields,
            reason: change.reason,
            band_before: change.band_before.name(),
            band: change.band.name(),
            score: change.score,
            state: change.state.into(),
            other: change.other.unwrap_or_default(),
            actor: change.actor,
            cause: format!("{}/{}/{}", change.cause.topic, change.cause.partition, change.cause.offset),
            event_at: change.event_at,
            decided_at: change.decided_at,
            model_version: change.model_version,
            inputs_before: change.inputs_before,
            inputs_after: change.inputs_after,
            previous_hash: change.previous_hash,
            hash: change.hash,
        })
    }
}

/// A row of `rejects`; columns are described in `schemas/clickhouse/002_history.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RejectRow {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub version: u64,
    pub stage: String,
    pub code: String,
    pub reason: String,
    pub at: String,
    pub format: String,
    pub class: String,
    pub source: String,
    pub excerpt: String,
    pub size_bytes: i64,
    pub rejected_at: i64,
}

impl RejectRow {
    /// The row of a reject.
    #[must_use]
    pub fn new(reject: Reject, source: Source) -> Self {
        Self {
            topic: reject.origin.topic,
            partition: reject.origin.partition,
            offset: reject.origin.offset,
            version: source.version,
            stage: reject.stage,
            code: reject.code,
            reason: reject.reason,
            at: reject.at,
            format: reject.format,
            class: reject.class,
            source: reject.source,
            excerpt: reject.excerpt,
            size_bytes: reject.size_bytes,
            rejected_at: reject.rejected_at,
        }
    }
}
