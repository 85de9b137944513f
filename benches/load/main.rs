//! The load driver: a synthetic estate through a real `tributary up` into rows of the real engine; then the same again (warm).
//! Prints design budgets beside what was measured. Loopback only; bounded in records and time; ends what it started.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use serde::Deserialize;
use serde_json::Value;

/// Runs the load.
#[derive(Parser)]
struct Options {
    /// The release binary.
    #[arg(long)]
    binary: PathBuf,
    /// Findings of the estate.
    #[arg(long, default_value_t = 100_000)]
    findings: u32,
    /// Components.
    #[arg(long, default_value_t = 200)]
    components: u32,
    /// Requests at one time.
    #[arg(long, default_value_t = 4)]
    senders: usize,
}

/// Longest that one phase may take.
const PHASE_MAX: Duration = Duration::from_secs(900);

#[derive(Deserialize)]
struct Entry {
    file: String,
    class: String,
    findings: u64,
    headers: std::collections::BTreeMap<String, String>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let directory = tempfile::tempdir()?;
    let estate = directory.path().join("estate");
    let made = Command::new(&options.binary)
        .args([
            "estate",
            "--seed",
            "1",
            "--components",
            &options.components.to_string(),
            "--findings",
            &options.findings.to_string(),
            "--out",
        ])
        .arg(&estate)
        .output()?;
    ensure!(made.status.success(), "estate: {}", String::from_utf8_lossy(&made.stderr));
    say(&format!("estate: {}", String::from_utf8_lossy(&made.stdout).trim()));
    let entries = manifest(&estate)?;
    let findings: u64 = entries.iter().map(|entry| entry.findings).sum();
    let service = Service::start(&options.binary, directory.path())?;

    let cold = service.phase(&entries, &estate, options.senders)?;
    let stored = service.sql("SELECT count() FROM findings FINAL")?;
    ensure!(stored.trim() == findings.to_string(), "{stored} findings stored instead of {findings}");
    let risks = service.sql("SELECT count() FROM risks FINAL WHERE state = 'open'")?;
    line("findings/s cold, raw reports to rows", "≥ 20000", findings as f64 / cold.elapsed.as_secs_f64());
    line("  CPU seconds per million findings (pipeline)", "–", cold.cpu_pipeline / findings as f64 * 1e6);
    line("  CPU seconds per million findings (engine)", "–", cold.cpu_engine / findings as f64 * 1e6);
    line("  open risks", "–", risks.trim().parse().unwrap_or(0.0));

