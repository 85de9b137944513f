//! The loop that drives stages on a log: restore, poll, apply, notice, wake, settle once, commit; roll back on an abort.
//! [`StageWorker`] is one worker without a thread (simulation turns it by hand); [`Pipeline`] gives each its thread.
//!
//! ```text
//!            ┌────────────── broadcaster (1 a process): context, intel ──► BroadcastStore
//!            │ names of changed entities (merged per worker)                    ▲ get
//!            ▼                                                                  │
//! log ─poll (≤ 8192 records, ≤ 8 MiB)─► apply → notice → wake → settle ─► commit (≥ 1 partition) ─► log
//! ```
//!
//! # What the loop promises beyond [`crate::Stage`]
//! - A message that a stage refuses becomes a record on `rejects` in the same transaction as its position.
//! - If `settle` fails, the partition is rolled back and its batch replayed message by message: the ones that fail alone are
//!   rejected, the rest goes through. A failing timer is muted for a minute. No partition is ever stuck.
//! - Every transaction names the position of every input partition whose state it touched.

use std::sync::Arc;
use std::time::Duration;

use tributary_model::time::{MINUTE, Millis};

use crate::broadcast::BroadcastStore;
use crate::stage::{Stage, StageTopics};

mod hub;
mod note;
mod pipeline;
mod restore;
mod settle;
mod snapshot;
mod worker;

pub use hub::{Broadcaster, Hub};
pub use pipeline::{Pipeline, PipelineSettings, WorkerHealth, lag};
pub use worker::{Progress, StageWorker, Turn};

/// Records per poll. 32768: who is behind takes much at a time, and what several of them say about one risk makes one revision
/// instead of several (1.2 instead of 1.9 a risk on a cold load, counted by `tributary_log_records_total`); who keeps up never
/// finds so many.
const POLL_RECORDS: usize = 32_768;
/// Bytes per poll. 32 MiB: a thousand bytes for each record; more only adds memory.
const POLL_BYTES: usize = 32 << 20;
/// Outputs after which a transaction is committed although other partitions still have to settle. 32768: what one change
/// of intelligence makes of one partition is never split, but several partitions need not pile up in one transaction.
const TRANSACTION_OUTPUTS: usize = 32_768;
/// The same in bytes. What is settled waits in memory until then.
const TRANSACTION_BYTES: usize = 32 << 20;
/// Names noticed in one transaction. 4096: bounded by what a poll brings in; a daily sync of intelligence changes hundreds of thousands.
const NOTICES: usize = 4096;
/// How long a poll waits when there is nothing to do. 100 ms: a clock that jumps is noticed soon; arrivals ring.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the timers of a partition are ignored after they made `settle` fail.
const MUTE_MS: Millis = MINUTE;

/// Makes the state of one partition, empty.
pub type StageFactory = Arc<dyn Fn(u32, Arc<BroadcastStore>) -> Box<dyn Stage> + Send + Sync>;

/// A stage as the loop needs it.
#[derive(Clone)]
pub struct StageSpec {
    /// What it reads and owns.
    pub topics: StageTopics,
    /// Makes its state.
    pub factory: StageFactory,
}

impl StageSpec {
    /// A stage from a closure.
    pub fn new(
        topics: StageTopics,
        factory: impl Fn(u32, Arc<BroadcastStore>) -> Box<dyn Stage> + Send + Sync + 'static,
    ) -> Self {
        Self { topics, factory: Arc::new(factory) }
    }
}

#[cfg(test)]
pub(crate) mod tests;
