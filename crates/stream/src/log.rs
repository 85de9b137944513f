//! The log as its users see it: one set of promises, kept by the embedded log, the simulated log and Kafka.
//! Object-safe on purpose: a call is per batch, so dynamic dispatch costs nothing and wiring stays plain.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::time::{DAY, Millis};

use crate::message::{Message, Output, Position};

mod waker;

pub use waker::Waker;

/// Why the log did not do what was asked; the kind is the caller's next move.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing happened. The same call may be made again, after a pause.
    #[error("{what}; nothing happened, try again")]
    Retry {
        /// What went wrong.
        what: String,
        /// The cause below, if any.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The transaction did not happen: roll back, [`Worker::rewind`], go on.
    #[error("{what}; the transaction did not happen")]
    Abort {
        /// What went wrong.
        what: String,
        /// The cause below, if any.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// This handle is of no more use. What was asked may or may not have happened; only a new handle, which starts from
    /// what is committed, can tell.
    #[error("{what}")]
    Fatal {
        /// What went wrong.
        what: String,
        /// The cause below, if any.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl LogError {
    /// A [`LogError::Retry`] without a cause below.
    pub fn retry(what: impl Into<String>) -> Self {
        Self::Retry { what: what.into(), source: None }
    }

    /// A [`LogError::Abort`] without a cause below.
    pub fn abort(what: impl Into<String>) -> Self {
        Self::Abort { what: what.into(), source: None }
    }

    /// A [`LogError::Fatal`] without a cause below.
    pub fn fatal(what: impl Into<String>) -> Self {
        Self::Fatal { what: what.into(), source: None }
    }

    /// A [`LogError::Fatal`] with its cause.
    pub fn fatal_from(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fatal { what: what.into(), source: Some(source.into()) }
    }
}

/// Who reads: one worker slot of a consumer group. Topics of one subscription have equal partition counts, and partition
/// *p* of all of them belongs to the same worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Group: the stage's name, `sink`, `ingest`. Positions are kept per group.
    pub group: String,
    /// Input topics.
    pub topics: Vec<Topic>,
    /// This worker, from 0.
    pub slot: u32,
    /// How many workers this process gives the group. Where the log itself assigns partitions, only a hint.
    pub slots: u32,
}

/// How much one poll may return and how long it may wait for the first record. At least one record is returned if there
/// is one, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// At most so many records.
    pub records: usize,
    /// At most about so many bytes.
    pub bytes: usize,
    /// Wait at most so long when there is nothing.
    pub wait: Duration,
}

/// What a poll saw. Changes of assignment come alone, before any record that they concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// These partitions are now this worker's. Their records come only after [`Worker::start`].
    Assigned(Vec<u32>),
    /// These partitions are no longer this worker's: drop their state. What was not committed did not happen.
    Revoked(Vec<u32>),
    /// Records, per partition in offset order; empty when the wait ran out or the waker was rung.
    Batch(Vec<Message>),
}

/// A committed input position with what the worker wants to remember beside it (the broadcast positions it had seen).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The input position.
    pub position: Position,
    /// Opaque; at most 4 KiB.
    pub note: Bytes,
}

/// What is committed together.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Records to append, in order.
    pub outputs: Vec<Output>,
    /// Position of **every** input partition whose state was touched, also by a timer or a notice, also if unchanged: that
    /// is what fences a zombie.
    pub checkpoints: Vec<Checkpoint>,
}

/// Where a reader starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the oldest surviving record.
    Beginning,
    /// After the newest record: only what is appended from now on.
    End,
    /// At these positions; partitions not named start at the beginning.
    At(Vec<Position>),
}

/// What is known of a compacted topic from so long ago, and not from it itself, no longer tells what there is: deletions since may be
/// gone, because tombstones live 7 days.
pub(crate) const COPY_AGE_MAX: Millis = 6 * DAY;

/// What a reader read.
#[derive(Debug, Default)]
pub struct Read {
    /// Records, per partition in offset order.
    pub messages: Vec<Message>,
    /// Every partition of this reader was read to the end it had when this call began.
    pub at_end: bool,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lag {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: u32,
    /// Offsets between what is committed and the end. 0 means that nothing is left to process; above 0 it is at least the
    /// number of records, because offsets are not dense.
    pub behind: u64,
}

/// An ordered, durable, partitioned log of records.
///
/// # What every implementation promises
/// - **Order.** Records of one partition are read in the order of their offsets, which ascend but are not dense.
///   Between partitions and between topics there is no order, not even inside one transaction.
/// - **Atomicity.** A [`Transaction`] (outputs and positions) happens entirely or not at all, also across a crash at any
///   instruction. The same holds for one [`Producer::append`]. Its records may become *visible* at different times in
///   different partitions, but an aborted or unfinished one never is.
/// - **Durability.** When a commit or an append returns `Ok`, a crash loses nothing of it.
/// - **Isolation.** Nothing uncommitted is ever read, by anyone, including the writer.
/// - **Delivery.** A worker reads on from its committed positions. After a crash or a rewind it gets again whatever it had
///   not committed, in the same order per partition, perhaps in other batches.
/// - **Compaction.** On a compacted topic the latest record of every key survives; a reader may or may not see earlier
///   ones. A tombstone survives for at least the configured time (7 days), then key and tombstone are gone. Reading to the
///   end therefore always yields the latest value of every live key. On a topic that deletes, a record is dropped by
///   age or size, but never before every group that reads the topic has committed past it.
/// - **Ends.** A reader says `at_end` only after it returned everything that was committed before the call began, also what
///   others do not see yet. So what a worker reads as committed and what it restores from fit together.
/// - **Fencing.** A partition has one owner per group. Once another handle owns it, a commit of the old owner that names
///   this partition fails and changes nothing: with [`LogError::Abort`] if the old handle can go on without the
///   partition (it will see [`Polled::Revoked`]), with [`LogError::Fatal`] if it cannot.
///
/// # What a caller must not assume
/// That a batch ends where a transaction ended; that offsets are dense; that a record it produced is visible at once;
/// that an error means that nothing happened, unless the kind says so.
pub trait Log: Send + Sync {
    /// Number of partitions of a topic. Fixed for the life of the log.
    fn partitions(&self, topic: Topic) -> u32;

