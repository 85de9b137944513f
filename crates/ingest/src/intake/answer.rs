//! What the intake answers: JSON, and for refusals a problem document that names the fix.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::check::Check;

/// A record is durable on the log.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    /// The producer's id, else one derived from the record.
    pub(super) id: String,
    /// Class.
    pub(super) class: &'static str,
    /// Detected format; absent when there is none.
    pub(super) format: Option<&'static str>,
    /// Size of the body, decompressed.
    pub(super) bytes: usize,
    /// Why the record will be rejected, where that is known already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<String>,
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        json(StatusCode::ACCEPTED, "application/json", &self)
    }
}

/// A request that was not taken in. Nothing of it is on the log.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// Machine-readable reason.
    pub(super) error: &'static str,
    /// What is wrong.
    pub(super) detail: String,
    /// What to do.
    pub(super) fix: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { status, error, detail: detail.into(), fix: fix.into() }
    }

    pub(super) fn busy() -> Self {
        Self::new(503, "busy", "too many bytes are in flight", "send it again after the seconds in Retry-After")
    }

    pub(super) fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "a fault of the intake; nothing was stored",
            "send it again; if it stays, see the logs",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, "application/problem+json", &self);
        if self.status == 503 || self.status == 429 {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if self.status == 401 {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to GitHub's ping.
pub(super) fn pong() -> Response {
    json(StatusCode::OK, "application/json", &serde_json::json!({"pong": true}))
}

/// The answer to a dry run.
pub(super) fn checked(check: &Check) -> Response {
    json(StatusCode::OK, "application/json", check)
}

fn json(status: StatusCode, content_type: &'static str, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
