//! What a request says beside its body: CloudEvents attributes as headers, query parameters, GitHub's headers.

use axum::http::{HeaderMap, header};
use base64::Engine;
use bytes::Bytes;
use serde_json::{Map, Value};
use tributary_model::record::{Extensions, header as name};

use super::answer::Refusal;
use super::body::Received;
use crate::detect;
use crate::time;

/// Longest value of an extension. A purl or URL is far shorter; the value goes into keys and messages.
const VALUE_BYTES_MAX: usize = 1024;

/// Names that clients may give, as `ce-NAME` headers or as query parameters, with the header that the record carries.
const NAMES: [(&str, &str); 15] = [
    ("type", name::TYPE),
    ("source", name::SOURCE),
    ("time", name::TIME),
    ("id", name::ID),
    ("format", name::FORMAT),
    ("repo", name::REPO),
    ("branch", name::BRANCH),
    ("commit", name::COMMIT),
    ("image", name::IMAGE),
    ("resource", name::RESOURCE),
    ("scanid", name::SCAN_ID),
    ("scanscope", name::SCAN_SCOPE),
    ("complete", name::COMPLETE),
    ("backfill", name::BACKFILL),
    ("dry_run", ""),
];

/// The request without its body.
pub(super) struct Parameters {
    pub(super) ext: Extensions,
    pub(super) id: Option<String>,
    pub(super) dry_run: bool,
}

impl Parameters {
    /// Reads headers, then query parameters, which win. Credentials and times of receipt are never taken from a client.
    pub(super) fn read(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Refusal> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let mut dry_run = false;
        for (key, value) in headers {
            let Some(attribute) = key.as_str().strip_prefix("ce-") else { continue };
            // Unknown extensions are other people's: CloudEvents allows them.
            let Some((_, header)) = NAMES.iter().find(|(known, header)| *known == attribute && !header.is_empty())
            else {
                continue;
            };
            let value = value.to_str().map_err(|_| bad(attribute, "is not ASCII", "percent-encode it"))?;
            given.push((header, percent_decoded(value)));
        }
        for (key, value) in query_pairs(query.unwrap_or_default()) {
            // An unknown parameter is a typing error: a report posted with `repos=` would miss its asset silently.
            let Some((_, header)) = NAMES.iter().find(|(known, _)| *known == key) else {
                let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
                return Err(bad(&key, "is not a parameter", &format!("known ones: {}", known.join(", "))));
            };
            match *header {
                "" => dry_run = flag("dry_run", &value)?,
                header => given.push((header, value)),
            }
        }
        if let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
            given.push((name::CONTENT_TYPE, value.to_owned()));
        }
        check_values(&given)?;
        let id = given.iter().rev().find(|(header, _)| *header == name::ID).map(|(_, value)| value.clone());
        let ext = Extensions::from_headers(given.iter().map(|(header, value)| (*header, value.as_str())), time::parse);
        Ok(Self { ext, id: id.filter(|id| !id.is_empty()), dry_run })
    }
}

