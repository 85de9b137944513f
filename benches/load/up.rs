//! A running `tributary up`: everything in one process, on the embedded log.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::client::Client;
use crate::pipeline::{PHASE_MAX, Pipeline};
use crate::print::say;
use crate::process::child_of;

/// Between two looks at the status: a look costs the measured process a little; ten a second is noise.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The service; ends with this value.
pub struct Up {
    child: Child,
    client: Client,
    /// From the start of the process until every stage was ready.
    pub ready_seconds: f64,
}

impl Up {
    /// Starts it on a data directory and waits until it serves.
    pub fn start(binary: &Path, directory: &Path) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new(binary)
            .args(["--log", "warn", "up", "--listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0", "--data"])
            .arg(directory.join("data"))
            .current_dir(directory)
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("stderr")?;
        let client = Client::new(String::new(), String::new(), ("analyst", ""));
        let mut up = Self { child, client, ready_seconds: 0.0 };
        let mut lines = BufReader::new(stderr).lines();
        let mut address = |word: &str| {
            let line = lines.by_ref().map_while(Result::ok).find(|line| line.trim_start().starts_with(word));
            let address = line.as_deref().and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
            address.with_context(|| format!("it did not say its {word}"))
        };
        address("page")?.trim_end_matches('/').clone_into(&mut up.client.url);
        up.client.sql_url = address("SQL")?;
        std::thread::spawn(move || {
            let problems = lines.map_while(Result::ok).filter(|line| line.contains("WARN") || line.contains("ERROR"));
            problems.for_each(|line| say(&format!("up: {line}")));
        });
        up.until("ready", |status| status["ready"] == true)?;
        up.ready_seconds = begun.elapsed().as_secs_f64();
        up.until("serving", |status| status["engine"] == "serving")?;
        Ok(up)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let status = self.status()?;
            if holds(&status) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PHASE_MAX, "not {what} within {PHASE_MAX:?}: {status}");
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// What `/v1/status` says.
    fn status(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.client.page(&format!("{}/v1/status", self.client.url))?.1)?)
    }
}

impl Pipeline for Up {
    fn client(&self) -> &Client {
        &self.client
    }

    fn until_idle(&self) -> anyhow::Result<Instant> {
        self.until("idle", |status| status["idle"] == true)?;
        Ok(Instant::now())
    }

    fn processes(&self) -> Vec<(&'static str, u32)> {
        let engine = child_of(self.child.id(), "engine-child").map(|pid| ("engine", pid));
        [("pipeline", self.child.id())].into_iter().chain(engine).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
