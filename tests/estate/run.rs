//! Runs the demo and reads what it left on its log.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tributary_model::reject::Reject;
use tributary_model::remedy::Ticket;
use tributary_model::risk::{Change, Risk, RiskState};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::clock::ManualClock;
use tributary_stream::log::{Budget, Log, Start};
use tributary_stream::{EmbeddedLog, EmbeddedSettings, Message};

/// What a run left behind.
pub struct Run {
    pub json: Value,
    pub risks: Vec<Risk>,
    pub changes: Vec<Change>,
    pub tickets: Vec<Ticket>,
    pub rejects: Vec<Reject>,
    /// Every value of every topic but the raw ones.
    pub canonical: Vec<(Topic, Vec<u8>)>,
}

impl Run {
    /// Runs `tributary demo --json` in a directory of its own.
    pub fn of_demo(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("demo");
        let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["demo", "--json", "--no-engine", "--data"])
            .arg(&data)
            .args(options)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the demo failed: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        let json = serde_json::from_slice(&output.stdout).unwrap();
        Self::read(&data, json)
    }

    fn read(data: &Path, json: Value) -> Self {
        let clock = Arc::new(ManualClock::at(0));
        let log = EmbeddedLog::open(&data.join("log"), EmbeddedSettings::default(), clock).unwrap();
        let mut canonical = Vec::new();
        for topic in Topic::ALL.into_iter().filter(|topic| !topic.is_raw()) {
            canonical.extend(messages(&log, topic).into_iter().filter_map(|m| Some((topic, m.value?.to_vec()))));
        }
        let mut changes: Vec<Change> = decoded(messages(&log, Topic::Changes));
        changes.sort_by_key(|change| (change.risk, change.generation, change.revision));
        let tickets = latest(messages(&log, Topic::Tickets)).into_iter();
        Self {
            json,
            risks: decoded(latest(messages(&log, Topic::Risks))),
            changes,
            tickets: tickets.map(|m| serde_json::from_slice(&m.value.unwrap()).unwrap()).collect(),
            rejects: decoded(messages(&log, Topic::Rejects)),
            canonical,
        }
    }

    pub fn open(&self) -> impl Iterator<Item = &Risk> {
        self.risks.iter().filter(|risk| risk.state == RiskState::Open)
    }

    /// The risk of a component that is called so: by group, id, rule or control.
    pub fn risk_named(&self, component: &str, name: &str) -> Option<&Risk> {
        let is_named = |risk: &&Risk| {
            let by_evidence = risk.evidence.iter().any(|e| e.rules.iter().any(|rule| rule == name));
            risk.name == name || risk.vulnerability_ids.iter().any(|id| id == name) || by_evidence
        };
        self.open().find(|risk| risk.component == component && is_named(risk))
    }
}

fn decoded<T: AvroRecord>(messages: Vec<Message>) -> Vec<T> {
    messages.into_iter().filter_map(|m| m.value).map(|value| T::decode(&value).unwrap()).collect()
}

/// What a compacted topic says in the end: the last record of every key, unless it is a tombstone.
fn latest(messages: Vec<Message>) -> Vec<Message> {
    let mut by_key = BTreeMap::new();
    for message in messages {
        by_key.insert(message.key.to_vec(), message);
    }
    by_key.into_values().filter(|message| message.value.is_some()).collect()
}

fn messages(log: &EmbeddedLog, topic: Topic) -> Vec<Message> {
    let partitions: Vec<(Topic, u32)> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let mut all = Vec::new();
    loop {
        let read = reader.read(Budget { records: 10_000, bytes: 64 << 20, wait: Duration::ZERO }).unwrap();
        all.extend(read.messages);
        if read.at_end {
            return all;
        }
    }
}
