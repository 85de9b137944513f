//! `code_scanning_alert` → one code weakness on the branch where it was seen last.

use serde::Deserialize;
use serde_json::Value;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Sighting};

use super::payload::{Repository, alert, first_time, parse, status};
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::{cwe, title};

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    action: String,
    alert: Alert,
    #[serde(default, rename = "ref")]
    reference: String,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Alert {
    state: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    fixed_at: Option<String>,
    dismissed_at: Option<String>,
    rule: Rule,
    tool: Tool,
    most_recent_instance: Option<Instance>,
    /// Of older payloads.
    instances: Option<Vec<Instance>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    id: String,
    severity: Option<String>,
    security_severity_level: Option<String>,
    name: Option<String>,
    description: Option<String>,
    tags: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tool {
    name: String,
    version: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Instance {
    #[serde(rename = "ref")]
    reference: Option<String>,
    location: Option<Place>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place {
    path: String,
    start_line: u32,
    end_line: u32,
}

/// One alert report. It withdraws only what its state says is fixed.
pub fn code_scanning_alert(input: &Input<'_>) -> Result<Events, Rejection> {
    let payload: Payload = parse(input, "code_scanning_alert")?;
    let found = payload.alert;
    if found.rule.id.trim().is_empty() {
        return Err(Rejection::at(code::MALFORMED, "the code scanning alert has no rule id", "$.alert.rule.id"));
    }
    let repo = payload.repository.canonical()?;
    let instance = found.most_recent_instance.or_else(|| found.instances.unwrap_or_default().into_iter().next());
    let instance = instance.unwrap_or_default();
    let branch =
        [instance.reference.as_deref(), Some(payload.reference.as_str()), payload.repository.default_branch.as_deref()];
    let branch = branch.into_iter().flatten().find(|branch| !branch.is_empty()).unwrap_or_default();
    let at = first_time(&[&found.fixed_at, &found.dismissed_at, &found.updated_at, &found.created_at]);
    let mut cwes = Vec::new();
    for tag in found.rule.tags.iter().flatten().filter_map(Value::as_str) {
        cwe::collect(tag, false, &mut cwes);
    }
    let levels = [&found.rule.security_severity_level, &found.rule.severity].into_iter().flatten();
    let severity = levels.map(|level| Severity::parse(level)).find(|level| *level != Severity::Unknown);
    let texts = [found.rule.description.as_deref(), found.rule.name.as_deref(), Some(found.rule.id.as_str())];
    let text = texts.into_iter().flatten().find(|text| !text.trim().is_empty()).unwrap_or_default();
    let sighting = Sighting {
        class: FindingClass::Weakness,
        title: title::line(text),
        severity: severity.unwrap_or_default(),
        cwes: cwe::canonical(cwes),
        location: instance.location.map(|place| Location {
            path: path::canonical(&place.path),
            start_line: place.start_line,
            end_line: place.end_line.max(place.start_line),
            ..Location::default()
        }),
        status: status(found.state.as_deref().unwrap_or_default(), &payload.action),
        rule: found.rule.id,
        ..Sighting::default()
    };
    let tool =
        if found.tool.name.is_empty() { "github code scanning".to_owned() } else { found.tool.name.to_lowercase() };
    let mut events = alert(&tool, &repo, branch, at, sighting)?;
    for report in &mut events.reports {
        report.tool_version = found.tool.version.clone().unwrap_or_default();
    }
    Ok(events)
}
