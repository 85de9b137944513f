//! What every long-running command shares: serving until told to stop, then draining; probes of the separate services.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// How long open requests may take after SIGTERM.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How often a service is asked whether it has failed.
const LOOK: Duration = Duration::from_millis(250);

/// Serves until SIGTERM or Ctrl-C, then lets open requests finish.
pub async fn until_told(listener: TcpListener, app: Router) -> anyhow::Result<()> {
    let (begin, mut begun) = tokio::sync::watch::channel(false);
    let signal = async move {
        interrupted().await;
        tracing::info!("draining");
        begin.send_replace(true);
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(signal).into_future();
    tokio::select! {
        served = serving => served.context("the HTTP server stopped"),
        () = async { drop(begun.wait_for(|begun| *begun).await); tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}

async fn interrupted() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => {
            tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// How a service is, asked again and again.
pub struct Probes {
    /// Its metrics.
    pub metrics: PrometheusHandle,
    /// Why it does not do its job now; nothing when it does.
    pub reasons: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Why it cannot go on, if so.
    pub failure: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// `/metrics`, `/healthz`, `/readyz`.
pub fn probes(probes: &Arc<Probes>) -> Router {
    async fn ready(State(probes): State<Arc<Probes>>) -> Response {
        readiness((probes.reasons)().into_iter().chain((probes.failure)()).collect())
    }
    Router::new()
        .route("/metrics", get(|State(probes): State<Arc<Probes>>| async move { probes.metrics.render() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(probes))
}

/// What `/readyz` answers, of every service: ready, or why not, and nothing else, because it is asked without a token.
#[derive(Debug, Serialize, Deserialize)]
pub struct Readiness {
    /// The service does its job.
    pub ready: bool,
    /// Why it does not.
    pub reasons: Vec<String>,
}

/// 200 without reasons, 503 with them.
pub fn readiness(reasons: Vec<String>) -> Response {
    let ready = reasons.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, axum::Json(Readiness { ready, reasons })).into_response()
}

/// Serves until told to stop, or until the service cannot go on: then whoever runs it starts it again.
pub fn run(
    name: &str,
    runtime: &tokio::runtime::Runtime,
    listen: SocketAddr,
    app: Router,
    probes: &Arc<Probes>,
) -> anyhow::Result<()> {
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        writeln!(std::io::stderr().lock(), "tributary {name} at http://{}/", listener.local_addr()?)?;
        tokio::select! {
            served = until_told(listener, app) => served,
            failure = failed(probes) => bail!("{name} cannot go on: {failure}"),
        }
    })
}

async fn failed(probes: &Probes) -> String {
    loop {
        if let Some(failure) = (probes.failure)() {
            return failure;
        }
        tokio::time::sleep(LOOK).await;
    }
}
