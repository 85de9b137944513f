//! One worker: the partitions it owns, their stages, and one turn of the loop.
//! All branching is in [`StageWorker::turn`] and [`StageWorker::work`]; the rest are leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tributary_model::Topic;
use tributary_model::time::Millis;

use super::hub::{Hub, Mailbox};
use super::note::Note;
use super::restore::Restore;
use super::snapshot::Saved;
use super::{NOTICES, POLL_BYTES, POLL_RECORDS, StageSpec};
use crate::clock::Clock;
use crate::log::{Budget, Checkpoint, Log, LogError, Polled, Subscription, Waker, Worker};
use crate::message::{Message, Outputs, Position};
use crate::metrics;
use crate::rejects;
use crate::snapshot::Snapshots;
use crate::stage::Stage;

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: no record, notice or timer was there.
    Idle,
    /// Committed something, or changed the assignment.
    Worked,
    /// Loads state, or waits for the broadcasts to be read to their ends.
    Restoring,
    /// A transaction was rolled back; the next turn repeats it.
    Aborted,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Its group has said which partitions are its own; that may be none.
    pub assigned: bool,
    /// Partitions that are restored and run.
    pub running: usize,
    /// Partitions that are being restored, or wait for it.
    pub waiting: usize,
    /// Records that the restore at the front has loaded.
    pub loaded: usize,
    /// Of them, those that snapshots had.
    pub adopted: usize,
}

/// A worker without a thread: whoever owns it calls [`StageWorker::turn`] again and again.
pub struct StageWorker {
    pub(super) log: Arc<dyn Log>,
    pub(super) spec: StageSpec,
    pub(super) worker: Box<dyn Worker>,
    pub(super) hub: Arc<Hub>,
    pub(super) mailbox: Mailbox,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owned: BTreeMap<u32, Owned>,
    /// Assigned partitions whose restore has not begun.
    pub(super) queued: VecDeque<u32>,
    pub(super) restoring: Option<Restore>,
    /// Names taken from the mailbox and not yet part of a commit.
    pub(super) pending: Vec<String>,
    /// How far the broadcasts are seen once `pending` is committed.
    pub(super) seen: Vec<Position>,
    /// Where it keeps snapshots of its partitions, if it does.
    pub(super) snapshots: Option<Snapshots>,
    /// Since when it found nothing to do.
    pub(super) idle_since: Option<Millis>,
    assigned: bool,
    /// Rolled back, but the log could not yet be rewound.
    undoing: bool,
}

/// A restored partition.
pub(super) struct Owned {
    pub stage: Box<dyn Stage>,
    /// Where its inputs are after what was applied.
    pub next: BTreeMap<Topic, u64>,
    /// Where they were at the last commit.
    pub committed: BTreeMap<Topic, u64>,
    /// Until when its timers are ignored.
    pub muted_until: Millis,
    /// How its snapshot stands to it.
    pub saved: Saved,
}

impl Owned {
    pub(super) fn commit(&mut self) {
        self.stage.commit();
        self.committed.clone_from(&self.next);
    }

    pub(super) fn rollback(&mut self) {
        self.stage.rollback();
        self.next.clone_from(&self.committed);
    }

    /// When to wake it: not before a failed one is heard again.
    pub(super) fn timer(&self) -> Option<Millis> {
        self.stage.next_timer().map(|at| at.max(self.muted_until))
    }
}

/// What one turn has in hand: the batch, and what it touched.
pub(super) struct Step {
    pub now: Millis,
    pub messages: Vec<Message>,
    pub touched: BTreeSet<u32>,
    /// Rejects so far, per partition.
    pub outputs: BTreeMap<u32, Outputs>,
}

impl StageWorker {
    /// A worker of a stage. Taking the slot fences whoever had it.
    pub fn new(
        log: Arc<dyn Log>,
        spec: StageSpec,
        (slot, slots): (u32, u32),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        if !log.is_atomic() {
            return Err(LogError::fatal(format!(
                "{} needs transactions: a crash would leave state that counts some records twice. At-least-once is for ingest and \
                 sink; set kafka.delivery = \"exactly-once\" for correlate",
                spec.topics.name.to_uppercase()
            )));
        }
        let subscription =
            Subscription { group: spec.topics.name.to_owned(), topics: spec.topics.inputs.to_vec(), slot, slots };
        let worker = log.worker(&subscription)?;
        let mailbox = hub.subscribe(spec.topics.broadcasts, worker.waker());
        Ok(Self {
            log,
            spec,
            worker,
            hub,
            mailbox,
            clock,
            owned: BTreeMap::new(),
            queued: VecDeque::new(),
            restoring: None,
            pending: Vec::new(),
            seen: Vec::new(),
            snapshots: None,
            idle_since: None,
            assigned: false,
            undoing: false,
        })
    }

