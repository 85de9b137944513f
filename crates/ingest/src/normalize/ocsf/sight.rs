//! One OCSF event of a product other than Prowler → sightings.

use tributary_model::entity::vulnerability_id;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Package, Sighting, ToolStatus};

use super::shape::{self, Event, Vulnerability};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::first;
use crate::normalize::posture::Outcome;
use crate::normalize::{advisory, controls, cwe, package_of, title};

/// 0 unknown, 1 informational … 5 critical, 6 fatal, 99 other: then the word.
fn severity(event: &Event<'_>) -> Severity {
    match event.severity_id.line() {
        1 => Severity::Information,
        2 => Severity::Low,
        3 => Severity::Medium,
        4 => Severity::High,
        5 | 6 => Severity::Critical,
        _ => Severity::parse(&event.severity),
    }
}

/// What all sightings of an event have.
fn base(event: &Event<'_>, class: FindingClass, rule: &str) -> Sighting {
    Sighting {
        class,
        rule: rule.to_owned(),
        title: title::line(first([event.heading(), rule])),
        severity: severity(event),
        status: event.tool_status(),
        ..Sighting::default()
    }
}

/// One sighting per vulnerability and affected package or place in code.
pub fn vulnerabilities(event: &Event<'_>) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for vulnerability in &event.vulnerabilities {
        let sighting = vulnerability_base(event, vulnerability);
        let packages = vulnerability
            .affected_packages
            .iter()
            .map(|package| Sighting { package: Some(affected(package)), ..sighting.clone() });
        let code = vulnerability.affected_code.iter().map(|code| {
            let start_line = code.start_line.line();
            let path = path::canonical(&code.file.path);
            let end_line = code.end_line.line().max(start_line);
            Sighting {
                location: Some(Location { path, start_line, end_line, ..Location::default() }),
                ..sighting.clone()
            }
        });
        let before = sightings.len();
        sightings.extend(packages.chain(code));
        if sightings.len() == before {
            sightings.push(sighting);
        }
    }
    sightings
}

fn vulnerability_base(event: &Event<'_>, vulnerability: &Vulnerability<'_>) -> Sighting {
    let id = first([&*vulnerability.cve.uid, &*vulnerability.advisory.uid]);
    let rule = vulnerability_id(id);
    let class = match (id.is_empty(), vulnerability.affected_code.is_empty()) {
        (true, false) => FindingClass::Weakness,
        _ => advisory::class_of(&rule),
    };
    let rule = if rule.is_empty() { rule_of(event).to_owned() } else { rule };
    let mut pick = CvssPick::default();
    for cvss in &vulnerability.cve.cvss {
        pick.offer(&cvss.vector_string, &cvss.version, cvss.base_score.0, 0);
    }
    let mut cwes = Vec::new();
    let weaknesses = vulnerability.cve.related_cwes.iter().chain([&*vulnerability.cwe]).map(|cwe| &cwe.uid);
    weaknesses.chain([&vulnerability.cve.cwe_uid]).for_each(|uid| cwe::collect(uid, true, &mut cwes));
    let reported = Severity::parse(&vulnerability.severity);
    let severity = if reported == Severity::Unknown { severity(event) } else { reported };
    let severity = pick.severity_or_rating(severity);
    let (cvss_vector, cvss_score) = pick.into_parts();
    Sighting {
        title: title::line(first([&*vulnerability.title, event.heading(), &rule])),
        severity,
        cvss_vector,
        cvss_score,
        aliases: advisory::aliases(&rule, [&*vulnerability.advisory.uid]),
        cwes: cwe::canonical(cwes),
        ..base(event, class, &rule)
    }
}

fn affected(package: &shape::Package<'_>) -> Package {
    let mut known = package_of::from_purl(&package.purl).unwrap_or_else(|| {
        let (ecosystem, _) = package_of::ecosystem_of(&package.package_manager);
        package_of::build(ecosystem, "", &package.name, "")
    });
    known.version = package.version.to_string();
    known.fixed_versions = package_of::versions(&package.fixed_in_version);
    if !known.is_os_package {
        known.file = path::canonical(&package.path);
    }
    known
}

/// A control on each resource, unless it passed.
pub fn compliance(event: &Event<'_>) -> Vec<Sighting> {
    let outcome = match event.compliance.status_id.line() {
        1 => Outcome::Passed,
        2 | 3 => Outcome::Failed,
        _ => Outcome::parse(first([&*event.compliance.status, &*event.status_code])),
    };
    match outcome {
        // A control that passes now was a finding before: the event closes it.
        Outcome::Passed => on_resources(event, ToolStatus::Fixed),
        Outcome::Manual if event.tool_status() != ToolStatus::Fixed => Vec::new(),
        Outcome::Failed | Outcome::Manual => on_resources(event, event.tool_status()),
    }
}

fn on_resources(event: &Event<'_>, status: ToolStatus) -> Vec<Sighting> {
    let rule = first([&*event.compliance.control, rule_of(event)]);
    let is_security_hub = event.metadata.product.name.to_ascii_lowercase().contains("security hub");
    let control = if is_security_hub { controls::control("security-hub", rule) } else { "" };
    let sighting =
        Sighting { control: control.to_owned(), status, ..base(event, FindingClass::Misconfiguration, rule) };
    per_resource(event, sighting)
}

/// What a product noticed.
pub fn detections(event: &Event<'_>) -> Vec<Sighting> {
    if !event.vulnerabilities.is_empty() {
        return vulnerabilities(event);
    }
    let class = super::detection_class(event);
    if matches!(Outcome::parse(&event.status_code), Outcome::Passed) {
        return Vec::new();
    }
    let count = if class == FindingClass::Runtime { event.count.line().max(1) } else { 0 };
    per_resource(event, Sighting { count, ..base(event, class, rule_of(event)) })
}

fn per_resource(event: &Event<'_>, sighting: Sighting) -> Vec<Sighting> {
    let mut addresses: Vec<&str> =
        event.resources.iter().map(shape::Resource::address).filter(|a| !a.is_empty()).collect();
    addresses.dedup();
    if addresses.is_empty() {
        return vec![sighting];
    }
    addresses.into_iter().map(|resource| Sighting { resource: resource.to_owned(), ..sighting.clone() }).collect()
}

/// What fired: the code of the event, the analytic, the type; the title where there is nothing better.
fn rule_of<'e>(event: &'e Event<'_>) -> &'e str {
    let finding = &event.finding_info;
    let kind = finding.types.first().map_or("", |kind| &**kind);
    first([&*event.metadata.event_code, &*finding.analytic.uid, &*finding.analytic.name, kind, event.heading()])
}
