//! Tributary as separate services on a real Kafka, broker and engine on the same machine.
//!
//! ```text
//! driver ──► ingest ──► broker ◄──► correlate
//!                         └───────► sink ──► engine
//! ```

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tributary_chdb::{Account, EngineConfig, EngineHandle, Supervisor, default_cache_home, locate_library};
use tributary_model::Topic;
use tributary_stream::log::Log;
use tributary_stream::{KafkaLog, KafkaSettings};

use crate::client::Client;
use crate::pipeline::{PHASE_MAX, Pipeline};
use crate::print::{line, say};
use crate::process::{child_of, thread_seconds};

/// Groups in the order of the flow, and what they read.
const GROUPS: [(&str, &[Topic]); 7] = [
    ("ingest", &Topic::RAW),
    ("ingest-bulk", &Topic::BULK),
    ("relate", &[Topic::Facts]),
    ("track", &[Topic::Observations]),
    ("assess", &[Topic::Findings]),
    ("remedy", &[Topic::Remedies]),
    ("sink", tributary_sink::rows::TOPICS),
];
/// Between two looks at positions: each asks the broker.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest that a broker, an engine or a service may take to serve.
const START_MAX: Duration = Duration::from_secs(120);
/// Seconds for which no snapshot is due before it counts.
const SNAPSHOTS_REST: u32 = 7;
const MIB: f64 = (1_u64 << 20) as f64;
const PREFIX: &str = "bench.";
const WRITER: (&str, &str) = ("sink", "bench");

/// All of it; ends with this value.
pub struct Cluster {
    ingest: Service,
    correlate: Option<Service>,
    sink: Service,
    client: Client,
    log: KafkaLog,
    engine: Option<EngineHandle>,
    binary: PathBuf,
    brokers: String,
    broker: Broker,
    directory: TempDir,
}

impl Cluster {
    /// Starts a broker, an engine and the three services on empty stores.
    pub fn start(binary: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (broker, brokers) = Broker::start()?;
        let engine = start_engine(binary, directory.path())?;
        let sql_url = format!("http://{}", engine.address());
        let command = |role: &str| command(binary, directory.path(), &brokers, &sql_url, role);
        let made = command("setup").args(["topics", "apply"]).output()?;
        ensure!(made.status.success(), "topics apply: {}", String::from_utf8_lossy(&made.stderr));
        let ingest = Service::start(command("ingest"), "ingest")?;
        let correlate = Service::start(command("correlate"), "correlate")?;
        let sink = Service::start(command("sink"), "sink")?;
        let instance = "driver".to_owned();
        let settings =
            KafkaSettings { brokers: brokers.clone(), prefix: PREFIX.to_owned(), instance, ..KafkaSettings::default() };
        let cluster = Self {
            client: Client::new(ingest.url.clone(), sql_url, WRITER),
            log: KafkaLog::connect(settings, &Topic::ALL)?,
            ingest,
            correlate: Some(correlate),
            sink,
            engine: Some(engine),
            binary: binary.to_owned(),
            brokers,
            broker,
            directory,
        };
        let services = [Some(&cluster.ingest), cluster.correlate.as_ref(), Some(&cluster.sink)];
        services.into_iter().flatten().try_for_each(|service| service.until_ready(&cluster.client))?;
        Ok(cluster)
    }

    /// Waits until `correlate` has had the time to write the snapshots that are due, as it has in service.
    pub fn until_snapshots(&self) -> anyhow::Result<()> {
        let correlate = self.correlate.as_ref().context("correlate does not run")?;
        let begun = Instant::now();
        let mut rested = 0;
        // Longer than the gauge is old.
        while rested < SNAPSHOTS_REST {
            ensure!(begun.elapsed() < START_MAX, "snapshots are still due after {START_MAX:?}");
            let due = total(&metric(&self.client, correlate, "tributary_snapshots_due")?);
            rested = if due == 0.0 { rested + 1 } else { 0 };
            std::thread::park_timeout(Duration::from_secs(1));
        }
        Ok(())
    }

