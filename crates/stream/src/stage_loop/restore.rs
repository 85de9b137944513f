//! How the state of partitions comes back: committed positions first, then the changelogs to their ends, then the broadcasts to
//! theirs, then recompute and emit the differences. Only then does a partition take inputs.
//!
//! Several partitions are loaded together, by one reader: to make a client, to find the ends and to wait for them costs the same
//! for one partition as for many. They are recomputed one after the other, a turn each, so that those that run already go on.

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

/// Partitions that are loaded together. 16: the fixed costs are then a few per cent; with more, the first would wait long for
/// the last before it runs.
const TOGETHER: usize = 16;

/// Partitions that are being restored.
pub(super) struct Restore {
    parts: BTreeMap<u32, Part>,
    /// `None` once the changelogs are read.
    changelogs: Option<Box<dyn Reader>>,
    /// Reads what the broadcasts brought since the oldest note; `None` before, after, and if no note tells.
    broadcasts: Option<Box<dyn Reader>>,
    /// Names that the broadcasts brought.
    changed: BTreeSet<String>,
    /// Names that arrived meanwhile: the running partitions were told, these have yet to hear of them.
    meanwhile: BTreeSet<String>,
    /// Broadcast positions that the store must have reached; known once the changelogs are read.
    broadcast_ends: Vec<Position>,
    records: usize,
    begun: Instant,
}

/// One of them.
struct Part {
    owned: Owned,
    /// How far it had seen the broadcasts, if that still tells what changed since; else everything may have.
    note: Option<Note>,
    refused: Outputs,
}

impl Restore {
    pub(super) fn begin(worker: &StageWorker, partitions: &[u32], now: Millis) -> Result<Self, LogError> {
        // Committed positions first, ends second: what arrives in between is read twice, never skipped.
        let checkpoints = worker.worker.committed(partitions)?;
        let part = |partition: u32| {
            let own = || checkpoints.iter().filter(move |checkpoint| checkpoint.position.partition == partition);
            let committed: BTreeMap<Topic, u64> =
                own().map(|checkpoint| (checkpoint.position.topic, checkpoint.position.next)).collect();
            let fresh = |note: &Note| !note.seen.is_empty() && now.saturating_sub(note.at) < NOTE_AGE_MAX;
            let note = own().next().and_then(|checkpoint| Note::decode(&checkpoint.note)).filter(fresh);
            let stage = (worker.spec.factory)(partition, worker.hub.store());
            let owned = Owned { stage, next: committed.clone(), committed, muted_until: Millis::MIN };
            (partition, Part { owned, note, refused: Outputs::default() })
        };
        let of = |topic: &Topic| partitions.iter().map(|partition| (*topic, *partition)).collect::<Vec<_>>();
        let changelogs: Vec<_> = worker.spec.topics.changelogs.iter().flat_map(of).collect();
        Ok(Self {
            parts: partitions.iter().copied().map(part).collect(),
            changelogs: Some(worker.log.reader(&changelogs, &Start::Beginning)?),
            broadcasts: None,
            changed: BTreeSet::new(),
            meanwhile: BTreeSet::new(),
            broadcast_ends: Vec::new(),
            records: 0,
            begun: Instant::now(),
        })
    }

    /// Names that the worker took from its mailbox while these partitions cannot hear them.
    pub(super) fn hear(&mut self, names: &[String]) {
        self.meanwhile.extend(names.iter().cloned());
    }

    pub(super) fn partitions(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.parts.keys().copied()
    }

