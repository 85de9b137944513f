//! The load driver: a synthetic estate through a real Tributary into rows of the real engine: cold, warm, at half load, after a
//! change of intelligence, after a crash; in one process, and as separate services on a real Kafka. Prints design budgets beside
//! what was measured. Loopback only; bounded in records and time; ends what it started.

mod client;
mod cluster;
mod estate;
mod latency;
mod memory;
mod pipeline;
mod print;
mod process;
mod up;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use serde_json::json;

use cluster::Cluster;
use estate::{Entry, Estate, Plan};
use pipeline::Pipeline;
use print::{line, say};
use up::Up;

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
    /// What it runs on.
    #[arg(long, value_enum, default_value_t = On::All)]
    on: On,
    /// Memory that is touched before, MiB, so that a virtual machine has it from its host; 0: none.
    #[arg(long, default_value_t = 6144)]
    memory_mib: usize,
}

/// What Tributary runs on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// `tributary up`.
    Embedded,
    /// Separate services on Kafka.
    Kafka,
    /// One after the other.
    All,
}

const ACTIVE: &str = "SELECT count() FROM findings FINAL WHERE state = 'active' AND left_component = 'none'";
/// Rounds of warming up, at most, and the share of a core below which a broker's compiler rests.
const WARM_UP_MAX: u32 = 6;
const WARM: f64 = 0.1;
const OPEN: &str = "SELECT count() FROM risks FINAL WHERE state = 'open'";

fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    options.binary = options.binary.canonicalize()?;
    let directory = tempfile::tempdir()?;
    let nights = Nights::generate(&options, directory.path())?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism()?;
    say(&format!("{cores} cores; load average before: {load} (anything but 0 means that others used them)"));
    if options.on != On::Kafka {
        ready_memory(&options);
        embedded(&options, &nights, directory.path())?;
    }
    if options.on != On::Embedded {
        ready_memory(&options);
        kafka(&options, &nights, directory.path())?;
    }
    Ok(())
}

fn ready_memory(options: &Options) {
    if options.memory_mib > 0 {
        let memory::Touched { first, again } = memory::touch(options.memory_mib);
        say(&format!(
            "a page of memory took {first:.1} microseconds when it was touched first, and {again:.1} the next time"
        ));
    }
}

/// What is sent.
struct Nights {
    first: Estate,
    second: Estate,
    /// Other components, a quarter of the size: all new, and long enough for a hundred reports.
    others: Estate,
}

impl Nights {
    fn generate(options: &Options, directory: &Path) -> anyhow::Result<Self> {
        let plan = |first: u32, parts: u32, night: u32| Plan {
            first,
            components: (options.components / parts).max(1),
            findings: options.findings / parts,
            night,
        };
        let generate = |name: &str, plan: &Plan| Estate::generate(&options.binary, directory.join(name), plan);
        Ok(Self {
            first: generate("first-night", &plan(0, 1, 0))?,
            second: generate("second-night", &plan(0, 1, 1))?,
            others: generate("others", &plan(options.components, 4, 0))?,
        })
    }
}

/// One process on the embedded log.
fn embedded(options: &Options, nights: &Nights, directory: &Path) -> anyhow::Result<()> {
    say("\nembedded: one process");
    let up = Up::start(&options.binary, directory)?;
    let rate = cold(&up, &nights.first, options.senders, 20_000)?;
    warm(&up, &nights.second, options.senders, 60_000)?;
    let open = up.client().count(ACTIVE)? as f64;
    say("memory");
    let resident = up.print_resident();
    let pipeline = resident.first().map_or(f64::NAN, |(_, bytes)| *bytes);
    line("  resident, pipeline, bytes per open finding, all included", "≤ 2560", pipeline / open);
    half_load(&up, &nights.others, rate, options.senders, 2)?;
    intelligence(&up)?;
    let before = up.client().count(ACTIVE)?;
    up.kill()?;
    let up = Up::start(&options.binary, directory)?;
    restart(&up, before)?;
    views(&up)
}