    // New headers, same reports: scans of the next night in which nothing changed.
    let warm = service.phase(&later(&entries), &estate, options.senders)?;
    line("findings/s warm, nothing changed", "≥ 60000", findings as f64 / warm.elapsed.as_secs_f64());
    line("resident memory, pipeline, MiB", "–", Service::resident_mib(service.child.id()));
    line(
        "  bytes per open finding, everything included",
        "≤ 2560",
        Service::resident_mib(service.child.id()) * 1_048_576.0 / findings as f64,
    );
    if let Some(engine) = service.engine_pid() {
        line("resident memory, engine, MiB", "–", Service::resident_mib(engine));
    }
    for view in ["open_risks LIMIT 50", "by_owner", "funnel", "coverage"] {
        let begun = Instant::now();
        service.sql(&format!("SELECT * FROM {view}"))?;
        line(&format!("ms for SELECT * FROM {view}"), "≤ 1000", begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// The same scans a day later, under their own ids.
fn later(entries: &[Entry]) -> Vec<Entry> {
    let shift = |headers: &std::collections::BTreeMap<String, String>| {
        let mut headers = headers.clone();
        if let Some(time) = headers.get_mut("ce-time") {
            *time = time.replace("2026-09-2", "2026-10-2");
        }
        headers.insert("ce-scanid".to_owned(), "second-night".to_owned());
        headers
    };
    let scans = entries.iter().filter(|entry| entry.class == "scanner");
    scans
        .map(|e| Entry {
            file: e.file.clone(),
            class: e.class.clone(),
            findings: e.findings,
            headers: shift(&e.headers),
        })
        .collect()
}

fn manifest(estate: &Path) -> anyhow::Result<Vec<Entry>> {
    let file = BufReader::new(std::fs::File::open(estate.join("manifest.jsonl"))?);
    file.lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn line(what: &str, budget: &str, measured: f64) {
    say(&format!("{what:<58} budget {budget:>9}   measured {measured:>12.1}"));
}

struct Phase {
    elapsed: Duration,
    cpu_pipeline: f64,
    cpu_engine: f64,
}

struct Service {
    child: Child,
    url: String,
    sql_url: String,
    agent: ureq::Agent,
}

impl Service {
    fn start(binary: &Path, directory: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .args(["--log", "warn", "up", "--listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0", "--data"])
            .arg(directory.join("data"))
            .current_dir(directory)
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("stderr")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut find = |word: &str| {
            lines
                .by_ref()
                .map_while(Result::ok)
                .find(|line| line.trim_start().starts_with(word))
                .context("it did not start")
        };
        let url = find("page")?.split_whitespace().nth(1).context("page")?.trim_end_matches('/').to_owned();
        let sql_url = find("SQL")?.split_whitespace().nth(1).context("SQL")?.to_owned();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| say(&format!("up: {line}"))));
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120)));
        let service = Self { child, url, sql_url, agent: config.build().into() };
        service.until("serving", |status| status["ready"] == true && status["engine"] == "serving")?;
        Ok(service)
    }

    /// Sends every record and waits until the last row is stored.
    fn phase(&self, entries: &[Entry], estate: &Path, senders: usize) -> anyhow::Result<Phase> {
        let bodies: Vec<Vec<u8>> =
            entries.iter().map(|e| std::fs::read(estate.join(&e.file))).collect::<Result<_, _>>()?;
        let engine = self.engine_pid();
        let cpu = |pid: Option<u32>| pid.map_or(0.0, cpu_seconds);
        let (pipeline_before, engine_before) = (cpu(Some(self.child.id())), cpu(engine));
        let begun = Instant::now();
        let next = AtomicUsize::new(0);
        let sent: anyhow::Result<()> = std::thread::scope(|scope| {
            let send = || -> anyhow::Result<()> {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = entries.get(index) else { return Ok(()) };
                    self.post(entry, &bodies[index])?;
                }
            };
            let threads: Vec<_> = (0..senders).map(|_| scope.spawn(send)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a sender ended"))?)
        });
        sent?;
        let idle = |status: &Value| status["idle"] == true;
        self.until("idle", idle)?;
        self.until("idle", idle)?;
        Ok(Phase {
            elapsed: begun.elapsed(),
            cpu_pipeline: cpu(Some(self.child.id())) - pipeline_before,
            cpu_engine: cpu(engine) - engine_before,
        })
    }

    fn post(&self, entry: &Entry, body: &[u8]) -> anyhow::Result<()> {
        loop {
            let mut request = self.agent.post(format!("{}/v1/events/{}", self.url, entry.class));
            for (name, value) in &entry.headers {
                request = request.header(name, value);
            }
            let response = request.send(body)?;
            match response.status().as_u16() {
                202 => return Ok(()),
                429 | 503 => std::thread::yield_now(),
                status => bail!("{}: {status} {}", entry.file, response.into_body().read_to_string()?),
            }
        }
    }

    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let text = self.agent.get(format!("{}/v1/status", self.url)).call()?.into_body().read_to_string()?;
            let status: Value = serde_json::from_str(&text)?;
            if holds(&status) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PHASE_MAX, "not {what} within {PHASE_MAX:?}: {status}");
            // A poll costs the measured process a little; ten a second is noise.
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn sql(&self, sql: &str) -> anyhow::Result<String> {
        let response = self.agent.post(&self.sql_url).header("X-ClickHouse-User", "analyst").send(sql.as_bytes())?;
        let status = response.status();
        let text = response.into_body().read_to_string()?;
        ensure!(status.is_success(), "{sql}: {text}");
        Ok(text)
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

    fn resident_mib(pid: u32) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// User and system time of a process so far; a hundred ticks a second on Linux.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
