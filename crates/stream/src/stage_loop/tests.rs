pub(crate) mod toy;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tributary_model::Topic;
use tributary_model::reject::Reject;
use tributary_model::versions::{Implemented, KEY, Versions};
use tributary_model::{AvroRecord, topic::partition_of};

use super::*;
use crate::clock::ManualClock;
use crate::log::{Budget, Log, Start};
use crate::message::Message;
use crate::{EmbeddedLog, EmbeddedSettings};
use toy::{COUNTER, Counter, add, context, counts, spec};

const DEADLINE: Duration = Duration::from_secs(60);
const BUILD: Implemented = Implemented { identities: &["kv1"], models: &["tributary-1"] };

struct Bed {
    directory: TempDir,
    clock: ManualClock,
    log: Option<EmbeddedLog>,
}

impl Bed {
    fn new() -> Self {
        let mut bed = Self { directory: tempfile::tempdir().unwrap(), clock: ManualClock::at(1_000), log: None };
        bed.reopen();
        bed
    }

    fn reopen(&mut self) {
        self.log = None;
        let settings = EmbeddedSettings { partitions: Some(4), ..EmbeddedSettings::default() };
        let clock = Arc::new(self.clock.clone());
        self.log = Some(EmbeddedLog::open(self.directory.path(), settings, clock).unwrap());
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone().unwrap())
    }

    fn start(&self, workers: u32) -> Pipeline {
        self.start_as(workers, BUILD)
    }

    fn start_as(&self, workers: u32, implemented: Implemented) -> Pipeline {
        let settings = PipelineSettings { workers, implemented, snapshots: None };
        Pipeline::start(self.log(), vec![spec()], Arc::new(self.clock.clone()), &settings).unwrap()
    }

    fn append(&self, records: Vec<crate::message::Output>) {
        self.log().producer().unwrap().append(records).unwrap();
    }

    fn read(&self, topic: Topic) -> Vec<Message> {
        let log = self.log();
        let partitions: Vec<_> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
        let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
        let mut all = Vec::new();
        loop {
            let budget = Budget { records: 100, bytes: 1 << 20, wait: Duration::ZERO };
            let read = reader.read(budget).unwrap();
            all.extend(read.messages);
            if read.at_end {
                return all;
            }
        }
    }

    fn rejects(&self) -> Vec<Reject> {
        self.read(Topic::Rejects).iter().map(|m| Reject::decode(m.value.as_ref().unwrap()).unwrap()).collect()
    }
}

#[test]
fn everything_appended_is_counted_and_then_the_pipeline_is_idle() {
    let bed = Bed::new();
    bed.append((0..500).map(|n| add(&format!("k{}", n % 7), 1)).collect());
    let pipeline = bed.start(2);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert!(pipeline.is_ready());
    assert_eq!(counts(&bed.read(Topic::Risks)).values().sum::<i64>(), 500);
    bed.append(vec![add("k1", 5)]);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks)).values().sum::<i64>(), 505);
    assert_eq!(lag(bed.log().as_ref(), COUNTER.name, COUNTER.inputs).unwrap(), 0);
    pipeline.stop();
}

#[test]
fn a_restart_restores_the_state_and_emits_nothing_twice() {
    let mut bed = Bed::new();
    bed.append((0..100).map(|n| add(&format!("k{}", n % 5), 1)).collect());
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    pipeline.stop();
    let before = bed.log().ends(&[Topic::Risks]).unwrap();
    bed.reopen();
    let pipeline = bed.start(3);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(bed.log().ends(&[Topic::Risks]).unwrap(), before);
    bed.append(vec![add("k1", 1)]);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 21);
    pipeline.stop();
}

#[test]
fn a_refused_message_is_a_reject_with_its_coordinates_and_the_rest_goes_on() {
    let bed = Bed::new();
    let bad = crate::message::Output { value: Some("not a number".into()), ..add("k1", 0) };
    bed.append(vec![add("k1", 1), bad, add("k1", 2)]);
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 3);
    let rejects = bed.rejects();
    assert_eq!(rejects.len(), 1);
    assert_eq!((rejects[0].origin.topic.as_str(), rejects[0].origin.offset), ("observations", 1));
    assert_eq!(rejects[0].origin.partition, partition_of("k1", 4));
    assert_eq!((rejects[0].stage.as_str(), rejects[0].code.as_str()), ("counter", "not_a_number"));
    pipeline.stop();
}

#[test]
fn a_failing_settle_loses_only_the_message_that_made_it_fail() {
    let bed = Bed::new();
    bed.append(vec![add("k1", 1), add("k1", Counter::POISON), add("k1", 2), add("k2", 4)]);
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    let counts = counts(&bed.read(Topic::Risks));
    assert_eq!((counts["k1"], counts["k2"]), (3, 4));
    let rejects = bed.rejects();
    assert_eq!(rejects.len(), 1);
    assert_eq!((rejects[0].code.as_str(), rejects[0].origin.offset), ("poison", 1));
    pipeline.stop();
}

