//! One round of group commit while it is put together: offsets, positions, extents. It only appends; what is superseded is cleaned
//! later ([`super::clean`]).
//! Every key of the store is written at most once per round, because all writes of a batch have one version.

use fjall::OwnedWriteBatch;
use hashbrown::HashMap;
use tributary_model::Topic;

use super::block::Entry;
use super::codec::{self, Extent};
use super::fence::Claim;
use super::store::{Store, position_value};
use super::tail::Tails;
use crate::log::Checkpoint;
use crate::message::{Message, Position};

/// A round in the making.
pub(super) struct Round<'a> {
    tails: &'a Tails,
    extents: &'a [Extent],
    /// In order of arrival, with their offsets.
    entries: Vec<Entry>,
    /// Touched partitions, with the extent after this round.
    touched: HashMap<usize, (Topic, u32, Extent)>,
    positions: HashMap<Vec<u8>, Vec<u8>>,
}

/// What a round wrote, to be made visible once it is durable.
pub(super) struct Written {
    /// Records and their bytes by topic.
    pub appended: HashMap<Topic, (usize, usize)>,
    pub extents: Vec<(usize, Extent)>,
    pub published: Vec<(usize, Topic, Vec<Message>, u64)>,
}

impl<'a> Round<'a> {
    /// An empty round on top of what is durable.
    pub(super) fn new(tails: &'a Tails, extents: &'a [Extent]) -> Self {
        Self { tails, extents, entries: Vec::new(), touched: HashMap::new(), positions: HashMap::new() }
    }

    /// Adds one transaction; answers the ends of its partitions after it.
    pub(super) fn add(
        &mut self,
        claim: Option<&Claim>,
        entries: Vec<Entry>,
        checkpoints: Vec<Checkpoint>,
    ) -> Vec<Position> {
        let mut ends = Vec::new();
        for entry in entries {
            let position = self.push(entry);
            match ends
                .iter_mut()
                .find(|end: &&mut Position| end.topic == position.topic && end.partition == position.partition)
            {
                Some(end) => *end = position,
                None => ends.push(position),
            }
        }
        if let Some(claim) = claim {
            for checkpoint in checkpoints {
                let Position { topic, partition, .. } = checkpoint.position;
                let key = codec::position_key(&claim.group, topic, partition);
                self.positions.insert(key, position_value(&checkpoint));
            }
        }
        ends
    }

    fn push(&mut self, mut entry: Entry) -> Position {
        let (topic, partition) = (entry.topic, entry.partition);
        let index = self.tails.index(topic, partition);
        let extent = self.extents.get(index).copied().unwrap_or_default();
        let (_, _, extent) = self.touched.entry(index).or_insert((topic, partition, extent));
        for message in &mut entry.messages {
            message.offset = extent.end;
            extent.end += 1;
        }
        extent.bytes += entry.stored.len() as u64;
        let next = extent.end;
        self.entries.push(entry);
        Position { topic, partition, next }
    }

    /// Writes everything into the batch.
    pub(super) fn fill(self, store: &Store, batch: &mut OwnedWriteBatch) -> Written {
        let Self { entries, touched, positions, .. } = self;
        for (key, value) in positions {
            batch.insert(&store.positions, key, value);
        }
        let mut written = Written { appended: HashMap::new(), extents: Vec::new(), published: Vec::new() };
        let mut by_partition: HashMap<usize, Vec<Message>> = HashMap::with_capacity(touched.len());
        for Entry { topic, partition, stored, messages } in entries {
            let Some(last) = messages.last().map(|message| message.offset) else { continue };
            let appended = written.appended.entry(topic).or_default();
            *appended = (appended.0 + messages.len(), appended.1 + stored.len());
            batch.insert(store.records(topic), codec::record_key(topic, partition, last).to_vec(), stored);
            by_partition.entry(self.tails.index(topic, partition)).or_default().extend(messages);
        }
        for (index, (topic, partition, extent)) in touched {
            batch.insert(&store.extents, codec::partition_key(topic, partition).to_vec(), extent.encode());
            let messages = by_partition.remove(&index).unwrap_or_default();
            written.published.push((index, topic, messages, extent.end));
            written.extents.push((index, extent));
        }
        written
    }
}
