//! One entry of a Trivy result → one sighting or inventory item.

use std::collections::HashMap;

use tributary_model::entity::vulnerability_id;
use tributary_model::observation::InventoryItem;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass, Location, Package, Secret, Sighting, ToolStatus};

use super::shape;
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::first;
use crate::normalize::{advisory, code_evidence, controls, cwe, package_of, secret_of, title};

/// Where an entry was found.
pub struct Place<'p> {
    /// The result it is part of.
    pub outcome: &'p shape::Outcome<'p>,
    /// Address of the Kubernetes resource in cluster scans; empty otherwise.
    pub address: &'p str,
    /// Whether the asset is a branch of a repository, where the directory of a manifest is identity.
    pub is_repository: bool,
    /// OS family of the artefact.
    pub distribution: &'p str,
}

/// The packages of a result by id, and who depends on them.
pub struct Packages<'p> {
    by_id: HashMap<&'p str, &'p shape::Package<'p>>,
    parent: HashMap<&'p str, &'p shape::Package<'p>>,
}

impl<'p> Packages<'p> {
    /// Indexes a result that has vulnerabilities; others need no index.
    pub fn of(outcome: &'p shape::Outcome<'p>) -> Self {
        let mut packages = Self { by_id: HashMap::new(), parent: HashMap::new() };
        if outcome.vulnerabilities.is_empty() && outcome.modified.is_empty() {
            return packages;
        }
        for package in &outcome.packages {
            for id in [&*package.id, &*package.identifier.uid, &*package.identifier.purl] {
                if !id.is_empty() {
                    packages.by_id.entry(id).or_insert(package);
                }
            }
            for dependency in &package.depends_on {
                packages.parent.entry(dependency).or_insert(package);
            }
        }
        packages
    }

    fn find(&self, vuln: &shape::Vulnerability<'_>) -> Option<&'p shape::Package<'p>> {
        let ids = [&*vuln.identifier.uid, &*vuln.package_id, &*vuln.identifier.purl];
        ids.into_iter().filter(|id| !id.is_empty()).find_map(|id| self.by_id.get(id)).copied()
    }

    /// From the direct dependency down to what it brings in, without the package itself. The first dependent in report order.
    fn path_to(&self, package: &shape::Package<'_>) -> Vec<String> {
        let mut path: Vec<String> = Vec::new();
        let mut id: &str = &package.id;
        while let Some(parent) = self.parent.get(id).filter(|_| path.len() < 16) {
            let name = parent.id.to_string();
            if parent.id.is_empty() || path.contains(&name) || *parent.id == *package.id {
                break;
            }
            path.push(name);
            id = &parent.id;
        }
        path.reverse();
        path
    }
}

/// Classes that a result shows Trivy to have looked for.
pub fn classes(outcome: &shape::Outcome<'_>, into: &mut Vec<FindingClass>) {
    let class = match &*outcome.class {
        "config" | "custom" => FindingClass::Misconfiguration,
        "secret" => FindingClass::Secret,
        "license" | "license-file" => FindingClass::Licence,
        _ => FindingClass::Vulnerability,
    };
    into.push(class);
    if outcome.misconfigurations.was_given {
        into.push(FindingClass::Misconfiguration);
    }
    if outcome.secrets.was_given {
        into.push(FindingClass::Secret);
    }
    if outcome.licenses.was_given {
        into.push(FindingClass::Licence);
    }
}