/// Separate services, a broker and an engine on the same cores.
fn kafka(options: &Options, nights: &Nights, directory: &Path) -> anyhow::Result<()> {
    say("\nKafka: ingest, correlate and sink, the broker and the engine on the same cores");
    let mut cluster = Cluster::start(&options.binary)?;
    warm_up(&cluster, options, directory)?;
    let rate = cold(&cluster, &nights.first, options.senders, 12_000)?;
    warm(&cluster, &nights.second, options.senders, 30_000)?;
    say("memory");
    cluster.print_resident();
    half_load(&cluster, &nights.others, rate, options.senders, 3)?;
    cluster.until_snapshots()?;
    cluster.print_snapshots()?;
    restore(&mut cluster, true)?;
    restore(&mut cluster, false)
}

/// Kills `correlate` and starts it again, with its snapshots or from the log alone.
fn restore(cluster: &mut Cluster, snapshots: bool) -> anyhow::Result<()> {
    let before = cluster.client().count(ACTIVE)?;
    let findings = before as f64;
    let restart = cluster.restart_correlate(snapshots)?;
    let (how, load_budget, ready_budget) = if snapshots {
        ("with its snapshots", "≥ 300000", "≥ 120000")
    } else {
        ("from the log alone", "–", "–")
    };
    say(&format!("restore of {findings} findings after kill -9 of correlate, {how}"));
    line("  records loaded", "–", restart.records);
    line("  per cent of them from snapshots", "–", 100.0 * restart.adopted / restart.records);
    line("  seconds until loaded (the slowest stage)", "–", restart.loading);
    line("  seconds until ready", "–", restart.ready);
    line("  findings/s, loaded (the slowest stage)", load_budget, findings / restart.loading);
    line("  findings/s, loaded and recomputed", ready_budget, findings / restart.ready);
    cluster.until_idle()?;
    let after = cluster.client().count(ACTIVE)?;
    ensure!(after == before, "{after} findings after the restart, {before} before it");
    Ok(())
}

/// A broker that has been up for a while has compiled what it does: its own warming up is not what is measured. Other components
/// go through, again and again, until its compiler rests.
fn warm_up(cluster: &Cluster, options: &Options, directory: &Path) -> anyhow::Result<()> {
    let components = (options.components / 4).max(1);
    for round in 0..WARM_UP_MAX {
        let first = (2 + round) * options.components;
        let plan = Plan { first, components, findings: options.findings / 4, night: 0 };
        let estate = Estate::generate(&options.binary, directory.join(format!("before-{round}")), &plan)?;
        let compiled = cluster.broker_compiler_seconds();
        let phase = cluster.phase(&estate, options.senders)?;
        let share = (cluster.broker_compiler_seconds() - compiled) / phase.seconds;
        say(&format!("warming up: the broker's compiler took {:.0} % of a core", share * 100.0));
        if share < WARM {
            break;
        }
    }
    Ok(())
}

/// All new. Answers findings per second.
fn cold(pipeline: &impl Pipeline, estate: &Estate, senders: usize, budget: u32) -> anyhow::Result<f64> {
    let before = Counts::of(pipeline)?;
    let phase = pipeline.phase(estate, senders)?;
    let new = Counts::of(pipeline)?.since(&before);
    ensure!(new.active == estate.findings, "{} findings stored instead of {}", new.active, estate.findings);
    let findings = new.active as f64;
    say("cold: every finding is new");
    line("  mix: bytes of JSON per finding", "2048", estate.scan_bytes as f64 / findings);
    line("  mix: sightings per finding", "3", new.sightings as f64 / findings);
    line("  mix: findings per open risk", "2", findings / new.risks as f64);
    line("  revisions per open risk", "–", new.revisions as f64 / new.risks as f64);
    line("  findings/s, raw reports to rows", &format!("≥ {budget}"), findings / phase.seconds);
    phase.print_cpu("findings", findings);
    Ok(findings / phase.seconds)
}

/// The next night's scans.
fn warm(pipeline: &impl Pipeline, estate: &Estate, senders: usize, budget: u32) -> anyhow::Result<()> {
    let before = Counts::of(pipeline)?;
    let phase = pipeline.phase(estate, senders)?;
    let after = Counts::of(pipeline)?;
    ensure!(after.active == before.active, "{} findings active instead of {}", after.active, before.active);
    let findings = estate.findings as f64;
    say("warm: the same estate, scanned a night later");
    line("  mix: per cent of findings unchanged", "95", 100.0 * (1.0 - after.since(&before).fixed as f64 / findings));
    line("  findings/s, raw reports to rows", &format!("≥ {budget}"), findings / phase.seconds);
    phase.print_cpu("findings", findings);
    Ok(())
}

