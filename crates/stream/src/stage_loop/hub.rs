//! Broadcast within a process: one reader applies `context` and `intel` to the shared store, then tells every worker the names
//! of what changed. Names wait merged in the worker's mailbox, so what waits is bounded by what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tributary_model::Topic;
use tributary_model::versions::Implemented;

use super::{POLL_BYTES, POLL_RECORDS};
use crate::broadcast::{BroadcastStore, InForce};
use crate::log::{Budget, Log, LogError, Producer, Reader, Start, Waker};
use crate::message::{Output, Position};
use crate::metrics;
use crate::rejects;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store, how far it was read, and who is told.
#[derive(Debug, Default)]
pub struct Hub {
    store: Arc<BroadcastStore>,
    /// What this build can do; `None`: whatever is asked.
    implemented: Option<Implemented>,
    applied: Mutex<BTreeMap<(Topic, u32), u64>>,
    mailboxes: Mutex<Vec<Mailbox>>,
}

/// Where a worker finds the names of what changed.
#[derive(Debug, Clone)]
pub(super) struct Mailbox {
    topics: &'static [Topic],
    mail: Arc<Mutex<Mail>>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Mail {
    names: BTreeSet<String>,
    /// Where the reader was when it last wrote here.
    applied: BTreeMap<(Topic, u32), u64>,
}

impl Hub {
    /// A hub around an empty store.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A hub of a build that can do so much and no more.
    #[must_use]
    pub fn of_build(implemented: Implemented) -> Arc<Self> {
        Arc::new(Self { implemented: Some(implemented), ..Self::default() })
    }

    /// Why this build must not work on what is on the log; `None` if it may.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let implemented = self.implemented?;
        match self.store.in_force() {
            InForce::Known(versions) => implemented.obstacle(&versions),
            InForce::Unreadable => Some(
                "the versions in force were written by a newer build and cannot be read: upgrade this one".to_owned(),
            ),
        }
    }

    /// The shared store.
    #[must_use]
    pub fn store(&self) -> Arc<BroadcastStore> {
        Arc::clone(&self.store)
    }

    /// Whether the store holds at least everything before these positions.
    #[must_use]
    pub fn caught_up(&self, ends: &[Position]) -> bool {
        let applied = lock(&self.applied);
        ends.iter().all(|end| applied.get(&(end.topic, end.partition)).copied().unwrap_or(0) >= end.next)
    }

    /// Whether no worker has unread mail.
    pub(super) fn is_delivered(&self) -> bool {
        lock(&self.mailboxes).iter().all(Mailbox::is_empty)
    }

    pub(super) fn subscribe(&self, topics: &'static [Topic], waker: Waker) -> Mailbox {
        let mailbox = Mailbox { topics, mail: Arc::default(), waker };
        lock(&self.mailboxes).push(mailbox.clone());
        mailbox
    }

    pub(super) fn unsubscribe(&self, mailbox: &Mailbox) {
        lock(&self.mailboxes).retain(|other| !Arc::ptr_eq(&other.mail, &mailbox.mail));
    }

    fn post(&self, changed: &[(Topic, String)], positions: &[Position]) {
        let mut applied = lock(&self.applied);
        applied.extend(positions.iter().map(|position| ((position.topic, position.partition), position.next)));
        for mailbox in lock(&self.mailboxes).iter() {
            let mut mail = lock(&mailbox.mail);
            let mine = changed.iter().filter(|(topic, _)| mailbox.topics.contains(topic));
            mail.names.extend(mine.map(|(_, name)| name.clone()));
            mail.applied = applied.iter().filter(|(place, _)| mailbox.topics.contains(&place.0)).map(own).collect();
            drop(mail);
            mailbox.waker.ring();
        }
    }
}

fn own((place, next): (&(Topic, u32), &u64)) -> ((Topic, u32), u64) {
    (*place, *next)
}

impl Mailbox {
    /// At most `limit` names; once the box is empty, also how far the broadcasts have thereby been seen.
    pub(super) fn take(&self, limit: usize) -> (Vec<String>, Option<Vec<Position>>) {
        let mut mail = lock(&self.mail);
        let mut names = Vec::new();
        while names.len() < limit
            && let Some(name) = mail.names.pop_first()
        {
            names.push(name);
        }
        let seen = mail.names.is_empty().then(|| {
            let positions = mail.applied.iter();
            positions
                .map(|((topic, partition), next)| Position { topic: *topic, partition: *partition, next: *next })
                .collect()
        });
        (names, seen)
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.mail).names.is_empty()
    }
}

/// The one reader of the broadcast topics of a process.
pub struct Broadcaster {
    hub: Arc<Hub>,
    reader: Box<dyn Reader>,
    producer: Arc<dyn Producer>,
    /// Rejects that are not on the log yet.
    unsent: Vec<Output>,
    at_end: bool,
}

impl Broadcaster {
    /// A reader from the beginning of all broadcast topics.
    pub fn new(log: &dyn Log, hub: Arc<Hub>) -> Result<Self, LogError> {
        let topics = Topic::ALL.into_iter().filter(|topic| topic.is_broadcast());
        let partitions: Vec<_> =
            topics.flat_map(|topic| (0..log.partitions(topic)).map(move |partition| (topic, partition))).collect();
        Ok(Self {
            hub,
            reader: log.reader(&partitions, &Start::Beginning)?,
            producer: log.producer()?,
            unsent: Vec::new(),
            at_end: false,
        })
    }

    /// Reads once, waiting at most so long; answers whether anything was applied. Store first, then the mailboxes.
    pub fn turn(&mut self, wait: Duration) -> Result<bool, LogError> {
        let read = self.reader.read(Budget { records: POLL_RECORDS, bytes: POLL_BYTES, wait })?;
        self.at_end = read.at_end;
        let mut changed = Vec::with_capacity(read.messages.len());
        for message in &read.messages {
            match self.hub.store.apply(message) {
                Ok(name) => changed.push((message.topic, name)),
                Err(reject) => self.unsent.push(rejects::output(*reject, message, "broadcast", message.timestamp)),
            }
        }
        self.hub.post(&changed, &self.reader.positions());
        metrics::broadcast_applied(changed.len(), self.hub.store.len());
        if !self.unsent.is_empty() {
            self.producer.append(self.unsent.clone())?;
            self.unsent.clear();
        }
        Ok(!read.messages.is_empty())
    }

    /// Whether the last turn came to the ends of all broadcast topics.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// Rings it out of a waiting turn.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.reader.waker()
    }
}
