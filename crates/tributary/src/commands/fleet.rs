//! `status` over separate services: what their `/readyz` and `/metrics` say, put together.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use tributary_stream::KafkaLog;

use crate::cli::StatusArgs;
use crate::client::{self, Client};
use crate::config::Config;
use crate::exposition::{self, Sample};
use crate::ledger;
use crate::print;
use crate::service::Readiness;

/// Time between the two looks from which rates are computed. 1 s: a person waits for it.
const BETWEEN: Duration = Duration::from_secs(1);

/// Where parts count what they process, and how long their commits take; the label that names a part, if the metric is
/// shared.
const PARTS: [(&str, &str, &str); 3] = [
    ("ingest", "tributary_ingest_records_total", "tributary_ingest_commit_seconds"),
    ("stage", "tributary_stage_inputs_total", "tributary_stage_transaction_seconds"),
    ("sink", "tributary_sink_records_total", "tributary_sink_commit_seconds"),
];

/// Everything that is said.
#[derive(Debug, Serialize)]
struct Fleet {
    ready: bool,
    services: Vec<Service>,
    lag: Vec<Behind>,
    sizes: BTreeMap<String, BTreeMap<String, u64>>,
    rejects: Vec<Rejected>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scan: Vec<ledger::Line>,
}

/// One process.
#[derive(Debug, Serialize)]
struct Service {
    url: String,
    role: String,
    instance: String,
    version: String,
    ready: bool,
    reasons: Vec<String>,
    parts: Vec<Part>,
}

/// What works in a process.
#[derive(Debug, Serialize)]
struct Part {
    name: String,
    records_per_s: f64,
    commit_ms_p50: Option<f64>,
    commit_ms_p99: Option<f64>,
    partitions_running: u64,
    partitions_restoring: u64,
    restoring_records: u64,
}

/// How far a group is behind on a topic.
#[derive(Debug, Serialize)]
struct Behind {
    group: String,
    topic: String,
    offsets: u64,
    partitions: u64,
}

#[derive(Debug, Serialize)]
struct Rejected {
    by: String,
    code: String,
    count: u64,
}

/// Prints it; exit code 1 when anything is not ready.
pub fn status(args: &StatusArgs, services: &[String], config: &Config) -> anyhow::Result<u8> {
    let token = args.server.token.as_deref();
    let looks: Vec<Look> = services.iter().map(|url| Look::at(url, token)).collect();
    std::thread::sleep(BETWEEN);
    let again: Vec<Look> = services.iter().map(|url| Look::at(url, token)).collect();
    let services: Vec<Service> = looks.iter().zip(&again).map(|(before, now)| service(before, now)).collect();
    let samples: Vec<&Sample> = again.iter().flat_map(|look| &look.samples).collect();
    let scan = match &args.scan {
        None => Vec::new(),
        Some(scan) if config.kafka.brokers.is_empty() => {
            anyhow::bail!("kafka.brokers is not configured: the ledger of scan {scan:?} is read from the cluster")
        }
        Some(scan) => ledger::of(&KafkaLog::connect(config.kafka.clone(), &ledger::TOPICS)?, scan)?,
    };
    let fleet = Fleet {
        ready: services.iter().all(|service| service.ready),
        lag: lag(&samples),
        sizes: sizes(&samples),
        rejects: rejects(&samples),
        scan,
        services,
    };
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&fleet)?)?;
    } else {
        write(&mut out, &fleet)?;
        if let Some(scan) = &args.scan {
            print::ledger(&mut out, scan, &fleet.scan)?;
        }
    }
    Ok(u8::from(!fleet.ready))
}

/// One look at one process.
struct Look {
    url: String,
    at: Instant,
    readiness: Readiness,
    samples: Vec<Sample>,
}

