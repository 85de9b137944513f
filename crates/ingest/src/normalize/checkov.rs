//! Checkov JSON: failed checks of infrastructure code, one object or an array with one per framework. Each framework is a scope of
//! its own, so that a run of one withdraws nothing of another.

use std::collections::BTreeSet;

use tributary_model::asset::{self, AssetKind};
use tributary_model::entity::vulnerability_id;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Secret, Sighting, ToolStatus};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::{List, first};
use crate::normalize::{advisory, code_evidence, controls, package_of, secret_of, title};
use crate::report::Report;

mod shape;
#[cfg(test)]
mod tests;

use shape::{Check, Framework};

/// One report per framework.
///
/// # Errors
/// Not JSON, not Checkov's, or nothing says which repository was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let frameworks: List<Framework<'_>> =
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("Checkov", &error))?;
    if frameworks.iter().any(|framework| !framework.is_checkov()) || !frameworks.was_given {
        return Err(Rejection::new(
            code::MALFORMED,
            "an object has neither the results nor the summary of a Checkov report",
        ));
    }
    let asset = asset_of::choose(input, Subject::Repository, None)?;
    let mut reports: Vec<Report> = frameworks.iter().map(|framework| report(&asset, framework)).collect();
    if reports.is_empty() {
        reports.push(report(&asset, &Framework::default()));
    }
    Ok(Events { reports, ..Events::default() })
}

fn report(asset: &str, framework: &Framework<'_>) -> Report {
    let kind = Kind::of(&framework.check_type);
    let results = &framework.results;
    let is_repository = asset::kind(asset) == AssetKind::Repository;
    let of = |status| move |check: &Check<'_>| Sighting { status, ..sighting(kind, is_repository, check) };
    let failed = results.failed_checks.iter().map(of(ToolStatus::Open));
    // Skipped by a comment in the code: a proposal.
    let skipped = results.skipped_checks.iter().map(of(ToolStatus::Dismissed));
    let sightings: Vec<Sighting> = failed.chain(skipped).collect();
    let mut classes: BTreeSet<FindingClass> = sightings.iter().map(|sighting| sighting.class).collect();
    classes.insert(kind.class());
    Report {
        asset: asset.to_owned(),
        tool: "checkov".to_owned(),
        tool_version: first([&*framework.summary.checkov_version, &*framework.checkov_version]).to_owned(),
        scope: framework.check_type.given().map(str::to_owned).into_iter().collect(),
        complete: framework.is_partial().then_some(false),
        rules_enabled: rules(framework, &sightings),
        classes: classes.into_iter().collect(),
        sightings,
        ..Report::default()
    }
}

/// The rules that ran: those of passed and failed checks. With no passed check in the report (`--compact`, `--quiet`) they are
/// not known.
fn rules(framework: &Framework<'_>, sightings: &[Sighting]) -> Vec<String> {
    let passed = &framework.results.passed_checks;
    if passed.is_empty() {
        return Vec::new();
    }
    let rules = passed.iter().filter_map(|check| check.check_id.given());
    let rules: BTreeSet<&str> = rules.chain(sightings.iter().map(|sighting| sighting.rule.as_str())).collect();
    rules.into_iter().map(str::to_owned).collect()
}

/// Families of frameworks that are read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Infrastructure,
    Kubernetes,
    Dockerfile,
    Secrets,
    Packages,
    Code,
}

impl Kind {
    fn of(check_type: &str) -> Self {
        match check_type {
            "kubernetes" | "helm" | "kustomize" => Kind::Kubernetes,
            "dockerfile" => Kind::Dockerfile,
            "secrets" => Kind::Secrets,
            "sca_package" | "sca_package_scan" | "sca_image" => Kind::Packages,
            sast if sast.starts_with("sast") || sast.starts_with("cdk") => Kind::Code,
            _ => Kind::Infrastructure,
        }
    }

