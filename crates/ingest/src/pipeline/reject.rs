//! The reject of a record: coordinates, reason, and an excerpt only where it cannot hold a secret.

use tributary_model::reject::Reject;

use super::RawRecord;
use crate::event::{Rejection, code};
use crate::format::Format;
use crate::scrub;

/// Longest excerpt, bytes.
const EXCERPT_BYTES_MAX: usize = 256;
/// How much is scrubbed to make it: a token that begins inside the excerpt is whole in this much.
const SCRUBBED_BYTES: usize = 4096;

/// Key on the log.
pub(super) fn key(reject: &Reject) -> String {
    let origin = &reject.origin;
    format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)
}

/// The reject of a record. `rejected_at` is the time of receipt, so that a replay makes the same reject.
pub(super) fn build(record: &RawRecord, format: Option<Format>, rejection: &Rejection) -> Reject {
    let declared = || record.ext.format.as_deref().map(|name| name.chars().take(60).collect()).unwrap_or_default();
    Reject {
        origin: record.origin.clone(),
        stage: "ingest".to_owned(),
        code: rejection.code.to_owned(),
        reason: rejection.reason.clone(),
        at: rejection.at.clone(),
        format: format.map_or_else(declared, |format| format.name().to_owned()),
        class: record.class.name().to_owned(),
        source: super::source(&record.ext),
        excerpt: excerpt(record, format, rejection),
        size_bytes: record.body.len() as i64,
        rejected_at: record.ext.received_at,
    }
}

/// The reject for a fault of this crate.
pub(super) fn internal(record: &RawRecord, what: &str) -> Reject {
    let reason = format!("{what}; the input may be fine: please report this, with the file if you can share it");
    build(record, None, &Rejection::new(code::INTERNAL, reason))
}

/// The beginning of the input, scrubbed strictly. Empty where redaction cannot be sure: reports of secrets in a form that
/// was not understood, bytes that are no text, and faults of this crate.
fn excerpt(record: &RawRecord, format: Option<Format>, rejection: &Rejection) -> String {
    let is_about_secrets = matches!(
        format,
        Some(Format::Gitleaks | Format::Trufflehog | Format::GithubSecretScanningAlert | Format::Trivy | Format::Sarif)
    );
    let declares_secrets = format.is_none()
        && record.ext.format.as_deref().is_some_and(|name| name.contains("leaks") || name.contains("hog"));
    if is_about_secrets || declares_secrets || rejection.code == code::INTERNAL || rejection.code == code::ENCODING {
        return String::new();
    }
    let body = &record.body[..record.body.len().min(SCRUBBED_BYTES)];
    let valid = match std::str::from_utf8(body) {
        Ok(text) => text,
        // Cut inside a character at the end is fine; anything else is no text.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return String::new(),
    };
    if ["secret", "passw", "\"raw\"", "rawv2", "\"match\"", "private key"]
        .iter()
        .any(|word| contains_ignoring_case(valid, word))
    {
        return String::new();
    }
    let clean = scrub::strict(valid);
    let end = (0..=clean.len().min(EXCERPT_BYTES_MAX)).rev().find(|end| clean.is_char_boundary(*end)).unwrap_or(0);
    clean[..end].to_owned()
}

fn contains_ignoring_case(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}
