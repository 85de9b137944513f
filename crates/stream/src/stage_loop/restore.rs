//! How a partition's state comes back: committed positions first, then the changelogs to their ends, then the broadcasts to
//! theirs, then recompute and emit the differences. Only then does the partition take inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tributary_model::Topic;
use tributary_model::time::{DAY, Millis};

use super::hub::{Hub, changed_since};
use super::note::Note;
use super::worker::{Owned, StageWorker, Step, Turn};
use super::{POLL_BYTES, POLL_RECORDS};
use crate::log::{Budget, LogError, Reader, Start};
use crate::message::{Outputs, Position};
use crate::metrics;
use crate::rejects;

/// A note older than this no longer tells what changed, because tombstones may be gone (they live 7 days).
const NOTE_AGE_MAX: Millis = 6 * DAY;

/// A partition that is being restored.
pub(super) struct Restore {
    partition: u32,
    owned: Owned,
    note: Option<Note>,
    /// `None` once the changelogs are read.
    reader: Option<Box<dyn Reader>>,
    /// Broadcast positions that the store must have reached; known once the changelogs are read.
    broadcast_ends: Vec<Position>,
    refused: Outputs,
    records: usize,
    begun: Instant,
}

impl Restore {
    pub(super) fn begin(worker: &StageWorker, partition: u32) -> Result<Self, LogError> {
        // Committed positions first, ends second: what arrives in between is read twice, never skipped.
        let checkpoints = worker.worker.committed(&[partition])?;
        let committed: BTreeMap<Topic, u64> =
            checkpoints.iter().map(|checkpoint| (checkpoint.position.topic, checkpoint.position.next)).collect();
        let note = checkpoints.first().and_then(|checkpoint| Note::decode(&checkpoint.note));
        let changelogs: Vec<_> = worker.spec.topics.changelogs.iter().map(|topic| (*topic, partition)).collect();
        let stage = (worker.spec.factory)(partition, worker.hub.store());
        Ok(Self {
            partition,
            owned: Owned { stage, next: committed.clone(), committed, muted_until: Millis::MIN },
            note,
            reader: Some(worker.log.reader(&changelogs, &Start::Beginning)?),
            broadcast_ends: Vec::new(),
            refused: Outputs::default(),
            records: 0,
            begun: Instant::now(),
        })
    }

    pub(super) fn partition(&self) -> u32 {
        self.partition
    }

    /// Whether a turn would do something without waiting.
    pub(super) fn can_go_on(&self, hub: &Hub) -> bool {
        self.reader.is_some() || hub.caught_up(&self.broadcast_ends)
    }

    /// Reads on; answers whether the changelogs are read.
    fn load(&mut self, stage: &'static str, now: Millis) -> Result<bool, LogError> {
        let Some(reader) = &mut self.reader else { return Ok(true) };
        // A short wait: the end may be a commit in flight away.
        let wait = Duration::from_millis(5);
        let read = reader.read(Budget { records: POLL_RECORDS, bytes: POLL_BYTES, wait })?;
        self.records += read.messages.len();
        for message in &read.messages {
            if let Err(reject) = self.owned.stage.load(message) {
                metrics::input_rejected(stage);
                self.refused.push(rejects::output(reject, message, stage, now));
            }
        }
        Ok(read.at_end)
    }
}

impl StageWorker {
    /// One piece of the restore at the front.
    pub(super) fn restore(&mut self, now: Millis) -> Result<Turn, LogError> {
        let name = self.spec.topics.name;
        let broadcasts = self.spec.topics.broadcasts;
        if self.restoring.is_none() {
            let Some(partition) = self.queued.front().copied() else { return Ok(Turn::Idle) };
            self.restoring = Some(Restore::begin(self, partition)?);
            self.queued.pop_front();
        }
        // Left in place while reading: after an error [`StageWorker::undo`] finds it there and starts it over.
        let Some(restore) = &mut self.restoring else { return Ok(Turn::Idle) };
        if restore.reader.is_some() {
            if restore.load(name, now)? {
                restore.reader = None;
                restore.broadcast_ends = self.log.ends(broadcasts)?;
            }
            return Ok(Turn::Restoring);
        }
        if self.hub.caught_up(&restore.broadcast_ends)
            && let Some(restore) = self.restoring.take()
        {
            self.finish_restore(restore, now)?;
        }
        Ok(Turn::Restoring)
    }

    /// The state is loaded: recompute what the broadcasts changed since, emit the differences, take inputs.
    fn finish_restore(&mut self, restore: Restore, now: Millis) -> Result<(), LogError> {
        let (partition, records, begun) = (restore.partition, restore.records, restore.begun);
        let done = self.recompute(restore, now).and_then(|()| self.worker.start(&[partition]));
        if done.is_err() {
            // Its state is of no use: the next attempt starts from the log.
            self.owned.remove(&partition);
            self.queued.push_front(partition);
        } else {
            metrics::partition_restored(self.spec.topics.name, records, begun.elapsed());
        }
        done
    }

    fn recompute(&mut self, restore: Restore, now: Millis) -> Result<(), LogError> {
        let Restore { partition, mut owned, note, refused, .. } = restore;
        if self.owned.is_empty() {
            // Nobody here needs the names that wait: what follows reads the store as it is now.
            self.forget_notices();
        }
        owned.stage.restored(now);
        let changed = self.changed(note, now)?;
        if !changed.is_empty() {
            owned.stage.notice(&changed, now);
        }
        self.owned.insert(partition, owned);
        let outputs = BTreeMap::from([(partition, refused)]);
        self.settle(Step { now, messages: Vec::new(), touched: BTreeSet::from([partition]), outputs })
    }

    fn forget_notices(&mut self) {
        let (_, seen) = self.mailbox.take(usize::MAX);
        self.pending.clear();
        if let Some(seen) = seen {
            self.seen = seen;
        }
    }

    /// Names that changed since the note was written; all names when that cannot be told.
    fn changed(&self, note: Option<Note>, now: Millis) -> Result<Vec<String>, LogError> {
        if self.spec.topics.broadcasts.is_empty() {
            return Ok(Vec::new());
        }
        match note {
            Some(note) if !note.seen.is_empty() && now.saturating_sub(note.at) < NOTE_AGE_MAX => {
                changed_since(self.log.as_ref(), &note.seen)
            }
            _ => Ok(self.hub.store().entities_with_prefix("")),
        }
    }
}
