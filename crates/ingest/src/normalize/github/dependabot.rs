//! `dependabot_alert` (and the older `repository_vulnerability_alert`) → one vulnerable package of the default branch.

use serde::Deserialize;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass, Package, Sighting};
use tributary_model::{entity, package, path};

use super::payload::{Repository, alert, first_time, parse, status};
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::{advisory, cwe, title};

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
    state: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    fixed_at: Option<String>,
    dismissed_at: Option<String>,
    auto_dismissed_at: Option<String>,
    dependency: Option<Dependency>,
    security_advisory: Option<Advisory>,
    security_vulnerability: Option<Vulnerability>,
    // The older shape has everything flat, and no ecosystem.
    affected_package_name: Option<String>,
    external_identifier: Option<String>,
    ghsa_id: Option<String>,
    fixed_in: Option<String>,
    severity: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Dependency {
    package: PackageName,
    manifest_path: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PackageName {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Advisory {
    ghsa_id: Option<String>,
    cve_id: Option<String>,
    summary: Option<String>,
    severity: Option<String>,
    classification: Option<String>,
    identifiers: Option<Vec<Identifier>>,
    cvss: Option<Cvss>,
    cvss_severities: Option<CvssSeverities>,
    cwes: Option<Vec<Weakness>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Identifier {
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cvss {
    vector_string: Option<String>,
    score: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CvssSeverities {
    cvss_v3: Option<Cvss>,
    cvss_v4: Option<Cvss>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Weakness {
    cwe_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Vulnerability {
    severity: Option<String>,
    first_patched_version: Option<Patched>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Patched {
    identifier: String,
}

/// One alert report on the default branch, which is all that Dependabot looks at.
pub fn dependabot_alert(input: &Input<'_>) -> Result<Events, Rejection> {
    let payload: Payload = parse(input, "dependabot_alert")?;
    let found = payload.alert;
    let repo = payload.repository.canonical()?;
    let at = first_time(&[
        &found.fixed_at,
        &found.dismissed_at,
        &found.auto_dismissed_at,
        &found.updated_at,
        &found.created_at,
    ]);
    let branch = payload.repository.default_branch.as_deref().unwrap_or_default();
    let status = status(found.state.as_deref().unwrap_or_default(), &payload.action);
    let package = package_of(&found)?;
    let sighting = Sighting { status, ..sighting(found, package)? };
    alert("dependabot", &repo, branch, at, sighting)
}

fn package_of(found: &Alert) -> Result<Package, Rejection> {
    let (ecosystem, name) = match (&found.dependency, &found.affected_package_name) {
        (Some(dependency), _) => (purl_type(&dependency.package.ecosystem), dependency.package.name.trim()),
        (None, Some(name)) => ("generic".to_owned(), name.trim()),
        (None, None) => (String::new(), ""),
    };
    if name.is_empty() {
        return Err(Rejection::at(
            code::MALFORMED,
            "the Dependabot alert names no package",
            "$.alert.dependency.package",
        ));
    }
    let dependency = found.dependency.as_ref();
    let file =
        dependency.and_then(|dependency| dependency.manifest_path.as_deref()).map(path::canonical).unwrap_or_default();
    let scope = dependency.and_then(|dependency| dependency.scope.as_deref()).unwrap_or_default();
    let patched = found.security_vulnerability.as_ref().and_then(|found| found.first_patched_version.as_ref());
    let patched = patched.map(|patched| patched.identifier.as_str()).or(found.fixed_in.as_deref());
    Ok(Package {
        purl: package::build(&ecosystem, name),
        name: name.to_owned(),
        ecosystem,
        manifest_dir: path::directory(&file).to_owned(),
        file,
        scope: match scope {
            "runtime" => DependencyScope::Runtime,
            "development" => DependencyScope::Development,
            _ => DependencyScope::Unknown,
        },
        fixed_versions: patched
            .map(str::trim)
            .filter(|version| !version.is_empty())
            .map(str::to_owned)
            .into_iter()
            .collect(),
        ..Package::default()
    })
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

fn sighting(found: Alert, package: Package) -> Result<Sighting, Rejection> {
    let published = found.security_advisory.unwrap_or_default();
    let ids = [published.ghsa_id, found.ghsa_id, published.cve_id, found.external_identifier];
    let listed = published.identifiers.into_iter().flatten().map(|identifier| identifier.value);
    let ids: Vec<String> = ids.into_iter().flatten().chain(listed).map(|id| entity::vulnerability_id(&id)).collect();
    let Some(rule) = ids.iter().find(|id| !id.is_empty()).cloned() else {
        return Err(Rejection::at(
            code::MALFORMED,
            "the Dependabot alert has no advisory id",
            "$.alert.security_advisory",
        ));
    };
    let mut cvss = CvssPick::default();
    let severities = published.cvss_severities.unwrap_or_default();
    for candidate in [published.cvss, severities.cvss_v3, severities.cvss_v4].into_iter().flatten() {
        // A score of zero without a vector is GitHub's way to say that there is none.
        let vector = candidate.vector_string.unwrap_or_default();
        cvss.offer(&vector, "", candidate.score.filter(|score| *score > 0.0), 0);
    }
    let mut cwes = Vec::new();
    published.cwes.iter().flatten().for_each(|weakness| cwe::collect(&weakness.cwe_id, true, &mut cwes));
    let severity = [published.severity, found.security_vulnerability.and_then(|found| found.severity), found.severity];
    let severity = severity.into_iter().flatten().next().map(|word| Severity::parse(&word)).unwrap_or_default();
    let severity = cvss.severity_or_rating(severity);
    let (cvss_vector, cvss_score) = cvss.into_parts();
    let is_malware = published.classification.as_deref() == Some("malware");
    let summary = published.summary.unwrap_or_else(|| format!("{rule} in {}", package.name));
    Ok(Sighting {
        class: if is_malware { FindingClass::Malware } else { FindingClass::Vulnerability },
        title: title::line(&summary),
        severity,
        cvss_vector,
        cvss_score,
        aliases: advisory::aliases(&rule, ids.iter().map(String::as_str)),
        cwes: cwe::canonical(cwes),
        package: Some(package),
        rule,
        ..Sighting::default()
    })
}
