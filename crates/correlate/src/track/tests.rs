//! TRACK as its neighbours see it: observations and context in, findings and a ledger out. Failures that other tools
//! have shown are named by their number (`f1` …).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::fact::Attribute;
use tributary_model::finding::{Finding, FindingEnd, FindingState, RuntimeVerdict, TrackedFinding};
use tributary_model::observation::{InventoryItem, Observation, RuntimeUse, UseLevel};
use tributary_model::scan::{ScanCompleted, ScanRef, ScanRun, ScanState};
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Package, Secret, Sighting, ToolStatus};
use tributary_model::time::{DAY, Millis};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::broadcast::BroadcastStore;
use tributary_stream::message::{Message, Output, Outputs};
use tributary_stream::stage::Stage;

use super::Track;
use crate::graph::Graph;
use crate::saved::tests::revived;

mod context;
mod failures;
mod restart;

const REPO: &str = "repo:github.com/acme/shop#main";
const IMAGE: &str = "image:sha256:aa";

/// One partition with what it has written, as compacted topics would hold it.
struct Harness {
    store: Arc<BroadcastStore>,
    stage: Track,
    log: BTreeMap<(Topic, String), Bytes>,
    now: Millis,
}

fn harness() -> Harness {
    let store = Arc::new(BroadcastStore::new());
    let stage = Track::new(Arc::new(Graph::new(Arc::clone(&store))));
    Harness { store, stage, log: BTreeMap::new(), now: 1_000 }
}

impl Harness {
    /// One transaction. Answers what came out: topic and number of records, tombstones as negative numbers.
    fn step(&mut self, observations: &[Observation]) -> BTreeMap<&'static str, i32> {
        self.apply(observations);
        self.settle()
    }

    fn apply(&mut self, observations: &[Observation]) {
        for observation in observations {
            self.stage.apply(&message(observation), self.now).unwrap();
        }
    }

    fn settle(&mut self) -> BTreeMap<&'static str, i32> {
        self.stage.wake(self.now);
        let mut out = Outputs::default();
        self.stage.settle(self.now, &mut out).unwrap();
        self.stage.commit();
        assert!(self.stage.next_timer().is_none_or(|due| due > self.now), "a timer that is due for ever");
        self.store(&out)
    }

    fn store(&mut self, out: &Outputs) -> BTreeMap<&'static str, i32> {
        let mut counts = BTreeMap::new();
        for Output { topic, key, value, .. } in out.records() {
            let key = (*topic, String::from_utf8(key.to_vec()).unwrap());
            let count = counts.entry(topic.name()).or_default();
            let Some(value) = value else {
                *count -= 1;
                assert!(self.log.remove(&key).is_some(), "{key:?} is deleted without having been written");
                continue;
            };
            *count += 1;
            assert_ne!(self.log.insert(key.clone(), value.clone()).as_ref(), Some(value), "{key:?} says nothing new");
        }
        counts
    }

    fn of<T: AvroRecord>(&self, topic: Topic) -> Vec<T> {
        self.log.iter().filter(|(key, _)| key.0 == topic).map(|(_, value)| T::decode(value).unwrap()).collect()
    }

    fn findings(&self) -> Vec<TrackedFinding> {
        self.of(Topic::Tracked)
    }

    /// The only finding.
    fn finding(&self) -> TrackedFinding {
        let mut findings = self.findings();
        assert_eq!(findings.len(), 1);
        findings.remove(0)
    }

    fn states(&self) -> BTreeMap<FindingState, usize> {
        let mut states = BTreeMap::new();
        for finding in self.findings() {
            *states.entry(finding.state).or_default() += 1;
        }
        states
    }

    fn run(&self, scan_id: &str) -> ScanRun {
        let runs: Vec<ScanRun> = self.of(Topic::Scans);
        runs.into_iter().find(|run| run.scan_id == scan_id && run.seen.is_empty()).unwrap()
    }

    /// Replaces what the context says about an entity; the values are JSON.
    fn context(&mut self, entity: &str, attributes: &[(Attribute, &str, &str)]) {
        if attributes.is_empty() {
            self.store.remove(entity);
        } else {
            let attributes = attributes.iter().map(|(attribute, qualifier, value)| ContextAttribute {
                attribute: *attribute,
                qualifier: (*qualifier).to_owned(),
                value: (*value).to_owned(),
                asserter: "test".to_owned(),
                observed_at: 1,
                stale: false,
            });
            self.store.put(EntityContext { entity: entity.to_owned(), attributes: attributes.collect() });
        }
        self.stage.notice(&[entity.to_owned()], self.now);
    }

    /// A new process that has everything from a snapshot.
    fn revive(&mut self) {
        let fresh = Track::new(Arc::new(Graph::new(Arc::clone(&self.store))));
        self.stage = revived(&self.stage, fresh);
        self.stage.restored(self.now);
    }

    /// A new process on the same log.
    fn restart(&mut self) {
        let mut stage = Track::new(Arc::new(Graph::new(Arc::clone(&self.store))));
        for ((topic, key), value) in self.log.iter().filter(|((topic, _), _)| *topic != Topic::Findings) {
            stage.load(&raw(*topic, key, Some(value.clone()))).unwrap();
        }
        stage.restored(self.now);
        self.stage = stage;
    }
}

