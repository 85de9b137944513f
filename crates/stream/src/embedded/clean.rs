//! Cleaning of topics that compact: of every key only its latest record stays, and a tombstone only until its time is over.
//!
//! A commit only appends; which record superseded which is found out afterwards, by reading a partition once when half of its bytes
//! may be superseded, and then once more to rewrite the blocks that have such records. An index of every key beside the records cost a
//! commit more than the records themselves. It is done in short steps on the committer's thread, between rounds, so it never races
//! with an append; records that a step has seen stay superseded whatever is appended meanwhile.

use bytes::Bytes;
use hashbrown::HashMap;
use tributary_model::Topic;
use tributary_model::time::Millis;
use tributary_model::topic::Cleanup;

use super::committer::Committer;
use super::store::{unreadable, unwritable};
use super::{block, codec};
use crate::log::LogError;

/// Records looked at in one step. 2000: some milliseconds, which a commit may wait.
const STEP_RECORDS: usize = 2_000;
/// The same in bytes. 4 MiB: a part of a large scan has hundreds of kilobytes.
const STEP_BYTES: usize = 4 << 20;
/// A partition is cleaned once it has twice what was left of it, and so much more. 8 MiB: nothing that a restore would notice.
const SLACK_BYTES: u64 = 8 << 20;

/// The cleaning of one partition, under way.
pub(super) struct Cleaning {
    topic: Topic,
    partition: u32,
    /// Tombstones from before go.
    cutoff: Millis,
    /// Whether everything was read, and what is superseded goes.
    is_sweeping: bool,
    /// Read or swept up to here, of what was there when it began.
    next: u64,
    end: u64,
    /// Stored bytes when it began, as far as they were known.
    known_bytes: u64,
    /// The latest record of every key so far.
    latest: HashMap<Box<[u8]>, Latest>,
    /// Stored bytes of what was kept.
    kept_bytes: u64,
}

struct Latest {
    offset: u64,
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
            is_sweeping: false,
            next: extent.start,
            end: extent.end,
            known_bytes: extent.bytes,
            latest: HashMap::new(),
            kept_bytes: 0,
        }
    }

    /// Goes on for a moment; answers what is left to do.
    pub(super) fn step(mut self, committer: &mut Committer) -> Result<Option<Self>, LogError> {
        if !self.is_sweeping {
            self.read(committer)?;
            if self.next >= self.end {
                self.is_sweeping = true;
                self.next = committer.extents[committer.tails.index(self.topic, self.partition)].start;
            }
            return Ok(Some(self));
        }
        self.sweep(committer)?;
        Ok((self.next < self.end).then_some(self))
    }

    /// Which record of every key is its latest.
    fn read(&mut self, committer: &Committer) -> Result<(), LogError> {
        for (_, _, records) in self.entries(committer)? {
            for (offset, record) in records {
                let glance = codec::glance(&record).ok_or_else(|| self.damaged(offset))?;
                let is_over = glance.is_tombstone && glance.timestamp < self.cutoff;
                self.latest.insert(glance.key.into(), Latest { offset, is_over });
            }
        }
        Ok(())
    }

    /// Removes what is superseded, oldest first: a tombstone goes after what it deletes, or a crash between two steps would bring that
    /// back. No fsync: the next round's covers it, and what a crash brings back is removed again.
    fn sweep(&mut self, committer: &mut Committer) -> Result<(), LogError> {
        let store = std::sync::Arc::clone(&committer.store);
        let mut batch = store.database.batch();
        for (last, stored, records) in self.entries(committer)? {
            let count = records.len();
            let mut kept = Vec::with_capacity(count);
            for (offset, record) in records {
                let glance = codec::glance(&record).ok_or_else(|| self.damaged(offset))?;
                if self.latest.get(glance.key).is_some_and(|latest| latest.offset == offset && !latest.is_over) {
                    kept.push((offset, record));
                }
            }
            let key = codec::record_key(self.topic, self.partition, last).to_vec();
            if kept.len() == count {
                self.kept_bytes += stored;
            } else if let Some(rest) = block::repack(&kept, last) {
                self.kept_bytes += rest.len() as u64;
                batch.insert(store.records(self.topic), key, rest);
            } else {
                batch.remove(store.records(self.topic), key);
            }
        }
        let index = committer.tails.index(self.topic, self.partition);
        let mut extent = committer.extents[index];
        if self.next >= self.end {
            extent.clean = self.kept_bytes;
            extent.bytes = self.kept_bytes + extent.bytes.saturating_sub(self.known_bytes);
            batch.insert(&store.extents, codec::partition_key(self.topic, self.partition).to_vec(), extent.encode());
        }
        batch.commit().map_err(unwritable)?;
        committer.extents[index] = extent;
        Ok(())
    }

    /// The next entries: what each is stored under, its stored bytes, its records. Goes on behind them.
    fn entries(&mut self, committer: &Committer) -> Result<Vec<Stored>, LogError> {
        let range = codec::record_key(self.topic, self.partition, self.next)
            ..codec::record_key(self.topic, self.partition, self.end);
        let (mut found, mut count, mut bytes) = (Vec::new(), 0, 0);
        self.next = self.end;
        for entry in committer.store.records(self.topic).range(range) {
            let (place, stored) = entry.into_inner().map_err(unreadable)?;
            let last = codec::offset_of(&place).ok_or_else(|| self.damaged(self.end))?;
            let records = block::records(&Bytes::from(stored.clone()), last).ok_or_else(|| self.damaged(last))?;
            count += records.len();
            bytes += records.iter().map(|(_, record)| record.len()).sum::<usize>();
            found.push((last, stored.len() as u64, records));
            if count >= STEP_RECORDS || bytes >= STEP_BYTES {
                self.next = last + 1;
                break;
            }
        }
        Ok(found)
    }

    fn damaged(&self, offset: u64) -> LogError {
        block::damaged(self.topic, self.partition, offset)
    }
}

/// An entry: what it is stored under, its stored bytes, its records.
type Stored = (u64, u64, Vec<(u64, Bytes)>);
