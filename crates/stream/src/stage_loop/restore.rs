//! How the state of partitions comes back: committed positions first, then what snapshots have of it, then the changelogs from there to
//! their ends, then the broadcasts to theirs, then recompute and emit the differences. Only then does a partition take inputs.
//!
//! Several partitions are loaded together, by one reader: to make a client, to find the ends and to wait for them costs the same
//! for one partition as for many. They are recomputed one after the other, a turn each, so that those that run already go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_model::Topic;
use tributary_model::time::Millis;

use super::hub::Hub;
use super::note::Note;
use super::snapshot::Saved;
use super::worker::{Owned, StageWorker, Step, Turn};
use super::{POLL_BYTES, POLL_RECORDS, StageSpec};
use crate::broadcast::BroadcastStore;
use crate::log::{Budget, COPY_AGE_MAX, Log, LogError, Reader, Start};
use crate::message::{Message, Outputs, Position};
use crate::metrics;
use crate::rejects;
use crate::snapshot::{About, SnapshotError, Snapshots};
use crate::stage::Stage;

/// Partitions that are loaded together. 16: the fixed costs are then a few per cent; with more, the first would wait long for
/// the last before it runs.
const TOGETHER: usize = 16;

/// Partitions that are being restored.
pub(super) struct Restore {
    parts: BTreeMap<u32, Part>,
    phase: Phase,
    /// Names that the broadcasts brought.
    changed: BTreeSet<String>,
    /// Names that arrived meanwhile: the running partitions were told, these have yet to hear of them.
    meanwhile: BTreeSet<String>,
    /// Broadcast positions that the store must have reached; known once the changelogs are read.
    broadcast_ends: Vec<Position>,
    records: usize,
    /// Of them, what snapshots had.
    adopted: usize,
    begun: Instant,
}

/// What is being read.
enum Phase {
    /// Snapshots of these partitions, one a turn.
    Snapshots(Shelf),
    /// The changelogs.
    Changelogs(Box<dyn Reader>),
    /// What the broadcasts brought since the oldest note.
    Broadcasts(Box<dyn Reader>),
    /// Nothing more.
    Read,
}

/// The snapshots, and what they must fit.
struct Shelf {
    snapshots: Snapshots,
    left: VecDeque<u32>,
    /// Lineage and end of every changelog.
    log: BTreeMap<(Topic, u32), (String, u64)>,
    /// From where the changelogs are still to be read.
    from: Vec<Position>,
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
            let fresh = |note: &Note| !note.seen.is_empty() && now.saturating_sub(note.at) < COPY_AGE_MAX;
            let note = own().next().and_then(|checkpoint| Note::decode(&checkpoint.note)).filter(fresh);
            let stage = (worker.spec.factory)(partition, worker.hub.store());
            let saved = Saved::none(now);
            let owned = Owned { stage, next: committed.clone(), committed, muted_until: Millis::MIN, saved };
            (partition, Part { owned, note, refused: Outputs::default() })
        };
        let places = places(worker.spec.topics.changelogs, partitions);
        let phase = match Shelf::of(worker, partitions, &places)? {
            Some(shelf) => Phase::Snapshots(shelf),
            None => Phase::Changelogs(worker.log.reader(&places, &Start::Beginning)?),
        };
        Ok(Self {
            parts: partitions.iter().copied().map(part).collect(),
            phase,
            changed: BTreeSet::new(),
            meanwhile: BTreeSet::new(),
            broadcast_ends: Vec::new(),
            records: 0,
            adopted: 0,
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

    pub(super) fn adopted(&self) -> usize {
        self.adopted
    }

    /// Whether a turn would do something without waiting.
    pub(super) fn can_go_on(&self, hub: &Hub) -> bool {
        !matches!(self.phase, Phase::Read) || hub.caught_up(&self.broadcast_ends)
    }

    /// Reads on: snapshots, then the changelogs, then the broadcasts; answers whether all is read.
    fn read(&mut self, worker: &StageWorkerParts<'_>, now: Millis) -> Result<bool, LogError> {
        // A short wait: the end may be a commit in flight away.
        let wait = Duration::from_millis(5);
        let budget = Budget { records: POLL_RECORDS, bytes: POLL_BYTES, wait };
        match &mut self.phase {
            Phase::Snapshots(shelf) => {
                if let Some(partition) = shelf.left.pop_front() {
                    self.adopt(partition, worker, now);
                } else {
                    let from = Start::At(std::mem::take(&mut shelf.from));
                    let partitions: Vec<u32> = self.parts.keys().copied().collect();
                    self.phase = Phase::Changelogs(
                        worker.log.reader(&places(worker.spec.topics.changelogs, &partitions), &from)?,
                    );
                }
                Ok(false)
            }
            Phase::Changelogs(reader) => {
                let read = reader.read(budget)?;
                for message in &read.messages {
                    self.load(message, worker.spec.topics.name, now);
                }
                if read.at_end {
                    self.have_loaded(worker)?;
                }
                Ok(false)
            }
            Phase::Broadcasts(reader) => {
                let read = reader.read(budget)?;
                self.changed.extend(read.messages.iter().map(|message| message.key_str().to_owned()));
                if read.at_end {
                    self.broadcast_ends = reader.positions();
                    self.phase = Phase::Read;
                }
                Ok(read.at_end)
            }
            Phase::Read => Ok(true),
        }
    }

    /// The changelogs are read: what is left are the broadcasts.
    fn have_loaded(&mut self, worker: &StageWorkerParts<'_>) -> Result<(), LogError> {
        let topics = worker.spec.topics;
        metrics::changelogs_loaded(topics.name, self.records, self.begun.elapsed());
        tracing::info!(
            stage = topics.name,
            partitions = self.parts.len(),
            records = self.records,
            from_snapshots = self.adopted,
            seconds = self.begun.elapsed().as_secs_f64(),
            "state is loaded"
        );
        self.phase = Phase::Read;
        self.broadcast_ends = worker.log.ends(topics.broadcasts)?;
        self.begin_broadcasts(worker)
    }

    /// Takes what the snapshot of a partition has, if there is one that fits.
    fn adopt(&mut self, partition: u32, worker: &StageWorkerParts<'_>, now: Millis) {
        let (Phase::Snapshots(shelf), Some(part)) = (&mut self.phase, self.parts.get_mut(&partition)) else { return };
        let name = worker.spec.topics.name;
        let mut fresh = (worker.spec.factory)(partition, Arc::clone(worker.store));
        let outcome = match shelf.fill(fresh.as_mut(), (name, partition), now) {
            Ok(Some((records, saved))) => {
                (part.owned.stage, part.owned.saved) = (fresh, saved);
                self.records += records;
                self.adopted += records;
                return metrics::snapshot_asked(name, "taken", records);
            }
            Ok(None) => "absent",
            Err(SnapshotError::Foreign(why)) => {
                tracing::info!(stage = name, partition, why, "a snapshot does not fit: the log is read");
                "foreign"
            }
            Err(error) => {
                tracing::warn!(stage = name, partition, %error, "a snapshot is of no use: the log is read");
                shelf.snapshots.discard(name, partition);
                "damaged"
            }
        };
        metrics::snapshot_asked(name, outcome, 0);
    }

    fn load(&mut self, message: &Message, stage: &'static str, now: Millis) {
        self.records += 1;
        // One that was revoked meanwhile is still read.
        let Some(part) = self.parts.get_mut(&message.partition) else { return };
        part.owned.saved.changed += message.bytes();
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
            self.phase = Phase::Broadcasts(worker.log.reader(&partitions, &Start::At(at.collect()))?);
        }
        Ok(())
    }
}

