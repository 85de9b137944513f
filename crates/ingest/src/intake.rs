//! The HTTP intake: CloudEvents in binary or structured mode and GitHub webhooks → records on the raw topics.
//! Answers 202 only when the record is durable; memory is bounded before a body is read.

mod answer;
mod body;
mod request;
mod sink;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tributary_model::record::{Extensions, RawClass};
use tributary_stream::Clock;
use tributary_stream::log::Producer;

use crate::check::{self, Check};
use crate::event::SecretHasher;
use crate::format::Format;
use crate::grant::Grants;
use crate::pipeline::Context;
use crate::{detect, metrics, plain, secret};

use answer::{Accepted, Refusal};
use request::Parameters;

/// Knobs of the intake.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// Largest body, before and after decompression, bytes.
    pub body_bytes_max: usize,
    /// Bytes of bodies in flight at one time; beyond it requests are told to come back.
    pub in_flight_bytes_max: usize,
    /// Largest record that the log takes as it is; larger bodies are compressed, and if that does not help normalised here.
    /// `None`: any size.
    pub record_bytes_max: Option<usize>,
    /// Whether a token is needed even if no grant has one: true on every address but loopback.
    pub token_required: bool,
    /// Secret of GitHub webhooks; with it every webhook must be signed.
    pub github_secret: Option<Vec<u8>>,
    /// Credential whose grant applies to signed GitHub webhooks.
    pub github_credential: Option<String>,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            // The largest reports seen in practice (a container registry's worth of SBOMs in one) are about half of it.
            body_bytes_max: 64 * 1024 * 1024,
            // Four of the largest at once; a normal report is 1 MB.
            in_flight_bytes_max: 256 * 1024 * 1024,
            record_bytes_max: None,
            token_required: false,
            github_secret: None,
            github_credential: None,
        }
    }
}

/// The intake's parts, passed in.
pub struct Intake {
    settings: IntakeSettings,
    log: Arc<dyn Producer>,
    grants: Arc<Grants>,
    secrets: Arc<dyn SecretHasher + Send + Sync>,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Semaphore>,
    decompressing: Arc<Semaphore>,
}

impl Intake {
    /// An intake that appends to `log`.
    #[must_use]
    pub fn new(
        settings: IntakeSettings,
        log: Arc<dyn Producer>,
        grants: Arc<Grants>,
        secrets: Arc<dyn SecretHasher + Send + Sync>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let permits = body::permits(settings.in_flight_bytes_max) as usize;
        Self {
            settings,
            log,
            grants,
            secrets,
            clock,
            in_flight: Arc::new(Semaphore::new(permits)),
            decompressing: Arc::new(Semaphore::new(body::DECOMPRESSING_MAX)),
        }
    }

    fn context(&self) -> Context<'_> {
        Context { grants: &self.grants, secrets: self.secrets.as_ref(), body_bytes_max: self.settings.body_bytes_max }
    }
}

/// `POST /v1/events/{class}` and `POST /v1/webhooks/github`.
pub fn router(intake: Arc<Intake>) -> Router {
    Router::new()
        .route("/v1/events/{class}", post(events))
        .route("/v1/webhooks/github", post(github))
        .with_state(intake)
}

async fn events(State(intake): State<Arc<Intake>>, Path(class): Path<String>, request: Request) -> Response {
    let class = RawClass::parse(&class).ok_or_else(|| {
        let known: Vec<&str> = RawClass::ALL.into_iter().map(RawClass::name).collect();
        Refusal::new(
            404,
            "unknown_class",
            format!("there is no class {class:?}"),
            format!("post to one of: {}", known.join(", ")),
        )
    });
    respond(match class {
        Ok(class) => handle(intake, Some(class), request).await,
        Err(refusal) => Err(refusal),
    })
}

async fn github(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    respond(handle(intake, None, request).await)
}

fn respond(result: Result<Response, Refusal>) -> Response {
    result.unwrap_or_else(|refusal| {
        metrics::refused(refusal.status);
        refusal.into_response()
    })
}