fn raw(topic: Topic, key: &str, value: Option<Bytes>) -> Message {
    let key = Bytes::from(key.to_owned());
    Message { topic, partition: 0, offset: 7, key, value, headers: Vec::new(), timestamp: 0 }
}

fn message(observation: &Observation) -> Message {
    let message = raw(Topic::Observations, &observation.asset, Some(observation.encode().unwrap().into()));
    // Every message has its own coordinates: a cause that follows them without need would be seen.
    Message { offset: observation.observed_at as u64, ..message }
}

/// A complete scan in one part; `at` is when it began and also its id.
fn scan(asset: &str, tool: &str, at: Millis, sightings: Vec<Sighting>) -> Observation {
    let classes = vec![FindingClass::Vulnerability, FindingClass::Weakness, FindingClass::Secret];
    let count = sightings.len() as u32;
    Observation {
        asset: asset.to_owned(),
        observed_at: at,
        tool: tool.to_owned(),
        scan: Some(ScanRef { scan_id: format!("scan-{at:04}"), scope: tool.to_owned(), started_at: at }),
        sightings,
        completed: Some(ScanCompleted {
            parts: 1,
            sightings: count,
            complete: true,
            classes,
            ..ScanCompleted::default()
        }),
        ..Observation::default()
    }
}

fn ending(mut scan: Observation, change: impl FnOnce(&mut ScanCompleted)) -> Observation {
    change(scan.completed.as_mut().unwrap());
    scan
}

fn vulnerability(n: usize) -> Sighting {
    let package = Package {
        purl: format!("pkg:npm/p{n}"),
        name: format!("p{n}"),
        ecosystem: "npm".into(),
        version: "1.0.0".into(),
        manifest_dir: "web".into(),
        ..Package::default()
    };
    Sighting {
        class: FindingClass::Vulnerability,
        rule: format!("CVE-2030-{n}"),
        title: format!("flaw {n}"),
        package: Some(package),
        ..Sighting::default()
    }
}

fn vulnerabilities(of: std::ops::Range<usize>) -> Vec<Sighting> {
    of.map(vulnerability).collect()
}

fn secret() -> Sighting {
    let secret = Secret { hmac: "aa".into(), key_id: "k".into(), family: "github-token".into(), ..Secret::default() };
    let location = Location { path: "deploy/.env".into(), start_line: 1, ..Location::default() };
    Sighting {
        class: FindingClass::Secret,
        rule: "github-pat".into(),
        secret: Some(secret),
        location: Some(location),
        ..Sighting::default()
    }
}

fn states<const N: usize>(expected: [(FindingState, usize); N]) -> BTreeMap<FindingState, usize> {
    BTreeMap::from(expected)
}
