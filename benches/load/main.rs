//! The load driver: a synthetic estate through a real `tributary up` into rows of the real engine: cold, warm, at half load, after
//! a change of intelligence, after a crash. Prints design budgets beside what was measured. Loopback only; bounded in records and
//! time; ends what it started.

mod estate;
mod latency;
mod print;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use clap::Parser;
use serde_json::json;

use estate::{Entry, Estate, Plan};
use print::{line, say};
use service::{Phase, Service};

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

const ACTIVE: &str = "SELECT count() FROM findings FINAL WHERE state = 'active' AND left_component = 'none'";
const OPEN: &str = "SELECT count() FROM risks FINAL WHERE state = 'open'";

fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    options.binary = options.binary.canonicalize()?;
    let directory = tempfile::tempdir()?;
    let plan = |first: u32, parts: u32, night: u32| Plan {
        first,
        components: (options.components / parts).max(1),
        findings: options.findings / parts,
        night,
    };
    let generate = |name: &str, plan: &Plan| Estate::generate(&options.binary, directory.path().join(name), plan);
    let first = generate("first-night", &plan(0, 1, 0))?;
    let second = generate("second-night", &plan(0, 1, 1))?;
    // Other components, a quarter of the size: all new, and long enough for a hundred reports.
    let others = generate("others", &plan(options.components, 4, 0))?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism()?;
    say(&format!("{cores} cores; load average before: {load} (anything but 0 means that others used them)"));

    let service = Service::start(&options.binary, directory.path())?;
    let rate = cold(&service, &first, options.senders)?;
    warm(&service, &second, options.senders)?;
    memory(&service)?;
    half_load(&service, &others, rate, options.senders)?;
    intelligence(&service)?;
    let before = service.count(ACTIVE)?;
    service.kill()?;
    let service = Service::start(&options.binary, directory.path())?;
    restart(&service, before)?;
    views(&service)
}

/// All new. Answers findings per second.
fn cold(service: &Service, estate: &Estate, senders: usize) -> anyhow::Result<f64> {
    let phase = service.phase(estate, senders)?;
    let (stored, risks) = (service.count(ACTIVE)?, service.count(OPEN)?);
    ensure!(stored == estate.findings, "{stored} findings stored instead of {}", estate.findings);
    let findings = stored as f64;
    let sightings = service.status()?["funnel"]["sightings"].as_f64().unwrap_or(0.0);
    say("cold: every finding is new");
    line("  mix: bytes of JSON per finding", "2048", estate.scan_bytes as f64 / findings);
    line("  mix: sightings per finding", "3", sightings / findings);
    line("  mix: findings per open risk", "2", findings / risks as f64);
    line("  findings/s, raw reports to rows", "≥ 20000", findings / phase.seconds);
    cpu(&phase, findings);
    Ok(findings / phase.seconds)
}

/// The next night's scans.
fn warm(service: &Service, estate: &Estate, senders: usize) -> anyhow::Result<()> {
    let phase = service.phase(estate, senders)?;
    let (stored, fixed) =
        (service.count(ACTIVE)?, service.count("SELECT count() FROM findings FINAL WHERE state = 'fixed'")?);
    ensure!(stored == estate.findings, "{stored} findings active instead of {}", estate.findings);
    let findings = stored as f64;
    say("warm: the same estate, scanned a night later");
    line("  mix: per cent of findings unchanged", "95", 100.0 * (1.0 - fixed as f64 / findings));
    line("  findings/s, raw reports to rows", "≥ 60000", findings / phase.seconds);
    cpu(&phase, findings);
    Ok(())
}

fn cpu(phase: &Phase, findings: f64) {
    line("  CPU seconds per million findings, pipeline", "–", phase.cpu_pipeline / findings * 1e6);
    line("  CPU seconds per million findings, engine", "–", phase.cpu_engine / findings * 1e6);
}

fn memory(service: &Service) -> anyhow::Result<()> {
    let (pipeline, engine) = service.resident();
    let open = service.count(ACTIVE)? as f64;
    say("memory");
    line("  resident, pipeline, MiB", "–", pipeline / 1_048_576.0);
    line("  resident, pipeline, bytes per open finding, all included", "≤ 2560", pipeline / open);
    line("  resident, engine, MiB", "–", engine / 1_048_576.0);
    Ok(())
}

/// New components at half the rate at which they could be taken.
fn half_load(service: &Service, estate: &Estate, rate: f64, senders: usize) -> anyhow::Result<()> {
    let seconds = latency::measure(service, estate, rate / 2.0, senders)?;
    service.until_idle()?;
    let at = |share: f64| seconds.get(((seconds.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
    say(&format!("raw record to visible row at {:.0} findings/s, open loop, {} reports", rate / 2.0, seconds.len()));
    line("  seconds, p50", "–", at(0.5).unwrap_or(f64::NAN));
    line("  seconds, p99", "≤ 2", at(0.99).unwrap_or(f64::NAN));
    Ok(())
}

/// A catalogue of exploited vulnerabilities that names every vulnerability there is.
fn intelligence(service: &Service) -> anyhow::Result<()> {
    let ids = service.sql("SELECT DISTINCT rule FROM findings WHERE state = 'active' FORMAT TSV")?;
    let entries: Vec<_> = ids.lines().map(|id| json!({"cveID": id, "dateAdded": "2026-10-02"})).collect();
    let named = entries.len();
    let body = json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.10.02",
        "dateReleased": "2026-10-02T00:00:00Z", "count": named, "vulnerabilities": entries,
    });
    let headers = BTreeMap::from([("ce-source".to_owned(), "synthetic".to_owned())]);
    let entry = Entry { file: "kev.json".to_owned(), class: "intel".to_owned(), findings: 0, headers };
    let phase = service.measured(|| service.post(&entry, body.to_string().as_bytes()))?;
    let touched = service.count("SELECT count() FROM risks FINAL WHERE state = 'open' AND kev")?;
    let open = service.count(OPEN)?;
    ensure!(touched == open, "{touched} of {open} open risks took in the catalogue");
    say(&format!("a catalogue of exploited vulnerabilities that touches {touched} open risks"));
    line("  seconds until stored", "–", phase.seconds);
    line("  seconds until stored, per million risks", "≤ 30", phase.seconds / touched as f64 * 1e6);
    line("  CPU seconds per million risks, pipeline", "–", phase.cpu_pipeline / touched as f64 * 1e6);
    Ok(())
}

fn views(service: &Service) -> anyhow::Result<()> {
    say("questions");
    for view in ["open_risks LIMIT 50", "by_owner", "funnel", "coverage"] {
        let begun = Instant::now();
        service.sql(&format!("SELECT * FROM {view}"))?;
        line(&format!("  ms for SELECT * FROM {view}"), "≤ 1000", begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// After kill -9: the state is loaded and recomputed.
fn restart(service: &Service, before: u64) -> anyhow::Result<()> {
    service.until_idle()?;
    let after = service.count(ACTIVE)?;
    ensure!(after == before, "{after} findings after the crash, {before} before it");
    say("restart after kill -9");
    line("  seconds until ready", "–", service.ready_seconds);
    line("  findings/s, loaded and recomputed", "≥ 120000", after as f64 / service.ready_seconds);
    let (pipeline, _) = service.resident();
    line("  resident, pipeline, bytes per open finding", "≤ 2560", pipeline / after as f64);
    Ok(())
}
