//! What must be true however it went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use tributary_correlate::assess::chain;
use tributary_model::AvroRecord;
use tributary_model::Topic;
use tributary_model::reject::Reject;
use tributary_model::risk::{Change, Risk};
use tributary_stream::log::{Budget, Log, Start};
use tributary_stream::{KafkaLog, Message};

use crate::engine::Engine;
use crate::fleet::{Fleet, PATIENCE};
use crate::oracle::undisturbed_risks;
use crate::up::Post;

/// What depends on when and in which order things were processed, and is therefore not compared: revisions and chains,
/// processing times, and the deadline, which only tightens from one revision to the next. Of two EPSS scores in one bucket of
/// the decision table the later one is no revision, so which is shown depends on which came first.
const HISTORY: [&str; 9] = [
    "generation",
    "revision",
    "chain_head",
    "opened_at",
    "decided_at",
    "resolved_at",
    "reopened",
    "due_at",
    "epss_ppm",
];

/// Risks of an undisturbed process, by id.
pub struct Expected(BTreeMap<String, Value>);

impl Expected {
    pub fn of(records: &[Post]) -> Self {
        let risks = comparable(undisturbed_risks(records).into_values());
        assert!(risks.len() > 50, "the estate has risks");
        Self(risks)
    }
}

/// Every field of every open risk but [`HISTORY`].
fn comparable(risks: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
    let open = risks.filter(|risk| risk["state"] == "open");
    open.map(|mut risk| {
        let fields = risk.as_object_mut().unwrap();
        for field in HISTORY {
            fields.remove(field).expect("the field is there");
        }
        // The same thing said again later is no revision, so when it was said last depends on what arrived first.
        for contribution in risk["contributions"].as_array_mut().unwrap() {
            contribution.as_object_mut().unwrap().remove("observed_at");
        }
        (risk["risk"].as_str().unwrap().to_owned(), risk)
    })
    .collect()
}

/// Every record of a topic that can be read.
pub fn read(log: &KafkaLog, topic: Topic) -> Vec<Message> {
    let partitions: Vec<_> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let mut all = Vec::new();
    loop {
        let read = reader.read(Budget { records: 1000, bytes: 4 << 20, wait: Duration::ZERO }).unwrap();
        all.extend(read.messages);
        if read.at_end {
            return all;
        }
    }
}

/// The latest value of every key that was not deleted.
pub fn latest(log: &KafkaLog, topic: Topic) -> BTreeMap<String, Message> {
    let mut latest = BTreeMap::new();
    for message in read(log, topic) {
        let key = message.key_str().to_owned();
        if message.value.is_some() {
            latest.insert(key, message)
        } else {
            latest.remove(&key)
        };
    }
    latest
}

fn decode<T: AvroRecord>(message: &Message) -> T {
    T::decode(message.value.as_deref().unwrap()).unwrap()
}

pub fn rejects(log: &KafkaLog) -> Vec<Reject> {
    read(log, Topic::Rejects).iter().map(decode).collect()
}

/// Waits until the services are done, and compares the risks with those of the undisturbed process.
pub fn risks_are(fleet: &mut Fleet, log: &KafkaLog, expected: &Expected) {
    fleet.wait_done(log);
    let found = || {
        let risks = latest(log, Topic::Risks).into_values();
        // A test may have put there what is no risk.
        let risks = risks.filter_map(|message| Risk::decode(message.value.as_deref()?).ok());
        comparable(risks.map(|risk| serde_json::to_value(risk).unwrap()))
    };
    // Notices of changed context are no lag: they may still be on their way.
    let deadline = Instant::now() + PATIENCE / 4;
    let mut risks = found();
    while risks != expected.0 && Instant::now() < deadline {
        fleet.wait_done(log);
        risks = found();
    }
    let ids: BTreeSet<&String> = expected.0.keys().chain(risks.keys()).collect();
    let differing: Vec<String> = ids
        .into_iter()
        .filter(|id| expected.0.get(*id) != risks.get(*id))
        .map(|id| difference(id, expected.0.get(id), risks.get(id)))
        .collect();
    assert!(
        differing.is_empty(),
        "{} of {} risks differ:\n{}",
        differing.len(),
        expected.0.len(),
        differing[..differing.len().min(5)].join("\n")
    );
}

