//! Dependabot alerts (and the older `repository_vulnerability_alert`) → vulnerable packages of the default branch: one in a webhook,
//! many in an export.

use serde::Deserialize;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass, Package, Sighting};
use tributary_model::{entity, package, path};

use super::export::{self, Export};
use super::graphql;
use super::payload::{Repository, alert, first_moment, parse, status};
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::{List, Number, Object, Text, first};
use crate::normalize::{advisory, cwe, title};

pub(super) const TOOL: &str = "dependabot";
pub(super) const CLASSES: &[FindingClass] = &[FindingClass::Vulnerability, FindingClass::Malware];

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
pub(super) struct Alert<'a> {
    #[serde(borrow)]
    pub html_url: Text<'a>,
    /// Of an organisation's export.
    pub repository: Object<Repository>,
    #[serde(borrow)]
    pub state: Text<'a>,
    #[serde(borrow)]
    pub created_at: Text<'a>,
    #[serde(borrow)]
    pub updated_at: Text<'a>,
    #[serde(borrow)]
    pub fixed_at: Text<'a>,
    #[serde(borrow)]
    pub dismissed_at: Text<'a>,
    #[serde(borrow)]
    pub auto_dismissed_at: Text<'a>,
    #[serde(borrow)]
    pub dependency: Object<Dependency<'a>>,
    #[serde(borrow)]
    pub security_advisory: Object<Advisory<'a>>,
    #[serde(borrow)]
    pub security_vulnerability: Object<Vulnerability<'a>>,
    // The older shape has everything flat, and no ecosystem.
    #[serde(borrow)]
    pub affected_package_name: Text<'a>,
    #[serde(borrow)]
    pub external_identifier: Text<'a>,
    #[serde(borrow)]
    pub ghsa_id: Text<'a>,
    #[serde(borrow)]
    pub fixed_in: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Dependency<'a> {
    #[serde(borrow)]
    pub package: Object<PackageName<'a>>,
    #[serde(borrow)]
    pub manifest_path: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    /// Only GraphQL says it, by another name.
    #[serde(skip)]
    pub version: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PackageName<'a> {
    #[serde(borrow)]
    pub ecosystem: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Advisory<'a> {
    #[serde(alias = "ghsaId", borrow)]
    pub ghsa_id: Text<'a>,
    #[serde(borrow)]
    pub cve_id: Text<'a>,
    #[serde(borrow)]
    pub summary: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub classification: Text<'a>,
    #[serde(borrow)]
    pub identifiers: List<Identifier<'a>>,
    #[serde(borrow)]
    pub cvss: Object<Cvss<'a>>,
    #[serde(alias = "cvssSeverities", borrow)]
    pub cvss_severities: Object<CvssSeverities<'a>>,
    #[serde(borrow)]
    pub cwes: List<Weakness<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Identifier<'a> {
    #[serde(borrow)]
    value: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Cvss<'a> {
    #[serde(alias = "vectorString", borrow)]
    vector_string: Text<'a>,
    score: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CvssSeverities<'a> {
    #[serde(alias = "cvssV3", borrow)]
    cvss_v3: Object<Cvss<'a>>,
    #[serde(alias = "cvssV4", borrow)]
    cvss_v4: Object<Cvss<'a>>,
}

/// In GraphQL the list of them is a connection, which reads as a list of one that has `nodes`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Weakness<'a> {
    #[serde(alias = "cweId", borrow)]
    cwe_id: Text<'a>,
    #[serde(borrow)]
    nodes: List<Named<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named<'a> {
    #[serde(rename = "cweId", borrow)]
    cwe_id: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Vulnerability<'a> {
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(alias = "firstPatchedVersion", borrow)]
    pub first_patched_version: Object<Patched<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Patched<'a> {
    #[serde(borrow)]
    identifier: Text<'a>,
}

/// One alert report on the default branch, which is all that Dependabot looks at.
pub fn dependabot_alert(input: &Input<'_>) -> Result<Events, Rejection> {
    let payload: Payload<'_> = parse(input, "dependabot_alert")?;
    let found = &payload.alert;
    let repo = payload.repository.canonical()?;
    let at = first_moment(&[
        &found.fixed_at,
        &found.dismissed_at,
        &found.auto_dismissed_at,
        &found.updated_at,
        &found.created_at,
    ]);
    let branch = payload.repository.default_branch.as_deref().unwrap_or_default();
    alert(TOOL, &repo, branch, at, found.sighting(&payload.action, "$.alert")?)
}

