//! What all GitHub webhooks share: the repository, and the state of an alert.

use serde::Deserialize;
use tributary_model::fact::Attribute;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};
use tributary_model::time::Millis;
use tributary_model::{asset, entity, repository};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;
use crate::normalize::lenient::Text;
use crate::report::Report;
use crate::time;

/// `repository` of a payload.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Repository {
    pub id: Option<u64>,
    pub name: String,
    full_name: String,
    html_url: Option<String>,
    pub default_branch: Option<String>,
}

impl Repository {
    /// `host/org/name`.
    pub fn canonical(&self) -> Result<String, Rejection> {
        let from_url = self.html_url.as_deref().and_then(repository::canonical);
        let from_name = || repository::canonical(&format!("github.com/{}", self.full_name));
        from_url.or_else(|| from_name().filter(|_| self.full_name.contains('/'))).ok_or_else(|| {
            Rejection::at(
                code::NO_ASSET,
                "the GitHub payload has no repository: send the whole webhook body",
                "$.repository",
            )
        })
    }

    /// Facts that every delivery repeats: the default branch, and the provider's id, which survives renames.
    pub fn claim(&self, repo: &str, claims: &mut Claims<'_>) {
        let entity = entity::repo(repo);
        if let Some(branch) = self.default_branch.as_deref().filter(|branch| !branch.is_empty()) {
            claims.text(&entity, Attribute::DefaultBranch, "", branch);
        }
        if let Some(id) = self.id {
            claims.text(&entity, Attribute::RepositoryAlias, &format!("github:{id}"), "provider id");
        }
    }
}

/// Parses a payload.
pub fn parse<'a, T: Deserialize<'a>>(input: &Input<'a>, event: &str) -> Result<T, Rejection> {
    serde_json::from_slice(input.body).map_err(|error| Rejection::json(&format!("GitHub {event}"), &error))
}

/// The first of these texts that is a time.
pub fn first_time(texts: &[&Option<String>]) -> Option<Millis> {
    texts.iter().copied().flatten().find_map(|text| time::parse(text))
}

/// As [`first_time`], of an alert.
pub fn first_moment(texts: &[&Text<'_>]) -> Option<Millis> {
    texts.iter().find_map(|text| time::parse(text))
}

/// The state of an alert, which GraphQL writes in capitals; the action decides where the payload has no state.
pub fn status(state: &str, action: &str) -> ToolStatus {
    match (state.trim().to_ascii_lowercase().as_str(), action) {
        ("fixed", _) | ("", "fixed" | "resolve") => ToolStatus::Fixed,
        ("dismissed" | "auto_dismissed", _) | ("", "dismissed" | "auto_dismissed" | "dismiss" | "closed_by_user") => {
            ToolStatus::Dismissed
        }
        _ => ToolStatus::Open,
    }
}

/// One alert as a report that belongs to no scan.
pub fn alert(
    tool: &str,
    repo: &str,
    branch: &str,
    at: Option<Millis>,
    sighting: Sighting,
) -> Result<Events, Rejection> {
    let asset = asset::repository(repo, branch)
        .ok_or_else(|| Rejection::new(code::NO_ASSET, "the GitHub payload names no repository"))?;
    let classes: Vec<FindingClass> = vec![sighting.class];
    let report = Report {
        asset,
        tool: tool.to_owned(),
        started_at: at,
        classes,
        is_alert: true,
        sightings: vec![sighting],
        ..Report::default()
    };
    Ok(Events { reports: vec![report], ..Events::default() })
}
