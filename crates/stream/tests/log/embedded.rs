//! What only the embedded log promises: its directory, its threads, its memory, its retention.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tributary_model::Topic;
use tributary_model::topic::partition_of;
use tributary_stream::clock::{Clock, ManualClock};
use tributary_stream::log::{Budget, Checkpoint, Log, Polled, Start, Transaction, Worker};
use tributary_stream::{EmbeddedLog, EmbeddedSettings, Position};

use crate::steps::{IN, append, budget, drain, read, record, started, worker};
use crate::{Embedded, LogFactory, open};

#[test]
fn a_directory_is_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(0);
    let first = open(directory.path(), &clock).unwrap();
    let refused = open(directory.path(), &clock).err().unwrap().to_string();
    assert!(refused.contains("in use"), "{refused}");
    drop(first);
    open(directory.path(), &clock).unwrap();
}

#[test]
fn a_newer_format_and_another_partition_count_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    drop(open(directory.path(), &clock).unwrap());
    let settings = EmbeddedSettings { partitions: Some(5), ..EmbeddedSettings::default() };
    let refused = EmbeddedLog::open(directory.path(), settings, clock.clone()).err().unwrap().to_string();
    assert!(refused.contains("made with 4 partitions"), "{refused}");
    let file = directory.path().join("tributary-log-format");
    for (content, words) in [("4\n", "newer version"), ("x", "restore the directory")] {
        std::fs::write(&file, content).unwrap();
        let refused = open(directory.path(), &clock).err().unwrap().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn an_older_format_is_read_and_raised() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let file = directory.path().join("tributary-log-format");
    let log: Arc<dyn Log> = Arc::new(open(directory.path(), &clock).unwrap());
    // One at a time they are stored as formats 1 and 2 stored all.
    let large = "as format 2 compressed it ".repeat(400);
    for value in ["0", "1", &large] {
        append(&log, vec![record(Topic::Risks, "k", value)]);
    }
    drop(log);
    for older in ["1\n", "2\n"] {
        std::fs::write(&file, older).unwrap();
        let log: Arc<dyn Log> = Arc::new(open(directory.path(), &clock).unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "3\n");
        let values = read(&log, Topic::Risks).into_iter().map(|message| message.value.unwrap());
        assert_eq!(values.collect::<Vec<_>>(), ["0", "1", &large]);
    }
}

#[test]
fn a_block_is_read_from_its_middle_and_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let log: Arc<dyn Log> = Arc::new(open(directory.path(), &clock).unwrap());
    for first in [0, 500] {
        let numbers = first..first + 500;
        append(&log, numbers.map(|n| record(Topic::Risks, "k", &format!("{n} {}", "x".repeat(n % 300)))).collect());
    }
    drop(log);
    let log: Arc<dyn Log> = Arc::new(open(directory.path(), &clock).unwrap());
    let partition = partition_of("k", 4);
    for start in [0, 1, 499, 500, 777] {
        let at = Start::At(vec![Position { topic: Topic::Risks, partition, next: start }]);
        let mut reader = log.reader(&[(Topic::Risks, partition)], &at).unwrap();
        let mut offsets = Vec::new();
        while offsets.len() < 1000 - start as usize {
            let messages = reader.read(budget(7)).unwrap().messages;
            assert!(!messages.is_empty(), "stopped at {:?}", offsets.last());
            for message in messages {
                let value = String::from_utf8(message.value.unwrap().to_vec()).unwrap();
                assert_eq!(value.split_once(' ').unwrap().0, message.offset.to_string());
                offsets.push(message.offset);
            }
        }
        assert_eq!(offsets, (start..1000).collect::<Vec<u64>>());
    }
}

#[test]
fn partitions_that_are_not_asked_for_are_those_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let opened = |partitions| {
        let settings = EmbeddedSettings { partitions, ..EmbeddedSettings::default() };
        EmbeddedLog::open(directory.path(), settings, Arc::new(ManualClock::at(0)))
            .map(|log| log.partitions(Topic::Risks))
    };
    assert_eq!(opened(Some(3)).unwrap(), 3);
    assert_eq!(opened(None).unwrap(), 3);
    assert!(opened(Some(4)).is_err());
}

#[test]
fn settings_are_checked_before_anything_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { partitions: Some(0), ..EmbeddedSettings::default() };
    assert!(EmbeddedLog::open(directory.path(), settings, Arc::new(ManualClock::at(0))).is_err());
    let settings = EmbeddedSettings { tombstone_ms: 1, ..EmbeddedSettings::default() };
    assert!(EmbeddedLog::open(directory.path(), settings, Arc::new(ManualClock::at(0))).is_err());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_waiting_poll_is_woken_by_an_append() {
    let factory = Embedded::new();
    let log = factory.log();
    let mut worker = started(&log, "g");
    let waiting = std::thread::spawn(move || {
        let budget = Budget { records: 10, bytes: 1 << 20, wait: Duration::from_secs(60) };
        match worker.poll(budget).unwrap() {
            Polled::Batch(batch) => batch.len(),
            other => panic!("{other:?}"),
        }
    });
    append(&log, vec![record(Topic::Facts, "k", "not subscribed"), record(Topic::Observations, "k", "1")]);
    assert_eq!(waiting.join().unwrap(), 1);
}

#[test]
fn a_waiting_poll_is_woken_by_its_waker() {
    let factory = Embedded::new();
    let log = factory.log();
    let mut worker = started(&log, "g");
    let waker = worker.waker();
    let waiting = std::thread::spawn(move || {
        let budget = Budget { records: 10, bytes: 1 << 20, wait: Duration::from_secs(3600) };
        worker.poll(budget).unwrap() == Polled::Batch(Vec::new())
    });
    waker.ring();
    assert!(waiting.join().unwrap());
}

