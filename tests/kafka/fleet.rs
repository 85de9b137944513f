//! Services of one tenant on a cluster: started, killed, stopped, and started again when they end by themselves, as whoever
//! runs them would.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tributary_model::Topic;
use tributary_stream::log::Log;
use tributary_stream::{KafkaLog, KafkaSettings};

use crate::broker;
use crate::engine::Engine;
use crate::up::{Post, agent};

/// Only a failure takes so long.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Names a schema registry to a service.
pub const REGISTRY: &str = "TRIBUTARY__KAFKA__SCHEMA_REGISTRY__URL";

/// Groups in the order of the flow, and what they read.
const GROUPS: [(&str, &[Topic]); 6] = [
    ("ingest", &Topic::RAW),
    ("ingest-bulk", &Topic::BULK),
    ("relate", &[Topic::Facts]),
    ("track", &[Topic::Observations]),
    ("assess", &[Topic::Findings]),
    ("remedy", &[Topic::Remedies]),
];

/// Waits until something holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// Lets so much time pass, because the test is about time.
pub fn pass(time: Duration) {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// A tenant on a cluster, and its services.
pub struct Fleet {
    brokers: String,
    prefix: String,
    replication: u32,
    directory: TempDir,
    database: Vec<(&'static str, String)>,
    /// More of the environment, for services that are started from now on.
    pub settings: Vec<(&'static str, String)>,
    services: BTreeMap<String, Process>,
    /// How often a service ended by itself.
    pub ended: usize,
}

/// A running service.
struct Process {
    child: Child,
    url: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Fleet {
    /// Topics on the shared broker, and no service yet.
    pub fn new(engine: Option<&Engine>) -> Self {
        Self::on(broker::address(), 1, engine)
    }

    /// The same on this cluster.
    pub fn on(brokers: &str, replication: u32, engine: Option<&Engine>) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        // The key of `up` in these tests: ids of secrets are HMACs under it.
        std::fs::write(directory.path().join("data/secret.key"), "07".repeat(32)).unwrap();
        let fleet = Self {
            brokers: brokers.to_owned(),
            prefix: broker::fresh_prefix(),
            replication,
            directory,
            database: engine.map_or_else(Vec::new, |engine| engine.environment().into()),
            settings: Vec::new(),
            services: BTreeMap::new(),
            ended: 0,
        };
        let made = fleet.command("setup").args(["topics", "apply"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        fleet
    }

    /// The log as a test reads it.
    pub fn log(&self) -> KafkaLog {
        KafkaLog::connect(self.kafka(), &Topic::ALL).unwrap()
    }

    /// What every topic begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What its services call `data`.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn kafka(&self) -> KafkaSettings {
        let mut settings = broker::settings_at(&self.brokers, &self.prefix, "test");
        let registry = self.settings.iter().find(|(name, _)| *name == REGISTRY);
        settings.schema_registry.url = registry.map(|(_, url)| url.clone()).unwrap_or_default();
        settings
    }

    pub fn command(&self, instance: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command
            .args(["--log", "warn"])
            .current_dir(self.directory.path())
            .env("TRIBUTARY__KAFKA__BROKERS", &self.brokers)
            .env("TRIBUTARY__KAFKA__PREFIX", &self.prefix)
            .env("TRIBUTARY__KAFKA__INSTANCE", instance)
            .env("TRIBUTARY__KAFKA__SESSION_TIMEOUT_MS", "6000")
            .env("TRIBUTARY__KAFKA__MESSAGE_BYTES_MAX", "16777216")
            .env("TRIBUTARY__TOPICS__PARTITIONS", "4")
            .env("TRIBUTARY__TOPICS__REPLICATION", self.replication.to_string())
            .env("TRIBUTARY__INTAKE__LISTEN", "127.0.0.1:0")
            .envs(self.settings.iter().map(|(name, value)| (*name, value)))
            .envs(self.database.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Starts a service (`ingest-0`: its role and its number) and waits until it serves.
    pub fn start(&mut self, name: &str) {
        let role = name.split('-').next().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut command = self.command(name);
            command.arg(role);
            if role != "ingest" {
                command.args(["--listen", "127.0.0.1:0"]);
            }
            if let Some(process) = Process::start(command) {
                self.services.insert(name.to_owned(), process);
                return;
            }
            // A cluster that is just losing a broker refuses some; whoever runs it tries again.
            self.ended += 1;
            assert!(Instant::now() < deadline, "{name} does not start");
        }
    }

    pub fn url(&self, name: &str) -> &str {
        &self.services[name].url
    }

    /// What its `/metrics` says now.
    pub fn metrics(&self, name: &str) -> String {
        let page = agent().get(format!("{}/metrics", self.url(name))).call().unwrap();
        page.into_body().read_to_string().unwrap()
    }

    /// A metric of it, summed over those of its labels that have this text.
    pub fn metric(&self, name: &str, metric: &str, label: &str) -> f64 {
        let text = self.metrics(name);
        let own =
            text.lines().filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values =
            own.filter(|line| line.contains(label)).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>());
        values.map(Result::unwrap).sum()
    }

    pub fn names(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    /// kill -9.
    pub fn kill(&mut self, name: &str) {
        let mut process = self.services.remove(name).unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str, signal: Signal) {
        kill_process(Pid::from_child(&self.services[name].child), signal).unwrap();
    }

    /// SIGTERM; it must drain and end well.
    pub fn stop(&mut self, name: &str) {
        self.signal(name, Signal::TERM);
        let mut process = self.services.remove(name).unwrap();
        let status = process.child.wait().unwrap();
        assert!(status.success(), "{name} drains on SIGTERM: {status}");
    }

    /// Starts those again that ended by themselves.
    pub fn tend(&mut self) {
        for name in self.names() {
            let process = self.services.get_mut(&name).unwrap();
            if let Some(status) = process.child.try_wait().unwrap() {
                let said = process.said.lock().unwrap().join("\n");
                assert!(!said.contains("panicked"), "{name} panicked: {said}");
                println!("{name} ended by itself ({status}) and is started again; its last words:\n{}", last(&said));
                self.services.remove(&name);
                self.ended += 1;
                self.start(&name);
            }
        }
    }

    pub fn is_ready(&self, name: &str) -> bool {
        self.readiness(name).0
    }

    /// What `/readyz` says: whether, and why not.
    pub fn readiness(&self, name: &str) -> (bool, String) {
        match agent().get(format!("{}/readyz", self.url(name))).call() {
            Ok(response) => {
                let ready = response.status().as_u16() == 200;
                (ready, response.into_body().read_to_string().unwrap())
            }
            Err(error) => (false, error.to_string()),
        }
    }

    pub fn wait_ready(&self) {
        wait_until("ready", || self.services.keys().all(|name| self.is_ready(name)));
    }

    /// Sends a record to `ingest-0` until it is acknowledged.
    pub fn post(&mut self, record: &Post) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(reason) = record.send(&agent(), self.url("ingest-0")) {
            assert!(Instant::now() < deadline, "no acknowledgement: {reason}");
            self.tend();
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Waits until every group is done with everything.
    pub fn wait_done(&mut self, log: &KafkaLog) {
        let deadline = Instant::now() + PATIENCE;
        // Twice in a row: between two looks of one answer a record can pass from one group to the next.
        let mut rested = 0;
        while rested < 2 {
            self.tend();
            let sink = !self.database.is_empty();
            let groups = GROUPS.into_iter().chain(sink.then_some(("sink", tributary_sink::rows::TOPICS)));
            let lags: Vec<_> = groups.map(|(group, topics)| (group, lag(log, group, topics))).collect();
            rested = if lags.iter().all(|(_, lag)| *lag == 0) { rested + 1 } else { 0 };
            assert!(Instant::now() < deadline, "not done: {lags:?}\n{}", self.words());
            std::thread::park_timeout(Duration::from_millis(300));
        }
    }

    fn words(&self) -> String {
        let of = |(name, process): (&String, &Process)| {
            let (ready, why) = self.readiness(name);
            format!("{name}, ready: {ready} {why}:\n{}", last(&process.said.lock().unwrap().join("\n")))
        };
        self.services.iter().map(of).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.words());
        }
    }
}

fn lag(log: &KafkaLog, group: &str, topics: &[Topic]) -> u64 {
    // A cluster that is losing a broker does not answer for a moment: then nothing is known to be done.
    log.lag(group, topics).map_or(u64::MAX, |lags| lags.iter().map(|lag| lag.behind).sum())
}

fn last(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

impl Process {
    /// `None` if it ended before it served.
    fn start(mut command: Command) -> Option<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut early = Vec::new();
        let line = lines.by_ref().find(|line| {
            early.push(line.clone());
            line.contains(" at http://")
        });
        let Some(line) = line else {
            println!("a service did not start: {}", early.join("\n"));
            child.wait().unwrap();
            return None;
        };
        let url = line.split_whitespace().last().unwrap().trim_end_matches('/').to_owned();
        // Its log is read to the end, so that a full pipe never stops it.
        let said = Arc::new(Mutex::new(early));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines {
                let mut heard = heard.lock().unwrap();
                heard.push(line);
                if heard.len() > 2_000 {
                    heard.remove(0);
                }
            }
        });
        Some(Self { child, url, said })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only what this test started. SIGKILL ends a stopped process, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