/// Without a class, the request is a GitHub webhook and its event decides.
async fn handle(intake: Arc<Intake>, class: Option<RawClass>, request: Request) -> Result<Response, Refusal> {
    let (parts, stream) = request.into_parts();
    let parameters = Parameters::read(&parts.headers, parts.uri.query())?;
    let event = request::github_event(&parts.headers);
    if class.is_none() && event.is_none() {
        return Err(Refusal::new(
            400,
            "no_event",
            "the header X-GitHub-Event is missing",
            "post other reports to /v1/events/{class}",
        ));
    }
    // Before the body is read: who may not speak is not listened to.
    let signed = event.is_some() && intake.settings.github_secret.is_some();
    let credential =
        if signed { intake.settings.github_credential.clone() } else { authenticate(&intake, &parts.headers)? };
    let received = body::receive(&intake, &parts.headers, stream).await?;
    if signed {
        check_signature(&intake, &parts.headers, &received.bytes)?;
    }
    if event == Some("ping") {
        return Ok(answer::pong());
    }
    let (mut ext, received) = request::structured(&parts.headers, parameters.ext, received)?;
    ext.credential = credential;
    ext.received_at = intake.clock.now();
    if let Some(event) = event {
        request::name_webhook(&parts.headers, event, &mut ext)?;
    }
    let class = class.unwrap_or_else(|| of_event(&ext));
    if parameters.dry_run {
        let check = dry_run(intake, received.bytes, ext, class).await?;
        return Ok(answer::checked(&check));
    }
    accept(&intake, class, ext, parameters.id, received).await
}

fn of_event(ext: &Extensions) -> RawClass {
    ext.event_type.as_deref().and_then(Format::parse).map_or(RawClass::Cicd, Format::class)
}

/// The credential of the request; `None` where none is needed.
fn authenticate(intake: &Intake, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let unauthorised = |what: &str| {
        Refusal::new(401, "unauthorised", what, "send `Authorization: Bearer TOKEN` with a token of a grant")
    };
    match request::bearer(headers) {
        Some(token) => match intake.grants.credential(token) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(unauthorised("the token is not known")),
        },
        None if intake.grants.wants_token() || intake.settings.token_required => Err(unauthorised("a token is needed")),
        None => Ok(None),
    }
}

fn check_signature(intake: &Intake, headers: &HeaderMap, body: &Bytes) -> Result<(), Refusal> {
    let Some(key) = &intake.settings.github_secret else { return Ok(()) };
    let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|value| value.strip_prefix("sha256="));
    if signature.is_some_and(|signature| secret::verify(key, body, signature)) {
        return Ok(());
    }
    Err(Refusal::new(
        401,
        "bad_signature",
        "X-Hub-Signature-256 is missing or does not match the body",
        "enter the same secret in the webhook's settings and here",
    ))
}

async fn dry_run(intake: Arc<Intake>, body: Bytes, ext: Extensions, class: RawClass) -> Result<Check, Refusal> {
    let name = ext.source.clone().unwrap_or_else(|| "-".to_owned());
    let run = move || check::check(&name, &body, &ext, Some(class), &intake.context());
    tokio::task::spawn_blocking(run).await.map_err(|_| Refusal::internal())
}

async fn accept(
    intake: &Arc<Intake>,
    class: RawClass,
    ext: Extensions,
    id: Option<String>,
    received: body::Received,
) -> Result<Response, Refusal> {
    let bytes = received.bytes.len();
    // Says early what will be rejected later; the record is taken in all the same, so that the reject is on the log. A file
    // that is compressed in itself is not looked into: what it unpacks to is not reserved here.
    let format = (!plain::is_compressed(&received.bytes)).then(|| {
        plain::text(&received.bytes, intake.settings.body_bytes_max)
            .and_then(|text| detect::of_text(&text, &ext, Some(class)))
    });
    let id = id.unwrap_or_else(|| request::derived_id(&ext, &received.bytes));
    sink::append(intake, class, ext, &id, received).await?;
    metrics::accepted(class, bytes);
    let (format, warning) = match format {
        Some(Ok(format)) => (Some(format.name()), None),
        Some(Err(rejection)) => (None, Some(rejection.to_string())),
        None => (None, None),
    };
    Ok(Accepted { id, class: class.name(), format, bytes, warning }.into_response())
}

#[cfg(test)]
mod tests;
