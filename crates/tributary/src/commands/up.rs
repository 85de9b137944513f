//! `up`: everything in one process, durable under one directory.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn_with_state;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tributary_ingest::event::SecretHasher;
use tributary_ingest::grant::{GrantConfig, Grants, Unlisted};
use tributary_ingest::intake::{self, Intake, IntakeSettings};
use tributary_stream::Clock;
use tributary_stream::clock::SystemClock;
use tributary_stream::log::Producer;

use crate::access::{self, Access};
use crate::cli::UpArgs;
use crate::config::Config;
use crate::engine::{self, Analytics, Source};
use crate::river::{self, River};
use crate::server::{self, Shared};
use crate::service;
use crate::status;
use crate::telemetry;
use crate::watch::{self, Watch};

/// Runs until SIGTERM or Ctrl-C.
pub fn run(args: &UpArgs, config: &Config) -> anyhow::Result<u8> {
    let mut config = config.clone();
    if let Some(data) = &args.data {
        config.data.clone_from(data);
    }
    if let Some(listen) = &args.listen {
        config.intake.listen.clone_from(listen);
    }
    if let Some(listen) = &args.clickhouse_listen {
        config.clickhouse.listen.clone_from(listen);
    }
    config.check()?;
    let metrics = telemetry::metrics()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let grants = grants(&config)?;
    let report_max = (config.intake.report_max_mib as usize) << 20;
    let settings = river::stage_settings(&config);
    let river = River::start(&config.data, Arc::new(grants), report_max, &config.versions.model, &settings, &clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let analytics = analytics(args, &config, &river, &clock, &runtime)?;
    watch::introduce("up", "");
    let groups = status::GROUPS.into_iter().filter(|(name, _)| *name != "sink" || analytics.is_some());
    let _watch = Watch::start(Arc::clone(&river.log), groups.collect())?;
    let outcome = serve(&runtime, &river, &config, Some(metrics));
    if let Some(analytics) = analytics {
        analytics.stop();
    }
    runtime.shutdown_timeout(service::DRAIN);
    river.stop();
    outcome.map(|()| 0)
}

/// Grants as configured; without any, loopback may say everything.
pub fn grants(config: &Config) -> anyhow::Result<Grants> {
    let configs: Vec<GrantConfig> = config.credentials.clone();
    let unlisted = if configs.is_empty() { Unlisted::Everything } else { Unlisted::Nothing };
    Ok(Grants::new(&configs, unlisted)?)
}

fn analytics(
    args: &UpArgs,
    config: &Config,
    river: &River,
    clock: &Arc<dyn Clock>,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Option<Analytics>> {
    let source = Source {
        log: Arc::clone(&river.log),
        clock: Arc::clone(clock),
        health: river.health.clone(),
        runtime: runtime.handle().clone(),
    };
    if args.no_engine {
        return Ok(None);
    }
    if !config.clickhouse.url.is_empty() {
        return Analytics::external(&config.clickhouse, source).map(Some);
    }
    match engine::library(&config.clickhouse) {
        Ok(library) => Analytics::bundled(&config.clickhouse, library, &config.data, source).map(Some),
        Err(reason) => {
            tracing::warn!(reason, "no ClickHouse engine: everything works but SQL; rows are written once it is there");
            Ok(None)
        }
    }
}

/// Serves intake, page and API until SIGTERM or Ctrl-C, then drains.
pub fn serve(
    runtime: &tokio::runtime::Runtime,
    river: &River,
    config: &Config,
    metrics: Option<PrometheusHandle>,
) -> anyhow::Result<()> {
    let listen: SocketAddr = config.intake.listen.parse().context("intake.listen")?;
    let metrics = match metrics {
        Some(metrics) => metrics,
        None => telemetry::metrics()?,
    };
    let shared = Shared {
        log: Arc::clone(&river.log),
        producer: Arc::clone(&river.producer),
        view: river.view.clone(),
        health: river.health.clone(),
        metrics,
    };
    let access = access(config, listen)?;
    let secrets = Arc::clone(&river.secrets) as Arc<dyn SecretHasher + Send + Sync>;
    let intake = intake(config, &access, Arc::clone(&river.producer), secrets);
    runtime.block_on(async {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
        announce(listener.local_addr()?, river, config)?;
        let pages = server::router(shared).layer(from_fn_with_state(Arc::clone(&access), access::readers));
        let app = pages.merge(intake).layer(from_fn_with_state(access, access::foreigners));
        service::until_told(listener, app).await
    })
}

/// Who may talk to what listens there.
pub fn access(config: &Config, listen: SocketAddr) -> anyhow::Result<Arc<Access>> {
    Ok(Arc::new(Access {
        grants: Arc::new(grants(config)?),
        is_loopback: listen.ip().is_loopback(),
        hosts: config.intake.hosts.clone(),
    }))
}

/// The intake: what is posted there is appended by this producer.
pub fn intake(
    config: &Config,
    access: &Access,
    producer: Arc<dyn Producer>,
    secrets: Arc<dyn SecretHasher + Send + Sync>,
) -> Router {
    let secret = &config.intake.github_webhook_secret;
    let settings = IntakeSettings {
        body_bytes_max: (config.intake.report_max_mib as usize) << 20,
        token_required: !access.is_loopback,
        github_secret: (!secret.is_empty()).then(|| secret.clone().into_bytes()),
        ..IntakeSettings::default()
    };
    let intake = Intake::new(settings, producer, Arc::clone(&access.grants), secrets, Arc::new(SystemClock));
    intake::router(Arc::new(intake))
}

/// Says where everything is and what to try next; on stderr, because it is not a result.
fn announce(address: SocketAddr, river: &River, config: &Config) -> anyhow::Result<()> {
    let sql = river.health.status().sql_url;
    let mut err = std::io::stderr().lock();
    writeln!(err, "Tributary {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(err, "  page      http://{address}/")?;
    writeln!(err, "  intake    POST http://{address}/v1/events/scanner")?;
    if sql.is_empty() {
        writeln!(err, "  SQL       none: the ClickHouse engine is not installed (make engine)")?;
    } else {
        writeln!(err, "  SQL       {sql}  user analyst")?;
    }
    writeln!(err, "  data      {}", config.data.display())?;
    writeln!(
        err,
        "Try: tributary publish REPORT… · tributary top · tributary query 'SELECT * FROM open_risks LIMIT 10'"
    )?;
    Ok(())
}
