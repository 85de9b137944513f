//! The estate through separate processes on a real Kafka, while one of them is killed with -9 and another joins: the risks are
//! those of one undisturbed process on the embedded log (I3, I4).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tributary_model::risk::{Change, Risk};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::KafkaLog;
use tributary_stream::log::{Budget, Log, Start};

use crate::broker;
use crate::crash::{assert_contiguous, outcome, undisturbed};
use crate::up::{agent, estate};

/// Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(240);

/// A tenant on the cluster, and where its processes keep their files.
struct Tenant<'a> {
    prefix: String,
    directory: &'a Path,
}

impl Tenant<'_> {
    fn command(&self, role: &[&str], instance: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command
            .args(["--log", "warn"])
            .args(role)
            .current_dir(self.directory)
            .env("TRIBUTARY__KAFKA__BROKERS", broker::address())
            .env("TRIBUTARY__KAFKA__PREFIX", &self.prefix)
            .env("TRIBUTARY__KAFKA__INSTANCE", instance)
            .env("TRIBUTARY__KAFKA__SESSION_TIMEOUT_MS", "3000")
            .env("TRIBUTARY__KAFKA__MESSAGE_BYTES_MAX", "16777216")
            .env("TRIBUTARY__TOPICS__PARTITIONS", "4")
            .env("TRIBUTARY__TOPICS__REPLICATION", "1")
            .env("TRIBUTARY__INTAKE__LISTEN", "127.0.0.1:0");
        command
    }

    /// Starts a service and waits until it serves.
    fn start(&self, role: &[&str], instance: &str) -> Process {
        let mut child = self.command(role, instance).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.by_ref().find(|line| line.contains(" at http://")).expect("it says where it serves");
        let url = line.split_whitespace().last().unwrap().trim_end_matches('/').to_owned();
        // Its log is read to the end, so that a full pipe never stops it; a panic fails the test.
        std::thread::spawn(move || lines.for_each(|line| assert!(!line.contains("panicked"), "{line}")));
        Process { child, url }
    }
}

/// A running service.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn wait_ready(&self) {
        let begun = Instant::now();
        let status = || agent().get(format!("{}/readyz", self.url)).call().unwrap().status().as_u16();
        while status() != 200 {
            assert!(begun.elapsed() < PATIENCE, "not ready");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// kill -9.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must drain and end well.
    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "it drains on SIGTERM: {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only what this test started, and only if a failed assertion left it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every record of a topic: key, and the decoded value.
fn tail<T: AvroRecord + serde::Serialize>(log: &dyn Log, topic: Topic) -> Vec<(String, Value)> {
    let partitions: Vec<_> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let mut all = Vec::new();
    loop {
        let read = reader.read(Budget { records: 1000, bytes: 4 << 20, wait: Duration::ZERO }).unwrap();
        all.extend(read.messages.iter().map(|message| {
            let value = message.value.as_ref().map(|value| serde_json::to_value(T::decode(value).unwrap()).unwrap());
            (message.key_str().to_owned(), value.unwrap_or_default())
        }));
        if read.at_end {
            return all;
        }
    }
}

fn open_risks(log: &dyn Log) -> BTreeMap<String, Value> {
    let mut risks: BTreeMap<String, Value> = tail::<Risk>(log, Topic::Risks).into_iter().collect();
    risks.retain(|_, risk| !risk.is_null());
    outcome(&risks)
}

#[test]
fn separate_services_killed_and_joined_give_the_risks_of_one_process() {
    let records = estate();
    let expected = undisturbed(&records);

    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    std::fs::write(directory.path().join("data/secret.key"), "07".repeat(32)).unwrap();
    let tenant = Tenant { prefix: broker::fresh_prefix(), directory: directory.path() };
    assert!(tenant.command(&["topics", "apply"], "setup").stdout(Stdio::null()).status().unwrap().success());
    let correlate = ["correlate", "--listen", "127.0.0.1:0"];
    let ingest = tenant.start(&["ingest"], "i0");
    let first = tenant.start(&correlate, "c0");
    first.wait_ready();
    let (one, two) = (records.len() / 3, records.len() * 2 / 3);
    let post = |some: &[crate::up::Post]| some.iter().for_each(|record| record.send(&agent(), &ingest.url).unwrap());
    post(&records[..one]);
    let second = tenant.start(&correlate, "c1");
    post(&records[one..two]);
    first.kill();
    post(&records[two..]);
    let first = tenant.start(&correlate, "c0");

    let topics: Vec<Topic> = vec![Topic::Risks, Topic::Changes];
    let settings = broker::settings(&tenant.prefix, "test");
    let log = KafkaLog::connect(settings, &topics).unwrap();
    let begun = Instant::now();
    let mut found = open_risks(&log);
    while found != expected && begun.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(500));
        found = open_risks(&log);
    }
    assert!(expected.len() > 50, "the estate has risks");
    let differing: Vec<_> =
        expected.keys().chain(found.keys()).filter(|id| expected.get(*id) != found.get(*id)).collect();
    assert!(differing.is_empty(), "{} of {}: {differing:?}", differing.len(), expected.len());
    let changes: Vec<Value> =
        tail::<Change>(&log, Topic::Changes).into_iter().map(|(_, value)| json!({ "value": value })).collect();
    assert_contiguous(&changes);
    first.wait_ready();
    second.wait_ready();
    for service in [ingest, first, second] {
        service.stop();
    }
}
