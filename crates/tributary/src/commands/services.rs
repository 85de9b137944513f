//! `ingest`, `correlate`, `sink`: the parts of the pipeline as separate services on Kafka.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use axum::middleware::from_fn_with_state;
use metrics_exporter_prometheus::PrometheusHandle;
use tributary_ingest::breaker::BreakerSettings;
use tributary_ingest::event::SecretHasher;
use tributary_ingest::worker::{self, IngestSettings, IngestWorker};
use tributary_model::Topic;
use tributary_stream::clock::SystemClock;
use tributary_stream::log::Log;
use tributary_stream::log::Waker;
use tributary_stream::stage_loop::Pipeline;
use tributary_stream::{Clock, KafkaLog};

use super::up;
use crate::access;
use crate::config::Config;
use crate::engine::{Analytics, Source};
use crate::keys;
use crate::river;
use crate::service::{self, Probes};
use crate::status::{self, Engine, Health};
use crate::telemetry;
use crate::watch::{self, Watch};

/// What INGEST asks the lag of, beside what it writes: bulk waits for the stages.
pub const CROWDED: [Topic; 2] = [Topic::Findings, Topic::Remedies];

/// What INGEST writes.
pub const CANONICAL: [Topic; 3] = [Topic::Facts, Topic::Observations, Topic::Rejects];

/// Raw records to canonical ones, and the intake in front of them.
pub fn ingest(config: &Config) -> anyhow::Result<u8> {
    let metrics = telemetry::metrics()?;
    let log = connect(config, &[&Topic::RAW[..], &Topic::BULK, &CANONICAL, &CROWDED].concat())?;
    let listen: SocketAddr = config.intake.listen.parse().context("intake.listen")?;
    let access = up::access(config, listen)?;
    std::fs::create_dir_all(&config.data).with_context(|| format!("cannot make {}", config.data.display()))?;
    let secrets: Arc<dyn SecretHasher + Send + Sync> = Arc::new(keys::secret_hasher(&config.data)?);
    let settings = IngestSettings {
        body_bytes_max: (config.intake.report_max_mib as usize) << 20,
        breaker: Some(BreakerSettings::default()),
        ..IngestSettings::default()
    };
    let shared = worker::Shared { grants: Arc::clone(&access.grants), secrets: Arc::clone(&secrets), settings };
    let health = Health::of_service(Arc::clone(&log));
    let intake = up::intake(config, &access, log.producer()?, secrets);
    let lanes = river::lanes(&log, shared)?;
    let stop = Arc::<AtomicBool>::default();
    let bells: Vec<Waker> = lanes.iter().map(IngestWorker::waker).collect();
    let states: Vec<_> = lanes.iter().map(IngestWorker::state).collect();
    let threads: anyhow::Result<Vec<_>> =
        lanes.into_iter().map(|lane| river::spawn_ingest(lane, &stop, &health)).collect();
    let threads = threads?;
    let watch = start_watch("ingest", config, log, &["ingest", "ingest-bulk"])?;
    let known = watch.known();
    let reasons = move || {
        let is_outside = states.iter().any(|state| !state.has_joined());
        let outside = is_outside.then(|| "not yet a member of its group".to_owned());
        let paused = states.iter().flat_map(|state| state.paused());
        let hung = states.iter().filter_map(|state| state.hangs());
        let hung = hung.map(|silent| format!("a worker has not come back for {} s", silent.as_secs()));
        outside.into_iter().chain(paused).chain(hung).chain(known.problem()).collect()
    };
    let probes = probes(metrics, &health, reasons);
    let pages = service::probes(&probes).layer(from_fn_with_state(Arc::clone(&access), access::readers));
    let app = pages.merge(intake).layer(from_fn_with_state(access, access::foreigners));
    let runtime = runtime()?;
    let outcome = service::run("ingest", &runtime, listen, app, &probes);
    stop.store(true, Ordering::SeqCst);
    bells.iter().for_each(Waker::ring);
    for thread in threads {
        // A panic was reported by the panic hook, and its transaction never committed.
        drop(thread.join());
    }
    drop(watch);
    outcome.map(|()| 0)
}

