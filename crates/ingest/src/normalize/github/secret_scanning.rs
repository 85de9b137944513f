//! Secret scanning alerts → secrets of the repository: one in a webhook, many in an export. The value, where it is there, is
//! hashed at once (F23).

use serde::Deserialize;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Sighting, ToolStatus};

use super::export::{self, Export};
use super::payload::{Repository, alert, first_moment, parse};
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::lenient::{Number, Object, Text, first};
use crate::normalize::{secret_of, title};

const TOOL: &str = "github secret scanning";

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(default, borrow)]
    action: Text<'a>,
    #[serde(borrow)]
    alert: Object<Alert<'a>>,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Alert<'a> {
    #[serde(borrow)]
    number: Text<'a>,
    #[serde(borrow)]
    html_url: Text<'a>,
    /// Of an organisation's export.
    repository: Object<Repository>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    created_at: Text<'a>,
    #[serde(borrow)]
    updated_at: Text<'a>,
    #[serde(borrow)]
    resolved_at: Text<'a>,
    #[serde(borrow)]
    resolution: Text<'a>,
    #[serde(borrow)]
    secret_type: Text<'a>,
    #[serde(borrow)]
    secret_type_display_name: Text<'a>,
    #[serde(borrow)]
    secret: Text<'a>,
    #[serde(borrow)]
    validity: Text<'a>,
    #[serde(borrow)]
    first_location_detected: Object<Place<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow)]
    path: Text<'a>,
    start_line: Number,
    end_line: Number,
}

impl Alert<'_> {
    fn location(&self) -> Location {
        let place = &self.first_location_detected;
        match place.path.given() {
            Some(path) => Location {
                path: path::canonical(path),
                start_line: place.start_line.line(),
                end_line: place.end_line.line().max(place.start_line.line()),
                ..Location::default()
            },
            // GitHub names no place: its number of the alert keeps two secrets of one type apart.
            None => {
                Location { path: format!("secret-scanning/{}", first([&*self.number, "0"])), ..Location::default() }
            }
        }
    }

    /// A revoked secret is fixed; one that was resolved otherwise is a proposal (F30). `at` is where the alert is in the body.
    fn sighting(&self, input: &Input<'_>, action: &str, at: &str) -> Result<Sighting, Rejection> {
        let Some(kind) = self.secret_type.given() else {
            let reason = "the secret scanning alert has no secret type";
            return Err(Rejection::at(code::MALFORMED, reason, format!("{at}.secret_type")));
        };
        let is_resolved = self.state.given().map_or(action == "resolved", |state| state == "resolved");
        let is_revoked = is_resolved && &*self.resolution == "revoked";
        let is_active = &*self.validity == "active";
        let mut secret = secret_of::of(input, &self.secret, kind, is_active);
        // An inactive key is one that its provider no longer accepts, whatever people clicked.
        secret.revoked = is_revoked || &*self.validity == "inactive";
        Ok(Sighting {
            class: FindingClass::Secret,
            title: title::line(first([&*self.secret_type_display_name, kind])),
            severity: if is_active { Severity::Critical } else { Severity::High },
            location: Some(self.location()),
            secret: Some(secret),
            status: match (is_resolved, is_revoked) {
                (_, true) => ToolStatus::Fixed,
                (true, false) => ToolStatus::Dismissed,
                (false, false) => ToolStatus::Open,
            },
            rule: kind.to_owned(),
            ..Sighting::default()
        })
    }
}

/// One alert report on the default branch.
pub fn secret_scanning_alert(input: &Input<'_>) -> Result<Events, Rejection> {
    let payload: Payload<'_> = parse(input, "secret_scanning_alert")?;
    let found = &payload.alert;
    let sighting = found.sighting(input, &payload.action, "$.alert")?;
    let repo = payload.repository.canonical()?;
    let branch = payload.repository.default_branch.as_deref().unwrap_or_default();
    let at = first_moment(&[&found.resolved_at, &found.updated_at, &found.created_at]);
    alert(TOOL, &repo, branch, at, sighting)
}

/// Alerts as the REST API lists them: a report per repository.
pub fn secret_scanning_alerts(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut export = Export::new(input, TOOL, &[FindingClass::Secret]);
    for (n, found) in export::alerts::<Alert<'_>>(input, "secret scanning alerts")?.iter().enumerate() {
        let sighting = found.sighting(input, "", &format!("$[{n}]"))?;
        let repo = export::repository(&found.html_url, &found.repository);
        export.report(repo, "", TOOL)?.sightings.push(sighting);
    }
    export.into_events()
}