fn check_values(given: &[(&'static str, String)]) -> Result<(), Refusal> {
    for (header, value) in given {
        let header = header.trim_start_matches("ce_");
        if value.len() > VALUE_BYTES_MAX {
            return Err(bad(header, &format!("is longer than {VALUE_BYTES_MAX} bytes"), "shorten it"));
        }
        if value.chars().any(char::is_control) {
            return Err(bad(header, "contains control characters", "remove them"));
        }
        match header {
            "complete" | "backfill" => drop(flag(header, value)?),
            "time" if time::parse(value).is_none() => {
                return Err(bad(header, "is not a time", "write it like 2026-11-20T09:00:00Z"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn bad(name: &str, what: &str, fix: &str) -> Refusal {
    let name: String = name.chars().take(60).collect();
    Refusal::new(400, "bad_parameter", format!("{name:?} {what}"), fix)
}

fn flag(name: &str, value: &str) -> Result<bool, Refusal> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(bad(name, "is neither true nor false", "write true or false")),
    }
}

fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decoded(&key.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
    })
}

fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, digit(at + 1), digit(at + 2)) {
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The bearer token.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// GitHub's event name.
pub(super) fn github_event(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-github-event")?.to_str().ok()
}

/// Names the event of a webhook. Events that no format reads are refused here, where the sender sees it.
pub(super) fn name_webhook(headers: &HeaderMap, event: &str, ext: &mut Extensions) -> Result<(), Refusal> {
    if ext.content_type.as_deref().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Err(Refusal::new(
            415,
            "form",
            "the webhook sends a form",
            "choose the content type application/json in its settings",
        ));
    }
    let event_type = format!("github.{event}");
    let named = Extensions { event_type: Some(event_type.clone()), ..Extensions::default() };
    if let Err(rejection) = detect::of_text(b"{}", &named, None) {
        return Err(Refusal::new(422, rejection.code, rejection.reason, "unsubscribe the webhook from this event"));
    }
    ext.event_type = Some(event_type);
    ext.format = None;
    if ext.source.is_none() {
        let host =
            headers.get("x-github-enterprise-host").and_then(|value| value.to_str().ok()).unwrap_or("github.com");
        ext.source = Some(format!("github://{host}"));
    }
    Ok(())
}

/// The id of a record that its producer did not name: a function of the record, so that a repeated request gets the same.
pub(super) fn derived_id(ext: &Extensions, body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    for field in [&ext.source, &ext.repo, &ext.branch, &ext.commit, &ext.image, &ext.resource, &ext.scan_id] {
        hasher.update(field.as_deref().unwrap_or_default().as_bytes());
        hasher.update(&[0]);
    }
    hasher.update(body);
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Takes a structured-mode event out of its envelope; other bodies pass.
pub(super) fn structured(
    headers: &HeaderMap,
    ext: Extensions,
    received: Received,
) -> Result<(Extensions, Received), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/cloudevents-batch") {
        return Err(Refusal::new(415, "batch", "batches of CloudEvents are not taken", "send the events one by one"));
    }
    if !kind.starts_with("application/cloudevents+json") {
        return Ok((ext, received));
    }
    let malformed = |what: &str| {
        Refusal::new(
            400,
            "malformed",
            format!("the CloudEvent {what}"),
            "send application/cloudevents+json as CloudEvents 1.0 has it",
        )
    };
    let mut event: Map<String, Value> =
        serde_json::from_slice(&received.bytes).map_err(|_| malformed("is not a JSON object"))?;
    let data = match (event.remove("data"), event.remove("data_base64")) {
        (Some(Value::String(text)), None) => Bytes::from(text),
        (Some(data), None) => Bytes::from(serde_json::to_vec(&data).map_err(|_| malformed("has unusable data"))?),
        (None, Some(Value::String(text))) => Bytes::from(
            base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| malformed("has invalid data_base64"))?,
        ),
        _ => return Err(malformed("has neither data nor data_base64")),
    };
    let mut given: Vec<(&'static str, String)> = Vec::new();
    for (key, header) in NAMES.iter().filter(|(_, header)| !header.is_empty()) {
        match event.get(*key) {
            Some(Value::String(text)) => given.push((header, text.clone())),
            Some(Value::Bool(value)) => given.push((header, value.to_string())),
            _ => {}
        }
    }
    check_values(&given)?;
    // What the envelope says wins over nothing; query parameters and headers win over the envelope.
    let outer = ext.to_headers();
    let outer = outer
        .iter()
        .filter(|(header, _)| !matches!(*header, name::CONTENT_TYPE | name::RECEIVED_AT | name::CREDENTIAL));
    let inner = given.iter().map(|(header, value)| (*header, value.as_str()));
    let mut merged =
        Extensions::from_headers(inner.chain(outer.map(|(header, value)| (*header, value.as_str()))), time::parse);
    merged.time = ext.time.or(merged.time);
    merged.content_type = event.get("datacontenttype").and_then(Value::as_str).map(str::to_owned);
    Ok((merged, received.with(data)))
}
