//! Code scanning alerts → code weaknesses on the branch where each was seen last: one in a webhook, many in an export.

use serde::Deserialize;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Sighting};

use super::export::{self, Export};
use super::payload::{Repository, alert, first_moment, parse, status};
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::lenient::{List, Number, Object, Text, first};
use crate::normalize::{cwe, title};

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(default, borrow)]
    action: Text<'a>,
    #[serde(borrow)]
    alert: Object<Alert<'a>>,
    #[serde(default, rename = "ref", borrow)]
    reference: Text<'a>,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Alert<'a> {
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
    fixed_at: Text<'a>,
    #[serde(borrow)]
    dismissed_at: Text<'a>,
    #[serde(borrow)]
    rule: Object<Rule<'a>>,
    #[serde(borrow)]
    tool: Object<Tool<'a>>,
    #[serde(borrow)]
    most_recent_instance: Object<Instance<'a>>,
    /// Of older payloads.
    #[serde(borrow)]
    instances: List<Instance<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    #[serde(borrow)]
    security_severity_level: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
    #[serde(borrow)]
    tags: List<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Instance<'a> {
    #[serde(rename = "ref", borrow)]
    reference: Text<'a>,
    #[serde(borrow)]
    location: Object<Place<'a>>,
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
    /// The branch and the place where it was seen last.
    fn last_seen(&self) -> (&str, Option<Location>) {
        let latest = &self.most_recent_instance;
        let is_given = latest.reference.given().is_some() || latest.location.path.given().is_some();
        let older = self.instances.first().filter(|_| !is_given);
        let instance = older.unwrap_or(latest);
        let place = &instance.location;
        let location = place.path.given().map(|path| Location {
            path: path::canonical(path),
            start_line: place.start_line.line(),
            end_line: place.end_line.line().max(place.start_line.line()),
            ..Location::default()
        });
        (instance.reference.trim(), location)
    }

    /// As the tool calls itself: its own upload and GitHub's alert about it are claims of one tool.
    fn tool(&self) -> String {
        first([&*self.tool.name, TOOL]).to_lowercase()
    }

    /// `at` is where the alert is in the body.
    fn sighting(&self, action: &str, at: &str) -> Result<Sighting, Rejection> {
        let Some(rule) = self.rule.id.given() else {
            let reason = "the code scanning alert has no rule id";
            return Err(Rejection::at(code::MALFORMED, reason, format!("{at}.rule.id")));
        };
        let mut cwes = Vec::new();
        self.rule.tags.iter().for_each(|tag| cwe::collect(tag, false, &mut cwes));
        let levels = [&self.rule.security_severity_level, &self.rule.severity];
        let severity = levels.into_iter().map(|level| Severity::parse(level)).find(|level| *level != Severity::Unknown);
        Ok(Sighting {
            class: FindingClass::Weakness,
            title: title::line(first([&*self.rule.description, &*self.rule.name, rule])),
            severity: severity.unwrap_or_default(),
            cwes: cwe::canonical(cwes),
            location: self.last_seen().1,
            status: status(&self.state, action),
            rule: rule.to_owned(),
            ..Sighting::default()
        })
    }
}

/// The tool where GitHub names none.
const TOOL: &str = "github code scanning";

/// One alert report. It withdraws only what its state says is fixed.
pub fn code_scanning_alert(input: &Input<'_>) -> Result<Events, Rejection> {
    let payload: Payload<'_> = parse(input, "code_scanning_alert")?;
    let found = &payload.alert;
    let sighting = found.sighting(&payload.action, "$.alert")?;
    let repo = payload.repository.canonical()?;
    let default_branch = payload.repository.default_branch.as_deref().unwrap_or_default();
    let branch = first([found.last_seen().0, &*payload.reference, default_branch]);
    let at = first_moment(&[&found.fixed_at, &found.dismissed_at, &found.updated_at, &found.created_at]);
    let mut events = alert(&found.tool(), &repo, branch, at, sighting)?;
    for report in &mut events.reports {
        found.tool.version.trim().clone_into(&mut report.tool_version);
    }
    Ok(events)
}

/// Alerts as the REST API lists them: a report per branch and tool.
pub fn code_scanning_alerts(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut export = Export::new(input, TOOL, &[FindingClass::Weakness]);
    for (n, found) in export::alerts::<Alert<'_>>(input, "code scanning alerts")?.iter().enumerate() {
        let sighting = found.sighting("", &format!("$[{n}]"))?;
        let repo = export::repository(&found.html_url, &found.repository);
        let report = export.report(repo, found.last_seen().0, &found.tool())?;
        found.tool.version.trim().clone_into(&mut report.tool_version);
        report.sightings.push(sighting);
    }
    export.into_events()
}
