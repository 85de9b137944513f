//! What workers, producers and readers hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tributary_model::Topic;

use super::Inner;
use super::cursors::Cursors;
use super::fence::Claim;
use crate::log::{
    Budget, Checkpoint, LogError, Polled, Producer, Read, Reader, Start, Subscription, Transaction, Waker, Worker,
};
use crate::message::{Output, Position};

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
                let next = committed(&self.cursors.inner, &self.claim.group)(topic, *partition)?;
                self.cursors.add(Position { topic, partition: *partition, next });
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
        let committed = committed(&self.cursors.inner, &self.claim.group);
        self.cursors.rewind(committed)
    }

    fn hold(&mut self, places: &BTreeSet<(Topic, u32)>) -> Result<(), LogError> {
        let committed = committed(&self.cursors.inner, &self.claim.group);
        self.cursors.hold(places, committed)
    }

    fn waker(&self) -> Waker {
        self.cursors.waker()
    }

    fn gather(&mut self, budget: Budget, pause: Duration) {
        self.cursors.gather(budget.records as u64 / 2, pause);
    }
}

/// Where a group goes on in a partition.
fn committed(inner: &Arc<Inner>, group: &str) -> impl Fn(Topic, u32) -> Result<u64, LogError> + use<> {
    let (inner, group) = (Arc::clone(inner), group.to_owned());
    move |topic, partition| {
        let committed = inner.store.position(&group, topic, partition)?;
        Ok(committed.map_or(0, |checkpoint| checkpoint.position.next))
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
            cursors.add(Position { topic, partition, next });
        }
        Self(cursors)
    }
}

impl Reader for EmbeddedReader {
    fn read(&mut self, budget: Budget) -> Result<Read, LogError> {
        let end = |cursor: &Position| self.0.inner.tails.end(cursor.topic, cursor.partition);
        let ends: Vec<u64> = self.0.positions().iter().map(end).collect();
        let messages = self.0.take_or_wait(budget)?;
        let at_end = self.0.positions().iter().zip(ends).all(|(cursor, end)| cursor.next >= end);
        Ok(Read { messages, at_end })
    }

    fn positions(&self) -> Vec<Position> {
        self.0.positions()
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }
}
