//! Reports of the Trivy operator: custom resources of a cluster, one, a list, or `kubectl get` output of several kinds, as JSON or
//! YAML. Each is a scan of its own: of an image where the digest is known, else of the workload, else of the cluster.

use serde::Deserialize;
use tributary_model::entity::vulnerability_id;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Secret, Sighting};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::{List, first};
use crate::normalize::trivy::avd_id;
use crate::normalize::{advisory, asset_of, code_evidence, controls, package_of, secret_of, title, workload_name};
use crate::report::Report;
use crate::time;

mod shape;
#[cfg(test)]
mod tests;

use shape::{Check, Resource};

const TOOL: &str = "trivy-operator";

/// One report per custom resource.
///
/// # Errors
/// Not JSON or YAML, or no report of the operator in it.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let resources = parse(input.body)?;
    let mut all = Vec::new();
    resources.iter().for_each(|resource| resource.flatten(&mut all));
    let cluster = workload_name::cluster(input, None);
    let reports: Vec<Report> = all.into_iter().filter_map(|resource| report(&cluster, resource)).collect();
    if reports.is_empty() {
        let reason = "it holds no report of the Trivy operator that tells of problems: send vulnerability, configuration, secret or compliance reports";
        return Err(Rejection::new(code::NOTHING_IN_IT, reason));
    }
    Ok(Events { reports, ..Events::default() })
}

fn parse(body: &[u8]) -> Result<List<Resource<'_>>, Rejection> {
    if body.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| matches!(b, b'{' | b'[')) {
        return serde_json::from_slice(body).map_err(|error| Rejection::json("Trivy operator", &error));
    }
    let mut resources = Vec::new();
    for document in serde_norway::Deserializer::from_slice(body) {
        let document = List::<Resource<'_>>::deserialize(document).map_err(|error| {
            let at = error.location().map(|at| format!("line {} column {}", at.line(), at.column()));
            Rejection::at(code::MALFORMED, "the YAML of the Trivy operator cannot be read", at.unwrap_or_default())
        })?;
        resources.extend(document.items);
    }
    Ok(List::from(resources))
}

/// The report of one custom resource; `None` for kinds that tell of no problems (SBOMs, lists).
fn report(cluster: &str, resource: &Resource<'_>) -> Option<Report> {
    let kind = &*resource.kind;
    let about = About::of(cluster, resource);
    let body = &resource.report;
    let (class, asset, sightings) = match kind {
        "VulnerabilityReport" | "ClusterVulnerabilityReport" => {
            let sightings =
                body.vulnerabilities.iter().map(|vulnerability| about.vulnerability(vulnerability)).collect();
            (FindingClass::Vulnerability, about.image_or_workload(), sightings)
        }
        "ExposedSecretReport" => {
            let sightings = body.secrets.iter().map(secret).collect();
            (FindingClass::Secret, about.image_or_workload(), sightings)
        }
        "ConfigAuditReport"
        | "ClusterConfigAuditReport"
        | "RbacAssessmentReport"
        | "ClusterRbacAssessmentReport"
        | "InfraAssessmentReport"
        | "ClusterInfraAssessmentReport" => {
            let failed = body.checks.iter().filter(|check| !check.success.0);
            let sightings = failed.map(|check| misconfiguration(check, &about.address, "")).collect();
            (FindingClass::Misconfiguration, about.workload.clone(), sightings)
        }
        "ClusterComplianceReport" => (FindingClass::Misconfiguration, asset_of::cluster(cluster), compliance(resource)),
        _ => return None,
    };
    let mut scope = vec![kind.to_ascii_lowercase()];
    // Containers of one workload are scanned apart; the same image is the same scan wherever it runs.
    let container = resource
        .metadata
        .label("container.name")
        .filter(|_| asset == about.workload && class != FindingClass::Misconfiguration);
    let benchmark = resource.metadata.name.given().filter(|_| kind == "ClusterComplianceReport");
    scope.extend(container.or(benchmark).map(str::to_owned));
    let times = [&*body.update_timestamp, &*resource.status.update_timestamp, &*resource.metadata.creation_timestamp];
    Some(Report {
        asset,
        tool: TOOL.to_owned(),
        tool_version: body.scanner.version.to_string(),
        scope,
        started_at: time::parse(first(times)),
        classes: vec![class],
        sightings,
        ..Report::default()
    })
}

