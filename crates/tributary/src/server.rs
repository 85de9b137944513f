//! The HTTP side of `up`: one read-only page, a small API for the command line, metrics and health.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde_json::json;
use tributary_ingest::snapshot;
use tributary_model::reject::Origin;
use tributary_model::risk::Risk;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::log::{Budget, Log, Producer, Start};
use tributary_stream::{Outputs, Position};

use crate::ledger;
use crate::page;
use crate::service;
use crate::status::{Health, Status};
use crate::topic_json;
use crate::view::View;

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Appends facts.
    pub producer: Arc<dyn Producer>,
    /// The summary.
    pub view: View,
    /// Health of the pipeline.
    pub health: Health,
    /// Metrics.
    pub metrics: PrometheusHandle,
}

/// Page, API, metrics, health.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/v1/risks", get(risks))
        .route("/v1/risks/{id}", get(risk))
        .route("/v1/scans/{id}", get(scan))
        .route("/v1/ledger/{scan}", get(ledger))
        .route("/v1/topics/{topic}", get(topic))
        .route("/v1/status", get(status))
        .route("/v1/intel/bundled", post(bundled_intel))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shared)
}

/// An error that says what to do.
struct Problem(StatusCode, String, &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({"error": self.1, "fix": self.2}))).into_response()
    }
}

async fn index(State(shared): State<Shared>) -> Response {
    // The page has no script and no outside resource; text from tools that slipped into markup could have neither.
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page::render(&shared.view, &shared.health.status()))).into_response()
}

#[derive(Deserialize)]
struct RisksQuery {
    limit: Option<usize>,
    owner: Option<String>,
    component: Option<String>,
}

/// At most so many risks per answer: the list is for people; analysts ask ClickHouse.
const RISKS_MAX: usize = 10_000;

/// How long a list waits for the summary to have what was on the log when it was asked for: who was just told that a scan is assessed
/// gets its risks. Longer than it takes when the machine is busy; then the list is as old as the summary.
const SUMMARY_WAIT_MAX: Duration = Duration::from_secs(2);

async fn risks(State(shared): State<Shared>, Query(query): Query<RisksQuery>) -> Response {
    let limit = query.limit.unwrap_or(20).min(RISKS_MAX);
    let (log, view) = (Arc::clone(&shared.log), shared.view.clone());
    let wait = move || log.ends(&[Topic::Risks]).map(|ends| view.wait_for(&ends, SUMMARY_WAIT_MAX));
    drop(tokio::task::spawn_blocking(wait).await);
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    let top = shared.view.top(limit, |risk| is(&query.owner, &risk.owner) && is(&query.component, &risk.component));
    axum::Json(top).into_response()
}

async fn risk(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = shared.view.find(&id);
    let [summary] = found.as_slice() else {
        return Err(if found.is_empty() {
            Problem(
                StatusCode::NOT_FOUND,
                format!("no risk has an id that begins with {id:?}"),
                "tributary top lists ids",
            )
        } else {
            Problem(
                StatusCode::CONFLICT,
                format!("{} risks have ids that begin with {id:?}", found.len()),
                "give more digits of the id",
            )
        });
    };
    let (log, at) = (Arc::clone(&shared.log), summary.at);
    let read = tokio::task::spawn_blocking(move || read_risk(log.as_ref(), at)).await;
    match read {
        Ok(Some(risk)) => Ok(axum::Json(risk).into_response()),
        // It was revised between the summary and the read: the next try finds the new one.
        _ => Err(Problem(StatusCode::SERVICE_UNAVAILABLE, "the risk is being revised".into(), "ask again")),
    }
}

fn read_risk(log: &dyn Log, (partition, offset): (u32, u64)) -> Option<Risk> {
    let start = Start::At(vec![Position { topic: Topic::Risks, partition, next: offset }]);
    let mut reader = log.reader(&[(Topic::Risks, partition)], &start).ok()?;
    let read = reader.read(Budget { records: 1, bytes: 1, wait: Duration::ZERO }).ok()?;
    let message = read.messages.into_iter().next().filter(|message| message.offset == offset)?;
    Risk::decode(message.value.as_deref()?).ok()
}

async fn scan(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    axum::Json(shared.view.scan(&id)).into_response()
}

#[derive(Deserialize)]
struct TopicQuery {
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

/// Streams a topic as JSON lines. A slow client holds back only its own reader: the channel holds 64 chunks.
async fn topic(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<TopicQuery>,
) -> Result<Response, Problem> {
    let Some(topic) = Topic::parse(&name) else {
        let names: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        return Err(Problem(
            StatusCode::NOT_FOUND,
            format!("no topic is called {name:?}; there are {}", names.join(", ")),
            "name one of them",
        ));
    };
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(64);
    let log = Arc::clone(&shared.log);
    let limit = query.limit.unwrap_or(usize::MAX);
    tokio::task::spawn_blocking(move || topic_json::stream(log.as_ref(), topic, limit, query.follow, &sender));
    let body = Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

async fn status(State(shared): State<Shared>) -> axum::Json<Status> {
    axum::Json(shared.health.status())
}

/// Loads the bundled snapshot. Its facts are old by design: whatever was said since then stays.
async fn bundled_intel(State(shared): State<Shared>) -> Result<Response, Problem> {
    let append = move || {
        let facts = snapshot::facts(&Origin { topic: "bundled.intel".to_owned(), partition: 0, offset: 0 });
        let mut outputs = Outputs::default();
        for fact in &facts {
            outputs.put(Topic::Facts, &fact.entity, fact.entity.clone(), fact).map_err(|error| error.to_string())?;
        }
        shared.producer.append(outputs.into_records()).map_err(|error| error.to_string())?;
        Ok::<usize, String>(facts.len())
    };
    let appended =
        tokio::task::spawn_blocking(append).await.map_err(|error| error.to_string()).and_then(|result| result);
    match appended {
        Ok(facts) => {
            Ok((StatusCode::ACCEPTED, axum::Json(json!({"date": snapshot::DATE, "facts": facts}))).into_response())
        }
        Err(error) => Err(Problem(StatusCode::SERVICE_UNAVAILABLE, error, "try again")),
    }
}

async fn metrics(State(shared): State<Shared>) -> String {
    shared.metrics.render()
}

async fn ready(State(shared): State<Shared>) -> Response {
    service::readiness(shared.health.reasons())
}

async fn ledger(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let read = tokio::task::spawn_blocking(move || ledger::of(shared.log.as_ref(), &id)).await;
    match read.map_err(|error| error.to_string()).and_then(|lines| lines.map_err(|error| error.to_string())) {
        Ok(lines) => Ok(axum::Json(lines).into_response()),
        Err(error) => Err(Problem(StatusCode::SERVICE_UNAVAILABLE, error, "ask again")),
    }
}