impl Shelf {
    /// `None` if there is nothing to take from: no place for snapshots, or a log that cannot tell itself from another.
    fn of(worker: &StageWorker, partitions: &[u32], places: &[(Topic, u32)]) -> Result<Option<Self>, LogError> {
        let Some(snapshots) = worker.snapshots.clone() else { return Ok(None) };
        let lineage = match worker.log.lineage(places) {
            Ok(Some(lineage)) => lineage,
            Ok(None) => return Ok(None),
            // What cannot be told apart is not taken; the log itself is read all the same.
            Err(error) => {
                tracing::warn!(stage = worker.spec.topics.name, %error, "snapshots are left aside: the log is read");
                return Ok(None);
            }
        };
        let ends = worker.log.ends(worker.spec.topics.changelogs)?;
        let ends: BTreeMap<_, _> = ends.into_iter().map(|end| ((end.topic, end.partition), end.next)).collect();
        let log = places.iter().zip(lineage);
        let log = log.map(|(place, lineage)| (*place, (lineage, ends.get(place).copied().unwrap_or(0)))).collect();
        Ok(Some(Self { snapshots, left: partitions.iter().copied().collect(), log, from: Vec::new() }))
    }

    /// Fills an empty stage; answers of how many records, and how the snapshot stands to it.
    fn fill(
        &mut self,
        stage: &mut dyn Stage,
        (name, partition): (&str, u32),
        now: Millis,
    ) -> Result<Option<(usize, Saved)>, SnapshotError> {
        let Some(mut snapshot) = self.snapshots.open(name, partition, now)? else { return Ok(None) };
        let from = self.positions_of(&snapshot.about)?;
        let mut records = 0;
        while let Some(piece) = snapshot.pieces.next()? {
            records += stage.adopt(piece).map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        }
        self.from.extend(from);
        let saved = Saved { at: snapshot.about.at, tried: now, bytes: snapshot.pieces.bytes, changed: 0 };
        Ok(Some((records, saved)))
    }

    /// The positions of a snapshot, if it is of these changelogs.
    fn positions_of(&self, about: &About) -> Result<Vec<Position>, SnapshotError> {
        let own: Vec<_> = self.log.iter().filter(|((_, partition), _)| *partition == about.partition).collect();
        let position = |((topic, partition), (lineage, end)): (&(Topic, u32), &(String, u64))| {
            let known = about.changelogs.iter().find(|changelog| changelog.topic == topic.name());
            let known = known.filter(|known| known.lineage == *lineage && known.next <= *end)?;
            Some(Position { topic: *topic, partition: *partition, next: known.next })
        };
        let positions: Option<Vec<_>> = own.iter().map(|(place, log)| position((*place, *log))).collect();
        let is_of_these = own.len() == about.changelogs.len();
        positions
            .filter(|_| is_of_these)
            .ok_or(SnapshotError::Foreign("it is of another log, or of one that lost its beginning or end"))
    }
}

fn places(topics: &[Topic], partitions: &[u32]) -> Vec<(Topic, u32)> {
    topics.iter().flat_map(|topic| partitions.iter().map(move |partition| (*topic, *partition))).collect()
}

/// What reading needs of its worker.
struct StageWorkerParts<'a> {
    log: &'a dyn Log,
    spec: &'a StageSpec,
    store: &'a Arc<BroadcastStore>,
}

impl StageWorker {
    /// One piece of the restore at the front.
    pub(super) fn restore(&mut self, now: Millis) -> Result<Turn, LogError> {
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
        let store = self.hub.store();
        let worker = StageWorkerParts { log: self.log.as_ref(), spec: &self.spec, store: &store };
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