#[test]
fn timers_wake_when_the_clock_says_so_and_survive_a_restart() {
    let mut bed = Bed::new();
    bed.append(vec![add("k1", Counter::EXPIRES)]);
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], Counter::EXPIRES);
    pipeline.stop();
    bed.reopen();
    let pipeline = bed.start(1);
    bed.clock.set(1_000 + Counter::LIFE_MS);
    pipeline.ring();
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 0);
    pipeline.stop();
}

#[test]
fn broadcasts_reach_stages_live_and_across_a_restart() {
    let mut bed = Bed::new();
    bed.append(vec![add("k1", 1), add("k2", 1), context("repo:k1", "10")]);
    let pipeline = bed.start(2);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 10);
    bed.append(vec![context("repo:k1", "20")]);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 20);
    pipeline.stop();
    // What changes while nobody runs is noticed at the next start.
    bed.append(vec![context("repo:k2", "30")]);
    bed.reopen();
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    let counts = counts(&bed.read(Topic::Risks));
    assert_eq!((counts["k1"], counts["k2"]), (20, 30));
    pipeline.stop();
}

#[test]
fn an_unreadable_broadcast_is_a_reject_and_the_worker_goes_on() {
    let bed = Bed::new();
    let bad = crate::message::Output { value: Some("junk".into()), ..context("repo:k1", "10") };
    bed.append(vec![bad, add("k1", 1)]);
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 1);
    assert_eq!(bed.rejects()[0].code, "undecodable");
    pipeline.stop();
}

#[test]
fn a_fenced_pipeline_fails_visibly_and_commits_nothing_more() {
    let bed = Bed::new();
    let old = bed.start(1);
    assert!(old.wait_idle(DEADLINE).unwrap());
    let new = bed.start(1);
    bed.append(vec![add("k1", 1)]);
    assert!(new.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 1);
    assert_eq!(bed.log().ends(&[Topic::Risks]).unwrap().iter().map(|end| end.next).sum::<u64>(), 1);
    assert!(old.wait_idle(DEADLINE).is_err());
    assert!(!old.is_ready());
    new.stop();
}

fn in_force(model: &str) -> crate::message::Output {
    let versions = Versions { model: model.to_owned(), ..Versions::default() };
    let value = Some(versions.encode().unwrap().into());
    crate::message::Output {
        topic: Topic::Versions,
        partition_key: KEY.into(),
        key: KEY.into(),
        value,
        headers: Vec::new(),
    }
}

fn failure(pipeline: &Pipeline) -> String {
    let begun = std::time::Instant::now();
    loop {
        if let Some(failed) = pipeline.health().into_iter().find_map(|worker| worker.failed) {
            return failed;
        }
        assert!(begun.elapsed() < DEADLINE);
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_build_that_does_not_know_what_is_in_force_does_nothing_until_it_does() {
    let bed = Bed::new();
    bed.append(vec![in_force("tributary-2"), add("k1", 1)]);
    let old = bed.start(1);
    assert!(old.blocked().is_some_and(|reason| reason.contains("tributary-2")), "{:?}", old.blocked());
    assert!(!old.is_ready());
    let new = bed.start_as(1, Implemented { models: &["tributary-1", "tributary-2"], ..BUILD });
    assert!(new.wait_idle(DEADLINE).unwrap());
    assert_eq!(counts(&bed.read(Topic::Risks))["k1"], 1, "a build that knows it works");
    new.stop();
    bed.append(vec![in_force("tributary-1")]);
    assert!(failure(&old).contains("begins anew"), "its supervisor starts it again");
    old.stop();
    let old = bed.start(1);
    assert!(old.wait_idle(DEADLINE).unwrap() && old.is_ready());
    old.stop();
}

#[test]
fn a_running_build_ends_when_something_else_comes_into_force() {
    let bed = Bed::new();
    bed.append(vec![add("k1", 1)]);
    let pipeline = bed.start(1);
    assert!(pipeline.wait_idle(DEADLINE).unwrap());
    bed.append(vec![in_force("tributary-2")]);
    assert!(failure(&pipeline).contains("tributary-2"));
    assert!(!pipeline.is_ready());
    let before = bed.log().ends(&[Topic::Risks]).unwrap();
    bed.append(vec![add("k1", 1)]);
    assert!(pipeline.wait_idle(Duration::from_millis(300)).is_err());
    assert_eq!(bed.log().ends(&[Topic::Risks]).unwrap(), before, "it writes nothing more");
    // A record that only a newer build can read is no permission either.
    let unreadable = crate::message::Output { value: Some("of the future".into()), ..in_force("tributary-1") };
    bed.append(vec![unreadable]);
    assert!(bed.start(1).blocked().is_some_and(|reason| reason.contains("newer build")));
}

mod snapshots;
