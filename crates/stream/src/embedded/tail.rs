//! What is durable and in memory: the end of every partition, its newest records, and who waits for more.
//! The committer writes here after the disk has it; everybody else reads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_model::Topic;

use crate::log::Waker;
use crate::message::Message;

/// Approximate memory of a message beside its bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// All partitions of all topics.
pub(super) struct Tails {
    partitions: u32,
    /// By topic code, then partition.
    all: Vec<Tail>,
    waiters: Mutex<Vec<Arc<Waiter>>>,
}

struct Tail {
    /// One past the newest durable record.
    end: AtomicU64,
    newest: Mutex<Newest>,
}

/// The newest records of a partition, complete from `base` to the end.
#[derive(Default)]
struct Newest {
    base: u64,
    records: VecDeque<Message>,
}

/// A worker or reader that may wait, and for which topics.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    pub waker: Waker,
    /// One bit per topic code; there are fewer than 32 topics.
    topics: AtomicU32,
}

impl Waiter {
    /// Waits for records of these topics.
    pub(super) fn new(topics: impl IntoIterator<Item = Topic>) -> Arc<Self> {
        let waiter = Self::default();
        waiter.topics.store(mask(topics), Ordering::Relaxed);
        Arc::new(waiter)
    }
}

fn mask(topics: impl IntoIterator<Item = Topic>) -> u32 {
    topics.into_iter().fold(0, |mask, topic| mask | 1 << topic.code())
}

impl Tails {
    /// Tails whose ends are known.
    pub(super) fn new(partitions: u32, ends: impl IntoIterator<Item = u64>) -> Self {
        let all = ends
            .into_iter()
            .map(|end| Tail {
                end: AtomicU64::new(end),
                newest: Mutex::new(Newest { base: end, records: VecDeque::new() }),
            })
            .collect();
        Self { partitions, all, waiters: Mutex::default() }
    }

    /// Partitions of every topic.
    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Where a partition is among all.
    pub(super) fn index(&self, topic: Topic, partition: u32) -> usize {
        topic.code() as usize * self.partitions as usize + partition as usize
    }

    /// One past the newest durable record.
    pub(super) fn end(&self, topic: Topic, partition: u32) -> u64 {
        self.all.get(self.index(topic, partition)).map_or(0, |tail| tail.end.load(Ordering::Acquire))
    }

    /// Records from `from` on, if memory still has them all: where to read on, and their bytes.
    pub(super) fn read(
        &self,
        (topic, partition): (Topic, u32),
        from: u64,
        (records, bytes): (usize, usize),
        into: &mut Vec<Message>,
    ) -> Option<(u64, usize)> {
        let tail = self.all.get(self.index(topic, partition))?;
        let newest = lock(&tail.newest);
        if from < newest.base {
            return None;
        }
        let first = newest.records.partition_point(|message| message.offset < from);
        let mut size = 0;
        into.reserve((newest.records.len() - first).min(records));
        for (taken, message) in newest.records.range(first..).enumerate() {
            let weight = weight(message);
            if taken > 0 && (taken >= records || size + weight > bytes) {
                return Some((message.offset, size));
            }
            size += weight;
            into.push(message.clone());
        }
        // The end is read under the lock under which it is written.
        Some((tail.end.load(Ordering::Acquire), size))
    }

    /// Makes durable records visible; answers the memory they take.
    pub(super) fn publish(&self, index: usize, records: Vec<Message>, end: u64) -> usize {
        let Some(tail) = self.all.get(index) else { return 0 };
        let mut newest = lock(&tail.newest);
        let size = records.iter().map(weight).sum();
        newest.records.extend(records);
        tail.end.store(end, Ordering::Release);
        size
    }

    /// Drops the oldest `count` records of a partition from memory.
    pub(super) fn evict(&self, index: usize, count: usize) {
        let Some(tail) = self.all.get(index) else { return };
        let mut newest = lock(&tail.newest);
        for _ in 0..count {
            if let Some(gone) = newest.records.pop_front() {
                newest.base = gone.offset + 1;
            }
        }
    }

    /// Registers a waiter.
    pub(super) fn register(&self, waiter: &Arc<Waiter>) {
        lock(&self.waiters).push(Arc::clone(waiter));
    }

    /// Forgets a waiter.
    pub(super) fn forget(&self, waiter: &Arc<Waiter>) {
        lock(&self.waiters).retain(|other| !Arc::ptr_eq(other, waiter));
    }

    /// Nudges whoever waits for these topics.
    pub(super) fn nudge(&self, topics: impl IntoIterator<Item = Topic>) {
        let touched = mask(topics);
        for waiter in lock(&self.waiters).iter() {
            if waiter.topics.load(Ordering::Relaxed) & touched != 0 {
                waiter.waker.nudge();
            }
        }
    }
}

/// Memory of a message.
pub(super) fn weight(message: &Message) -> usize {
    message.key.len() + message.value.as_ref().map_or(0, bytes::Bytes::len) + MESSAGE_OVERHEAD_BYTES
}

/// Locks; a panic elsewhere while holding the lock does not make the data wrong (every section here is one step).
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
