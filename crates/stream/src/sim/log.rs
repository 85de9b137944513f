//! The simulated log as [`Log`]: handles over one shared [`State`]. Never waits: what is not there now is for a later turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_model::Topic;
use tributary_model::time::{DAY, Millis};

use super::state::{Fault, Place, State};
use crate::clock::Clock;
use crate::log::{
    Budget, Checkpoint, Log, LogError, Polled, Producer, Read, Reader, Start, Subscription, Transaction, Waker, Worker,
};
use crate::message::{Message, Output, Position};

/// A log in memory. Clones share it. Kind until told otherwise: everything is visible at once and nothing fails.
#[derive(Clone)]
pub struct SimLog {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl SimLog {
    /// An empty log.
    #[must_use]
    pub fn new(partitions: u32, seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(partitions, 7 * DAY, seed))), clock }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Whether to delay visibility, to poll in pieces and to stall.
    pub fn set_unkind(&self, unkind: bool) {
        let mut state = self.state();
        state.unkind = unkind;
        if !unkind {
            state.reveal_everything();
        }
    }

    /// What becomes of the next commit of any worker.
    pub fn arm(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Gives a partition of a group to another slot.
    pub fn reassign(&self, group: &str, partition: u32, slot: u32) {
        self.state().reassign(group, partition, slot);
    }

    /// Compacts a partition of a compacted topic now.
    pub fn compact(&self, topic: Topic, partition: u32) {
        let now = self.now();
        self.state().compact((topic, partition), now);
    }

    /// Every committed, surviving record of a topic, by partition and offset, visible or not.
    #[must_use]
    pub fn records(&self, topic: Topic) -> Vec<Message> {
        let state = self.state();
        let places = state.places.iter().filter(|((of, _), _)| *of == topic);
        places.flat_map(|(_, partition)| partition.records.values().cloned()).collect()
    }

    /// What of a topic was committed since the last call with these offsets, by partition and offset, visible or not. Called
    /// after every step of a world it misses nothing: compaction takes only what another step has overwritten.
    #[must_use]
    pub fn fresh(&self, topic: Topic, next: &mut BTreeMap<(Topic, u32), u64>) -> Vec<Message> {
        let state = self.state();
        let mut messages = Vec::new();
        for (place, partition) in state.places.iter().filter(|((of, _), _)| *of == topic) {
            let next = next.entry(*place).or_default();
            messages.extend(partition.records.range(*next..).map(|(_, message)| message.clone()));
            *next = partition.end;
        }
        messages
    }
}

impl Log for SimLog {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.state().partitions
    }

    fn worker(&self, subscription: &Subscription) -> Result<Box<dyn Worker>, LogError> {
        if subscription.slot >= subscription.slots {
            return Err(LogError::fatal(format!("slot {} of {}", subscription.slot, subscription.slots)));
        }
        let handle = self.state().join(subscription);
        Ok(Box::new(SimWorker {
            log: self.clone(),
            subscription: subscription.clone(),
            handle,
            known: BTreeMap::new(),
            cursors: BTreeMap::new(),
            held: BTreeSet::new(),
            waker: Waker::default(),
        }))
    }

    fn producer(&self) -> Result<Arc<dyn Producer>, LogError> {
        Ok(Arc::new(SimProducer(self.clone())))
    }

    fn reader(&self, partitions: &[(Topic, u32)], start: &Start) -> Result<Box<dyn Reader>, LogError> {
        let now = self.now();
        let mut state = self.state();
        let ticket = state.ticket();
        state.restoring.insert(ticket, now);
        let begin = |place: Place| match start {
            Start::Beginning => 0,
            Start::End => state.visible(place),
            Start::At(positions) => {
                let at = positions.iter().find(|position| (position.topic, position.partition) == place);
                at.map_or(0, |position| position.next)
            }
        };
        let cursors = partitions.iter().map(|place| (*place, begin(*place))).collect();
        drop(state);
        Ok(Box::new(SimReader { log: self.clone(), ticket, cursors, waker: Waker::default() }))
    }

    fn ends(&self, topics: &[Topic]) -> Result<Vec<Position>, LogError> {
        let state = self.state();
        let places = topics.iter().flat_map(|topic| (0..state.partitions).map(move |partition| (*topic, partition)));
        Ok(places.map(|place| Position { topic: place.0, partition: place.1, next: state.visible(place) }).collect())
    }

    fn lineage(&self, places: &[(Topic, u32)]) -> Result<Option<Vec<String>>, LogError> {
        Ok(Some(places.iter().map(|_| "simulated".to_owned()).collect()))
    }

    fn committed(&self, group: &str) -> Result<Vec<Checkpoint>, LogError> {
        let state = self.state();
        let mine = state.positions.iter().filter(|((of, ..), _)| of == group);
        Ok(mine.map(|(_, checkpoint)| checkpoint.clone()).collect())
    }
}