impl Look {
    /// One that does not answer is not ready, and says so.
    fn at(url: &str, token: Option<&str>) -> Self {
        let client = Client::at(url, token.map(str::to_owned));
        let readiness = client
            .get::<Readiness>("/readyz")
            .unwrap_or_else(|error| Readiness { ready: false, reasons: vec![format!("{error:#}")] });
        let mut page = String::new();
        // Without metrics there is still the readiness.
        let read = client.stream("/metrics").and_then(|mut body| Ok(body.read_to_string(&mut page)?));
        let samples = if read.is_ok() { exposition::parse(&page) } else { Vec::new() };
        Self { url: client::without_credentials(url), at: Instant::now(), readiness, samples }
    }

    fn sum(&self, name: &str, part: &str) -> f64 {
        let of = self.samples.iter().filter(|sample| sample.name == name && is_of(sample, part));
        of.map(|sample| sample.value).sum()
    }

    /// Milliseconds of a quantile, the slowest of several workers; `None` before the first commit.
    fn quantile(&self, name: &str, part: &str, quantile: &str) -> Option<f64> {
        let is_it = |sample: &&Sample| {
            sample.name == name && is_of(sample, part) && sample.label("quantile") == quantile && sample.value > 0.0
        };
        self.samples.iter().filter(is_it).map(|sample| sample.value * 1e3).reduce(f64::max)
    }
}

fn is_of(sample: &Sample, part: &str) -> bool {
    let stage = sample.label("stage");
    stage.is_empty() || stage == part
}

fn service(before: &Look, now: &Look) -> Service {
    let info = now.samples.iter().find(|sample| sample.name == "tributary_service_info");
    let label = |name| info.map_or(String::new(), |info| info.label(name).to_owned());
    Service {
        url: now.url.clone(),
        role: label("role"),
        instance: label("instance"),
        version: label("version"),
        ready: now.readiness.ready,
        reasons: now.readiness.reasons.clone(),
        parts: parts(before, now),
    }
}

fn parts(before: &Look, now: &Look) -> Vec<Part> {
    let took = now.at.duration_since(before.at).as_secs_f64();
    let mut parts = Vec::new();
    for (kind, counter, commits) in PARTS {
        let role = now.samples.iter().find(|sample| sample.name == "tributary_service_info");
        let role = role.map_or("", |info| info.label("role"));
        let names: Vec<&str> = match (kind, role) {
            ("stage", "correlate" | "up") => vec!["relate", "track", "assess", "remedy"],
            ("ingest", "ingest" | "up") | ("sink", "sink" | "up") => vec![kind],
            _ => Vec::new(),
        };
        for name in names {
            let partitions = |state: &str| {
                let is_it = |sample: &&Sample| {
                    sample.name == "tributary_stage_partitions"
                        && sample.label("stage") == name
                        && sample.label("state") == state
                };
                now.samples.iter().filter(is_it).map(|sample| sample.value as u64).sum()
            };
            let restoring = now
                .samples
                .iter()
                .filter(|sample| sample.name == "tributary_stage_restoring_records" && sample.label("stage") == name);
            parts.push(Part {
                name: name.to_owned(),
                records_per_s: (now.sum(counter, name) - before.sum(counter, name)).max(0.0) / took.max(1e-3),
                commit_ms_p50: now.quantile(commits, name, "0.5"),
                commit_ms_p99: now.quantile(commits, name, "0.99"),
                partitions_running: partitions("running"),
                partitions_restoring: partitions("restoring"),
                restoring_records: restoring.map(|sample| sample.value as u64).sum(),
            });
        }
    }
    parts
}