fn difference(id: &str, expected: Option<&Value>, found: Option<&Value>) -> String {
    let (Some(expected), Some(found)) = (expected, found) else {
        return format!("{id}: expected {}, found {}", expected.is_some(), found.is_some());
    };
    let fields = expected.as_object().unwrap().keys().filter(|field| expected[*field] != found[*field]);
    let text = |field: &String| format!("{field}: expected {}, found {}", expected[field], found[field]);
    format!("{id}: {}", fields.map(text).collect::<Vec<_>>().join("; "))
}

/// No revision is skipped or repeated, and every chain verifies (I6).
pub fn histories_are_whole(log: &KafkaLog) {
    let changes: Vec<Change> = read(log, Topic::Changes).iter().map(decode).collect();
    let mut by_risk: BTreeMap<_, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_risk.entry((change.risk, change.generation)).or_default().push(change);
    }
    assert!(!by_risk.is_empty(), "there are changes");
    let mut heads = BTreeMap::new();
    for ((risk, generation), mut changes) in by_risk {
        changes.sort_by_key(|change| change.revision);
        let revisions: Vec<i64> = changes.iter().map(|change| change.revision).collect();
        assert_eq!(revisions, (1..=changes.len() as i64).collect::<Vec<_>>(), "{risk} {generation}");
        chain::verify(&changes).unwrap_or_else(|error| panic!("{risk} {generation}: {error}"));
        heads.insert((risk, generation), chain::hash(changes.last().unwrap()));
    }
    for risk in latest(log, Topic::Risks).values().map(decode::<Risk>) {
        assert_eq!(Some(&risk.chain_head), heads.get(&(risk.risk, risk.generation)), "{}: its head", risk.risk);
    }
}

/// Tables, what makes a row of them, and the compacted topic whose keys they hold, if there is one.
const TABLES: [(&str, &str, Option<Topic>); 7] = [
    ("risks", "component, risk", Some(Topic::Risks)),
    ("findings", "component, finding", Some(Topic::Findings)),
    ("tickets", "ticket", Some(Topic::Tickets)),
    ("components", "component", None),
    ("deployments", "workload", None),
    ("scan_runs", "asset, scope, scan_id", None),
    ("risk_changes", "component, risk, generation, revision", None),
];

/// No row stands twice, and the rows are the records of the topics.
pub fn rows_are_records(engine: &Engine, log: &KafkaLog) {
    for (table, key, topic) in TABLES {
        let rows = engine.count(&format!("SELECT count() FROM {table} FINAL"));
        let keys = engine.count(&format!("SELECT uniqExact({key}) FROM {table}"));
        assert_eq!(rows, keys, "{table}: rows and keys");
        assert!(rows > 0, "{table} is empty");
        if let Some(topic) = topic {
            assert_eq!(rows, latest(log, topic).len(), "{table} and {topic}");
        }
    }
    assert_eq!(engine.count("SELECT count() FROM risk_changes FINAL"), read(log, Topic::Changes).len());
    let ours: BTreeMap<String, i64> = latest(log, Topic::Risks)
        .values()
        .map(|message| (message.key_str().to_owned(), decode::<Risk>(message).revision))
        .collect();
    let theirs = engine.sql("SELECT risk, revision FROM risks FINAL FORMAT TSV");
    let theirs: BTreeMap<String, i64> = theirs
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(risk, revision)| (risk.to_owned(), revision.parse().unwrap()))
        .collect();
    assert_eq!(ours, theirs, "every row is the latest record");
}
