//! Grype JSON: vulnerabilities of the packages of an image or a directory. Its configuration says what it left out.

use std::collections::HashSet;

use tributary_model::asset;
use tributary_model::entity::vulnerability_id;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Package, Sighting};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::cvss_pick::CvssPick;
use crate::normalize::lenient::first;
use crate::normalize::{advisory, cwe, image_names, package_of, title};
use crate::report::Report;
use crate::time;

mod shape;
#[cfg(test)]
mod tests;

use shape::{Artifact, Configuration, Document, Match};

const TOOL: &str = "grype";

/// One report. Several matches of one vulnerability in one version of a package (one per copy in the file system, or per
/// way of matching) are one sighting.
///
/// # Errors
/// Not JSON, not Grype's, or nothing says which asset was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let document: Document<'_> =
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("Grype", &error))?;
    if !document.matches.was_given && document.descriptor.name.is_empty() {
        return Err(Rejection::new(code::MALFORMED, "the object has no list of matches, as every Grype report has"));
    }
    let target = &document.source.target;
    let (subject, reported) = if *document.source.kind == *"image" {
        let digests = target.repo_digests.iter().chain([&target.manifest_digest]).map(|digest| &**digest);
        (Subject::Image, asset_of::image(&target.user_input, digests, &target.image_id))
    } else {
        (Subject::Repository, None)
    };
    let asset = asset_of::choose(input, subject, reported)?;
    let started_at = time::parse(&document.descriptor.timestamp);
    let names = target.tags.iter().map(|tag| &**tag);
    let facts = image_names::facts(input, TOOL, &asset, started_at, &target.image_id, names);
    let report = Report {
        sightings: sightings(&document, asset::kind(&asset) == asset::AssetKind::Repository),
        asset,
        tool: TOOL.to_owned(),
        tool_version: document.descriptor.version.to_string(),
        scope: scope(&document.descriptor.configuration),
        started_at,
        complete: (!document.matches.was_given).then_some(false),
        classes: vec![FindingClass::Vulnerability],
        ..Report::default()
    };
    Ok(Events { facts, reports: vec![report], ..Events::default() })
}

fn sightings(document: &Document<'_>, is_repository: bool) -> Vec<Sighting> {
    let mut seen = HashSet::new();
    let mut sightings = Vec::with_capacity(document.matches.len());
    for found in &document.matches {
        for sighting in expanded(document, found, is_repository) {
            let package = sighting.package.as_ref();
            let key = package.map(|p| (p.purl.clone(), p.version.clone(), p.manifest_dir.clone()));
            if seen.insert((sighting.rule.clone(), key)) {
                sightings.push(sighting);
            }
        }
    }
    sightings
}

/// One sighting of a match; of an update advisory that fixes several CVEs, one per CVE.
fn expanded(document: &Document<'_>, found: &Match<'_>, is_repository: bool) -> Vec<Sighting> {
    let sighting = sighting(document, found, is_repository);
    if !advisory::is_bundle(&sighting.rule) {
        return vec![sighting];
    }
    let related = found.related_vulnerabilities.iter().map(|related| vulnerability_id(&related.id));
    let mut cves: Vec<String> = related.filter(|id| id.starts_with("CVE-")).collect();
    cves.sort_unstable();
    cves.dedup();
    if cves.is_empty() {
        return vec![sighting];
    }
    cves.into_iter().map(|rule| Sighting { rule, aliases: Vec::new(), ..sighting.clone() }).collect()
}

fn sighting(document: &Document<'_>, found: &Match<'_>, is_repository: bool) -> Sighting {
    let vulnerability = &found.vulnerability;
    let rule = vulnerability_id(&vulnerability.id);
    let package = package(document, found, is_repository);
    let mut pick = CvssPick::default();
    let mut cwes = Vec::new();
    let mut described = &*vulnerability.description;
    for (preference, source) in
        std::iter::once((1, &**vulnerability)).chain(found.related_vulnerabilities.iter().map(|r| (0, r)))
    {
        for cvss in &source.cvss {
            pick.offer(&cvss.vector, &cvss.version, cvss.metrics.base_score.0, preference);
        }
        source.cwes.iter().for_each(|weakness| cwe::collect(&weakness.cwe, true, &mut cwes));
        described = first([described, &*source.description]);
    }
    let severity = pick.severity_or_rating(Severity::parse(&vulnerability.severity));
    let (cvss_vector, cvss_score) = pick.into_parts();
    let heading = if described.is_empty() { format!("{rule} in {}", package.name) } else { described.to_owned() };
    Sighting {
        class: advisory::class_of(&rule),
        title: title::line(&heading),
        severity,
        cvss_vector,
        cvss_score,
        aliases: advisory::aliases(&rule, found.related_vulnerabilities.iter().map(|related| &*related.id)),
        cwes: cwe::canonical(cwes),
        package: Some(package),
        rule,
        ..Sighting::default()
    }
}

fn package(document: &Document<'_>, found: &Match<'_>, is_repository: bool) -> Package {
    let artifact: &Artifact<'_> = &found.artifact;
    let mut package = package_of::from_purl(&artifact.purl).unwrap_or_else(|| {
        let (ecosystem, _) = package_of::ecosystem_of(first([&*artifact.kind, &*artifact.language]));
        package_of::build(ecosystem, &document.distro.name, &artifact.name, "")
    });
    package.version = artifact.version.to_string();
    let source = artifact.upstreams.first().map_or("", |upstream| &*upstream.name);
    package_of::set_source(&mut package, first([source, &*artifact.metadata.source]));
    if !package.is_os_package {
        package.file = artifact.locations.first().map(|location| path::canonical(&location.path)).unwrap_or_default();
        if is_repository {
            path::directory(&package.file).clone_into(&mut package.manifest_dir);
        }
    }
    let fix = &found.vulnerability.fix;
    package.fixed_versions = fix.versions.iter().filter_map(|version| version.given().map(str::to_owned)).collect();
    package.wont_fix = *fix.state == *"wont-fix";
    package
}

/// What the configuration left out: a filtered scan must withdraw nothing that it did not look for. A severity that only
/// sets the exit code (`fail-on-severity`) filters nothing.
fn scope(configuration: &Configuration<'_>) -> Vec<String> {
    let mut scope = Vec::new();
    for (flag, name) in [
        (configuration.only_fixed, "only-fixed"),
        (configuration.only_not_fixed, "only-notfixed"),
        (configuration.by_cve, "by-cve"),
    ] {
        if flag.0 {
            scope.push(name.to_owned());
        }
    }
    if let Some(states) = configuration.ignore_states.given().or(configuration.ignore_wont_fix.given())
        && states != "false"
    {
        scope.push(format!("ignore-states={states}"));
    }
    if let Some(layers) = configuration.search.scope.given().filter(|layers| !layers.eq_ignore_ascii_case("squashed")) {
        scope.push(format!("layers={}", layers.to_ascii_lowercase()));
    }
    let mut excluded: Vec<&str> = configuration.exclude.iter().filter_map(|pattern| pattern.given()).collect();
    excluded.sort_unstable();
    scope.extend(excluded.into_iter().map(|pattern| format!("exclude={pattern}")));
    let mut ignored: Vec<String> = configuration.ignore.iter().map(shape::Ignore::canonical).collect();
    ignored.sort_unstable();
    ignored.dedup();
    scope.extend(ignored.into_iter().map(|rule| format!("ignore={rule}")));
    scope
}
