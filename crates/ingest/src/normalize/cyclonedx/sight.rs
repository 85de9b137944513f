//! One vulnerability of a BOM → one sighting per component that it affects.

use tributary_model::entity::vulnerability_id;
use tributary_model::severity::Severity;
use tributary_model::sighting::{Package, Sighting, ToolStatus};

use super::parts::{self, Parts};
use super::shape::{Affected, Bom, Vulnerability};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::first;
use crate::normalize::{advisory, cwe, package_of, title};

/// The sightings of a vulnerability. One that names no component is about what the BOM describes.
pub fn sightings(
    bom: &Bom<'_>,
    parts: &Parts<'_>,
    is_repository: bool,
    vulnerability: &Vulnerability<'_>,
) -> Vec<Sighting> {
    let base = base(vulnerability);
    let affected = vulnerability.affects.iter().map(|affected| Some(package(parts, is_repository, affected)));
    let mut packages: Vec<Option<Package>> = affected.collect();
    if packages.is_empty() {
        let subject = &bom.metadata.component;
        packages.push((!subject.name.is_empty()).then(|| parts::package(subject, is_repository)));
    }
    let fixes = fixed_versions(&vulnerability.recommendation);
    let will_not_fix = vulnerability.analysis.response.iter().any(|response| **response == *"will_not_fix");
    let with = |package: Option<Package>| {
        let mut package = package;
        if let Some(package) = &mut package {
            if package.fixed_versions.is_empty() {
                package.fixed_versions.clone_from(&fixes);
            }
            package.wont_fix |= will_not_fix;
        }
        let heading = match (base.title.is_empty(), &package) {
            (false, _) => base.title.clone(),
            (true, Some(package)) => format!("{} in {}", base.rule, package.name),
            (true, None) => base.rule.clone(),
        };
        Sighting { title: heading, package, ..base.clone() }
    };
    packages.into_iter().map(with).collect()
}

fn base(vulnerability: &Vulnerability<'_>) -> Sighting {
    let mut pick = CvssPick::default();
    let mut stated = Severity::Unknown;
    for rating in &vulnerability.ratings {
        pick.offer(&rating.vector, &rating.method, rating.score.0.filter(|_| is_cvss(&rating.method)), 0);
        if stated == Severity::Unknown {
            stated = Severity::parse(&rating.severity);
        }
    }
    let mut cwes = Vec::new();
    vulnerability.cwes.iter().for_each(|number| cwe::collect(number, true, &mut cwes));
    let severity = pick.severity_or_rating(stated);
    let (cvss_vector, cvss_score) = pick.into_parts();
    let rule = rule(vulnerability);
    Sighting {
        class: advisory::class_of(&rule),
        title: title::line(first([&*vulnerability.description, &*vulnerability.detail])),
        severity,
        cvss_vector,
        cvss_score,
        aliases: aliases(&rule, vulnerability),
        cwes: cwe::canonical(cwes),
        status: match &*vulnerability.analysis.state {
            "not_affected" | "false_positive" => ToolStatus::Dismissed,
            "resolved" | "resolved_with_pedigree" => ToolStatus::Fixed,
            _ => ToolStatus::Open,
        },
        rule,
        ..Sighting::default()
    }
}

/// A method that says it is not CVSS (OWASP risk rating, SSVC) has another scale.
fn is_cvss(method: &str) -> bool {
    method.is_empty() || method.to_ascii_uppercase().starts_with("CVSS")
}

/// The id; where that is a number of the database's own and the one reference is a CVE, the CVE.
pub fn rule(vulnerability: &Vulnerability<'_>) -> String {
    let id = vulnerability_id(&vulnerability.id);
    if advisory::is_advisory(&id) {
        return id;
    }
    let mut cves: Vec<String> =
        vulnerability.references.iter().map(|r| vulnerability_id(&r.id)).filter(|id| id.starts_with("CVE-")).collect();
    cves.sort_unstable();
    cves.dedup();
    match cves.as_slice() {
        [cve] => cve.clone(),
        _ => id,
    }
}

fn aliases(rule: &str, vulnerability: &Vulnerability<'_>) -> Vec<String> {
    let others = vulnerability.references.iter().map(|reference| &*reference.id).filter(|id| advisory::is_advisory(id));
    advisory::aliases(rule, others.chain([&*vulnerability.id].into_iter().filter(|id| advisory::is_advisory(id))))
}

fn package(parts: &Parts<'_>, is_repository: bool, affected: &Affected<'_>) -> Package {
    let mut package = if let Some(component) = parts.find(&affected.target) {
        Package { introduced_by: parts.path_to(component), ..parts::package(component, is_repository) }
    } else {
        let reference = parts::linked(&affected.target);
        package_of::from_purl(&reference).unwrap_or_else(|| package_of::build("generic", "", &reference, ""))
    };
    let versions = |status: &'static str| {
        affected.versions.iter().filter(move |v| *v.status == *status).filter_map(|v| v.version.given())
    };
    if package.version.is_empty() {
        versions("affected").chain(versions("")).next().unwrap_or_default().clone_into(&mut package.version);
    }
    package.fixed_versions = versions("unaffected").map(str::to_owned).collect();
    package
}

/// `Upgrade lodash to version 4.17.19`, `Update to version 2.15.0 or later` → the version. Only where the text has this form.
fn fixed_versions(recommendation: &str) -> Vec<String> {
    let mut words = recommendation.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("version"));
    let version = words.nth(1).map(|word| word.trim_end_matches(['.', ',', ';']));
    let is_version = |version: &&str| version.starts_with(|c: char| c.is_ascii_digit());
    version.filter(is_version).map(str::to_owned).into_iter().collect()
}
