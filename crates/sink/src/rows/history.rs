//! Tables `risk_changes` and `rejects`: rows that are never updated.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::reject::{Origin, Reject};
use tributary_model::risk::Change;

use super::{Source, word};

/// A row of `risk_changes`; columns are described in `schemas/clickhouse/002_history.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ChangeRow {
    pub component: String,
    pub risk: String,
    pub generation: i64,
    pub revision: i64,
    pub version: u64,
    pub kind: String,
    pub fields: Vec<String>,
    pub reason: String,
    pub band_before: String,
    pub band: String,
    pub score: i32,
    pub state: String,
    pub other: String,
    pub actor: String,
    pub cause: String,
    pub event_at: i64,
    pub decided_at: i64,
    pub model_version: String,
    pub inputs_before: String,
    pub inputs_after: String,
    pub previous_hash: String,
    pub hash: String,
}

impl ChangeRow {
    /// The row of a change.
    #[must_use]
    pub fn new(change: Change, source: Source) -> Self {
        Self {
            risk: change.risk.to_string(),
            component: change.component,
            generation: change.generation,
            revision: change.revision,
            version: source.version,
            kind: word(&change.kind),
            fields: change.fields,
            reason: change.reason,
            band_before: change.band_before.name().to_owned(),
            band: change.band.name().to_owned(),
            score: change.score,
            state: word(&change.state),
            other: change.other.map(|other| other.to_string()).unwrap_or_default(),
            actor: change.actor,
            cause: coordinates(&change.cause),
            event_at: change.event_at,
            decided_at: change.decided_at,
            model_version: change.model_version,
            inputs_before: change.inputs_before,
            inputs_after: change.inputs_after,
            previous_hash: change.previous_hash,
            hash: change.hash,
        }
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

fn coordinates(origin: &Origin) -> String {
    format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)
}