    /// What the snapshots take.
    pub fn print_snapshots(&self) -> anyhow::Result<()> {
        let correlate = self.correlate.as_ref().context("correlate does not run")?;
        let of = |name| anyhow::Ok(total(&metric(&self.client, correlate, name)?));
        let mut stored = 0;
        for file in std::fs::read_dir(self.directory.path().join("data/snapshots"))? {
            stored += file?.metadata()?.len();
        }
        let written = of("tributary_snapshots_written_bytes_total")?;
        let seconds = of("tributary_snapshot_write_seconds_sum")?;
        say("snapshots that correlate has written since it runs");
        line("  number", "–", of("tributary_snapshots_written_total")?);
        line("  MiB of state written, before compression", "–", written / MIB);
        line("  seconds of writing, all stages", "–", seconds);
        line("  MiB on disk now", "–", stored as f64 / MIB);
        Ok(())
    }

    /// Kills `correlate` as a power cut would and starts it again, with its snapshots or without.
    pub fn restart_correlate(&mut self, snapshots: bool) -> anyhow::Result<Restart> {
        drop(self.correlate.take());
        let begun = Instant::now();
        let mut command =
            command(&self.binary, self.directory.path(), &self.brokers, &self.client.sql_url, "correlate");
        command.env("TRIBUTARY__CORRELATE__SNAPSHOTS", snapshots.to_string());
        let correlate = self.correlate.insert(Service::start(command, "correlate")?);
        correlate.until_ready(&self.client)?;
        let ready = begun.elapsed().as_secs_f64();
        let of = |name| metric(&self.client, correlate, name);
        Ok(Restart {
            ready,
            loading: of("tributary_stage_load_seconds_sum")?.into_iter().fold(0.0, f64::max),
            records: total(&of("tributary_stage_restored_records_total")?),
            adopted: total(&of("tributary_snapshots_records_total")?),
        })
    }

    /// Processor seconds of the broker's just-in-time compiler so far.
    pub fn broker_compiler_seconds(&self) -> f64 {
        child_of(self.broker.0.id(), "kafka.Kafka").map_or(0.0, |pid| thread_seconds(pid, "CompilerThre"))
    }

    /// Records that the first group that has any still has before it: to ask about those after it would cost the broker more.
    fn behind(&self) -> anyhow::Result<u64> {
        for (group, topics) in GROUPS {
            let behind = self.log.lag(group, topics)?.iter().map(|lag| lag.behind).sum();
            if behind > 0 {
                return Ok(behind);
            }
        }
        Ok(0)
    }
}

impl Pipeline for Cluster {
    fn client(&self) -> &Client {
        &self.client
    }

    fn until_idle(&self) -> anyhow::Result<Instant> {
        let begun = Instant::now();
        let rows = || anyhow::Ok(total(&metric(&self.client, &self.sink, "tributary_sink_rows_total")?));
        // A group stands at the end once it has also passed the marker of the last transaction, and a worker commits such a place only
        // when it had nothing to do for a second. That says that all is done; it was done when the last row was stored.
        let (mut stored, mut stored_at) = (rows()?, Instant::now());
        // Twice in a row: between two looks of one answer a record can pass from one group to the next.
        let mut rested = 0;
        while rested < 2 {
            let behind = self.behind()?;
            rested = if behind == 0 { rested + 1 } else { 0 };
            ensure!(begun.elapsed() < PHASE_MAX, "{behind} records behind after {PHASE_MAX:?}");
            std::thread::park_timeout(LOOK_EVERY);
            let seen = rows()?;
            if seen > stored {
                (stored, stored_at) = (seen, Instant::now());
            }
        }
        Ok(stored_at)
    }

    fn processes(&self) -> Vec<(&'static str, u32)> {
        let broker = child_of(self.broker.0.id(), "kafka.Kafka").map(|pid| ("broker", pid));
        let engine = child_of(std::process::id(), "engine-child").map(|pid| ("engine", pid));
        let correlate = self.correlate.as_ref().map(|service| ("correlate", service.child.id()));
        let services = [Some(("ingest", self.ingest.child.id())), correlate, Some(("sink", self.sink.child.id()))];
        services.into_iter().chain([broker, engine]).flatten().collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
    }
}

/// How a restart went.
pub struct Restart {
    /// Seconds from the start until it is ready.
    pub ready: f64,
    /// Of the stage that took longest, seconds until its changelogs were loaded.
    pub loading: f64,
    /// Records of changelogs that were loaded.
    pub records: f64,
    /// Of them, from snapshots.
    pub adopted: f64,
}