/// Visible records from the cursors on. When unkind: some partitions, in any order, a few records of each.
fn take(state: &mut State, cursors: &mut BTreeMap<Place, u64>, budget: Budget) -> Vec<Message> {
    let mut order: Vec<Place> = cursors.keys().copied().collect();
    if state.unkind {
        state.rng.shuffle(&mut order);
    }
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for place in order {
        let few = if state.unkind { state.rng.below(4) } else { usize::MAX };
        let Some(cursor) = cursors.get_mut(&place) else { continue };
        let Some(partition) = state.places.get(&place) else { continue };
        let mut next = partition.visible.max(*cursor);
        let visible = partition.records.range(*cursor..partition.visible.max(*cursor));
        for (taken, (offset, message)) in visible.enumerate() {
            let size = message.key.len() + message.value.as_ref().map_or(0, bytes::Bytes::len);
            let full = messages.len() >= budget.records || !messages.is_empty() && bytes + size > budget.bytes;
            if full || taken >= few {
                next = *offset;
                break;
            }
            bytes += size;
            messages.push(message.clone());
        }
        *cursor = next;
    }
    messages
}

struct SimWorker {
    log: SimLog,
    subscription: Subscription,
    handle: u64,
    /// Partitions that were announced, with the generation of the assignment.
    known: BTreeMap<u32, u64>,
    /// Started partitions.
    cursors: BTreeMap<Place, u64>,
    /// Started and not delivered.
    held: BTreeSet<Place>,
    waker: Waker,
}

impl SimWorker {
    fn check(&self, state: &State) -> Result<(), LogError> {
        state.fenced(&self.subscription.group, self.subscription.slot, self.handle)
    }

    fn committed_next(&self, state: &State, place: Place) -> u64 {
        let key = (self.subscription.group.clone(), place.0, place.1);
        state.positions.get(&key).map_or(0, |checkpoint| checkpoint.position.next)
    }

    fn owns(&self, state: &State, transaction: &Transaction) -> Result<(), LogError> {
        let current = state.assignment(&self.subscription.group, self.subscription.slot);
        for checkpoint in &transaction.checkpoints {
            let partition = checkpoint.position.partition;
            if self.known.get(&partition) != current.get(&partition) || !current.contains_key(&partition) {
                return Err(LogError::abort(format!("partition {partition} was moved to another worker")));
            }
        }
        Ok(())
    }
}

impl Worker for SimWorker {
    fn poll(&mut self, budget: Budget) -> Result<Polled, LogError> {
        let mut state = self.log.state();
        self.check(&state)?;
        let current = state.assignment(&self.subscription.group, self.subscription.slot);
        let lost =
            |(partition, generation): (&u32, &u64)| (current.get(partition) != Some(generation)).then_some(*partition);
        let revoked: Vec<u32> = self.known.iter().filter_map(lost).collect();
        if !revoked.is_empty() {
            self.known.retain(|partition, _| !revoked.contains(partition));
            self.cursors.retain(|(_, partition), _| !revoked.contains(partition));
            return Ok(Polled::Revoked(revoked));
        }
        let assigned: Vec<u32> =
            current.keys().filter(|partition| !self.known.contains_key(*partition)).copied().collect();
        if !assigned.is_empty() || (current.is_empty() && self.known.is_empty() && self.cursors.is_empty()) {
            let news = !assigned.is_empty();
            self.known = current;
            if news {
                return Ok(Polled::Assigned(assigned));
            }
        }
        if state.unkind && state.rng.percent(20) {
            return Ok(Polled::Batch(Vec::new()));
        }
        let held: Vec<_> = self.held.iter().filter_map(|place| self.cursors.remove_entry(place)).collect();
        let messages = take(&mut state, &mut self.cursors, budget);
        self.cursors.extend(held);
        Ok(Polled::Batch(messages))
    }

