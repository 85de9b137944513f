//! Semgrep JSON: weaknesses of code, and what its supply-chain and secrets rules find.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;
use tributary_model::entity::vulnerability_id;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Secret, Sighting, ToolStatus};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{Entries, Flag, List, Object, Text, first};
use crate::normalize::{advisory, code_evidence, cwe, package_of, secret_of, title};
use crate::report::Report;

#[cfg(test)]
mod tests;

/// A scan of more directories than this is of the whole repository; a longer list would say no more.
const DIRECTORIES_MAX: usize = 512;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Scan<'a> {
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    results: List<Found<'a>>,
    #[serde(borrow)]
    errors: List<Failure<'a>>,
    #[serde(borrow)]
    paths: Object<Paths<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Paths<'a> {
    #[serde(borrow)]
    scanned: List<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failure<'a> {
    #[serde(borrow)]
    level: Text<'a>,
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Found<'a> {
    #[serde(borrow)]
    check_id: Text<'a>,
    #[serde(borrow)]
    path: Text<'a>,
    #[serde(borrow)]
    start: Object<Position<'a>>,
    #[serde(borrow)]
    end: Object<Position<'a>>,
    #[serde(borrow)]
    extra: Object<Extra<'a>>,
}

impl Found<'_> {
    fn key(&self) -> [&str; 6] {
        let (start, end) = (&self.start, &self.end);
        [&self.check_id, &self.path, &start.line, &start.col, &end.line, &end.col]
    }
}

/// Kept as text: equal text is an equal place.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Position<'a> {
    #[serde(borrow)]
    line: Text<'a>,
    #[serde(borrow)]
    col: Text<'a>,
}

impl Position<'_> {
    fn line(&self) -> u32 {
        self.line.parse().unwrap_or(0)
    }
}

/// `fingerprint` is not read: anonymous users get the words `requires login` in its place, and it has the match's index in it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Extra<'a> {
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    #[serde(borrow)]
    lines: Text<'a>,
    is_ignored: Flag,
    #[serde(borrow)]
    validation_state: Text<'a>,
    #[serde(borrow)]
    metadata: Object<Metadata<'a>>,
    #[serde(borrow)]
    sca_info: Object<SupplyChain<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    cwe: List<Text<'a>>,
    #[serde(borrow)]
    confidence: Text<'a>,
    #[serde(rename = "sca-vuln-database-identifier", borrow)]
    advisory: Text<'a>,
    /// One object per package, from its name to the version that fixes it.
    #[serde(rename = "sca-fix-versions", borrow)]
    fixes: List<Entries<'a, Text<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SupplyChain<'a> {
    reachable: Flag,
    #[serde(borrow)]
    dependency_match: Object<DependencyMatch<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DependencyMatch<'a> {
    #[serde(borrow)]
    found_dependency: Object<Dependency<'a>>,
    #[serde(borrow)]
    lockfile: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Dependency<'a> {
    #[serde(borrow)]
    package: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    ecosystem: Text<'a>,
}

/// One report about the repository.
///
/// # Errors
/// Not JSON, not Semgrep's, or nothing says which repository was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let scan: Scan<'_> = serde_json::from_slice(input.body).map_err(|error| Rejection::json("Semgrep", &error))?;
    if !scan.results.was_given {
        return Err(Rejection::new(code::MALFORMED, "the object has no list of results, as every Semgrep report has"));
    }
    let asset = asset_of::choose(input, Subject::Repository, None)?;
    // Rules that are in several packs report the same match once for each.
    let mut seen = HashSet::new();
    let distinct = scan.results.iter().filter(|found| seen.insert(found.key()));
    let sightings: Vec<Sighting> = distinct.map(sighting).collect();
    let mut classes: BTreeSet<FindingClass> = sightings.iter().map(|sighting| sighting.class).collect();
    classes.insert(FindingClass::Weakness);
    let report = Report {
        asset,
        tool: "semgrep".to_owned(),
        tool_version: scan.version.to_string(),
        complete: scan.errors.iter().any(Failure::is_partial).then_some(false),
        paths: directories(&scan.paths.scanned),
        classes: classes.into_iter().collect(),
        sightings,
        ..Report::default()
    };
    Ok(Events { reports: vec![report], ..Events::default() })
}

