//! What workers, producers and readers hold: cursors over the tails and the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary_model::Topic;

use super::Inner;
use super::fence::Claim;
use super::tail::Waiter;
use crate::log::{
    Budget, Checkpoint, LogError, Polled, Producer, Read, Reader, Start, Subscription, Transaction, Waker, Worker,
};
use crate::message::{Message, Output, Position};

/// Most records taken from one partition before the next one gets its turn. 4096: a backlog in one partition does not starve
/// the others of a batch, and what belongs together (the findings of one component) mostly comes together.
const TURN_RECORDS: usize = 4096;

/// Cursors over partitions, read in turns.
struct Cursors {
    inner: Arc<Inner>,
    waiter: Arc<Waiter>,
    places: Vec<Position>,
    /// Passed over.
    held: BTreeSet<(Topic, u32)>,
    /// Whose turn is first next time.
    turn: usize,
}

impl Cursors {
    fn new(inner: Arc<Inner>, topics: impl IntoIterator<Item = Topic>) -> Self {
        let waiter = Waiter::new(topics);
        inner.tails.register(&waiter);
        Self { inner, waiter, places: Vec::new(), held: BTreeSet::new(), turn: 0 }
    }

    /// Records that are there, without waiting.
    fn take(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let mut messages = Vec::new();
        let mut bytes = 0;
        let count = self.places.len();
        for step in 0..count {
            let place = (self.turn + step) % count;
            let Position { topic, partition, next } = self.places[place];
            let end = self.inner.tails.end(topic, partition);
            if next >= end || self.held.contains(&(topic, partition)) {
                continue;
            }
            let limits = (TURN_RECORDS.min(budget.records - messages.len()), budget.bytes.saturating_sub(bytes));
            let cached = self.inner.tails.read((topic, partition), next, limits, &mut messages);
            let read = if let Some(read) = cached {
                read
            } else {
                self.inner.store.read((topic, partition), (next, end), limits, &mut messages)?
            };
            self.places[place].next = read.0;
            bytes += read.1;
            if messages.len() >= budget.records || bytes >= budget.bytes {
                self.turn = (place + 1) % count;
                break;
            }
        }
        Ok(messages)
    }

    /// Records, waiting for the first one.
    fn take_or_wait(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let messages = self.take(budget)?;
        if !messages.is_empty() || budget.wait.is_zero() || !self.waiter.waker.wait(budget.wait) {
            return Ok(messages);
        }
        self.take(budget)
    }
}

impl Drop for Cursors {
    fn drop(&mut self) {
        self.inner.tails.forget(&self.waiter);
    }
}

/// A worker's handle. Partitions are dealt out by slot: partition `p` belongs to slot `p mod slots`.
pub(super) struct EmbeddedWorker {
    cursors: Cursors,
    claim: Claim,
    announced: bool,
}

impl EmbeddedWorker {
    pub(super) fn new(inner: Arc<Inner>, subscription: &Subscription) -> Result<Self, LogError> {
        if subscription.slot >= subscription.slots {
            return Err(LogError::fatal(format!("slot {} of {}", subscription.slot, subscription.slots)));
        }
        let partitions = (subscription.slot..inner.partitions).step_by(subscription.slots as usize).collect();
        let claim = inner.fences.claim(subscription, partitions);
        // What the fenced owner had in flight is now either refused or visible, so positions and changelogs fit.
        inner.barrier()?;
        let cursors = Cursors::new(inner, subscription.topics.iter().copied());
        Ok(Self { cursors, claim, announced: false })
    }

    fn next_of(&self, topic: Topic, partition: u32) -> Result<u64, LogError> {
        let committed = self.cursors.inner.store.position(&self.claim.group, topic, partition)?;
        Ok(committed.map_or(0, |checkpoint| checkpoint.position.next))
    }
}

impl Worker for EmbeddedWorker {
    fn poll(&mut self, budget: Budget) -> Result<Polled, LogError> {
        if !self.announced {
            self.announced = true;
            return Ok(Polled::Assigned(self.claim.partitions.clone()));
        }
        self.cursors.take_or_wait(budget).map(Polled::Batch)
    }

    fn committed(&self, partitions: &[u32]) -> Result<Vec<Checkpoint>, LogError> {
        let mut found = Vec::new();
        for topic in &self.claim.topics {
            for partition in partitions {
                found.extend(self.cursors.inner.store.position(&self.claim.group, *topic, *partition)?);
            }
        }
        Ok(found)
    }

    fn start(&mut self, partitions: &[u32]) -> Result<(), LogError> {
        for partition in partitions {
            for topic in self.claim.topics.clone() {
                let next = self.next_of(topic, *partition)?;
                self.cursors.places.push(Position { topic, partition: *partition, next });
            }
        }
        Ok(())
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        if transaction.outputs.is_empty() && transaction.checkpoints.is_empty() {
            return Ok(());
        }
        let Transaction { outputs, checkpoints } = transaction;
        self.cursors.inner.write(Some(self.claim.clone()), outputs, checkpoints).map(drop)
    }

    fn rewind(&mut self) -> Result<(), LogError> {
        for place in 0..self.cursors.places.len() {
            let Position { topic, partition, .. } = self.cursors.places[place];
            self.cursors.places[place].next = self.next_of(topic, partition)?;
        }
        Ok(())
    }

    fn hold(&mut self, places: &BTreeSet<(Topic, u32)>) -> Result<(), LogError> {
        for place in 0..self.cursors.places.len() {
            let Position { topic, partition, .. } = self.cursors.places[place];
            if self.cursors.held.contains(&(topic, partition)) && !places.contains(&(topic, partition)) {
                self.cursors.places[place].next = self.next_of(topic, partition)?;
            }
        }
        self.cursors.held.clone_from(places);
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.cursors.waiter.waker.clone()
    }
}

/// A producer's handle.
pub(super) struct EmbeddedProducer(pub(super) Arc<Inner>);

impl Producer for EmbeddedProducer {
    fn append(&self, records: Vec<Output>) -> Result<Vec<Position>, LogError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.0.write(None, records, Vec::new())
    }
}

/// A reader's handle.
pub(super) struct EmbeddedReader(Cursors);

impl EmbeddedReader {
    pub(super) fn new(inner: Arc<Inner>, partitions: &[(Topic, u32)], start: &Start) -> Self {
        let mut cursors = Cursors::new(inner, partitions.iter().map(|(topic, _)| *topic));
        for (topic, partition) in partitions.iter().copied() {
            let next = match start {
                Start::Beginning => 0,
                Start::End => cursors.inner.tails.end(topic, partition),
                Start::At(positions) => positions
                    .iter()
                    .find(|position| position.topic == topic && position.partition == partition)
                    .map_or(0, |position| position.next),
            };
            cursors.places.push(Position { topic, partition, next });
        }
        Self(cursors)
    }
}

impl Reader for EmbeddedReader {
    fn read(&mut self, budget: Budget) -> Result<Read, LogError> {
        let end = |cursor: &Position| self.0.inner.tails.end(cursor.topic, cursor.partition);
        let ends: Vec<u64> = self.0.places.iter().map(end).collect();
        let messages = self.0.take_or_wait(budget)?;
        let at_end = self.0.places.iter().zip(ends).all(|(cursor, end)| cursor.next >= end);
        Ok(Read { messages, at_end })
    }

    fn positions(&self) -> Vec<Position> {
        self.0.places.clone()
    }

    fn waker(&self) -> Waker {
        self.0.waiter.waker.clone()
    }
}