/// What is stored.
struct Counts {
    active: u64,
    fixed: u64,
    risks: u64,
    revisions: u64,
    sightings: u64,
}

impl Counts {
    fn of(pipeline: &impl Pipeline) -> anyhow::Result<Self> {
        let count = |sql| pipeline.client().count(sql);
        Ok(Self {
            active: count(ACTIVE)?,
            fixed: count("SELECT count() FROM findings FINAL WHERE state = 'fixed'")?,
            risks: count("SELECT count() FROM risks FINAL WHERE state = 'open'")?,
            revisions: count("SELECT count() FROM risk_changes FINAL")?,
            sightings: count("SELECT sum(sightings) FROM scan_runs FINAL WHERE state = 'applied'")?,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            active: self.active - before.active,
            fixed: self.fixed - before.fixed,
            risks: self.risks - before.risks,
            revisions: self.revisions - before.revisions,
            sightings: self.sightings - before.sightings,
        }
    }
}

/// New components at half the rate at which they could be taken.
fn half_load(pipeline: &impl Pipeline, estate: &Estate, rate: f64, senders: usize, budget: u32) -> anyhow::Result<()> {
    let seconds = latency::measure(pipeline, estate, rate / 2.0, senders)?;
    pipeline.until_idle()?;
    let at = |share: f64| seconds.get(((seconds.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
    say(&format!("raw record to visible row at {:.0} findings/s, open loop, {} reports", rate / 2.0, seconds.len()));
    line("  seconds, p50", "–", at(0.5).unwrap_or(f64::NAN));
    line("  seconds, p99", &format!("≤ {budget}"), at(0.99).unwrap_or(f64::NAN));
    Ok(())
}

/// A catalogue of exploited vulnerabilities that names every vulnerability there is.
fn intelligence(up: &Up) -> anyhow::Result<()> {
    let ids = up.client().sql("SELECT DISTINCT rule FROM findings WHERE state = 'active' FORMAT TSV")?;
    let entries: Vec<_> = ids.lines().map(|id| json!({"cveID": id, "dateAdded": "2026-10-02"})).collect();
    let named = entries.len();
    let body = json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.10.02",
        "dateReleased": "2026-10-02T00:00:00Z", "count": named, "vulnerabilities": entries,
    });
    let headers = BTreeMap::from([("ce-source".to_owned(), "synthetic".to_owned())]);
    let entry = Entry { file: "kev.json".to_owned(), class: "intel".to_owned(), findings: 0, headers };
    let phase = up.measured(|| up.client().post(&entry, body.to_string().as_bytes()))?;
    let touched = up.client().count("SELECT count() FROM risks FINAL WHERE state = 'open' AND kev")?;
    let open = up.client().count(OPEN)?;
    ensure!(touched == open, "{touched} of {open} open risks took in the catalogue");
    say(&format!("a catalogue of exploited vulnerabilities that touches {touched} open risks"));
    line("  seconds until stored", "–", phase.seconds);
    line("  seconds until stored, per million risks", "≤ 30", phase.seconds / touched as f64 * 1e6);
    phase.print_cpu("risks", touched as f64);
    Ok(())
}

fn views(up: &Up) -> anyhow::Result<()> {
    say("questions");
    for view in ["open_risks LIMIT 50", "by_owner", "funnel", "coverage"] {
        let begun = Instant::now();
        up.client().sql(&format!("SELECT * FROM {view}"))?;
        line(&format!("  ms for SELECT * FROM {view}"), "≤ 1000", begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// After kill -9: the state is loaded and recomputed.
fn restart(up: &Up, before: u64) -> anyhow::Result<()> {
    up.until_idle()?;
    let after = up.client().count(ACTIVE)?;
    ensure!(after == before, "{after} findings after the crash, {before} before it");
    say("restart after kill -9");
    line("  seconds until ready", "–", up.ready_seconds);
    line("  findings/s, loaded and recomputed", "≥ 120000", after as f64 / up.ready_seconds);
    up.print_resident();
    Ok(())
}