/// Every member reports its whole group: the largest report of a partition counts, once.
fn lag(samples: &[&Sample]) -> Vec<Behind> {
    let mut by_place: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name == "tributary_group_lag") {
        let place = (sample.label("group"), sample.label("topic"), sample.label("partition"));
        let behind = by_place.entry(place).or_default();
        *behind = (*behind).max(sample.value as u64);
    }
    let mut by_topic: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for ((group, topic, _), behind) in by_place {
        let all = by_topic.entry((group, topic)).or_default();
        *all = (all.0 + behind, all.1 + u64::from(behind > 0));
    }
    let behind = |((group, topic), (offsets, partitions)): ((&str, &str), (u64, u64))| Behind {
        group: group.to_owned(),
        topic: topic.to_owned(),
        offsets,
        partitions,
    };
    by_topic.into_iter().map(behind).collect()
}

/// Over all workers: sums, but of what is called `largest_…` the largest.
fn sizes(samples: &[&Sample]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut sizes: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name == "tributary_stage_size") {
        let (what, value) = (sample.label("what"), sample.value as u64);
        let all = sizes.entry(sample.label("stage").to_owned()).or_default().entry(what.to_owned()).or_default();
        *all = if what.starts_with("largest_") { value.max(*all) } else { *all + value };
    }
    sizes
}

fn rejects(samples: &[&Sample]) -> Vec<Rejected> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for sample in samples {
        let by = match sample.name.as_str() {
            "tributary_ingest_rejects_total" => "ingest",
            "tributary_stage_rejects_total" => sample.label("stage"),
            "tributary_sink_rejects_total" => "sink",
            _ => continue,
        };
        *counts.entry((by.to_owned(), sample.label("code").to_owned())).or_default() += sample.value as u64;
    }
    counts.into_iter().map(|((by, code), count)| Rejected { by, code, count }).collect()
}

fn write(out: &mut impl Write, fleet: &Fleet) -> io::Result<()> {
    writeln!(out, "{}\n", if fleet.ready { "ready" } else { "not ready" })?;
    let ms = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}"));
    let mut rows = Vec::new();
    for service in &fleet.services {
        let name =
            if service.role.is_empty() { "?".to_owned() } else { format!("{} {}", service.role, service.instance) };
        let state = if service.ready { "ready" } else { "not ready" };
        rows.push([name, state.to_owned(), String::new(), String::new(), String::new(), service.url.clone()]);
        for part in &service.parts {
            let restore = match (part.partitions_running, part.partitions_restoring) {
                (0, 0) => String::new(),
                (running, 0) => format!("{running} partitions"),
                (running, waiting) => {
                    format!("{running} of {} restored, {} records", running + waiting, part.restoring_records)
                }
            };
            let commits = format!("{} / {}", ms(part.commit_ms_p50), ms(part.commit_ms_p99));
            rows.push([
                format!("  {}", part.name),
                restore,
                format!("{:.0}", part.records_per_s),
                commits,
                String::new(),
                String::new(),
            ]);
        }
    }
    print::table(
        out,
        ["SERVICE", "STATE", "RECORDS/S", "COMMIT MS P50/P99", "", "ADDRESS"],
        &rows,
        [24, 40, 10, 18, 1, 60],
    )?;
    writeln!(out)?;
    for behind in &fleet.lag {
        if behind.offsets > 0 {
            writeln!(
                out,
                "  {} is {} behind on {} ({} partitions)",
                behind.group, behind.offsets, behind.topic, behind.partitions
            )?;
        }
    }
    if fleet.lag.iter().all(|behind| behind.offsets == 0) && !fleet.lag.is_empty() {
        writeln!(out, "  every group is up to date")?;
    }
    for (stage, sizes) in &fleet.sizes {
        let sizes: Vec<String> =
            sizes.iter().map(|(what, size)| format!("{size} {}", what.replace('_', " "))).collect();
        writeln!(out, "  {stage:<8} {}", sizes.join(", "))?;
    }
    for Rejected { by, code, count } in &fleet.rejects {
        writeln!(out, "  {count} rejects by {by}: {code}")?;
    }
    for service in &fleet.services {
        for reason in &service.reasons {
            writeln!(out, "  ! {} {}: {reason}", service.role, service.instance)?;
        }
    }
    Ok(())
}