/// Alerts as the REST API lists them: a report per repository.
pub fn dependabot_alerts(input: &Input<'_>) -> Result<Events, Rejection> {
    if graphql::is_answer(input) {
        return graphql::vulnerability_alerts(input);
    }
    let mut export = Export::new(input, TOOL, CLASSES);
    for (n, found) in export::alerts::<Alert<'_>>(input, "Dependabot alerts")?.iter().enumerate() {
        let sighting = found.sighting("", &format!("$[{n}]"))?;
        let repo = export::repository(&found.html_url, &found.repository);
        export.report(repo, "", TOOL)?.sightings.push(sighting);
    }
    export.into_events()
}

impl Alert<'_> {
    fn package(&self, at: &str) -> Result<Package, Rejection> {
        let dependency = &self.dependency;
        let name = first([&*dependency.package.name, &*self.affected_package_name]);
        if name.is_empty() {
            let reason = "the Dependabot alert names no package";
            return Err(Rejection::at(code::MALFORMED, reason, format!("{at}.dependency.package")));
        }
        let ecosystem = purl_type(&dependency.package.ecosystem);
        let file = path::canonical(&dependency.manifest_path);
        let patched = first([&*self.security_vulnerability.first_patched_version.identifier, &*self.fixed_in]);
        Ok(Package {
            purl: package::build(&ecosystem, name),
            name: name.to_owned(),
            version: dependency.version.trim().to_owned(),
            ecosystem,
            manifest_dir: path::directory(&file).to_owned(),
            file,
            scope: match dependency.scope.to_ascii_lowercase().as_str() {
                "runtime" => DependencyScope::Runtime,
                "development" => DependencyScope::Development,
                _ => DependencyScope::Unknown,
            },
            fixed_versions: Some(patched)
                .filter(|version| !version.is_empty())
                .map(str::to_owned)
                .into_iter()
                .collect(),
            ..Package::default()
        })
    }

    /// `at` is where the alert is in the body.
    pub(super) fn sighting(&self, action: &str, at: &str) -> Result<Sighting, Rejection> {
        let package = self.package(at)?;
        let published = &self.security_advisory;
        let ids = [&published.ghsa_id, &self.ghsa_id, &published.cve_id, &self.external_identifier];
        let listed = published.identifiers.iter().map(|identifier| &identifier.value);
        let ids: Vec<String> =
            ids.into_iter().chain(listed).filter_map(Text::given).map(entity::vulnerability_id).collect();
        let Some(rule) = ids.iter().find(|id| !id.is_empty()).cloned() else {
            let reason = "the Dependabot alert has no advisory id";
            return Err(Rejection::at(code::MALFORMED, reason, format!("{at}.security_advisory")));
        };
        let mut cvss = CvssPick::default();
        let severities = &published.cvss_severities;
        for candidate in [&published.cvss, &severities.cvss_v3, &severities.cvss_v4] {
            // A score of zero without a vector is GitHub's way to say that there is none.
            cvss.offer(&candidate.vector_string, "", candidate.score.0.filter(|score| *score > 0.0), 0);
        }
        let mut cwes = Vec::new();
        for weakness in &published.cwes {
            let names = weakness.nodes.iter().map(|node| &node.cwe_id).chain([&weakness.cwe_id]);
            names.for_each(|name| cwe::collect(name, true, &mut cwes));
        }
        let severity = first([&*published.severity, &*self.security_vulnerability.severity, &*self.severity]);
        let severity = cvss.severity_or_rating(Severity::parse(severity));
        let (cvss_vector, cvss_score) = cvss.into_parts();
        let is_malware = published.classification.eq_ignore_ascii_case("malware");
        let summary = published.summary.given().map_or_else(|| format!("{rule} in {}", package.name), str::to_owned);
        Ok(Sighting {
            class: if is_malware { FindingClass::Malware } else { FindingClass::Vulnerability },
            title: title::line(&summary),
            severity,
            cvss_vector,
            cvss_score,
            aliases: advisory::aliases(&rule, ids.iter().map(String::as_str)),
            cwes: cwe::canonical(cwes),
            package: Some(package),
            status: status(&self.state, action),
            rule,
            ..Sighting::default()
        })
    }
}

/// GitHub's names of ecosystems → purl types; unknown ones stay.
fn purl_type(ecosystem: &str) -> String {
    match ecosystem.to_ascii_lowercase().as_str() {
        "pip" => "pypi",
        "go" => "golang",
        "rubygems" => "gem",
        "rust" => "cargo",
        "actions" => "githubactions",
        "erlang" => "hex",
        "" => "generic",
        same => return same.to_owned(),
    }
    .to_owned()
}
