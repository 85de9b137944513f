use std::sync::Arc;

use tributary_stream::clock::ManualClock;
use tributary_stream::log::{Budget, Checkpoint, Polled, Subscription, Transaction, Worker};
use tributary_stream::{EmbeddedLog, EmbeddedSettings, Output, Position};

use super::*;

fn open(directory: &std::path::Path) -> Arc<dyn Log> {
    let settings = EmbeddedSettings { partitions: Some(1), ..EmbeddedSettings::default() };
    Arc::new(EmbeddedLog::open(directory, settings, Arc::new(ManualClock::at(1_000))).unwrap())
}

fn append(log: &dyn Log, topic: Topic, records: u64) {
    let record = |_| Output {
        topic,
        partition_key: "k".to_owned(),
        key: "k".into(),
        value: Some("x".into()),
        headers: Vec::new(),
    };
    log.producer().unwrap().append((0..records).map(record).collect()).unwrap();
}

/// A group that commits the ends of a topic, as one that has done everything.
fn worker(log: &dyn Log, group: &str, topic: Topic) -> Box<dyn Worker> {
    let subscription = Subscription { group: group.to_owned(), topics: vec![topic], slot: 0, slots: 1 };
    let mut worker = log.worker(&subscription).unwrap();
    let budget = Budget { records: 1, bytes: 1, wait: Duration::from_secs(1) };
    assert_eq!(worker.poll(budget).unwrap(), Polled::Assigned(vec![0]));
    worker.start(&[0]).unwrap();
    worker
}

fn all_done(log: &dyn Log, worker: &mut dyn Worker, topic: Topic) {
    let end: Position = log.ends(&[topic]).unwrap()[0];
    let checkpoints = vec![Checkpoint { position: end, note: "".into() }];
    worker.commit(Transaction { outputs: Vec::new(), checkpoints }).unwrap();
}

fn share() -> Vec<Message> {
    let message = |offset| Message {
        topic: Topic::BulkScanner,
        partition: 0,
        offset,
        timestamp: 0,
        key: "k".into(),
        value: Some("x".into()),
        headers: Vec::new(),
    };
    vec![message(7), message(8)]
}

/// A share in hand since now, and interactive work before it.
fn behind_others(log: &Arc<dyn Log>) -> (Valve, Instant) {
    append(log.as_ref(), Topic::RawScanner, 100);
    let (mut valve, begun) = (Valve::new(Arc::clone(log)), Instant::now());
    valve.take(share(), begun);
    (valve, begun)
}

#[test]
fn bulk_waits_for_interactive_work_and_for_the_stages() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let mut ingest = worker(log.as_ref(), GROUP, Topic::RawScanner);
    let mut assess = worker(log.as_ref(), "assess", Topic::Findings);
    let (mut valve, mut now) = (Valve::new(Arc::clone(&log)), Instant::now());
    let mut later = || {
        now += LOOK;
        now
    };
    append(log.as_ref(), Topic::RawScanner, INTERACTIVE_MAX + 1);
    valve.take(share(), later());
    assert_eq!(valve.pass(later()), Gate::Closed(LOOK), "interactive work is not done");
    all_done(log.as_ref(), ingest.as_mut(), Topic::RawScanner);
    append(log.as_ref(), Topic::Findings, STAGES_MAX + 1);
    assert_eq!(valve.pass(later()), Gate::Closed(LOOK), "ASSESS has much to do");
    all_done(log.as_ref(), assess.as_mut(), Topic::Findings);
    append(log.as_ref(), Topic::RawScanner, INTERACTIVE_MAX);
    assert_eq!(valve.pass(later()), Gate::Open(share()), "next to nothing is left");
    assert!(!valve.is_holding());
}

#[test]
fn what_waits_for_long_is_given_back_and_comes_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let mut ingest = worker(log.as_ref(), GROUP, Topic::RawScanner);
    let (mut valve, begun) = behind_others(&log);
    assert_eq!(valve.pass(begun), Gate::Closed(LOOK));
    assert_eq!(valve.pass(begun + IN_HAND), Gate::GiveBack);
    assert!(!valve.is_holding());
    assert_eq!(valve.shut().len(), Topic::BULK.len(), "nothing of the lane comes");
    valve.reopen(begun + IN_HAND + LOOK);
    assert!(!valve.shut().is_empty(), "interactive work is not done");
    all_done(log.as_ref(), ingest.as_mut(), Topic::RawScanner);
    valve.reopen(begun + IN_HAND + LOOK * 2);
    assert!(valve.shut().is_empty());
}

#[test]
fn bulk_is_never_kept_waiting_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let (mut valve, begun) = behind_others(&log);
    assert_eq!(valve.pass(begun + IN_HAND), Gate::GiveBack);
    valve.reopen(begun + PATIENCE.saturating_sub(LOOK));
    assert!(!valve.shut().is_empty());
    valve.reopen(begun + PATIENCE);
    assert!(valve.shut().is_empty());
    valve.take(share(), begun + PATIENCE);
    assert_eq!(valve.pass(begun + PATIENCE), Gate::Open(share()), "one share");
    valve.take(share(), begun + PATIENCE + LOOK);
    assert_eq!(valve.pass(begun + PATIENCE + LOOK), Gate::Closed(LOOK), "and not the next");
}

#[test]
fn what_was_taken_over_by_another_member_waits_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let mut ingest = worker(log.as_ref(), GROUP, Topic::RawScanner);
    let (mut valve, begun) = behind_others(&log);
    assert_eq!(valve.pass(begun + IN_HAND), Gate::GiveBack);
    valve.take(Vec::new(), begun + IN_HAND);
    all_done(log.as_ref(), ingest.as_mut(), Topic::RawScanner);
    valve.reopen(begun + IN_HAND + LOOK);
    // Its partitions have gone elsewhere: nothing comes. Much later something does, and its patience begins then.
    valve.take(Vec::new(), begun + PATIENCE);
    append(log.as_ref(), Topic::RawScanner, 100);
    valve.take(share(), begun + PATIENCE * 2);
    assert_eq!(valve.pass(begun + PATIENCE * 2), Gate::Closed(LOOK));
}