/// The values of a metric of a service, one for each of its labels.
fn metric(client: &Client, service: &Service, name: &str) -> anyhow::Result<Vec<f64>> {
    let (_, metrics) = client.page(&format!("{}/metrics", service.url))?;
    let own = metrics.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    Ok(own.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect())
}

/// Their sum; of none 0, which the standard library's sum writes with a minus.
fn total(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |total, value| total + value)
}

/// A subcommand of the binary, configured for this cluster.
fn command(binary: &Path, directory: &Path, brokers: &str, sql_url: &str, role: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .args(["--log", "warn"])
        .current_dir(directory)
        .env("TRIBUTARY__KAFKA__BROKERS", brokers)
        .env("TRIBUTARY__KAFKA__PREFIX", PREFIX)
        .env("TRIBUTARY__KAFKA__INSTANCE", format!("{role}-0"))
        .env("TRIBUTARY__TOPICS__PARTITIONS", "4")
        .env("TRIBUTARY__TOPICS__REPLICATION", "1")
        .env("TRIBUTARY__INTAKE__LISTEN", "127.0.0.1:0")
        .env("TRIBUTARY__CLICKHOUSE__URL", sql_url)
        .env("TRIBUTARY__CLICKHOUSE__USER", WRITER.0)
        .env("TRIBUTARY__CLICKHOUSE__PASSWORD", WRITER.1);
    command
}

fn start_engine(binary: &Path, directory: &Path) -> anyhow::Result<EngineHandle> {
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = default_cache_home(path("XDG_CACHE_HOME"), path("HOME"));
    let library = locate_library(None, path("TRIBUTARY_ENGINE_DIR").as_deref(), &cache).context("make engine")?;
    let data = directory.join("clickhouse");
    std::fs::create_dir(&data)?;
    let accounts = (Account::new(WRITER.0, WRITER.1), Account::new("analyst", ""));
    let mut config = EngineConfig::new(&data, library, "127.0.0.1:0".parse()?, accounts.0, accounts.1);
    config.limits.memory_bytes = 2 << 30;
    config.limits.query_memory_bytes = 1 << 30;
    let binary = binary.to_owned();
    let child = move || {
        let mut command = Command::new(&binary);
        command.args(["--log", "warn", "engine-child"]);
        command
    };
    let handle = Supervisor::start(config, child)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(handle.ready(START_MAX))?;
    Ok(handle)
}

/// A broker by the script of this project; its standard input ends with this process, and that ends it.
struct Broker(Child);

impl Broker {
    fn start() -> anyhow::Result<(Self, String)> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka/start");
        let mut process = Command::new(&script)
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| script.display().to_string())?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().context("stdout")?).read_line(&mut address)?;
        if address.trim().is_empty() {
            let mut reason = String::new();
            process.stderr.take().context("stderr")?.read_to_string(&mut reason)?;
            bail!("Kafka did not start: {reason}\nsee why: {}", script.display());
        }
        Ok((Self(process), address.trim().to_owned()))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// One of the three services; killed with this value.
struct Service {
    name: &'static str,
    child: Child,
    url: String,
}

impl Service {
    fn start(mut command: Command, name: &'static str) -> anyhow::Result<Self> {
        command.arg(name);
        if name != "ingest" {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr")?).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let serves = lines.by_ref().inspect(|line| said.push(line.clone())).find(|line| line.contains(" at http://"));
        let Some(serves) = serves else { bail!("{name} did not start:\n{}", said.join("\n")) };
        let url = serves.split_whitespace().last().unwrap_or_default().trim_end_matches('/').to_owned();
        std::thread::spawn(move || {
            let problems = lines.filter(|line| line.contains("WARN") || line.contains("ERROR"));
            problems.for_each(|line| say(&format!("{name}: {line}")));
        });
        Ok(Self { name, child, url })
    }

    fn until_ready(&self, client: &Client) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let (status, reasons) = client.page(&format!("{}/readyz", self.url))?;
            if status == 200 {
                return Ok(());
            }
            ensure!(begun.elapsed() < START_MAX, "{} is not ready within {START_MAX:?}: {reasons}", self.name);
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
