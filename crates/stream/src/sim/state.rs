//! What the simulated log holds, and the unkind things it may do to it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_model::Topic;
use tributary_model::time::Millis;
use tributary_model::topic::{Cleanup, partition_of};

use super::rng::Rng;
use crate::log::{Checkpoint, LogError, Subscription, Transaction};
use crate::message::{Message, Output, Position};

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not happen, and the worker is told so.
    Abort,
    /// It does not happen, and the worker dies.
    CrashBefore,
    /// It happens, and the worker dies before it is told.
    CrashAfter,
}

pub(super) type Place = (Topic, u32);

/// A partition of a topic.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// Committed records by offset.
    pub records: BTreeMap<u64, Message>,
    /// One past the last committed record.
    pub end: u64,
    /// One past the last record that readers see; at a boundary between transactions.
    pub visible: u64,
    /// Ends of transactions beyond `visible`.
    boundaries: BTreeSet<u64>,
}

/// Everything behind one lock.
#[derive(Debug)]
pub(super) struct State {
    pub partitions: u32,
    pub tombstone_ms: Millis,
    pub rng: Rng,
    /// Whether to be unkind: delayed visibility, partial polls, stalls.
    pub unkind: bool,
    pub fault: Option<Fault>,
    pub places: BTreeMap<Place, Partition>,
    pub positions: BTreeMap<(String, Topic, u32), Checkpoint>,
    /// Which slot has a partition of a group, and since which move.
    assigned: BTreeMap<(String, u32), (u32, u64)>,
    /// Which handle has a slot of a group.
    slots: BTreeMap<(String, u32), u64>,
    /// When each open reader that is not yet at its end was opened.
    pub restoring: BTreeMap<u64, Millis>,
    counter: u64,
    pub commits: u64,
}

impl State {
    pub(super) fn new(partitions: u32, tombstone_ms: Millis, seed: u64) -> Self {
        Self {
            partitions,
            tombstone_ms,
            rng: Rng::new(seed),
            unkind: false,
            fault: None,
            places: BTreeMap::new(),
            positions: BTreeMap::new(),
            assigned: BTreeMap::new(),
            slots: BTreeMap::new(),
            restoring: BTreeMap::new(),
            counter: 0,
            commits: 0,
        }
    }

    pub(super) fn ticket(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Takes a slot: the first taker deals out partitions that nobody has, later ones fence the handle before them.
    pub(super) fn join(&mut self, subscription: &Subscription) -> u64 {
        let handle = self.ticket();
        let group = &subscription.group;
        self.slots.insert((group.clone(), subscription.slot), handle);
        for partition in 0..self.partitions {
            let generation = self.counter;
            let slot = partition % subscription.slots;
            self.assigned.entry((group.clone(), partition)).or_insert((slot, generation));
        }
        handle
    }

    /// Gives a partition of a group to another slot. Its owner learns of it at its next poll, or when a commit fails.
    pub(super) fn reassign(&mut self, group: &str, partition: u32, slot: u32) {
        let generation = self.ticket();
        self.assigned.insert((group.to_owned(), partition), (slot, generation));
    }

    pub(super) fn fenced(&self, group: &str, slot: u32, handle: u64) -> Result<(), LogError> {
        match self.slots.get(&(group.to_owned(), slot)) {
            Some(current) if *current == handle => Ok(()),
            _ => Err(LogError::fatal(format!("fenced: slot {slot} of group {group} belongs to a newer worker"))),
        }
    }

    /// The partitions of a slot, with the generation of each.
    pub(super) fn assignment(&self, group: &str, slot: u32) -> BTreeMap<u32, u64> {
        let mine = self.assigned.iter().filter(|((of, _), (at, _))| of == group && *at == slot);
        mine.map(|((_, partition), (_, generation))| (*partition, *generation)).collect()
    }

    /// Appends records and positions together.
    pub(super) fn write(&mut self, group: Option<&str>, transaction: Transaction, now: Millis) -> Vec<Position> {
        self.commits += 1;
        let mut ends: BTreeMap<Place, u64> = BTreeMap::new();
        for output in transaction.outputs {
            let partition = partition_of(&output.partition_key, self.partitions);
            let place = (output.topic, partition);
            ends.insert(place, self.places.entry(place).or_default().push(place, output, now));
        }
        for (place, end) in &ends {
            let unkind = self.unkind;
            if let Some(partition) = self.places.get_mut(place) {
                partition.boundaries.insert(*end);
                if !unkind {
                    partition.reveal_all();
                }
            }
        }
        for checkpoint in transaction.checkpoints {
            let Position { topic, partition, .. } = checkpoint.position;
            let group = group.unwrap_or_default().to_owned();
            self.positions.insert((group, topic, partition), checkpoint);
        }
        ends.into_iter().map(|((topic, partition), next)| Position { topic, partition, next }).collect()
    }

    pub(super) fn end(&self, place: Place) -> u64 {
        self.places.get(&place).map_or(0, |partition| partition.end)
    }

    pub(super) fn visible(&self, place: Place) -> u64 {
        self.places.get(&place).map_or(0, |partition| partition.visible)
    }

    /// Places where something is committed and not yet visible.
    pub(super) fn hidden(&self) -> Vec<Place> {
        self.places.iter().filter(|(_, partition)| partition.visible < partition.end).map(|(place, _)| *place).collect()
    }

    /// Makes the next transaction of a place visible.
    pub(super) fn reveal(&mut self, place: Place) {
        if let Some(partition) = self.places.get_mut(&place)
            && let Some(next) = partition.boundaries.pop_first()
        {
            partition.visible = next;
        }
    }

    pub(super) fn reveal_everything(&mut self) {
        self.places.values_mut().for_each(Partition::reveal_all);
    }

    /// Compacts a place: of what is visible, the latest record of each key stays; tombstones go after their time, unless a
    /// reader that may have seen the value is still on its way (a restore takes less than 7 days).
    pub(super) fn compact(&mut self, place: Place, now: Millis) {
        if place.0.cleanup() != Cleanup::Compact {
            return;
        }
        let oldest_reader = self.restoring.values().copied().min().unwrap_or(now);
        let cutoff = now.min(oldest_reader).saturating_sub(self.tombstone_ms);
        let Some(partition) = self.places.get_mut(&place) else { return };
        let mut latest = BTreeMap::new();
        for (offset, message) in partition.records.range(..partition.visible) {
            latest.insert(message.key.clone(), *offset);
        }
        let visible = partition.visible;
        partition.records.retain(|offset, message| {
            *offset >= visible
                || latest.get(&message.key) == Some(offset) && (message.value.is_some() || message.timestamp >= cutoff)
        });
    }
}

impl Partition {
    fn push(&mut self, (topic, partition): Place, output: Output, timestamp: Millis) -> u64 {
        let Output { key, value, headers, .. } = output;
        let message = Message { topic, partition, offset: self.end, key, value, headers, timestamp };
        self.records.insert(self.end, message);
        self.end += 1;
        self.end
    }

    fn reveal_all(&mut self) {
        self.boundaries.clear();
        self.visible = self.end;
    }
}
