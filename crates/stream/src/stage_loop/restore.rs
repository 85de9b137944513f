//! How a partition's state comes back: committed positions first, then the changelogs to their ends, then the broadcasts to
//! theirs, then recompute and emit the differences. Only then does the partition take inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tributary_model::Topic;
use tributary_model::time::{DAY, Millis};

use super::hub::Hub;
use super::note::Note;
use super::worker::{Owned, StageWorker, Step, Turn};
use super::{POLL_BYTES, POLL_RECORDS};
use crate::log::{Budget, Log, LogError, Reader, Start};
use crate::message::{Message, Outputs, Position};
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
    changelogs: Option<Box<dyn Reader>>,
    /// Reads what the broadcasts brought since the note; `None` before, after, and if that cannot be told.
    broadcasts: Option<Box<dyn Reader>>,
    /// Names that the broadcasts brought; `None` if that cannot be told: then everything may have changed.
    changed: Option<BTreeSet<String>>,
    /// Names that arrived meanwhile: the running partitions were told, this one has yet to hear of them.
    meanwhile: BTreeSet<String>,
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
            changelogs: Some(worker.log.reader(&changelogs, &Start::Beginning)?),
            broadcasts: None,
            changed: None,
            meanwhile: BTreeSet::new(),
            broadcast_ends: Vec::new(),
            refused: Outputs::default(),
            records: 0,
            begun: Instant::now(),
        })
    }

    /// Names that the worker took from its mailbox while this partition cannot hear them.
    pub(super) fn hear(&mut self, names: &[String]) {
        self.meanwhile.extend(names.iter().cloned());
    }

    pub(super) fn partition(&self) -> u32 {
        self.partition
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Whether a turn would do something without waiting.
    pub(super) fn can_go_on(&self, hub: &Hub) -> bool {
        self.changelogs.is_some() || self.broadcasts.is_some() || hub.caught_up(&self.broadcast_ends)
    }

    /// Reads on in the changelogs, then in the broadcasts; answers whether both are read.
    fn read(&mut self, worker: &StageWorkerParts<'_>, now: Millis) -> Result<bool, LogError> {
        // A short wait: the end may be a commit in flight away.
        let wait = Duration::from_millis(5);
        let budget = Budget { records: POLL_RECORDS, bytes: POLL_BYTES, wait };
        if let Some(reader) = &mut self.changelogs {
            let read = reader.read(budget)?;
            for message in &read.messages {
                self.load(message, worker.name, now);
            }
            if read.at_end {
                self.changelogs = None;
                self.broadcast_ends = worker.log.ends(worker.broadcasts)?;
                self.begin_broadcasts(worker, now)?;
            }
            return Ok(false);
        }
        let Some(reader) = &mut self.broadcasts else { return Ok(true) };
        let read = reader.read(budget)?;
        let names = read.messages.iter().map(|message| message.key_str().to_owned());
        self.changed.get_or_insert_default().extend(names);
        if read.at_end {
            self.broadcast_ends = reader.positions();
            self.broadcasts = None;
        }
        Ok(read.at_end)
    }

    fn load(&mut self, message: &Message, stage: &'static str, now: Millis) {
        self.records += 1;
        if let Err(reject) = self.owned.stage.load(message) {
            metrics::input_rejected(stage, &reject.code);
            self.refused.push(rejects::output(reject, message, stage, now));
        }
    }

    fn begin_broadcasts(&mut self, worker: &StageWorkerParts<'_>, now: Millis) -> Result<(), LogError> {
        let fresh = |note: &Note| !note.seen.is_empty() && now.saturating_sub(note.at) < NOTE_AGE_MAX;
        if let Some(note) = self.note.take().filter(fresh) {
            let partitions: Vec<_> = note.seen.iter().map(|seen| (seen.topic, seen.partition)).collect();
            self.broadcasts = Some(worker.log.reader(&partitions, &Start::At(note.seen))?);
        }
        Ok(())
    }
}

/// What reading needs of its worker.
struct StageWorkerParts<'a> {
    log: &'a dyn Log,
    name: &'static str,
    broadcasts: &'static [Topic],
}

impl StageWorker {
    /// One piece of the restore at the front.
    pub(super) fn restore(&mut self, now: Millis) -> Result<Turn, LogError> {
        let topics = self.spec.topics;
        if self.restoring.is_none() {
            let Some(partition) = self.queued.front().copied() else { return Ok(Turn::Idle) };
            self.restoring = Some(Restore::begin(self, partition)?);
            self.queued.pop_front();
        }
        // Left in place while reading: after an error [`StageWorker::undo`] finds it there and starts it over.
        let Some(restore) = &mut self.restoring else { return Ok(Turn::Idle) };
        let worker = StageWorkerParts { log: self.log.as_ref(), name: topics.name, broadcasts: topics.broadcasts };
        if !restore.read(&worker, now)? {
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
        let Restore { partition, mut owned, changed, meanwhile, refused, .. } = restore;
        owned.stage.restored(now);
        let mut names = match changed {
            Some(names) => names,
            None if self.spec.topics.broadcasts.is_empty() => BTreeSet::new(),
            None => self.hub.store().entities_with_prefix("").into_iter().collect(),
        };
        names.extend(meanwhile);
        if !names.is_empty() {
            owned.stage.notice(&names.into_iter().collect::<Vec<_>>(), now);
        }
        self.owned.insert(partition, owned);
        let outputs = BTreeMap::from([(partition, refused)]);
        self.settle(Step { now, messages: Vec::new(), touched: BTreeSet::from([partition]), outputs })
    }
}
