//! Cursors over partitions, read oldest record first.
//!
//! ```text
//! tail or store ──(a share of the budget a partition)──► window of each partition ──(oldest first)──► batch
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tributary_model::Topic;

use super::Inner;
use super::tail::{self, Waiter};
use crate::log::{Budget, LogError, Waker};
use crate::message::{Message, Position};

/// Cursors over partitions. A batch holds the oldest records of all partitions: what was sent together, such as the scans of a component's
/// repository and image, comes together though it lies in several. Partition by partition, a backlog would tell of the
/// repositories in one batch and of the images in a later one, and every risk of both would be decided twice.
pub(super) struct Cursors {
    pub(super) inner: Arc<Inner>,
    waiter: Arc<Waiter>,
    places: Vec<Place>,
    /// Passed over.
    held: BTreeSet<(Topic, u32)>,
}

/// A cursor and what was read ahead of it.
struct Place {
    /// The next record that is given out.
    at: Position,
    /// Where reading ahead goes on.
    ahead: u64,
    window: VecDeque<Message>,
}

impl Place {
    fn seek(&mut self, next: u64) {
        self.at.next = next;
        self.ahead = next;
        self.window.clear();
    }
}

impl Cursors {
    pub(super) fn new(inner: Arc<Inner>, topics: impl IntoIterator<Item = Topic>) -> Self {
        let waiter = Waiter::new(topics);
        inner.tails.register(&waiter);
        Self { inner, waiter, places: Vec::new(), held: BTreeSet::new() }
    }

    /// Adds a partition.
    pub(super) fn add(&mut self, at: Position) {
        self.places.push(Place { at, ahead: at.next, window: VecDeque::new() });
    }

    /// The next record of every partition.
    pub(super) fn positions(&self) -> Vec<Position> {
        self.places.iter().map(|place| place.at).collect()
    }

    /// Sets every cursor to where `next` says.
    pub(super) fn rewind(&mut self, next: impl Fn(Topic, u32) -> Result<u64, LogError>) -> Result<(), LogError> {
        for place in &mut self.places {
            place.seek(next(place.at.topic, place.at.partition)?);
        }
        Ok(())
    }

    /// Passes these over from now on; those that were passed over before start where `next` says.
    pub(super) fn hold(
        &mut self,
        places: &BTreeSet<(Topic, u32)>,
        next: impl Fn(Topic, u32) -> Result<u64, LogError>,
    ) -> Result<(), LogError> {
        for place in &mut self.places {
            let name = (place.at.topic, place.at.partition);
            match (self.held.contains(&name), places.contains(&name)) {
                (true, false) => place.seek(next(name.0, name.1)?),
                (false, true) => place.seek(place.at.next),
                _ => {}
            }
        }
        self.held.clone_from(places);
        Ok(())
    }

    /// Offsets between the cursors and the ends: records, but for gaps where some were cleaned.
    pub(super) fn waiting(&self) -> u64 {
        let tails = &self.inner.tails;
        let given_out = self.places.iter().filter(|place| !self.held.contains(&(place.at.topic, place.at.partition)));
        given_out.map(|place| tails.end(place.at.topic, place.at.partition).saturating_sub(place.at.next)).sum()
    }

    pub(super) fn waker(&self) -> Waker {
        self.waiter.waker.clone()
    }

    /// Records, waiting for the first one.
    pub(super) fn take_or_wait(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let messages = self.take(budget)?;
        if !messages.is_empty() || budget.wait.is_zero() || !self.waiter.waker.wait(budget.wait) {
            return Ok(messages);
        }
        self.take(budget)
    }

    /// Records that are there, without waiting.
    fn take(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let inner = Arc::clone(&self.inner);
        let has_more = |place: &Place| place.ahead < inner.tails.end(place.at.topic, place.at.partition);
        let mut ready: Vec<&mut Place> = self
            .places
            .iter_mut()
            .filter(|place| !self.held.contains(&(place.at.topic, place.at.partition)))
            .filter(|place| !place.window.is_empty() || has_more(place))
            .collect();
        let share = (budget.records.div_ceil(ready.len().max(1)), budget.bytes / ready.len().max(1));
        let mut batch = Batch { messages: Vec::new(), bytes: 0, budget };
        for place in &mut ready {
            fill(&inner, place, share)?;
        }
        batch.messages.reserve(ready.iter().map(|place| place.window.len()).sum());
        while let Some((oldest, until)) = oldest(&ready) {
            let Some(place) = ready.get_mut(oldest) else { break };
            if !batch.drain(place, until) {
                break;
            }
            if place.window.is_empty() {
                fill(&inner, place, share)?;
            }
        }
        Ok(batch.messages)
    }
}

impl Drop for Cursors {
    fn drop(&mut self) {
        self.inner.tails.forget(&self.waiter);
    }
}

/// Whose first record is the oldest, and how old the first of any other is: so far it can be drained. The earlier place
/// goes first where both are equally old.
fn oldest(ready: &[&mut Place]) -> Option<(usize, i64)> {
    let mut first: Option<(usize, i64)> = None;
    let mut until = i64::MAX;
    for (index, place) in ready.iter().enumerate() {
        let Some(age) = place.window.front().map(|message| message.timestamp) else { continue };
        match first {
            Some((_, least)) if least <= age => until = until.min(age),
            Some((_, least)) => {
                until = until.min(least);
                first = Some((index, age));
            }
            None => first = Some((index, age)),
        }
    }
    first.map(|(index, _)| (index, until))
}

/// Reads a share of a budget ahead, if nothing of the last one is left.
fn fill(inner: &Inner, place: &mut Place, share: (usize, usize)) -> Result<(), LogError> {
    let Position { topic, partition, .. } = place.at;
    let end = inner.tails.end(topic, partition);
    if !place.window.is_empty() || place.ahead >= end {
        return Ok(());
    }
    let mut read = Vec::new();
    place.ahead = match inner.tails.read((topic, partition), place.ahead, share, &mut read) {
        Some((next, _)) => next,
        None => inner.store.read((topic, partition), (place.ahead, end), share, &mut read)?.0,
    };
    if read.is_empty() {
        place.at.next = place.ahead;
    }
    place.window = read.into();
    Ok(())
}

/// What a poll gives out.
struct Batch {
    messages: Vec<Message>,
    bytes: usize,
    budget: Budget,
}

impl Batch {
    /// Takes records of a place that are not younger than `until`; answers whether the budget allows more.
    fn drain(&mut self, place: &mut Place, until: i64) -> bool {
        while let Some(message) = place.window.front().filter(|message| message.timestamp <= until) {
            let weight = tail::weight(message);
            let is_full = self.messages.len() >= self.budget.records || self.bytes + weight > self.budget.bytes;
            if is_full && !self.messages.is_empty() {
                return false;
            }
            self.bytes += weight;
            self.messages.extend(place.window.pop_front());
            place.at.next = place.window.front().map_or(place.ahead, |message| message.offset);
        }
        true
    }
}
