//! What a restart takes from snapshots, and what it takes only from the log.

use std::path::PathBuf;

use super::*;
use crate::Snapshots;
use crate::log::{Checkpoint, LogError, Producer, Reader, Subscription, Worker};
use crate::message::{Output, Position};
use crate::stage_loop::worker::{StageWorker, Turn};

/// A worker of its own on the log, with snapshots beside it, turned by hand until it has nothing to do.
struct Hand {
    bed: Bed,
    build: &'static str,
    /// Whether the log can tell itself from another.
    tells: bool,
}

/// A log that cannot say at the moment which one it is.
struct Dumb(Arc<dyn Log>);

impl Log for Dumb {
    fn partitions(&self, topic: Topic) -> u32 {
        self.0.partitions(topic)
    }

    fn worker(&self, subscription: &Subscription) -> Result<Box<dyn Worker>, LogError> {
        self.0.worker(subscription)
    }

    fn producer(&self) -> Result<Arc<dyn Producer>, LogError> {
        self.0.producer()
    }

    fn reader(&self, partitions: &[(Topic, u32)], start: &Start) -> Result<Box<dyn Reader>, LogError> {
        self.0.reader(partitions, start)
    }

    fn ends(&self, topics: &[Topic]) -> Result<Vec<Position>, LogError> {
        self.0.ends(topics)
    }

    fn lineage(&self, _: &[(Topic, u32)]) -> Result<Option<Vec<String>>, LogError> {
        Err(LogError::retry("no answer"))
    }

    fn committed(&self, group: &str) -> Result<Vec<Checkpoint>, LogError> {
        self.0.committed(group)
    }
}

impl Hand {
    fn new() -> Self {
        Self { bed: Bed::new(), build: "b1", tells: true }
    }

    fn directory(&self) -> PathBuf {
        self.bed.directory.path().join("snapshots")
    }

    fn snapshots(&self) -> Snapshots {
        Snapshots::in_directory(&self.directory(), self.build).unwrap().always()
    }

    /// A worker that has done all there is, and of how many records its restore read how many from snapshots.
    fn start(&self) -> (StageWorker, (usize, usize)) {
        let (worker, broadcaster) = self.worker();
        Self::rest(worker, broadcaster)
    }

    fn worker(&self) -> (StageWorker, Broadcaster) {
        let hub = Hub::of_build(BUILD);
        let log = if self.tells { self.bed.log() } else { Arc::new(Dumb(self.bed.log())) };
        let broadcaster = Broadcaster::new(log.as_ref(), Arc::clone(&hub)).unwrap();
        let worker = StageWorker::new(log, spec(), (0, 1), hub, Arc::new(self.bed.clock.clone())).unwrap();
        (worker.with_snapshots(Some(self.snapshots())), broadcaster)
    }

    fn rest(mut worker: StageWorker, mut broadcaster: Broadcaster) -> (StageWorker, (usize, usize)) {
        let (mut idle, mut seen) = (0, (0, 0));
        while idle < 3 {
            broadcaster.turn(Duration::ZERO).unwrap();
            let turn = worker.turn(Duration::ZERO).unwrap();
            let progress = worker.progress();
            seen = seen.max((progress.loaded, progress.adopted));
            idle = if turn == Turn::Idle && worker.is_ready() { idle + 1 } else { 0 };
        }
        (worker, seen)
    }

    /// Records that a restart takes from snapshots.
    fn adopted(&self) -> usize {
        self.start().1.1
    }

    fn totals(&self) -> std::collections::BTreeMap<String, i64> {
        counts(&self.bed.read(Topic::Risks))
    }

    fn written(&self) -> u64 {
        self.bed.log().ends(&[Topic::Risks]).unwrap().iter().map(|end| end.next).sum()
    }
}

fn batch(count: i64) -> Vec<Output> {
    (0..count).map(|n| add(&format!("k{}", n % 40), 1)).collect()
}