    /// Keeps snapshots of its partitions here, if there is a place, and begins from them.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Option<Snapshots>) -> Self {
        self.snapshots = snapshots;
        self
    }

    /// One turn: a change of assignment, a piece of restore, or a transaction. Waits at most so long for something to do.
    /// After an error (always [`LogError::Fatal`]) this worker is of no use.
    pub fn turn(&mut self, wait: Duration) -> Result<Turn, LogError> {
        self.turn_noting(wait, || ())
    }

    /// A turn that says when its wait is over, before it takes anything.
    pub(super) fn turn_noting(&mut self, wait: Duration, awake: impl FnOnce()) -> Result<Turn, LogError> {
        match self.poll_and_work(wait, awake) {
            Err(LogError::Abort { what, .. } | LogError::Retry { what, .. }) => {
                tracing::warn!(stage = self.spec.topics.name, what, "rolled back");
                self.undo();
                Ok(Turn::Aborted)
            }
            done => done,
        }
    }

    fn poll_and_work(&mut self, wait: Duration, awake: impl FnOnce()) -> Result<Turn, LogError> {
        // What was decided by other rules must not be written beside what these decide.
        if let Some(obstacle) = self.hub.obstacle() {
            return Err(LogError::fatal(obstacle));
        }
        if self.undoing {
            self.worker.rewind()?;
            self.undoing = false;
        }
        let wait = if self.can_go_on() { Duration::ZERO } else { self.until_timer(wait) };
        let polled = self.worker.poll(Budget { records: POLL_RECORDS, bytes: POLL_BYTES, wait })?;
        awake();
        match polled {
            Polled::Assigned(partitions) => {
                self.assigned = true;
                self.queued.extend(partitions);
                Ok(Turn::Worked)
            }
            Polled::Revoked(partitions) => {
                self.revoke(&partitions);
                Ok(Turn::Worked)
            }
            Polled::Batch(messages) => self.work(messages),
        }
    }

    fn work(&mut self, messages: Vec<Message>) -> Result<Turn, LogError> {
        let now = self.clock.now();
        self.take_notices();
        let mut step = Step { now, messages, touched: BTreeSet::new(), outputs: BTreeMap::new() };
        self.apply(&mut step);
        self.notice(&mut step);
        self.wake(&mut step);
        let worked = !step.touched.is_empty();
        if worked {
            self.settle(step)?;
        }
        self.pending.clear();
        if !self.is_restored() {
            return self.restore(now);
        }
        self.idle_since = if worked { None } else { self.idle_since.or(Some(now)) };
        let saved = self.save_one(now)?;
        if worked || saved { Ok(Turn::Worked) } else { Ok(Turn::Idle) }
    }

    /// The last thing that it does: what makes the next start quick. Fails as a turn does; nothing is lost then.
    pub fn finish(&mut self) -> Result<(), LogError> {
        if self.undoing || !self.is_restored() { Ok(()) } else { self.save_due(self.clock.now()) }
    }

    /// Whether everything assigned is restored.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.assigned && self.is_restored()
    }

    fn is_restored(&self) -> bool {
        self.queued.is_empty() && self.restoring.is_none()
    }

    /// Whether no notice waits.
    #[must_use]
    pub fn is_noticed(&self) -> bool {
        self.pending.is_empty() && self.mailbox.is_empty()
    }

    /// The earliest timer of any partition.
    #[must_use]
    pub fn next_timer(&self) -> Option<Millis> {
        self.owned.values().filter_map(Owned::timer).min()
    }

    /// Partitions that are restored and running, ascending.
    #[must_use]
    pub fn partitions(&self) -> Vec<u32> {
        self.owned.keys().copied().collect()
    }

    /// Rings this worker out of a waiting turn.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.worker.waker()
    }

    /// Sizes of all partitions by name, for metrics: summed, but of what is called `largest_…` the largest.
    #[must_use]
    pub fn sizes(&self) -> BTreeMap<&'static str, usize> {
        let mut sizes: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (name, size) in self.owned.values().flat_map(|owned| owned.stage.sizes()) {
            let all = sizes.entry(name).or_default();
            *all = if name.starts_with("largest_") { size.max(*all) } else { *all + size };
        }
        sizes
    }

    /// How far this worker is: what it has, what it waits for.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            assigned: self.assigned,
            running: self.owned.len(),
            waiting: self.queued.len() + self.restoring.as_ref().map_or(0, |restore| restore.partitions().count()),
            loaded: self.restoring.as_ref().map_or(0, Restore::records),
            adopted: self.restoring.as_ref().map_or(0, Restore::adopted),
        }
    }

    fn can_go_on(&self) -> bool {
        !self.is_noticed()
            || match &self.restoring {
                Some(restore) => restore.can_go_on(&self.hub),
                None => !self.queued.is_empty(),
            }
    }

    fn until_timer(&self, wait: Duration) -> Duration {
        let Some(at) = self.next_timer() else { return wait };
        let left = u64::try_from(at.saturating_sub(self.clock.now())).unwrap_or(0);
        wait.min(Duration::from_millis(left))
    }

    fn revoke(&mut self, partitions: &[u32]) {
        self.owned.retain(|partition, _| !partitions.contains(partition));
        self.queued.retain(|partition| !partitions.contains(partition));
        self.restoring.take_if(|restore| restore.forget(partitions));
    }

    fn take_notices(&mut self) {
        let (names, seen) = self.mailbox.take(NOTICES.saturating_sub(self.pending.len()));
        if let Some(restore) = &mut self.restoring {
            restore.hear(&names);
        }
        self.pending.extend(names);
        if let Some(seen) = seen {
            self.seen = seen;
        }
    }

    fn apply(&mut self, step: &mut Step) {
        for message in &step.messages {
            let Some(owned) = self.owned.get_mut(&message.partition) else { continue };
            step.touched.insert(message.partition);
            owned.next.insert(message.topic, message.offset + 1);
            if self.spec.topics.changelogs.contains(&message.topic) {
                owned.saved.changed += message.bytes();
            }
            if let Err(reject) = owned.stage.apply(message, step.now) {
                metrics::input_rejected(self.spec.topics.name, &reject.code);
                let output = rejects::output(reject, message, self.spec.topics.name, step.now);
                step.outputs.entry(message.partition).or_default().push(output);
            }
        }
    }

    fn notice(&mut self, step: &mut Step) {
        if self.pending.is_empty() {
            return;
        }
        for (partition, owned) in &mut self.owned {
            step.touched.insert(*partition);
            owned.stage.notice(&self.pending, step.now);
        }
    }

    fn wake(&mut self, step: &mut Step) {
        for (partition, owned) in &mut self.owned {
            if owned.timer().is_some_and(|at| at <= step.now) {
                step.touched.insert(*partition);
                owned.stage.wake(step.now);
            }
        }
    }

    /// Nothing since the last commit happened: stages go back, a half-read restore starts over, the log is read again.
    fn undo(&mut self) {
        metrics::transaction_aborted(self.spec.topics.name);
        for owned in self.owned.values_mut() {
            owned.rollback();
        }
        if let Some(restore) = self.restoring.take() {
            restore.partitions().rev().for_each(|partition| self.queued.push_front(partition));
        }
        self.undoing = true;
    }

    /// The positions of all inputs of a partition, with how far the broadcasts were seen.
    pub(super) fn checkpoints(&self, partition: u32, next: &BTreeMap<Topic, u64>, now: Millis) -> Vec<Checkpoint> {
        let note = Note { at: now, seen: self.seen.clone() }.encode();
        let inputs = self.spec.topics.inputs.iter();
        inputs
            .map(|topic| {
                let next = next.get(topic).copied().unwrap_or(0);
                Checkpoint { position: Position { topic: *topic, partition, next }, note: note.clone() }
            })
            .collect()
    }
}

impl Drop for StageWorker {
    fn drop(&mut self) {
        self.hub.unsubscribe(&self.mailbox);
    }
}
