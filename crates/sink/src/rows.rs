//! One row type per table, and the one place that says which message becomes which rows.

mod context;
mod finding;
mod history;
mod risk;
mod scan;
mod ticket;

use serde::Serialize;
use tributary_model::context::EntityContext;
use tributary_model::finding::Finding;
use tributary_model::observation::Observation;
use tributary_model::reject::Reject;
use tributary_model::remedy::Ticket;
use tributary_model::risk::{Change, Risk};
use tributary_model::scan::ScanRun;
use tributary_model::{AvroRecord, CodecError, Topic, entity};
use tributary_stream::Message;

pub use context::{ComponentRow, DeploymentRow, IntelRow};
pub use finding::FindingRow;
pub use history::{ChangeRow, RejectRow};
pub use risk::RiskRow;
pub use scan::{SbomRow, ScanRow};
pub use ticket::TicketRow;

/// Topics that the sink reads.
pub const TOPICS: &[Topic] = &[
    Topic::Risks,
    Topic::Changes,
    Topic::Findings,
    Topic::Context,
    Topic::Intel,
    Topic::Tickets,
    Topic::Scans,
    Topic::Observations,
    Topic::Rejects,
];

/// Rows of every table. Boxed where large, so that a vector of them stays compact.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Row {
    Risk(Box<RiskRow>),
    Finding(Box<FindingRow>),
    Component(Box<ComponentRow>),
    Deployment(Box<DeploymentRow>),
    Intel(Box<IntelRow>),
    Ticket(Box<TicketRow>),
    Scan(Box<ScanRow>),
    Sbom(Box<SbomRow>),
    Change(Box<ChangeRow>),
    Reject(Box<RejectRow>),
}

/// Partitions of current-state tables: `topic partition mod BUCKETS`. Immutable: rows of one key must stay in one partition.
/// More would make FINAL over the organisation read more parts; fewer would make merges larger than they need be.
pub const BUCKETS: u32 = 8;

/// Where a row came from: gives its bucket and its version.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Table partition.
    pub bucket: u8,
    /// Offset + 1: grows for a key, equal on a replay.
    pub version: u64,
    /// Offset of the record.
    pub offset: u64,
}

impl Source {
    fn of(message: &Message) -> Self {
        Self { bucket: (message.partition % BUCKETS) as u8, version: message.offset + 1, offset: message.offset }
    }
}

/// The rows that a message stands for; none for records without a table (facts of other entities, tombstones that
/// follow a valued end record).
///
/// # Errors
/// When the value is not what its topic carries; the sink rejects the message and goes on.
pub fn rows_of(message: &Message) -> Result<Vec<Row>, CodecError> {
    let source = Source::of(message);
    let Some(value) = &message.value else {
        return Ok(context::deleted(message, source).into_iter().collect());
    };
    Ok(match message.topic {
        Topic::Risks => vec![Row::Risk(Box::new(RiskRow::new(Risk::decode(value)?, source)))],
        Topic::Changes => vec![Row::Change(Box::new(ChangeRow::new(Change::decode(value)?, source)))],
        Topic::Findings => vec![Row::Finding(Box::new(FindingRow::new(Finding::decode(value)?, source)))],
        Topic::Rejects => vec![Row::Reject(Box::new(RejectRow::new(Reject::decode(value)?, source)))],
        Topic::Scans => vec![Row::Scan(Box::new(ScanRow::new(ScanRun::decode(value)?, source)))],
        Topic::Intel => vec![Row::Intel(Box::new(IntelRow::new(&EntityContext::decode(value)?, source)))],
        Topic::Context => {
            let entity = EntityContext::decode(value)?;
            match entity::kind(&entity.entity) {
                "component" => vec![Row::Component(Box::new(ComponentRow::new(&entity, source)))],
                "workload" => vec![Row::Deployment(Box::new(DeploymentRow::new(&entity, source)))],
                _ => Vec::new(),
            }
        }
        Topic::Observations => {
            let observation = Observation::decode(value)?;
            scan::inventory(observation, source).into_iter().map(|row| Row::Sbom(Box::new(row))).collect()
        }
        Topic::Tickets => {
            let ticket: Ticket =
                serde_json::from_slice(value).map_err(|error| CodecError::Body("ticket", error.to_string()))?;
            vec![Row::Ticket(Box::new(TicketRow::new(ticket, source)))]
        }
        _ => Vec::new(),
    })
}

/// The word that an enum of the model is written as.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// JSON text of a list, for columns that hold explanations.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Parts per million as a fraction.
fn fraction(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

#[cfg(test)]
mod tests;
