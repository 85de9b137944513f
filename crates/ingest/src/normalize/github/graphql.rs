//! `vulnerabilityAlerts` in an answer of the GraphQL API: Dependabot's alerts in another spelling, wherever the query asked for
//! them.

use serde::Deserialize;
use serde_json::Value;
use tributary_model::repository;

use super::dependabot::{Advisory, Alert, CLASSES, Dependency, PackageName, TOOL, Vulnerability};
use super::export::Export;
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::lenient::{Object, Text};
use crate::time;

const ALERTS: &str = "vulnerabilityAlerts";

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Node<'a> {
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    fixed_at: Text<'a>,
    #[serde(borrow)]
    dismissed_at: Text<'a>,
    #[serde(borrow)]
    auto_dismissed_at: Text<'a>,
    #[serde(borrow)]
    vulnerable_manifest_path: Text<'a>,
    #[serde(borrow)]
    vulnerable_manifest_filename: Text<'a>,
    #[serde(borrow)]
    vulnerable_requirements: Text<'a>,
    #[serde(borrow)]
    dependency_scope: Text<'a>,
    #[serde(borrow)]
    security_vulnerability: Object<Found<'a>>,
    #[serde(borrow)]
    security_advisory: Object<Advisory<'a>>,
}

/// The package and the advisory hang on the vulnerability here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Found<'a> {
    #[serde(borrow)]
    package: Object<PackageName<'a>>,
    #[serde(borrow)]
    advisory: Object<Advisory<'a>>,
    #[serde(flatten, borrow)]
    vulnerability: Vulnerability<'a>,
}

impl<'a> Node<'a> {
    fn into_alert(self) -> Alert<'a> {
        let found = self.security_vulnerability.0;
        let is_advisory_here = found.advisory.identifiers.is_empty() && found.advisory.ghsa_id.is_empty();
        let advisory = if is_advisory_here { self.security_advisory } else { found.advisory };
        let is_time = |text: &Text<'_>| time::parse(text).is_some();
        let state = match self.state.given() {
            None if is_time(&self.fixed_at) => "fixed".into(),
            None if is_time(&self.dismissed_at) || is_time(&self.auto_dismissed_at) => "dismissed".into(),
            _ => self.state,
        };
        let is_path = self.vulnerable_manifest_path.given().is_some();
        // A requirement is exact (`= 1.2.3`) where a lockfile says it; a range is no version.
        let version = self.vulnerable_requirements.strip_prefix('=').map(|version| version.trim().to_owned());
        Alert {
            state,
            dependency: Object(Dependency {
                package: found.package,
                manifest_path: if is_path { self.vulnerable_manifest_path } else { self.vulnerable_manifest_filename },
                scope: self.dependency_scope,
                version: version.unwrap_or_default().into(),
            }),
            security_advisory: advisory,
            security_vulnerability: Object(found.vulnerability),
            ..Alert::default()
        }
    }
}

/// Whether a body is an answer of GraphQL: an object with `data`, which no alert has.
pub fn is_answer(input: &Input<'_>) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "data")]
        _data: serde::de::IgnoredAny,
    }
    let mut documents = serde_json::Deserializer::from_slice(input.body).into_iter::<Answer>();
    input.body.trim_ascii_start().first() == Some(&b'{') && documents.next().is_some_and(|answer| answer.is_ok())
}

/// A report per repository, for one answer or several one behind the other (`--paginate`).
///
/// # Errors
/// Not JSON, no alerts in it, or one of them without a package or an advisory.
pub fn vulnerability_alerts(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut export = Export::new(input, TOOL, CLASSES);
    let mut was_given = false;
    for answer in serde_json::Deserializer::from_slice(input.body).into_iter::<Value>() {
        let answer = answer.map_err(|error| Rejection::json("GitHub GraphQL", &error))?;
        was_given |= visit(&answer["data"], "$.data", None, &mut export)?;
    }
    if !was_given {
        let reason = "the GraphQL answer holds no vulnerabilityAlerts: ask for them, with a token that may see them";
        return Err(Rejection::new(code::NOTHING_IN_IT, reason));
    }
    export.into_events()
}

/// Takes in the alerts below a value; `repo` is the repository around it. Whether there were any connections of alerts.
/// Recursion is as deep as the parser lets a text be.
fn visit(value: &Value, at: &str, repo: Option<&str>, export: &mut Export<'_, '_>) -> Result<bool, Rejection> {
    let mut was_given = false;
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                was_given |= visit(item, &format!("{at}[{n}]"), repo, export)?;
            }
        }
        Value::Object(keys) => {
            let own = repository_of(value);
            let repo = own.as_deref().or(repo);
            for (key, below) in keys {
                let at = format!("{at}.{key}");
                if key == ALERTS && below.is_object() {
                    was_given = true;
                    take(below, &at, repo, export)?;
                } else {
                    was_given |= visit(below, &at, repo, export)?;
                }
            }
        }
        _ => {}
    }
    Ok(was_given)
}

fn take(alerts: &Value, at: &str, repo: Option<&str>, export: &mut Export<'_, '_>) -> Result<(), Rejection> {
    let nodes = alerts["nodes"].as_array().map(|nodes| nodes.iter().collect());
    let edges = || alerts["edges"].as_array().map(|edges| edges.iter().map(|edge| &edge["node"]).collect());
    let nodes: Vec<&Value> = nodes.or_else(edges).unwrap_or_default();
    let report = export.report(repo.map(str::to_owned), "", TOOL)?;
    for (n, node) in nodes.into_iter().enumerate() {
        let node = Object::<Node<'_>>::deserialize(node).map_err(|error| Rejection::json("GitHub GraphQL", &error))?;
        report.sightings.push(node.0.into_alert().sighting("", &format!("{at}.nodes[{n}]"))?);
    }
    Ok(())
}

/// The repository that an object is, by its URL or its full name.
fn repository_of(value: &Value) -> Option<String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let named = text("nameWithOwner");
    let of_name = || repository::canonical(&format!("github.com/{named}")).filter(|_| named.contains('/'));
    let is_repository = value.get(ALERTS).is_some() || !named.is_empty();
    repository::canonical(text("url")).filter(|_| is_repository).or_else(of_name)
}