#[test]
fn a_restart_takes_the_snapshot_and_only_the_end_of_the_log() {
    let mut hand = Hand::new();
    hand.bed.append(batch(400));
    drop(hand.start());
    let before = hand.written();
    hand.bed.reopen();
    let (mut worker, seen) = hand.start();
    assert_eq!((seen, hand.written()), ((40, 40), before), "40 totals, and nothing is written again");
    // Something that no snapshot has: the worker is killed before it may write one.
    hand.bed.append(vec![add("k1", 5), add("new", 1)]);
    while worker.turn(Duration::ZERO).unwrap() != Turn::Worked {}
    drop(worker);
    let (_worker, _) = hand.start();
    let totals = hand.totals();
    assert_eq!((totals["k1"], totals["k2"], totals["new"]), (15, 10, 1));
}

#[test]
fn what_the_snapshot_lacks_is_read_from_the_log() {
    let hand = Hand::new();
    hand.bed.append(batch(400));
    drop(hand.start());
    let old: Vec<_> = std::fs::read_dir(hand.directory()).unwrap().map(|file| file.unwrap().path()).collect();
    let kept: Vec<_> = old.iter().map(|file| std::fs::read(file).unwrap()).collect();
    hand.bed.append(vec![add("k3", 90), add("k4", Counter::EXPIRES)]);
    drop(hand.start());
    // As after a kill long after the last snapshot.
    for (file, content) in old.iter().zip(kept) {
        std::fs::write(file, content).unwrap();
    }
    let before = hand.written();
    let (worker, seen) = hand.start();
    assert_eq!((seen, hand.written()), ((42, 40), before), "the snapshot's 40, and two of the log over them");
    drop(worker);
    hand.bed.append(vec![add("k3", 1)]);
    hand.start();
    assert_eq!(hand.totals()["k3"], 101);
}

#[test]
fn a_snapshot_that_does_not_fit_is_not_taken() {
    let mut hand = Hand::new();
    hand.bed.append(batch(400));
    drop(hand.start());
    assert_eq!(hand.adopted(), 40);
    hand.build = "b2";
    assert_eq!(hand.adopted(), 0, "of another build");
    assert_eq!(hand.adopted(), 40, "its own, which it has written meanwhile");
    hand.bed.clock.set(1_000 + 8 * tributary_model::time::DAY);
    assert_eq!(hand.adopted(), 0, "older than tombstones live");
    for file in std::fs::read_dir(hand.directory()).unwrap() {
        let file = file.unwrap().path();
        let mut content = std::fs::read(&file).unwrap();
        let middle = content.len() - 20;
        content[middle] ^= 1;
        std::fs::write(file, content).unwrap();
    }
    assert_eq!(hand.adopted(), 0, "damaged");
    assert_eq!(hand.totals()["k1"], 10);
}

#[test]
fn a_snapshot_of_another_log_is_not_taken() {
    let hand = Hand::new();
    hand.bed.append(batch(400));
    drop(hand.start());
    let other = Hand::new();
    other.bed.append(batch(800));
    drop(other.start());
    for file in std::fs::read_dir(hand.directory()).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, other.directory().join(file.file_name().unwrap())).unwrap();
    }
    assert_eq!(other.adopted(), 0);
    assert_eq!(other.totals()["k1"], 20);
    assert_eq!(other.adopted(), 40, "its own again");
}

#[test]
fn a_log_that_cannot_tell_itself_from_another_is_read_and_the_work_goes_on() {
    let mut hand = Hand::new();
    hand.bed.append(batch(400));
    drop(hand.start());
    hand.tells = false;
    hand.bed.append(vec![add("k1", 5)]);
    let (worker, (loaded, adopted)) = hand.start();
    assert!(worker.is_ready() && loaded >= 40 && adopted == 0, "{loaded} loaded, {adopted} from snapshots");
    drop(worker);
    assert_eq!(hand.totals()["k1"], 15);
    hand.tells = true;
    assert_eq!(hand.adopted(), 40, "what was written before still is good");
}
