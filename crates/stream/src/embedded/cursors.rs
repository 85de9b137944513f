//! Cursors over partitions, read oldest record first.
//!
//! ```text
//! tail or store ──(a share of the budget a partition)──► window of each partition ──(oldest first)──► batch
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_model::Topic;

use super::Inner;
use super::tail::{self, Waiter};
use crate::log::{Budget, LogError, Waker};
use crate::message::{Message, Position};

/// Nothing has arrived for so long: nothing is on its way. 200 ms: stages commit several times a second while they have work; a
/// shorter one would part what they say together.
const SILENCE: Duration = Duration::from_millis(200);

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

/// Why gathering is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gathered {
    /// As much is there as was wished.
    Much,
    /// Nothing comes any more, or the pause is over.
    Waited,
    /// The waker rang.
    Rung,
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
    fn waiting(&self) -> u64 {
        let tails = &self.inner.tails;
        let given_out = self.places.iter().filter(|place| !self.held.contains(&(place.at.topic, place.at.partition)));
        given_out.map(|place| tails.end(place.at.topic, place.at.partition).saturating_sub(place.at.next)).sum()
    }

    /// Waits until so many wait, nothing comes any more, the pause is over, or the waker rings; answers which it was.
    pub(super) fn gather(&self, enough: u64, pause: Duration) -> Gathered {
        let until = Instant::now() + pause;
        let (mut waiting, mut since) = (self.waiting(), Instant::now());
        loop {
            if waiting >= enough {
                return Gathered::Much;
            }
            let left = until.saturating_duration_since(Instant::now()).min(SILENCE.saturating_sub(since.elapsed()));
            if left.is_zero() {
                return Gathered::Waited;
            }
            if self.waiter.waker.wait(left) {
                // It is the next poll that was meant.
                self.waiter.waker.ring();
                return Gathered::Rung;
            }
            let now_waiting = self.waiting();
            if now_waiting != waiting {
                (waiting, since) = (now_waiting, Instant::now());
            }
        }
    }

    pub(super) fn waker(&self) -> Waker {
        self.waiter.waker.clone()
    }

    /// Records, waiting for the first one.
    pub(super) fn take_or_wait(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let begun = Instant::now();
        let mut is_rung = false;
        loop {
            let messages = self.take(budget)?;
            let left = budget.wait.saturating_sub(begun.elapsed());
            if !messages.is_empty() || left.is_zero() || is_rung {
                return Ok(messages);
            }
            is_rung = self.waiter.waker.wait(left);
        }
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock::ManualClock;
    use crate::embedded::{EmbeddedLog, EmbeddedSettings};
    use crate::log::Log;
    use crate::message::Output;

    const HOUR: Duration = Duration::from_secs(3600);

    fn record(topic: Topic) -> Output {
        let key = Bytes::from_static(b"k");
        Output { topic, partition_key: "k".to_owned(), value: Some(key.clone()), key, headers: Vec::new() }
    }

    #[test]
    fn gathering_is_over_when_there_is_much_or_the_waker_rings() {
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings { partitions: Some(1), ..EmbeddedSettings::default() };
        let log = EmbeddedLog::open(directory.path(), settings, Arc::new(ManualClock::at(0))).unwrap();
        let mut cursors = Cursors::new(Arc::clone(&log.0), [Topic::Risks]);
        cursors.add(Position { topic: Topic::Risks, partition: 0, next: 0 });
        let records = [vec![record(Topic::Risks); 5], vec![record(Topic::Facts); 5]].concat();
        log.producer().unwrap().append(records).unwrap();
        assert_eq!(cursors.gather(5, HOUR), Gathered::Much);
        assert_eq!(cursors.gather(6, HOUR), Gathered::Waited, "of the topic that it reads there are five");
        cursors.waker().ring();
        assert_eq!(cursors.gather(6, HOUR), Gathered::Rung);
        // It was the poll that was meant: it does not wait.
        let budget = Budget { records: 9, bytes: 1 << 20, wait: HOUR };
        assert_eq!(cursors.take_or_wait(budget).unwrap().len(), 5);
        assert_eq!(cursors.gather(1, Duration::ZERO), Gathered::Waited, "they were taken");
        cursors.waker().ring();
        assert_eq!(cursors.gather(1, HOUR), Gathered::Rung);
        assert!(cursors.take_or_wait(budget).unwrap().is_empty());
        cursors.rewind(|_, _| Ok(0)).unwrap();
        assert_eq!(cursors.gather(5, HOUR), Gathered::Much, "they come again");
        cursors.hold(&BTreeSet::from([(Topic::Risks, 0)]), |_, _| Ok(0)).unwrap();
        assert_eq!(cursors.gather(1, Duration::ZERO), Gathered::Waited, "held");
    }
}
