//! What the properties and the tests of one implementation do to a log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::topic::partition_of;
use tributary_stream::log::{Budget, Checkpoint, Log, Polled, Start, Subscription, Transaction, Worker};
use tributary_stream::{LogError, Message, Output, Position};

pub(crate) const IN: Topic = Topic::Observations;
pub(crate) const OUT: Topic = Topic::Risks;
/// Only a failure takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn budget(records: usize) -> Budget {
    Budget { records, bytes: 64 << 20, wait: Duration::ZERO }
}

pub(crate) fn record(topic: Topic, key: &str, value: &str) -> Output {
    let headers = vec![("n".to_owned(), value.to_owned())];
    let (key, partition_key) = (Bytes::from(key.to_owned()), key.to_owned());
    Output { topic, partition_key, key, value: Some(Bytes::from(value.to_owned())), headers }
}

pub(crate) fn tombstone(topic: Topic, key: &str) -> Output {
    Output { value: None, headers: Vec::new(), ..record(topic, key, "") }
}

pub(crate) fn append(log: &Arc<dyn Log>, records: Vec<Output>) -> Vec<Position> {
    log.producer().unwrap().append(records).unwrap()
}

pub(crate) fn worker(log: &Arc<dyn Log>, group: &str, (slot, slots): (u32, u32)) -> Box<dyn Worker> {
    log.worker(&Subscription { group: group.to_owned(), topics: vec![IN], slot, slots }).unwrap()
}

/// Waits for what is there: on a cluster it takes a moment to come.
pub(crate) fn patient(records: usize) -> Budget {
    Budget { wait: PATIENCE, ..budget(records) }
}

/// The first assignment.
pub(crate) fn assigned(worker: &mut dyn Worker) -> Vec<u32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match worker.poll(patient(1)).unwrap() {
            Polled::Assigned(partitions) => return partitions,
            Polled::Batch(batch) if batch.is_empty() && Instant::now() < deadline => {}
            other => panic!("an assignment comes first, not {other:?}"),
        }
    }
}

/// A worker that took its assignment and started it.
pub(crate) fn started(log: &Arc<dyn Log>, group: &str) -> Box<dyn Worker> {
    let mut worker = worker(log, group, (0, 1));
    let partitions = assigned(worker.as_mut());
    worker.start(&partitions).unwrap();
    worker
}

/// Polls until so many records came; more than that is a failure.
pub(crate) fn drain(worker: &mut dyn Worker, expected: usize) -> Vec<Message> {
    let mut all = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while all.len() < expected {
        match worker.poll(patient(7)).unwrap() {
            Polled::Batch(batch) => all.extend(batch),
            other => panic!("unexpected {other:?}"),
        }
        assert!(Instant::now() < deadline, "{} of {expected} records came", all.len());
    }
    assert_eq!(all.len(), expected);
    all
}

/// Whether a worker has read everything: the next records it gets are those that are appended now, to every partition.
pub(crate) fn is_drained(log: &Arc<dyn Log>, worker: &mut dyn Worker) -> bool {
    append(log, one_for_every_partition("now"));
    let next = drain(worker, 4);
    values(&next).iter().all(|value| value == "now")
}

pub(crate) fn one_for_every_partition(value: &str) -> Vec<Output> {
    let key_of = |partition| (0..1000).map(|n| format!("p{n}")).find(|key| partition_of(key, 4) == partition);
    (0..4).filter_map(key_of).map(|key| record(IN, &key, value)).collect()
}

pub(crate) fn read_from(log: &Arc<dyn Log>, topic: Topic, start: &Start) -> Vec<Message> {
    let partitions: Vec<_> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, start).unwrap();
    let mut all = Vec::new();
    loop {
        let read = reader.read(budget(5)).unwrap();
        all.extend(read.messages);
        if read.at_end {
            return all;
        }
    }
}

pub(crate) fn read(log: &Arc<dyn Log>, topic: Topic) -> Vec<Message> {
    read_from(log, topic, &Start::Beginning)
}

pub(crate) fn values(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| String::from_utf8(message.value.clone().unwrap_or_default().to_vec()).unwrap();
    messages.iter().map(text).collect()
}

pub(crate) fn sorted_values(messages: &[Message]) -> BTreeSet<String> {
    values(messages).into_iter().collect()
}

pub(crate) fn latest(messages: &[Message]) -> BTreeMap<Bytes, Option<Bytes>> {
    messages.iter().map(|message| (message.key.clone(), message.value.clone())).collect()
}

/// Positions after these messages.
pub(crate) fn checkpoints(messages: &[Message]) -> Vec<Checkpoint> {
    let mut next = BTreeMap::new();
    for message in messages {
        next.insert((message.topic, message.partition), message.offset + 1);
    }
    let position = |((topic, partition), next)| Position { topic, partition, next };
    next.into_iter().map(|entry| Checkpoint { position: position(entry), note: Bytes::from_static(b"note") }).collect()
}

pub(crate) fn commit(worker: &mut dyn Worker, outputs: Vec<Output>, consumed: &[Message]) -> Result<(), LogError> {
    worker.commit(Transaction { outputs, checkpoints: checkpoints(consumed) })
}

pub(crate) fn numbered(topic: Topic, keys: usize, count: usize) -> Vec<Output> {
    (0..count).map(|n| record(topic, &format!("k{}", n % keys), &n.to_string())).collect()
}

/// Turns an idle worker until its group is behind by nothing.
pub(crate) fn wait_without_lag(log: &Arc<dyn Log>, worker: &mut dyn Worker, group: &str) {
    let deadline = Instant::now() + PATIENCE;
    while log.lag(group, &[IN]).unwrap().iter().any(|lag| lag.behind > 0) {
        let polled = worker.poll(Budget { wait: Duration::from_millis(50), ..budget(7) }).unwrap();
        assert_eq!(polled, Polled::Batch(Vec::new()));
        assert!(Instant::now() < deadline, "{:?}", log.lag(group, &[IN]).unwrap());
    }
}
