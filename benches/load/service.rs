//! A running `tributary up`: start, send, wait, ask, measure, end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::estate::{Entry, Estate};
use crate::print::say;

/// Longest that one phase may take.
const PHASE_MAX: Duration = Duration::from_secs(900);
/// Between two looks at the status: a look costs the measured process a little; ten a second is noise.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What one phase took.
pub struct Phase {
    pub seconds: f64,
    pub cpu_pipeline: f64,
    pub cpu_engine: f64,
}

/// The service; ends with this value.
pub struct Service {
    child: Child,
    url: String,
    sql_url: String,
    agent: ureq::Agent,
    /// From the start of the process until every stage was ready.
    pub ready_seconds: f64,
}

impl Service {
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
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120)));
        let (url, sql_url) = (String::new(), String::new());
        let mut service = Self { child, url, sql_url, agent: config.build().into(), ready_seconds: 0.0 };
        let mut lines = BufReader::new(stderr).lines();
        let mut address = |word: &str| {
            let line = lines.by_ref().map_while(Result::ok).find(|line| line.trim_start().starts_with(word));
            let address = line.as_deref().and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
            address.with_context(|| format!("it did not say its {word}"))
        };
        address("page")?.trim_end_matches('/').clone_into(&mut service.url);
        service.sql_url = address("SQL")?;
        std::thread::spawn(move || {
            let problems = lines.map_while(Result::ok).filter(|line| line.contains("WARN") || line.contains("ERROR"));
            problems.for_each(|line| say(&format!("up: {line}")));
        });
        service.until("ready", |status| status["ready"] == true)?;
        service.ready_seconds = begun.elapsed().as_secs_f64();
        service.until("serving", |status| status["engine"] == "serving")?;
        Ok(service)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends every record of an estate and waits until the last row is stored.
    pub fn phase(&self, estate: &Estate, senders: usize) -> anyhow::Result<Phase> {
        self.measured(|| self.send(estate, senders, |_| ()))
    }

    /// Does something and waits until nothing is left to do anywhere.
    pub fn measured(&self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Phase> {
        let cpu = || (cpu_seconds(self.child.id()), self.engine_pid().map_or(0.0, cpu_seconds));
        let (before, begun) = (cpu(), Instant::now());
        work()?;
        self.until_idle()?;
        let (seconds, after) = (begun.elapsed().as_secs_f64(), cpu());
        Ok(Phase { seconds, cpu_pipeline: after.0 - before.0, cpu_engine: after.1 - before.1 })
    }

    /// Sends every record, so many at a time; `pace` waits until it is the turn of the nth.
    pub fn send(&self, estate: &Estate, senders: usize, pace: impl Fn(usize) + Sync) -> anyhow::Result<()> {
        let next = AtomicUsize::new(0);
        let send = || -> anyhow::Result<()> {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(entry) = estate.entries.get(index) else { return Ok(()) };
                let body = estate.body(entry)?;
                pace(index);
                self.post(entry, &body)?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..senders).map(|_| scope.spawn(send)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a sender ended"))?)
        })
    }

    /// Sends one record; again when the intake says "later".
    pub fn post(&self, entry: &Entry, body: &[u8]) -> anyhow::Result<()> {
        loop {
            let mut request = self.agent.post(format!("{}/v1/events/{}", self.url, entry.class));
            for (name, value) in &entry.headers {
                request = request.header(name, value);
            }
            let response = request.send(body)?;
            match response.status().as_u16() {
                202 => return Ok(()),
                429 | 503 => std::thread::park_timeout(Duration::from_millis(5)),
                status => bail!("{}: {status} {}", entry.file, response.into_body().read_to_string()?),
            }
        }
    }

    /// Waits until nothing is left to do.
    pub fn until_idle(&self) -> anyhow::Result<()> {
        self.until("idle", |status| status["idle"] == true)
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
    pub fn status(&self) -> anyhow::Result<Value> {
        let text = self.agent.get(format!("{}/v1/status", self.url)).call()?.into_body().read_to_string()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks ClickHouse.
    pub fn sql(&self, sql: &str) -> anyhow::Result<String> {
        let response = self.agent.post(&self.sql_url).header("X-ClickHouse-User", "analyst").send(sql.as_bytes())?;
        let status = response.status();
        let text = response.into_body().with_config().limit(64 << 20).read_to_string()?;
        ensure!(status.is_success(), "{sql}: {text}");
        Ok(text)
    }

    /// Asks ClickHouse for one number.
    pub fn count(&self, sql: &str) -> anyhow::Result<u64> {
        self.sql(sql)?.trim().parse().with_context(|| format!("{sql}: not a number"))
    }

    /// Resident memory of the pipeline and of the engine, bytes.
    pub fn resident(&self) -> (f64, f64) {
        (resident_bytes(self.child.id()), self.engine_pid().map_or(0.0, resident_bytes))
    }

    fn engine_pid(&self) -> Option<u32> {
        let parent = self.child.id().to_string();
        std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let ppid = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned();
            (ppid == parent).then_some(pid)
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn resident_bytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).unwrap_or_default();
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0
}

/// User and system time of a process so far; a hundred ticks a second on Linux.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
