//! What the embedded log costs: commit by topic kind and writers, poll from memory, read from disk.
//! `cargo bench -p tributary-stream --bench embedded`; figures are records per second of 400 B values.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failure here is a failed test, and says where

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use tributary_model::Topic;
use tributary_stream::clock::SystemClock;
use tributary_stream::log::{Budget, Log, Polled, Start, Subscription, Transaction, Worker};
use tributary_stream::{EmbeddedLog, EmbeddedSettings, Output};

const VALUE_BYTES: usize = 400;

fn open() -> (TempDir, EmbeddedLog) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = EmbeddedLog::open(directory.path(), EmbeddedSettings::default(), Arc::new(SystemClock));
    (directory, log.expect("an empty directory opens"))
}

/// Values that do not compress to nothing: the key's number, hashed along.
fn value(seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let bytes = (0..VALUE_BYTES).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'a' + (state % 16) as u8
    });
    bytes.collect()
}

fn batch(topic: Topic, records: u64, keys: &AtomicU64, modulo: u64) -> Vec<Output> {
    (0..records)
        .map(|_| {
            let number = keys.fetch_add(1, Ordering::Relaxed) % modulo;
            let key = format!("key-{number:012}");
            Output {
                topic,
                partition_key: key.clone(),
                key: Bytes::from(key),
                value: Some(value(number)),
                headers: Vec::new(),
            }
        })
        .collect()
}

fn worker(log: &EmbeddedLog, slot: u32, slots: u32) -> Box<dyn Worker> {
    let subscription = Subscription { group: "bench".to_owned(), topics: vec![Topic::Facts], slot, slots };
    log.worker(&subscription).expect("a worker")
}

/// Time to commit `rounds` batches per writer, with so many writers; making the batches is not counted.
fn commit(log: &EmbeddedLog, topic: Topic, writers: u32, rounds: u64, records: u64, keys: &AtomicU64) -> Duration {
    let modulo = if topic == Topic::Risks { 200_000 } else { u64::MAX };
    let prepared: Vec<Vec<Vec<Output>>> =
        (0..writers).map(|_| (0..rounds).map(|_| batch(topic, records, keys, modulo)).collect()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (slot, batches) in prepared.into_iter().enumerate() {
            let mut worker = worker(log, slot as u32, writers);
            scope.spawn(move || {
                for outputs in batches {
                    let transaction = Transaction { outputs, checkpoints: Vec::new() };
                    worker.commit(transaction).expect("a commit");
                }
            });
        }
    });
    begun.elapsed()
}

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    for (topic, kind) in [(Topic::Changes, "appended"), (Topic::Risks, "compacted")] {
        for (writers, records) in [(1, 1_000), (1, 5_000), (4, 2_000)] {
            let (_directory, log) = open();
            let keys = AtomicU64::new(0);
            group.throughput(Throughput::Elements(u64::from(writers) * records));
            let id = BenchmarkId::new(kind, format!("{writers}x{records}"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|rounds| commit(&log, topic, writers, rounds, records, &keys));
            });
        }
    }
    group.finish();
}

fn filled(records: u64) -> (TempDir, EmbeddedLog) {
    let (directory, log) = open();
    let keys = AtomicU64::new(0);
    let producer = log.producer().expect("a producer");
    for _ in 0..records / 5_000 {
        producer.append(batch(Topic::Facts, 5_000, &keys, u64::MAX)).expect("an append");
    }
    (directory, log)
}

fn polls(criterion: &mut Criterion) {
    const RECORDS: u64 = 50_000;
    let (directory, log) = filled(RECORDS);
    let budget = Budget { records: 8192, bytes: 8 << 20, wait: Duration::ZERO };
    let mut group = criterion.benchmark_group("poll");
    group.sample_size(20).throughput(Throughput::Elements(RECORDS));
    let mut worker = worker(&log, 0, 1);
    let Ok(Polled::Assigned(partitions)) = worker.poll(budget) else { panic!("an assignment comes first") };
    worker.start(&partitions).expect("a start");
    group.bench_function("from memory", |bencher| {
        bencher.iter(|| {
            worker.rewind().expect("a rewind");
            let mut seen = 0;
            while seen < RECORDS {
                let Ok(Polled::Batch(messages)) = worker.poll(budget) else { panic!("a batch") };
                seen += messages.len() as u64;
                black_box(&messages);
            }
        });
    });
    drop(worker);
    drop(log);
    let settings = EmbeddedSettings::default();
    let log = EmbeddedLog::open(directory.path(), settings, Arc::new(SystemClock)).expect("it opens again");
    let partitions: Vec<_> = (0..log.partitions(Topic::Facts)).map(|partition| (Topic::Facts, partition)).collect();
    group.bench_function("from disk", |bencher| {
        bencher.iter(|| {
            let mut reader = log.reader(&partitions, &Start::Beginning).expect("a reader");
            while !black_box(reader.read(budget).expect("a read")).at_end {}
        });
    });
    group.finish();
}

criterion_group!(benches, commits, polls);
criterion_main!(benches);