    /// Forgets partitions; answers whether none is left.
    pub(super) fn forget(&mut self, partitions: &[u32]) -> bool {
        self.parts.retain(|partition, _| !partitions.contains(partition));
        self.parts.is_empty()
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
                metrics::changelogs_loaded(worker.name, self.records, self.begun.elapsed());
                self.broadcast_ends = worker.log.ends(worker.broadcasts)?;
                self.begin_broadcasts(worker)?;
            }
            return Ok(false);
        }
        let Some(reader) = &mut self.broadcasts else { return Ok(true) };
        let read = reader.read(budget)?;
        self.changed.extend(read.messages.iter().map(|message| message.key_str().to_owned()));
        if read.at_end {
            self.broadcast_ends = reader.positions();
            self.broadcasts = None;
        }
        Ok(read.at_end)
    }

    fn load(&mut self, message: &Message, stage: &'static str, now: Millis) {
        self.records += 1;
        // One that was revoked meanwhile is still read.
        let Some(part) = self.parts.get_mut(&message.partition) else { return };
        if let Err(reject) = part.owned.stage.load(message) {
            metrics::input_rejected(stage, &reject.code);
            part.refused.push(rejects::output(reject, message, stage, now));
        }
    }

    /// From where the first of them had read: what another one had seen already changes nothing for it.
    fn begin_broadcasts(&mut self, worker: &StageWorkerParts<'_>) -> Result<(), LogError> {
        let mut first: BTreeMap<(Topic, u32), u64> = BTreeMap::new();
        for seen in self.parts.values().filter_map(|part| part.note.as_ref()).flat_map(|note| &note.seen) {
            let next = first.entry((seen.topic, seen.partition)).or_insert(seen.next);
            *next = seen.next.min(*next);
        }
        if !first.is_empty() {
            let partitions: Vec<_> = first.keys().copied().collect();
            let at = first.into_iter().map(|((topic, partition), next)| Position { topic, partition, next });
            self.broadcasts = Some(worker.log.reader(&partitions, &Start::At(at.collect()))?);
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
            let partitions: Vec<u32> = self.queued.iter().copied().take(TOGETHER).collect();
            if partitions.is_empty() {
                return Ok(Turn::Idle);
            }
            self.restoring = Some(Restore::begin(self, &partitions, now)?);
            self.queued.drain(..partitions.len());
        }
        // Left in place while reading: after an error [`StageWorker::undo`] finds it there and starts it over.
        let Some(restore) = &mut self.restoring else { return Ok(Turn::Idle) };
        let worker = StageWorkerParts { log: self.log.as_ref(), name: topics.name, broadcasts: topics.broadcasts };
        if !restore.read(&worker, now)? {
            return Ok(Turn::Restoring);
        }
        if self.hub.caught_up(&restore.broadcast_ends) {
            self.finish_first(now)?;
        }
        Ok(Turn::Restoring)
    }

    /// The state of all is loaded: recompute what the broadcasts changed of the first since, emit the differences, take inputs.
    fn finish_first(&mut self, now: Millis) -> Result<(), LogError> {
        let Some((restore, (partition, part))) = self.restoring.take().and_then(|mut restore| {
            let first = restore.parts.pop_first()?;
            Some((restore, first))
        }) else {
            return Ok(());
        };
        let names = self.unheard(&restore, &part);
        let done = self.recompute(partition, part, names, now).and_then(|()| self.worker.start(&[partition]));
        if done.is_err() {
            // Its state is of no use: the next attempt starts from the log.
            self.owned.remove(&partition);
            self.queued.push_front(partition);
        }
        if !restore.parts.is_empty() {
            self.restoring = Some(restore);
        } else if done.is_ok() {
            metrics::partitions_restored(self.spec.topics.name, restore.begun.elapsed());
        }
        done
    }

    /// Names that a partition has to be told.
    fn unheard(&self, restore: &Restore, part: &Part) -> BTreeSet<String> {
        let mut names = if part.note.is_some() {
            restore.changed.clone()
        } else if self.spec.topics.broadcasts.is_empty() {
            BTreeSet::new()
        } else {
            self.hub.store().entities_with_prefix("").into_iter().collect()
        };
        names.extend(restore.meanwhile.iter().cloned());
        names
    }

    fn recompute(&mut self, partition: u32, part: Part, names: BTreeSet<String>, now: Millis) -> Result<(), LogError> {
        let Part { mut owned, refused, .. } = part;
        owned.stage.restored(now);
        if !names.is_empty() {
            owned.stage.notice(&names.into_iter().collect::<Vec<_>>(), now);
        }
        self.owned.insert(partition, owned);
        let outputs = BTreeMap::from([(partition, refused)]);
        self.settle(Step { now, messages: Vec::new(), touched: BTreeSet::from([partition]), outputs })
    }
}
