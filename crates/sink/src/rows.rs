//! One row type per table, and the one place that says which message becomes which rows. Rows borrow their texts from the
//! messages: a batch is decoded once and copied once, to the engine.

mod context;
mod finding;
mod history;
mod risk;
mod scan;
mod ticket;

use serde::Serialize;
use tributary_model::context::EntityContext;
use tributary_model::reject::Reject;
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

/// Rows of the small tables. Those of `risks`, `findings`, `tickets` and `risk_changes` are made one at a time
/// ([`crate::batch::Batch::read`]).
#[derive(Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Rows<'a> {
    pub components: Vec<ComponentRow>,
    pub deployments: Vec<DeploymentRow>,
    pub intel: Vec<IntelRow>,
    pub scan_runs: Vec<ScanRow>,
    pub sbom_components: Vec<SbomRow<'a>>,
    pub rejects: Vec<RejectRow>,
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
}

impl Source {
    /// The source of a message's rows.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self { bucket: (message.partition % BUCKETS) as u8, version: message.offset + 1 }
    }
}

impl<'a> Rows<'a> {
    /// Adds the rows that a message stands for; none for records without a small table.
    ///
    /// # Errors
    /// When the value is not what its topic carries; the sink rejects the message and goes on.
    pub fn absorb(&mut self, message: &'a Message) -> Result<(), CodecError> {
        let source = Source::of(message);
        let Some(value) = &message.value else {
            context::deleted(message, source, self);
            return Ok(());
        };
        match message.topic {
            Topic::Rejects => self.rejects.push(RejectRow::new(Reject::decode(value)?, source)),
            Topic::Scans => self.scan_runs.push(ScanRow::new(ScanRun::decode(value)?, source)),
            Topic::Intel => self.intel.push(IntelRow::new(&EntityContext::decode(value)?, source)),
            Topic::Context => {
                let entity = EntityContext::decode(value)?;
                match entity::kind(&entity.entity) {
                    "component" => self.components.push(ComponentRow::new(&entity, source)),
                    "workload" => self.deployments.push(DeploymentRow::new(&entity, source)),
                    _ => {}
                }
            }
            Topic::Observations => self.sbom_components.extend(scan::inventory(value, source)?),
            _ => {}
        }
        Ok(())
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