/// A vulnerability in a package.
pub fn vulnerability(place: &Place<'_>, packages: &Packages<'_>, vuln: &shape::Vulnerability<'_>) -> Sighting {
    let listed = packages.find(vuln);
    let mut package = package(place, vuln);
    if let Some(listed) = listed {
        package_of::set_source(&mut package, &listed.src_name);
        package.scope = if listed.dev.0 { DependencyScope::Development } else { DependencyScope::Runtime };
        package.introduced_by = packages.path_to(listed);
    }
    package.fixed_versions = package_of::versions(&vuln.fixed_version);
    package.wont_fix = matches!(&*vuln.status, "will_not_fix" | "end_of_life");
    let cvss = cvss(vuln);
    let severity = cvss.severity_or_rating(Severity::parse(&vuln.severity));
    let (cvss_vector, cvss_score) = cvss.into_parts();
    let rule = vulnerability_id(&vuln.id);
    let mut cwes = Vec::new();
    vuln.cwe_ids.iter().for_each(|id| cwe::collect(id, true, &mut cwes));
    let heading = match vuln.title.given() {
        Some(text) => title::line(text),
        None => title::line(&format!("{rule} in {}", package.name)),
    };
    Sighting {
        class: advisory::class_of(&rule),
        title: heading,
        severity,
        cvss_vector,
        cvss_score,
        aliases: advisory::aliases(&rule, vuln.vendor_ids.iter().map(|id| &**id)),
        cwes: cwe::canonical(cwes),
        package: Some(package),
        status: if vuln.status == "not_affected".into() { ToolStatus::Dismissed } else { ToolStatus::Open },
        rule,
        ..Sighting::default()
    }
}

/// A vulnerability that was suppressed in the tool: a proposal, not silence.
pub fn modified(place: &Place<'_>, packages: &Packages<'_>, modified: &shape::Modified<'_>) -> Option<Sighting> {
    let is_vulnerability = &*modified.kind == "vulnerability" && !modified.finding.id.is_empty();
    is_vulnerability
        .then(|| Sighting { status: ToolStatus::Dismissed, ..vulnerability(place, packages, &modified.finding) })
}

fn package(place: &Place<'_>, vuln: &shape::Vulnerability<'_>) -> Package {
    let purl = first([&*vuln.identifier.purl, &*vuln.reference]);
    let mut package = package_of::from_purl(purl).unwrap_or_else(|| {
        let (ecosystem, distribution) = super::ecosystem(place.outcome, place.distribution);
        package_of::build(ecosystem, &distribution, &vuln.package_name, "")
    });
    package.version = vuln.installed_version.to_string();
    if !package.is_os_package {
        package.file = file(place, &vuln.package_path);
        if place.is_repository {
            package.manifest_dir = path::directory(&package.file).to_owned();
        }
    }
    package
}

/// The file that holds a package: its own path, else the target where that is a file and not a heading such as `Java`.
fn file(place: &Place<'_>, package_path: &str) -> String {
    let target = &*place.outcome.target;
    if !package_path.is_empty() {
        return path::canonical(package_path);
    }
    let is_file = place.outcome.class != "os-pkgs".into() && target.contains(['.', '/']) && target != "Node.js";
    if is_file { path::canonical(target) } else { String::new() }
}

fn cvss(vuln: &shape::Vulnerability<'_>) -> CvssPick {
    let mut pick = CvssPick::default();
    for (source, cvss) in &vuln.cvss.0 {
        // The source that gave the severity first, so that the two agree; then those that score for everyone.
        let preference = match &**source {
            source if source == &*vuln.severity_source => 3,
            "nvd" => 2,
            "ghsa" => 1,
            _ => 0,
        };
        pick.offer(&cvss.v40_vector, "4.0", cvss.v40_score.0, preference);
        pick.offer(&cvss.v3_vector, "3.1", cvss.v3_score.0, preference);
        pick.offer(&cvss.v2_vector, "2.0", cvss.v2_score.0, preference);
    }
    pick
}

/// A failed check.
pub fn misconfiguration(place: &Place<'_>, check: &shape::Check<'_>) -> Sighting {
    let rule = avd_id(first([&*check.avd_id, &*check.id]));
    let cause = &check.cause_metadata;
    // In a cluster scan the target repeats the resource; there is no file.
    let path = if place.address.is_empty() { path::canonical(&place.outcome.target) } else { String::new() };
    let resource = first([place.address, &*cause.resource, &path]).to_owned();
    let start_line = cause.start_line.line();
    Sighting {
        class: FindingClass::Misconfiguration,
        control: controls::control("trivy", &rule).to_owned(),
        title: title::line(first([&*check.title, &*check.message, &rule])),
        severity: Severity::parse(&check.severity),
        location: (!path.is_empty()).then(|| Location {
            path,
            start_line,
            end_line: cause.end_line.line().max(start_line),
            enclosing: cause.resource.to_string(),
            ..Location::default()
        }),
        resource,
        rule,
        ..Sighting::default()
    }
}

