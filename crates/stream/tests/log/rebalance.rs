//! Workers come and go on a real broker: 1 → 2 → 1, and nothing is lost or done twice.
//!
//! Each worker counts records per key. Its counts live in memory and in a compacted topic, as a stage's state does, and every
//! record is answered by one that carries the count: so a record that is lost, done twice or counted on stale state shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tributary_model::Topic;
use tributary_stream::log::{Budget, Checkpoint, Log, LogError, Polled, Start, Subscription, Transaction, Worker};
use tributary_stream::{KafkaLog, KafkaSettings, Message, Output, Position};

use crate::broker::{self, SUITE};
use crate::steps::{append, budget, read, record};

const IN: Topic = Topic::Observations;
const STATE: Topic = Topic::Risks;
const ANSWERS: Topic = Topic::Changes;
const KEYS: usize = 24;
const PATIENCE: Duration = Duration::from_secs(90);

/// A worker on a thread of its own.
struct Member {
    stop: Arc<AtomicBool>,
    shared: Arc<Seen>,
    thread: std::thread::JoinHandle<()>,
}

/// What the test may see of a worker.
#[derive(Default)]
struct Seen {
    owned: AtomicUsize,
    done: AtomicUsize,
    /// Partitions whose state it loaded.
    restored: AtomicUsize,
}

impl Member {
    fn start(log: Arc<dyn Log>) -> Self {
        let (stop, shared) = (Arc::<AtomicBool>::default(), Arc::<Seen>::default());
        let (to_stop, seen) = (Arc::clone(&stop), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let subscription = Subscription { group: "count".to_owned(), topics: vec![IN], slot: 0, slots: 1 };
            let worker = log.worker(&subscription).unwrap();
            Counter { log, worker, counts: BTreeMap::new(), seen }.run(&to_stop);
        });
        Self { stop, shared, thread }
    }

    fn owned(&self) -> usize {
        self.shared.owned.load(Ordering::SeqCst)
    }

    fn stop(self) -> Arc<Seen> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.shared
    }
}

struct Counter {
    log: Arc<dyn Log>,
    worker: Box<dyn Worker>,
    /// By partition and key.
    counts: BTreeMap<u32, BTreeMap<Bytes, u64>>,
    seen: Arc<Seen>,
}

impl Counter {
    fn run(mut self, stop: &AtomicBool) {
        let budget = Budget { records: 5, bytes: 1 << 20, wait: Duration::from_millis(50) };
        while !stop.load(Ordering::SeqCst) {
            let done = match self.worker.poll(budget).unwrap() {
                Polled::Assigned(partitions) => self.restore(&partitions),
                Polled::Revoked(partitions) => {
                    self.counts.retain(|partition, _| !partitions.contains(partition));
                    Ok(())
                }
                Polled::Batch(batch) => self.count(&batch),
            };
            match done {
                Ok(()) => {}
                Err(LogError::Abort { .. } | LogError::Retry { .. }) => self.worker.rewind().unwrap(),
                Err(error) => panic!("{error}"),
            }
            self.seen.owned.store(self.counts.len(), Ordering::SeqCst);
        }
    }

    fn restore(&mut self, partitions: &[u32]) -> Result<(), LogError> {
        for partition in partitions {
            let counts = self.counts.entry(*partition).or_default();
            let mut reader = self.log.reader(&[(STATE, *partition)], &Start::Beginning)?;
            loop {
                let read = reader.read(budget(100))?;
                counts.extend(read.messages.iter().map(|message| (message.key.clone(), number(message))));
                if read.at_end {
                    break;
                }
            }
            self.seen.restored.fetch_add(1, Ordering::SeqCst);
        }
        self.worker.start(partitions)
    }

    fn count(&mut self, batch: &[Message]) -> Result<(), LogError> {
        let mut counts = self.counts.clone();
        let mut transaction = Transaction::default();
        let mut next = BTreeMap::new();
        for message in batch {
            let count = counts.get_mut(&message.partition).unwrap().entry(message.key.clone()).or_default();
            *count += 1;
            let answer = format!("{}:{count}", String::from_utf8_lossy(message.value.as_ref().unwrap()));
            transaction.outputs.push(record(STATE, message.key_str(), &count.to_string()));
            transaction.outputs.push(record(ANSWERS, message.key_str(), &answer));
            next.insert(message.partition, message.offset + 1);
        }
        let checkpoint = |(partition, next)| Checkpoint {
            position: Position { topic: IN, partition, next },
            note: Bytes::from_static(b"note"),
        };
        transaction.checkpoints = next.into_iter().map(checkpoint).collect();
        self.worker.commit(transaction)?;
        self.seen.done.fetch_add(batch.len(), Ordering::SeqCst);
        self.counts = counts;
        Ok(())
    }
}

fn number(message: &Message) -> u64 {
    std::str::from_utf8(message.value.as_ref().unwrap()).unwrap().parse().unwrap()
}

/// Appends so many records per key, each with its number in the order of its key.
fn feed(log: &Arc<dyn Log>, numbers: std::ops::Range<usize>) {
    let records =
        numbers.flat_map(|n| (0..KEYS).map(move |key| record(IN, &format!("k{key}"), &format!("k{key}.{n}"))));
    let records: Vec<Output> = records.collect();
    for some in records.chunks(KEYS) {
        append(log, some.to_vec());
    }
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn one_two_one_workers_lose_and_repeat_nothing() {
    let prefix = broker::fresh_prefix();
    broker::make_topics(&broker::settings(&prefix, "a"));
    let connect = |instance: &str| -> Arc<dyn Log> {
        let settings = KafkaSettings { session_timeout_ms: 3_000, ..broker::settings(&prefix, instance) };
        Arc::new(KafkaLog::connect(settings, &SUITE).unwrap())
    };
    let log = connect("a");
    let done = |of: &[&Member]| of.iter().map(|member| member.shared.done.load(Ordering::SeqCst)).sum::<usize>();

    let first = Member::start(connect("a"));
    feed(&log, 0..10);
    wait_until("the first does everything", || done(&[&first]) == 10 * KEYS);
    assert_eq!(first.shared.restored.load(Ordering::SeqCst), 4);

    let second = Member::start(connect("b"));
    // Records keep coming while partitions move.
    feed(&log, 10..30);
    wait_until("they share", || first.owned() == 2 && second.owned() == 2);
    feed(&log, 30..40);
    wait_until("they do everything", || done(&[&first, &second]) == 40 * KEYS);
    assert_eq!(first.shared.restored.load(Ordering::SeqCst), 4, "what it kept it did not load again");

    let second = second.stop();
    assert!(second.done.load(Ordering::SeqCst) > 0);
    feed(&log, 40..60);
    let others = second.done.load(Ordering::SeqCst);
    wait_until("the first does everything again", || done(&[&first]) + others == 60 * KEYS);
    let first = first.stop();
    assert_eq!(first.restored.load(Ordering::SeqCst), 6, "it loaded what came back, and only that");

    let answers = read(&log, ANSWERS);
    let expected: BTreeSet<String> =
        (0..KEYS).flat_map(|key| (0..60).map(move |n| format!("k{key}.{n}:{}", n + 1))).collect();
    let values: BTreeSet<String> =
        answers.iter().map(|message| String::from_utf8(message.value.clone().unwrap().to_vec()).unwrap()).collect();
    assert_eq!(answers.len(), expected.len(), "none is lost, none is there twice");
    assert!(values == expected, "{:?}", values.symmetric_difference(&expected).take(5).collect::<Vec<_>>());
}