    fn committed(&self, partitions: &[u32]) -> Result<Vec<Checkpoint>, LogError> {
        let state = self.log.state();
        self.check(&state)?;
        let group = &self.subscription.group;
        let mine = state.positions.iter().filter(|((of, topic, partition), _)| {
            of == group && self.subscription.topics.contains(topic) && partitions.contains(partition)
        });
        Ok(mine.map(|(_, checkpoint)| checkpoint.clone()).collect())
    }

    fn start(&mut self, partitions: &[u32]) -> Result<(), LogError> {
        let state = self.log.state();
        self.check(&state)?;
        for partition in partitions.iter().filter(|partition| self.known.contains_key(*partition)) {
            for topic in &self.subscription.topics {
                let place = (*topic, *partition);
                let next = self.committed_next(&state, place);
                self.cursors.insert(place, next);
            }
        }
        Ok(())
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let now = self.log.now();
        let mut state = self.log.state();
        self.check(&state)?;
        if transaction.outputs.is_empty() && transaction.checkpoints.is_empty() {
            return Ok(());
        }
        self.owns(&state, &transaction)?;
        let group = self.subscription.group.clone();
        match state.fault.take() {
            Some(Fault::Abort) => Err(LogError::abort("simulated abort")),
            Some(Fault::CrashBefore) => Err(LogError::fatal("simulated crash before the commit")),
            Some(Fault::CrashAfter) => {
                state.write(Some(&group), transaction, now);
                Err(LogError::fatal("simulated crash after the commit"))
            }
            None => {
                state.write(Some(&group), transaction, now);
                Ok(())
            }
        }
    }

    fn rewind(&mut self) -> Result<(), LogError> {
        let state = self.log.state();
        self.check(&state)?;
        let places: Vec<Place> = self.cursors.keys().copied().collect();
        for place in places {
            let next = self.committed_next(&state, place);
            self.cursors.insert(place, next);
        }
        Ok(())
    }

    fn hold(&mut self, places: &BTreeSet<Place>) -> Result<(), LogError> {
        let state = self.log.state();
        self.check(&state)?;
        let released: Vec<Place> = self.held.difference(places).copied().collect();
        for place in released {
            let next = self.committed_next(&state, place);
            self.cursors.entry(place).and_modify(|cursor| *cursor = next);
        }
        self.held.clone_from(places);
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

struct SimProducer(SimLog);

impl Producer for SimProducer {
    fn append(&self, records: Vec<Output>) -> Result<Vec<Position>, LogError> {
        let now = self.0.now();
        let transaction = Transaction { outputs: records, checkpoints: Vec::new() };
        Ok(self.0.state().write(None, transaction, now))
    }
}

struct SimReader {
    log: SimLog,
    ticket: u64,
    cursors: BTreeMap<Place, u64>,
    waker: Waker,
}

impl Reader for SimReader {
    fn read(&mut self, budget: Budget) -> Result<Read, LogError> {
        let mut state = self.log.state();
        let messages = take(&mut state, &mut self.cursors, budget);
        // The end is what is committed, also if it is not visible yet: a restore that stopped short would lose it.
        let at_end = self.cursors.iter().all(|(place, next)| *next >= state.end(*place));
        if at_end {
            state.restoring.remove(&self.ticket);
        }
        Ok(Read { messages, at_end })
    }

    fn positions(&self) -> Vec<Position> {
        let position =
            |((topic, partition), next): (&Place, &u64)| Position { topic: *topic, partition: *partition, next: *next };
        self.cursors.iter().map(position).collect()
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

impl Drop for SimReader {
    fn drop(&mut self) {
        self.log.state().restoring.remove(&self.ticket);
    }
}