    fn class(self) -> FindingClass {
        match self {
            Kind::Infrastructure | Kind::Kubernetes | Kind::Dockerfile => FindingClass::Misconfiguration,
            Kind::Secrets => FindingClass::Secret,
            Kind::Packages => FindingClass::Vulnerability,
            Kind::Code => FindingClass::Weakness,
        }
    }
}

fn sighting(kind: Kind, is_repository: bool, check: &Check<'_>) -> Sighting {
    let location = location(kind, check);
    let rule = check.check_id.to_string();
    let base = Sighting {
        class: kind.class(),
        title: title::line(first([&*check.check_name, &*check.short_description, &rule])),
        severity: Severity::parse(&check.severity),
        rule,
        ..Sighting::default()
    };
    match kind {
        Kind::Packages if !check.vulnerability_details.id.is_empty() => {
            vulnerability(base, &location, is_repository, check)
        }
        Kind::Secrets => Sighting {
            // The resource of a secret is a hash of it without a key: not read.
            secret: Some(Secret { family: secret_of::family(&check.check_name), ..Secret::default() }),
            location: Some(location),
            ..base
        },
        Kind::Code => Sighting { location: Some(location), ..base },
        _ => Sighting {
            control: controls::control("checkov", &base.rule).to_owned(),
            resource: resource(kind, check, &location.path),
            location: Some(Location { enclosing: check.resource.to_string(), ..location }),
            ..base
        },
    }
}

fn location(kind: Kind, check: &Check<'_>) -> Location {
    let start_line = check.file_line_range.first().map_or(0, |line| line.line());
    let end_line = check.file_line_range.get(1).map_or(0, |line| line.line());
    let first_line = check.code_block.first().unwrap_or_default();
    let evidence =
        if kind == Kind::Code { code_evidence::of(first_line) } else { code_evidence::CodeEvidence::default() };
    Location {
        path: path::canonical(first([&*check.repo_file_path, &*check.file_path])),
        start_line,
        end_line: end_line.max(start_line),
        line_hash: evidence.line_hash,
        ..Location::default()
    }
}

/// The address of what was checked: Terraform's, `kind/namespace/name` for Kubernetes (Checkov joins them with dots), the file for
/// Dockerfiles, whose resource is the file with a dot and an instruction behind it.
fn resource(kind: Kind, check: &Check<'_>, path: &str) -> String {
    let resource = first([&*check.resource_address, &*check.resource]);
    let mut parts = resource.splitn(3, '.');
    match (kind, parts.next(), parts.next(), parts.next()) {
        (Kind::Dockerfile, ..) => path.to_owned(),
        (Kind::Kubernetes, Some(of_kind), Some(namespace), Some(name)) => {
            asset_of::kubernetes_resource(namespace, of_kind, name.split(" (").next().unwrap_or(name))
        }
        _ if resource.is_empty() => path.to_owned(),
        _ => resource.to_owned(),
    }
}

fn vulnerability(base: Sighting, location: &Location, is_repository: bool, check: &Check<'_>) -> Sighting {
    let details = &check.vulnerability_details;
    let rule = vulnerability_id(&details.id);
    let (ecosystem, _) = package_of::ecosystem_of(&details.package_type);
    let mut package = package_of::build(ecosystem, "", &details.package_name, &details.package_version);
    package.fixed_versions = details.fix_version.given().map(package_of::versions).unwrap_or_default();
    package.file.clone_from(&location.path);
    if is_repository && !package.is_os_package {
        path::directory(&location.path).clone_into(&mut package.manifest_dir);
    }
    let mut pick = CvssPick::default();
    pick.offer(&details.vector, "3.1", details.cvss.0, 0);
    let severity = pick.severity_or_rating(Severity::parse(first([&*details.severity, &*check.severity])));
    let (cvss_vector, cvss_score) = pick.into_parts();
    Sighting {
        class: advisory::class_of(&rule),
        title: format!("{rule} in {}", package.name),
        severity,
        cvss_vector,
        cvss_score,
        package: Some(package),
        rule,
        ..base
    }
}