    /// A worker's handle. Taking a slot fences the handle that had it.
    fn worker(&self, subscription: &Subscription) -> Result<Box<dyn Worker>, LogError>;

    /// A producer that belongs to no group: HTTP intake, `publish`, intelligence sync.
    fn producer(&self) -> Result<Arc<dyn Producer>, LogError>;

    /// A reader that belongs to no group: restore, broadcast, `tail`, the page.
    fn reader(&self, partitions: &[(Topic, u32)], start: &Start) -> Result<Box<dyn Reader>, LogError>;

    /// Whether outputs and positions are committed together or not at all. Whoever keeps state needs that.
    fn is_atomic(&self) -> bool {
        true
    }

    /// The end of every partition of these topics: one past the last visible record.
    fn ends(&self, topics: &[Topic]) -> Result<Vec<Position>, LogError>;

    /// What tells each of these partitions from any other, this one's own past included: it changes when the topic is made anew, and
    /// when records are taken away from its beginning other than by compaction. As long as it stays, what was read once below a
    /// position need not be read again. `None` if this log cannot tell: then nobody may rely on it.
    fn lineage(&self, _places: &[(Topic, u32)]) -> Result<Option<Vec<String>>, LogError> {
        Ok(None)
    }

    /// What a group has committed; partitions without a commit are absent.
    fn committed(&self, group: &str) -> Result<Vec<Checkpoint>, LogError>;

    /// How far a group is behind in every partition of these topics. It comes to 0 when the group has nothing left to
    /// process, also where a partition ends in what no reader is given.
    fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        // Positions first: what is appended in between counts as lag, never as progress.
        let committed = self.committed(group)?;
        let done: BTreeMap<(Topic, u32), u64> =
            committed.iter().map(|Checkpoint { position: p, .. }| ((p.topic, p.partition), p.next)).collect();
        let lag = |end: Position| {
            let done = done.get(&(end.topic, end.partition)).copied().unwrap_or(0);
            Lag { topic: end.topic, partition: end.partition, behind: end.next.saturating_sub(done) }
        };
        Ok(self.ends(topics)?.into_iter().map(lag).collect())
    }
}

/// One worker of a consumer group; owned by one thread.
pub trait Worker: Send {
    /// The next change of assignment or batch. Call it only with no transaction open: everything of the last batch is
    /// committed or rewound.
    fn poll(&mut self, budget: Budget) -> Result<Polled, LogError>;

    /// What is committed for these partitions of the subscribed topics. After [`Polled::Assigned`] and **before** reading
    /// the ends of the changelogs: so that nothing falls between the two.
    fn committed(&self, partitions: &[u32]) -> Result<Vec<Checkpoint>, LogError>;

    /// The state of these partitions is restored: deliver their records, from the committed positions on.
    fn start(&mut self, partitions: &[u32]) -> Result<(), LogError>;

    /// Commits outputs and positions together.
    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError>;

    /// Goes back to the committed positions of all started partitions. If that fails for now, the next poll does it before it
    /// answers anything: nothing that was rolled back is skipped.
    fn rewind(&mut self) -> Result<(), LogError>;

    /// From now on, records of exactly these places are not delivered. Those of places that were held and are not any more come
    /// again from their committed positions on. Call it where [`Worker::poll`] may be called; after an error, again.
    fn hold(&mut self, places: &BTreeSet<(Topic, u32)>) -> Result<(), LogError>;

    /// The largest record that [`Worker::commit`] takes, as [`Output::bytes`] counts; a larger one is fatal. Whoever makes records
    /// asks before, and rejects what made them.
    fn record_bytes_max(&self) -> usize {
        usize::MAX
    }

    /// Rings this worker out of a waiting poll, from any thread.
    fn waker(&self) -> Waker;

    /// Before the next poll answers, lets records gather: for so long at most, until much of that poll's budget is there, until nothing
    /// comes any more, or until the waker rings. For whoever works cheaper on much at a time. May block.
    fn gather(&mut self, _budget: Budget, _pause: Duration) {}
}

/// Appends outside of any group.
pub trait Producer: Send + Sync {
    /// Appends all records or none, durable on return; answers the new end of every partition that was appended to.
    /// After an error one record by itself may be there all the same, as after an answer that was lost on the way: append it again,
    /// and whoever reads takes it once. Blocks: not for an async thread.
    fn append(&self, records: Vec<Output>) -> Result<Vec<Position>, LogError>;
}

/// Reads outside of any group; owned by one thread.
pub trait Reader: Send {
    /// The next records. Waits for the first one at most as long as the budget says.
    fn read(&mut self, budget: Budget) -> Result<Read, LogError>;

    /// Where it will read next, one entry per partition.
    fn positions(&self) -> Vec<Position>;

    /// Rings this reader out of a waiting read, from any thread.
    fn waker(&self) -> Waker;
}
