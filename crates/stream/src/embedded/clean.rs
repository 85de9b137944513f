//! Cleaning of topics that compact: of every key only its latest record stays, and a tombstone only until its time is over.
//!
//! A commit only appends; which record superseded which is found out afterwards, by reading a partition once when half of its bytes
//! may be superseded. An index of every key beside the records cost a commit more than the records themselves. It
//! is done in short steps on the committer's thread, between rounds, so it never races with an append; records that a step has
//! seen stay superseded whatever is appended meanwhile.

use std::collections::VecDeque;

use hashbrown::HashMap;
use tributary_model::Topic;
use tributary_model::time::Millis;
use tributary_model::topic::Cleanup;

use super::codec;
use super::committer::Committer;
use super::store::{unreadable, unwritable};
use crate::log::LogError;

/// Records read or removed in one step. 2000: some milliseconds, which a commit may wait.
const STEP_RECORDS: usize = 2_000;
/// A partition is cleaned once it has twice what was left of it, and so much more. 8 MiB: nothing that a restore would notice.
const SLACK_BYTES: u64 = 8 << 20;

/// The cleaning of one partition, under way.
pub(super) struct Cleaning {
    topic: Topic,
    partition: u32,
    /// Tombstones from before go.
    cutoff: Millis,
    /// Read up to here, of what was there when it began.
    next: u64,
    end: u64,
    /// Stored bytes when it began, as far as they were known.
    known_bytes: u64,
    /// The latest record of every key so far.
    latest: HashMap<Box<[u8]>, Latest>,
    /// Offsets to remove, once everything is read. In this order: a tombstone goes after what it deletes, or a crash between two
    /// steps would bring that back.
    doomed: VecDeque<u64>,
    kept_bytes: u64,
}

struct Latest {
    offset: u64,
    bytes: u64,
    /// A tombstone whose time is over.
    is_over: bool,
}

/// The next partition that is worth cleaning.
pub(super) fn next(committer: &Committer) -> Option<Cleaning> {
    places(committer.tails.partitions()).find_map(|(topic, partition)| {
        let extent = committer.extents.get(committer.tails.index(topic, partition))?;
        let is_due = extent.bytes > 2 * extent.clean + SLACK_BYTES;
        is_due.then(|| Cleaning::of(committer, topic, partition))
    })
}

/// Cleans every partition, at once.
pub(super) fn all(committer: &mut Committer) -> Result<(), LogError> {
    for (topic, partition) in places(committer.tails.partitions()) {
        let mut cleaning = Cleaning::of(committer, topic, partition);
        while let Some(rest) = cleaning.step(committer)? {
            cleaning = rest;
        }
    }
    Ok(())
}

fn places(partitions: u32) -> impl Iterator<Item = (Topic, u32)> {
    let topics = Topic::ALL.into_iter().filter(|topic| topic.cleanup() == Cleanup::Compact);
    topics.flat_map(move |topic| (0..partitions).map(move |partition| (topic, partition)))
}

impl Cleaning {
    fn of(committer: &Committer, topic: Topic, partition: u32) -> Self {
        let extent = committer.extents.get(committer.tails.index(topic, partition)).copied().unwrap_or_default();
        Self {
            topic,
            partition,
            cutoff: committer.clock.now() - committer.settings.tombstone_ms,
            next: extent.start,
            end: extent.end,
            known_bytes: extent.bytes,
            latest: HashMap::new(),
            doomed: VecDeque::new(),
            kept_bytes: 0,
        }
    }

    /// Goes on for a moment; answers what is left to do.
    pub(super) fn step(mut self, committer: &mut Committer) -> Result<Option<Self>, LogError> {
        if self.next < self.end {
            self.read(committer)?;
            return Ok(Some(self));
        }
        for (_, latest) in self.latest.drain().filter(|(_, latest)| latest.is_over) {
            self.doomed.push_back(latest.offset);
            self.kept_bytes -= latest.bytes;
        }
        let some = self.doomed.drain(..STEP_RECORDS.min(self.doomed.len())).collect::<Vec<_>>();
        let is_done = self.doomed.is_empty();
        let store = &committer.store;
        // No fsync: the next round's covers it, and what a crash brings back is removed again.
        let mut batch = store.database.batch();
        for offset in some {
            batch.remove(store.records(self.topic), codec::record_key(self.topic, self.partition, offset).to_vec());
        }
        let index = committer.tails.index(self.topic, self.partition);
        let mut extent = committer.extents[index];
        if is_done {
            extent.clean = self.kept_bytes;
            extent.bytes = self.kept_bytes + extent.bytes.saturating_sub(self.known_bytes);
            batch.insert(&store.extents, codec::partition_key(self.topic, self.partition).to_vec(), extent.encode());
        }
        batch.commit().map_err(unwritable)?;
        committer.extents[index] = extent;
        Ok((!is_done).then_some(self))
    }

    fn read(&mut self, committer: &Committer) -> Result<(), LogError> {
        let Self { topic, partition, .. } = *self;
        let damaged = || LogError::fatal(format!("a record of {topic}/{partition} in the store is damaged"));
        let range = codec::record_key(topic, partition, self.next)..codec::record_key(topic, partition, self.end);
        self.next = self.end;
        for (count, entry) in committer.store.records(topic).range(range).enumerate() {
            let (place, stored) = entry.into_inner().map_err(unreadable)?;
            let offset = codec::offset_of(&place).ok_or_else(damaged)?;
            if count == STEP_RECORDS {
                self.next = offset;
                break;
            }
            let glance = codec::glance(&stored).ok_or_else(damaged)?;
            let bytes = stored.len() as u64;
            let is_over = glance.is_tombstone && glance.timestamp < self.cutoff;
            self.kept_bytes += bytes;
            if let Some(before) = self.latest.insert(glance.key.into(), Latest { offset, bytes, is_over }) {
                self.doomed.push_back(before.offset);
                self.kept_bytes -= before.bytes;
            }
        }
        Ok(())
    }
}