#[test]
fn a_backlog_comes_oldest_first_whatever_partition_it_lies_in() {
    let factory = Embedded::new();
    let log = factory.log();
    let begun = factory.clock.now();
    // Unequal partitions, most of it out of memory by the end.
    let ages: Vec<i64> = (0..120).map(|n| begun + n).collect();
    for age in &ages {
        factory.clock.set(*age);
        append(&log, vec![record(IN, &format!("k{}", age % 7), &"x".repeat(2000))]);
    }
    let mut worker = started(&log, "g");
    let seen = |worker: &mut dyn Worker| drain(worker, ages.len()).iter().map(|m| m.timestamp).collect::<Vec<_>>();
    assert_eq!(seen(worker.as_mut()), ages);
    worker.rewind().unwrap();
    assert_eq!(seen(worker.as_mut()), ages);
    // What was read ahead of a pause comes after it, once.
    worker.rewind().unwrap();
    let first = drain(worker.as_mut(), 7);
    let held = BTreeSet::from([(IN, first[0].partition)]);
    worker.hold(&held).unwrap();
    let others = ages.len() - log.ends(&[IN]).unwrap()[first[0].partition as usize].next as usize;
    let passed = first.iter().filter(|message| message.partition != first[0].partition).count();
    let rest = drain(worker.as_mut(), others - passed);
    assert!(rest.iter().all(|message| message.partition != first[0].partition));
    worker.hold(&BTreeSet::new()).unwrap();
    let freed = drain(worker.as_mut(), ages.len() - others);
    assert!(freed.iter().all(|message| message.partition == first[0].partition));
}

#[test]
fn commits_of_many_threads_are_all_there_and_each_whole() {
    let mut factory = Embedded::new();
    std::thread::scope(|scope| {
        for slot in 0..4 {
            let log = factory.log();
            scope.spawn(move || {
                let mut worker = worker(&log, "g", (slot, 4));
                for round in 0..25 {
                    let outputs = (0..20).map(|n| record(Topic::Changes, &format!("{slot}.{n}"), &format!("{round}")));
                    let position = Position { topic: Topic::Observations, partition: slot, next: round };
                    let checkpoint = Checkpoint { position, note: bytes::Bytes::new() };
                    worker.commit(Transaction { outputs: outputs.collect(), checkpoints: vec![checkpoint] }).unwrap();
                }
            });
        }
    });
    factory.reopen();
    let log = factory.log();
    assert_eq!(read(&log, Topic::Changes).len(), 4 * 25 * 20);
    assert!(log.committed("g").unwrap().iter().all(|checkpoint| checkpoint.position.next == 24));
}

#[test]
fn consumed_records_are_dropped_by_age_and_unconsumed_ones_never() {
    let factory = Embedded::new();
    let log = factory.log();
    append(&log, vec![record(Topic::Observations, "k", "old")]);
    append(&log, vec![record(Topic::Changes, "k", "kept")]);
    factory.age(30);
    assert_eq!(read(&log, Topic::Observations).len(), 1, "nobody has read it");
    let mut worker = started(&log, "g");
    let consumed = drain(worker.as_mut(), 1);
    let position = Position { next: 1, topic: Topic::Observations, partition: consumed[0].partition };
    let checkpoints = vec![Checkpoint { position, note: bytes::Bytes::new() }];
    worker.commit(Transaction { outputs: Vec::new(), checkpoints }).unwrap();
    append(&log, vec![record(Topic::Observations, "k", "young")]);
    factory.age(0);
    let left = read_disk(&factory, Topic::Observations);
    assert_eq!(left, ["young"]);
    assert_eq!(read_disk(&factory, Topic::Changes), ["kept"]);
}

#[test]
fn superseded_records_are_cleaned_between_commits() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let log: Arc<dyn Log> = Arc::new(open(directory.path(), &clock).unwrap());
    // 12 MB of one partition that hardly compress, of which ten records are the latest.
    let mut seed = 1;
    let key = (0..).map(|n| format!("k{n}")).filter(|key| partition_of(key, 4) == 0);
    let keys: Vec<String> = key.take(10).collect();
    for _ in 0..150 {
        let values = keys.iter().map(|key| record(Topic::Risks, key, &noise(&mut seed, 8_000)));
        append(&log, values.collect());
    }
    clock.set(61_000);
    // A step after each commit: some read, some remove, and what comes meanwhile stays.
    for n in 0..20 {
        append(&log, vec![record(Topic::Risks, &keys[n % 10], &format!("late {n}"))]);
    }
    drop(log);
    let log: Arc<dyn Log> = Arc::new(open(directory.path(), &clock).unwrap());
    let messages = read(&log, Topic::Risks);
    assert!((10..=30).contains(&messages.len()), "{} records are left", messages.len());
    let latest: BTreeMap<_, _> = messages.iter().map(|message| (message.key_str(), &message.value)).collect();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(latest[key.as_str()].as_deref(), Some(format!("late {}", n + 10).as_bytes()));
    }
}

/// Letters without a pattern; the same for the same seed.
fn noise(seed: &mut u64, letters: usize) -> String {
    let mut letter = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (*seed >> 57) as u8 % 94)
    };
    (0..letters).map(|_| letter()).collect()
}

/// Values as a reader gets them who is too late for the tail.
fn read_disk(factory: &Embedded, topic: Topic) -> Vec<String> {
    let log = factory.log();
    let filler = (0..200).map(|n| record(Topic::RawIntel, &format!("f{n}"), &"x".repeat(1000))).collect();
    append(&log, filler);
    let partitions: Vec<_> = (0..4).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let messages = reader.read(budget(100)).unwrap().messages;
    messages.iter().map(|message| String::from_utf8(message.value.clone().unwrap().to_vec()).unwrap()).collect()
}
