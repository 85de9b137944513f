//! One round of group commit while it is put together: offsets, positions, extents. Of a compacted key only its last record of the
//! round is written; what earlier rounds wrote is cleaned later ([`super::clean`]).
//! Every key of the store is written at most once per round, because all writes of a batch have one version.

use bytes::Bytes;
use fjall::OwnedWriteBatch;
use hashbrown::HashMap;
use tributary_model::Topic;
use tributary_model::topic::Cleanup;

use super::codec::{self, Encoded, Extent};
use super::fence::Claim;
use super::store::{Store, position_value};
use super::tail::Tails;
use crate::log::Checkpoint;
use crate::message::{Message, Position};

/// A round in the making.
pub(super) struct Round<'a> {
    tails: &'a Tails,
    extents: &'a [Extent],
    /// In order of arrival; `None` once superseded by a later record of the same round.
    records: Vec<Option<Encoded>>,
    /// Touched partitions, with the extent after this round.
    touched: HashMap<usize, (Topic, u32, Extent)>,
    /// Latest record of each compacted key of this round, by partition index: its place in `records`.
    latest: HashMap<(usize, Bytes), usize>,
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
        Self {
            tails,
            extents,
            records: Vec::new(),
            touched: HashMap::new(),
            latest: HashMap::new(),
            positions: HashMap::new(),
        }
    }

    /// Adds one transaction; answers the ends of its partitions after it.
    pub(super) fn add(
        &mut self,
        claim: Option<&Claim>,
        records: Vec<Encoded>,
        checkpoints: Vec<Checkpoint>,
    ) -> Vec<Position> {
        let mut ends = Vec::new();
        for record in records {
            let position = self.push(record);
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

    fn push(&mut self, mut record: Encoded) -> Position {
        let (topic, partition) = (record.topic, record.partition);
        let index = self.tails.index(topic, partition);
        let extent = self.extents.get(index).copied().unwrap_or_default();
        let (_, _, extent) = self.touched.entry(index).or_insert((topic, partition, extent));
        record.message.offset = extent.end;
        extent.end += 1;
        let next = extent.end;
        extent.bytes += record.stored.len() as u64;
        if topic.cleanup() == Cleanup::Compact {
            let key = (index, record.message.key.clone());
            if let Some(superseded) = self.latest.insert(key, self.records.len())
                && let Some(superseded) = self.records[superseded].take()
            {
                extent.bytes -= superseded.stored.len() as u64;
            }
        }
        self.records.push(Some(record));
        Position { topic, partition, next }
    }

    /// Writes everything into the batch.
    pub(super) fn fill(self, store: &Store, batch: &mut OwnedWriteBatch) -> Written {
        let Self { records, touched, positions, .. } = self;
        for (key, value) in positions {
            batch.insert(&store.positions, key, value);
        }
        let mut written = Written { appended: HashMap::new(), extents: Vec::new(), published: Vec::new() };
        let mut by_partition: HashMap<usize, Vec<Message>> = HashMap::with_capacity(touched.len());
        for Encoded { topic, partition, stored, message } in records.into_iter().flatten() {
            let index = self.tails.index(topic, partition);
            let key = codec::record_key(topic, partition, message.offset);
            let appended = written.appended.entry(topic).or_default();
            *appended = (appended.0 + 1, appended.1 + stored.len());
            batch.insert(store.records(topic), key.to_vec(), stored);
            by_partition.entry(index).or_default().push(message);
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