/// One spelling of a check's id across versions: `KSV014`, `KSV-0014`, `AVD-KSV-0014` → `AVD-KSV-0014`.
pub fn avd_id(id: &str) -> String {
    let id = id.trim().to_ascii_uppercase();
    if id.starts_with("AVD-") {
        return id;
    }
    let letters = id.bytes().take_while(u8::is_ascii_uppercase).count();
    let (provider, number) = id.split_at(letters);
    match number.trim_start_matches('-') {
        digits if letters > 0 && (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            format!("AVD-{provider}-{digits:0>4}")
        }
        rest if letters > 0 && number.starts_with('-') && rest.contains('-') => format!("AVD-{id}"),
        _ => id,
    }
}

/// A credential. Trivy masks the value in the line that it shows, so the location is the identity.
pub fn secret(place: &Place<'_>, secret: &shape::Secret<'_>) -> Sighting {
    let start_line = secret.start_line.line();
    Sighting {
        class: FindingClass::Secret,
        rule: secret.rule_id.to_string(),
        title: title::line(first([&*secret.title, &*secret.rule_id])),
        severity: Severity::parse(&secret.severity),
        location: Some(Location {
            path: path::canonical(&place.outcome.target),
            start_line,
            end_line: secret.end_line.line().max(start_line),
            line_hash: code_evidence::of_masked(&secret.masked_line),
            ..Location::default()
        }),
        secret: Some(Secret { family: secret_of::family(&secret.rule_id), ..Secret::default() }),
        ..Sighting::default()
    }
}

/// A licence of a package or a file.
pub fn licence(place: &Place<'_>, licence: &shape::Licence<'_>) -> Sighting {
    let file = path::canonical(&licence.file_path);
    let package = licence.package_name.given().map(|name| {
        let (ecosystem, distribution) = match &*place.outcome.target {
            "OS Packages" => package_of::ecosystem_of(place.distribution),
            target => package_of::ecosystem_of(target),
        };
        let mut package = package_of::build(ecosystem, &distribution, name, "");
        if place.is_repository {
            path::directory(&file).clone_into(&mut package.manifest_dir);
        }
        package.file.clone_from(&file);
        package
    });
    let holder = licence.package_name.given().unwrap_or(&file);
    Sighting {
        class: FindingClass::Licence,
        rule: licence.name.to_string(),
        title: title::line(&format!("{} licence of {holder}", licence.name.given().unwrap_or("unknown"))),
        severity: Severity::parse(&licence.severity),
        location: (package.is_none() && !file.is_empty())
            .then(|| Location { path: file.clone(), ..Location::default() }),
        package,
        ..Sighting::default()
    }
}

/// A package of the artefact; at most 32 of its files, the bound of the model.
pub fn inventory(place: &Place<'_>, package: &shape::Package<'_>) -> Option<InventoryItem> {
    package.name.given()?;
    let known = package_of::from_purl(&package.identifier.purl).unwrap_or_else(|| {
        let (ecosystem, distribution) = super::ecosystem(place.outcome, place.distribution);
        package_of::build(ecosystem, &distribution, &package.name, "")
    });
    let version = match package.release.given() {
        Some(release) => format!("{}-{release}", package.version.trim()),
        None => package.version.trim().to_owned(),
    };
    let own_file = package.file_path.given().map(|file| format!("/{}", path::canonical(file)));
    let files = package.installed_files.iter().filter_map(|file| file.given().map(str::to_owned));
    Some(InventoryItem {
        purl: known.purl,
        name: known.name,
        version: if version.is_empty() { known.version } else { version },
        ecosystem: known.ecosystem,
        licence: package.licenses.iter().filter_map(|licence| licence.given()).collect::<Vec<_>>().join(" AND "),
        files: files.chain(own_file).take(32).collect(),
    })
}