/// What a report is about.
struct About<'r> {
    resource: &'r Resource<'r>,
    workload: String,
    address: String,
}

impl<'r> About<'r> {
    fn of(cluster: &str, resource: &'r Resource<'r>) -> Self {
        let metadata = &resource.metadata;
        let owner = metadata.owner_references.first();
        let kind = metadata.label("resource.kind").or(owner.and_then(|owner| owner.kind.given())).unwrap_or_default();
        let name = metadata.label("resource.name").or(owner.and_then(|owner| owner.name.given()));
        let name = name.or(metadata.name.given()).unwrap_or_default();
        let namespace = metadata.label("resource.namespace").or(metadata.namespace.given()).unwrap_or_default();
        Self {
            resource,
            workload: asset_of::workload(cluster, namespace, kind, name),
            address: asset_of::kubernetes_resource(namespace, kind, name),
        }
    }

    /// The image by digest, which is what the report is about; by a tag alone the workload is the stronger identity.
    fn image_or_workload(&self) -> String {
        let digest = asset_of::digest_of(&self.resource.report.artifact.digest);
        digest.map_or_else(|| self.workload.clone(), |digest| format!("image:{digest}"))
    }

    fn vulnerability(&self, vulnerability: &shape::Vulnerability<'_>) -> Sighting {
        let rule = vulnerability_id(&vulnerability.id);
        let mut package = package_of::from_purl(&vulnerability.purl).unwrap_or_else(|| {
            let family = &*self.resource.report.os.family;
            let kind = match (&*vulnerability.class, &*vulnerability.package_type) {
                (_, kind) if !kind.is_empty() => kind,
                ("lang-pkgs", _) => "",
                _ => family,
            };
            let (ecosystem, distribution) = package_of::ecosystem_of(kind);
            package_of::build(ecosystem, &distribution, &vulnerability.resource, "")
        });
        package.version = vulnerability.installed_version.to_string();
        package.fixed_versions = package_of::versions(&vulnerability.fixed_version);
        if !package.is_os_package {
            package.file = path::canonical(&vulnerability.package_path);
        }
        let mut pick = CvssPick::default();
        pick.offer("", "", vulnerability.score.0, 0);
        let severity = pick.severity_or_rating(Severity::parse(&vulnerability.severity));
        let heading = vulnerability.title.given().map_or_else(|| format!("{rule} in {}", package.name), str::to_owned);
        Sighting {
            class: advisory::class_of(&rule),
            title: title::line(&heading),
            severity,
            cvss_score: pick.score(),
            package: Some(package),
            rule,
            ..Sighting::default()
        }
    }
}

fn secret(secret: &shape::Secret<'_>) -> Sighting {
    Sighting {
        class: FindingClass::Secret,
        rule: secret.rule_id.to_string(),
        title: title::line(first([&*secret.title, &*secret.rule_id])),
        severity: Severity::parse(&secret.severity),
        location: Some(Location {
            path: path::canonical(&secret.target),
            line_hash: code_evidence::of_masked(&secret.masked_line),
            ..Location::default()
        }),
        secret: Some(Secret { family: secret_of::family(&secret.rule_id), ..Secret::default() }),
        ..Sighting::default()
    }
}

fn misconfiguration(check: &Check<'_>, resource: &str, severity: &str) -> Sighting {
    let rule = avd_id(&check.id);
    let message = check.messages.first().map_or("", |message| &**message);
    Sighting {
        class: FindingClass::Misconfiguration,
        control: controls::control("trivy", &rule).to_owned(),
        title: title::line(first([&*check.title, message, &rule])),
        severity: Severity::parse(first([&*check.severity, severity])),
        resource: resource.to_owned(),
        rule,
        ..Sighting::default()
    }
}

/// Failed checks of a benchmark. A check that looked at nothing has neither an id nor a target and is reported as passed.
fn compliance(resource: &Resource<'_>) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for control in &resource.status.detail_report.results {
        for check in control.checks.iter().filter(|check| !check.success.0) {
            sightings.push(misconfiguration(check, check.target.trim().trim_start_matches('/'), &control.severity));
        }
    }
    sightings
}
