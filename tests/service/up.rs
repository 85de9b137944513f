//! A real `tributary up` as a child process, and the estate's records as HTTP requests.
#![allow(dead_code)] // every binary uses what it needs

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// One record of the estate as a producer sends it.
pub struct Post {
    /// Where it is posted.
    pub path: String,
    /// CloudEvents headers.
    pub headers: Vec<(String, String)>,
    /// The report.
    pub body: Vec<u8>,
}

impl Post {
    /// Sends it there; an error when there was no acknowledgement.
    pub fn send(&self, agent: &ureq::Agent, url: &str) -> Result<(), String> {
        let mut request = agent.post(format!("{url}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send(&self.body).map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let answer = response.into_body().read_to_string();
        // 202: taken, also what will be a reject. 503: the log does not take it now. Anything else is a fault of this test.
        assert!(matches!(status, 202 | 503), "{status} {answer:?}");
        if status == 202 { Ok(()) } else { Err(format!("{answer:?}")) }
    }
}

/// The estate, read from `examples/estate`. Records of limited credentials are left out: this service has none configured.
pub fn estate() -> Vec<Post> {
    #[derive(Deserialize)]
    struct Manifest {
        record: Vec<toml::Table>,
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/estate");
    let text = std::fs::read_to_string(format!("{root}/estate.toml")).unwrap();
    let manifest: Manifest = toml::from_str(&text).unwrap();
    let unlimited = manifest.record.into_iter().filter(|record| !record.contains_key("grant"));
    unlimited
        .map(|record| {
            let text = |key: &str| {
                record.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            let names = [
                ("source", "ce-source"),
                ("time", "ce-time"),
                ("type", "ce-type"),
                ("format", "ce-format"),
                ("repo", "ce-repo"),
                ("branch", "ce-branch"),
                ("commit", "ce-commit"),
                ("image", "ce-image"),
                ("resource", "ce-resource"),
                ("scanid", "ce-scanid"),
                ("scanscope", "ce-scanscope"),
                ("complete", "ce-complete"),
                ("backfill", "ce-backfill"),
            ];
            let headers = names.iter().filter_map(|(key, name)| Some(((*name).to_owned(), text(key)?))).collect();
            let body = std::fs::read(format!("{root}/{}", text("file").unwrap())).unwrap();
            Post { path: format!("/v1/events/{}", text("class").unwrap()), headers, body }
        })
        .collect()
}

/// A client that takes every status for an answer.
pub fn agent() -> ureq::Agent {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
    config.build().into()
}

/// A running `tributary up`.
pub struct Service {
    child: Child,
    /// Where it listens, without a slash at the end.
    pub url: String,
    /// Where ClickHouse listens; empty without the engine.
    sql_url: String,
    agent: ureq::Agent,
}

impl Service {
    /// Starts one over this directory and waits until it serves and is ready. A `tributary.toml` there is its configuration.
    pub fn start(directory: &Path) -> Self {
        Self::launch(directory, &["--no-engine"])
    }

    /// The same with the ClickHouse engine, which `make engine` fetches; waits until it serves.
    pub fn start_with_engine(directory: &Path) -> Self {
        let service = Self::launch(directory, &["--clickhouse-listen", "127.0.0.1:0"]);
        assert!(!service.sql_url.is_empty(), "the ClickHouse engine is missing: make engine");
        service.until(Duration::from_secs(120), "serving SQL", |status| status["engine"] == "serving");
        service
    }

    fn launch(directory: &Path, options: &[&str]) -> Self {
        // One key for every directory: ids of secrets are HMACs under it.
        let data = directory.join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("secret.key"), "07".repeat(32)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["--log", "warn", "up", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .args(options)
            .current_dir(directory)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut find = |name: &str| {
            let line = lines.by_ref().map(Result::unwrap).find(|line| line.trim_start().starts_with(name));
            let line = line.unwrap_or_else(|| panic!("it says where its {name} is"));
            line.split_whitespace().nth(1).unwrap().trim_end_matches('/').to_owned()
        };
        let (url, sql_url) = (find("page"), find("SQL"));
        let sql_url = if sql_url.starts_with("http") { sql_url } else { String::new() };
        // Its log is read to the end, so that a full pipe never stops it; a panic fails the test.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                assert!(!line.contains("panicked"), "{line}");
            }
        });
        let service = Self { child, url, sql_url, agent: agent() };
        service.until(Duration::from_secs(60), "ready", |status| status["ready"] == true);
        service
    }

    /// Sends a record; an error when there was no acknowledgement.
    pub fn post(&mut self, record: &Post) -> Result<(), String> {
        record.send(&self.agent, &self.url)
    }

    /// Waits until nothing is left to do anywhere.
    pub fn wait_idle(&self, at_most: Duration) {
        // Twice in a row: between two looks of one answer a record can pass from one consumer to the next.
        for _ in 0..2 {
            self.until(at_most, "idle", |status| status["idle"] == true);
        }
    }

    fn until(&self, at_most: Duration, what: &str, holds: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let status = self.get("/v1/status");
            if holds(&status) {
                return;
            }
            assert!(begun.elapsed() < at_most, "not {what} within {at_most:?}: {status:#}");
            std::thread::yield_now();
        }
    }

    fn get(&self, path: &str) -> Value {
        let text = self.agent.get(format!("{}{path}", self.url)).call().unwrap().into_body().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What ClickHouse answers an analyst, as text.
    pub fn sql(&self, sql: &str) -> String {
        let request = self.agent.post(&self.sql_url).header("X-ClickHouse-User", "analyst");
        let response = request.send(sql.as_bytes()).unwrap();
        let status = response.status();
        let text = response.into_body().read_to_string().unwrap();
        assert!(status.is_success(), "{sql}: {text}");
        text
    }

    /// Every record of a topic.
    pub fn tail(&self, topic: &str) -> Vec<Value> {
        let response = self.agent.get(format!("{}/v1/topics/{topic}", self.url)).call().unwrap();
        let mut text = String::new();
        response.into_body().into_reader().read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The latest record of every key of a compacted topic: earlier ones may be read, and tombstones end a key.
    pub fn latest(&self, topic: &str) -> BTreeMap<String, Value> {
        let mut latest = BTreeMap::new();
        for line in self.tail(topic) {
            let key = line["key"].as_str().unwrap().to_owned();
            match &line["value"] {
                Value::Null => drop(latest.remove(&key)),
                value => drop(latest.insert(key, value.clone())),
            }
        }
        latest
    }

    /// The most memory that was ever resident.
    pub fn peak_resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must drain and end well.
    pub fn stop(mut self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "it drains on SIGTERM: {status}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Only what this test started, and only if a failed assertion left it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