/// The four stages.
pub fn correlate(listen: SocketAddr, config: &Config) -> anyhow::Result<u8> {
    let metrics = telemetry::metrics()?;
    let topics: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| !topic.is_raw()).collect();
    let log = connect(config, &topics)?;
    let watch = start_watch("correlate", config, Arc::clone(&log), &["relate", "track", "assess", "remedy"])?;
    let settings = river::stage_settings(config);
    let pipeline = Pipeline::start(log, river::stages(), Arc::new(SystemClock), &settings)?;
    if let Some(reason) = pipeline.blocked() {
        tracing::warn!(reason, "correlate does not work");
    }
    let pipeline = Arc::new(pipeline);
    let (ready, failing) = (Arc::clone(&pipeline), Arc::clone(&pipeline));
    let known = watch.known();
    let probes = Arc::new(Probes {
        metrics,
        reasons: Box::new(move || status::reasons(&ready).into_iter().chain(known.problem()).collect()),
        failure: Box::new(move || failing.health().into_iter().find_map(|worker| worker.failed)),
    });
    let runtime = runtime()?;
    let outcome = service::run("correlate", &runtime, listen, service::probes(&probes), &probes);
    drop((probes, runtime));
    // The last owner ends the threads when it is dropped, each after the transaction that it is in.
    drop(pipeline);
    drop(watch);
    outcome.map(|()| 0)
}

/// Rows to ClickHouse.
pub fn sink(listen: SocketAddr, config: &Config) -> anyhow::Result<u8> {
    if config.clickhouse.url.is_empty() {
        bail!("clickhouse.url is not configured: `tributary up` brings its own engine; set TRIBUTARY__CLICKHOUSE__URL");
    }
    let log = connect(config, tributary_sink::rows::TOPICS)?;
    let health = Health::of_service(Arc::clone(&log));
    let runtime = runtime()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = telemetry::metrics()?;
    let watch = start_watch("sink", config, Arc::clone(&log), &["sink"])?;
    let source = Source { log, clock, health: health.clone(), runtime: runtime.handle().clone() };
    let analytics = Analytics::external(&config.clickhouse, source)?;
    let (state, engine, known) = (Arc::clone(&analytics.state), health.clone(), watch.known());
    let reasons = move || {
        let reason = if state.is_waiting() {
            Some("ClickHouse does not take rows; they wait")
        } else if !state.has_joined() {
            Some("ClickHouse is not migrated yet, or this is not yet a member of its group")
        } else if engine.engine() != Engine::Serving {
            Some("ClickHouse does not answer")
        } else {
            None
        };
        reason.map(str::to_owned).into_iter().chain(known.problem()).collect()
    };
    let probes = probes(metrics, &health, reasons);
    let outcome = service::run("sink", &runtime, listen, service::probes(&probes), &probes);
    analytics.stop();
    drop(watch);
    outcome.map(|()| 0)
}

fn connect(config: &Config, topics: &[Topic]) -> anyhow::Result<Arc<dyn Log>> {
    if config.kafka.brokers.is_empty() {
        bail!("kafka.brokers is not configured; without a cluster, `tributary up` runs everything in one process");
    }
    Ok(Arc::new(KafkaLog::connect(config.kafka.clone(), topics)?))
}

fn probes(
    metrics: PrometheusHandle,
    health: &Health,
    reasons: impl Fn() -> Vec<String> + Send + Sync + 'static,
) -> Arc<Probes> {
    let failing = health.clone();
    Arc::new(Probes { metrics, reasons: Box::new(reasons), failure: Box::new(move || failing.failure()) })
}

/// Watches the lag of these groups, and says who this process is.
fn start_watch(role: &'static str, config: &Config, log: Arc<dyn Log>, groups: &[&str]) -> anyhow::Result<Watch> {
    watch::introduce(role, &config.kafka.instance);
    Watch::start(log, status::GROUPS.into_iter().filter(|(name, _)| groups.contains(name)).collect())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
