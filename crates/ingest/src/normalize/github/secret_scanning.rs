//! `secret_scanning_alert` → one secret of the repository; the value, where the payload has it, is hashed at once (F23).

use serde::Deserialize;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Sighting, ToolStatus};

use super::payload::{Repository, alert, first_time, parse};
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::{secret_of, title};

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    action: String,
    alert: Alert,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Alert {
    number: u64,
    state: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    resolved_at: Option<String>,
    resolution: Option<String>,
    secret_type: String,
    secret_type_display_name: Option<String>,
    secret: Option<String>,
    validity: Option<String>,
    first_location_detected: Option<Place>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place {
    path: String,
    start_line: u32,
    end_line: u32,
}

/// One alert report on the default branch. A revoked secret is fixed; one that was resolved otherwise is a proposal (F30).
pub fn secret_scanning_alert(input: &Input<'_>) -> Result<Events, Rejection> {
    let payload: Payload = parse(input, "secret_scanning_alert")?;
    let found = payload.alert;
    if found.secret_type.trim().is_empty() {
        return Err(Rejection::at(
            code::MALFORMED,
            "the secret scanning alert has no secret type",
            "$.alert.secret_type",
        ));
    }
    let repo = payload.repository.canonical()?;
    let branch = payload.repository.default_branch.as_deref().unwrap_or_default();
    let at = first_time(&[&found.resolved_at, &found.updated_at, &found.created_at]);
    let is_resolved = found.state.as_deref().map_or(payload.action == "resolved", |state| state == "resolved");
    let is_revoked = is_resolved && found.resolution.as_deref() == Some("revoked");
    let is_active = found.validity.as_deref() == Some("active");
    let mut secret = secret_of::of(input, found.secret.as_deref().unwrap_or_default(), &found.secret_type, is_active);
    // An inactive key is one that its provider no longer accepts, whatever people clicked.
    secret.revoked = is_revoked || found.validity.as_deref() == Some("inactive");
    let location = match found.first_location_detected.filter(|place| !place.path.is_empty()) {
        Some(place) => Location {
            path: path::canonical(&place.path),
            start_line: place.start_line,
            end_line: place.end_line.max(place.start_line),
            ..Location::default()
        },
        // The webhook names no place: GitHub's number of the alert keeps two secrets of one type apart.
        None => Location { path: format!("secret-scanning/{}", found.number), ..Location::default() },
    };
    let text = found.secret_type_display_name.as_deref().filter(|text| !text.trim().is_empty());
    let sighting = Sighting {
        class: FindingClass::Secret,
        title: title::line(text.unwrap_or(&found.secret_type)),
        severity: if is_active { Severity::Critical } else { Severity::High },
        location: Some(location),
        secret: Some(secret),
        status: match (is_resolved, is_revoked) {
            (_, true) => ToolStatus::Fixed,
            (true, false) => ToolStatus::Dismissed,
            (false, false) => ToolStatus::Open,
        },
        rule: found.secret_type,
        ..Sighting::default()
    };
    alert("github secret scanning", &repo, branch, at, sighting)
}