impl Failure<'_> {
    /// Whether files or rules were left out. A file that parsed in part is a warning, which large repositories always have.
    fn is_partial(&self) -> bool {
        self.level.eq_ignore_ascii_case("error")
            || ["Timeout", "OutOfMemory", "Fatal"].iter().any(|kind| self.kind.contains(kind))
    }
}

/// Directories of the files that were scanned: a finding in a file that is gone is fixed where its neighbours were looked
/// at. Files at the root stand for themselves, since the root as a prefix would be everything.
fn directories(scanned: &List<Text<'_>>) -> Vec<String> {
    let mut directories = BTreeSet::new();
    for file in scanned {
        let file = path::canonical(file);
        let directory = path::directory(&file);
        directories.insert(if directory.is_empty() { file } else { directory.to_owned() });
        if directories.len() > DIRECTORIES_MAX {
            return Vec::new();
        }
    }
    directories.remove("");
    directories.into_iter().collect()
}

fn sighting(found: &Found<'_>) -> Sighting {
    let extra = &found.extra;
    let start_line = found.start.line();
    let mut cwes = Vec::new();
    extra.metadata.cwe.iter().for_each(|text| cwe::collect(text, true, &mut cwes));
    let base = Sighting {
        class: FindingClass::Weakness,
        rule: found.check_id.to_string(),
        title: title::line(first([&*extra.message, &*found.check_id])),
        severity: severity(&extra.severity),
        cwes: cwe::canonical(cwes),
        location: Some(Location {
            path: path::canonical(&found.path),
            start_line,
            end_line: found.end.line().max(start_line),
            ..Location::default()
        }),
        status: if extra.is_ignored.0 { ToolStatus::Dismissed } else { ToolStatus::Open },
        confidence: Severity::parse(&extra.metadata.confidence),
        ..Sighting::default()
    };
    if !extra.sca_info.dependency_match.found_dependency.package.is_empty() {
        return vulnerability(found, base);
    }
    match &*extra.validation_state {
        state @ ("CONFIRMED_VALID" | "CONFIRMED_INVALID" | "VALIDATION_ERROR") => Sighting {
            class: FindingClass::Secret,
            // The message of a secrets rule may quote the secret.
            title: title::line(&found.check_id),
            secret: Some(Secret {
                family: secret_of::family(found.check_id.rsplit('.').next().unwrap_or_default()),
                verified: state == "CONFIRMED_VALID",
                revoked: state == "CONFIRMED_INVALID",
                ..Secret::default()
            }),
            ..base
        },
        _ => with_evidence(base, &extra.lines),
    }
}

/// Semgrep has three words for code rules, of which `ERROR` is the gravest, and the common ones for other products.
fn severity(word: &str) -> Severity {
    match Severity::parse(word) {
        Severity::Information => Severity::Low,
        severity => severity,
    }
}

fn with_evidence(mut base: Sighting, lines: &str) -> Sighting {
    if let Some(location) = &mut base.location {
        let evidence = code_evidence::of(lines);
        location.line_hash = evidence.line_hash;
        location.snippet_hash = evidence.snippet_hash;
    }
    base
}

fn vulnerability(found: &Found<'_>, base: Sighting) -> Sighting {
    let supply = &found.extra.sca_info;
    let matched = &supply.dependency_match;
    let dependency = &matched.found_dependency;
    let rule = vulnerability_id(first([&*found.extra.metadata.advisory, &*found.check_id]));
    let (ecosystem, _) = package_of::ecosystem_of(&dependency.ecosystem);
    let mut package = package_of::build(ecosystem, "", &dependency.package, &dependency.version);
    package.file = path::canonical(first([&*matched.lockfile, &*found.path]));
    path::directory(&package.file).clone_into(&mut package.manifest_dir);
    let fixes = found.extra.metadata.fixes.iter().filter_map(|fixes| fixes.get(&dependency.package)?.given());
    package.fixed_versions = fixes.map(str::to_owned).collect();
    Sighting {
        class: advisory::class_of(&rule),
        rule,
        package: Some(package),
        reachable: supply.reachable.0.then_some(true),
        ..base
    }
}
