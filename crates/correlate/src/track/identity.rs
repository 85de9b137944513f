//! Finding ids: which fields of a sighting identify it inside its asset, per class.
//!
//! Never in an id: the scanner, severity, title, description, version, line number, commit, alias names. The one
//! exception is a weakness without any code evidence, which nothing but its tool can tell apart: it is tool-local.
//! Lists are read through their minimum or not at all, so that no order of arrays matters (F24).

use std::collections::BTreeMap;

use tributary_model::asset::{self, AssetKind};
use tributary_model::entity;
use tributary_model::id::{FindingId, IdHasher};
use tributary_model::path;
use tributary_model::sighting::{Endpoint, FindingClass, Location, Package, Sighting};

/// The ids of the sightings of one message, in their order.
pub(super) fn ids(asset: &str, tool: &str, sightings: &[Sighting]) -> Vec<FindingId> {
    let local = occurrences(sightings);
    sightings.iter().enumerate().map(|(n, sighting)| id(asset, tool, sighting, local.get(&n).copied())).collect()
}

/// The id of a sighting. `occurrence` is given for tool-local weaknesses only.
fn id(asset: &str, tool: &str, sighting: &Sighting, occurrence: Option<u32>) -> FindingId {
    let mut hasher = IdHasher::new("finding");
    hasher.field(asset).field(sighting.class.name());
    match sighting.class {
        FindingClass::Vulnerability => package_fields(&mut hasher, asset, sighting),
        FindingClass::Weakness => weakness(&mut hasher, tool, sighting, occurrence),
        FindingClass::Secret => secret(&mut hasher, sighting),
        FindingClass::Misconfiguration => misconfiguration(&mut hasher, sighting),
        FindingClass::Web => web(&mut hasher, sighting),
        FindingClass::Host => host(&mut hasher, sighting),
        FindingClass::Runtime => runtime(&mut hasher, sighting),
        FindingClass::Malware | FindingClass::Licence | FindingClass::EndOfLife => {
            package_fields(&mut hasher, asset, sighting);
            if sighting.package.is_none() {
                hasher.field(place(sighting));
            }
        }
        // A person's report has an id of its own.
        FindingClass::Manual => drop(hasher.field(&sighting.rule).field(place(sighting))),
    }
    FindingId(hasher.finish())
}

/// Advisory or policy, package without version, and in repositories where its manifest is: one package may be in several.
fn package_fields(hasher: &mut IdHasher, asset: &str, sighting: &Sighting) {
    hasher.field(entity::vulnerability_id(&sighting.rule));
    if let Some(package) = &sighting.package {
        hasher.field(package_identity(package));
        if asset::kind(asset) == AssetKind::Repository {
            hasher.field(path::canonical(&package.manifest_dir));
        }
    }
}

/// OS packages are known by their source package: distributions publish advisories for that, and one source makes many
/// packages.
pub(super) fn package_identity(package: &Package) -> &str {
    match (package.is_os_package, package.source_purl.as_str(), package.purl.as_str()) {
        (true, source, _) if !source.is_empty() => source,
        (_, _, "") => &package.name,
        (_, _, purl) => purl,
    }
}

fn weakness(hasher: &mut IdHasher, tool: &str, sighting: &Sighting, occurrence: Option<u32>) {
    let nowhere = Location::default();
    let location = sighting.location.as_ref().unwrap_or(&nowhere);
    hasher.field(path::canonical(&location.path));
    match (evidence(location), sighting.cwes.iter().min()) {
        (Some((kind, evidence)), Some(cwe)) => hasher.field("cwe").field(cwe.to_string()).field(kind).field(evidence),
        (Some((kind, evidence)), None) => hasher.field("rule").field(&sighting.rule).field(kind).field(evidence),
        (None, _) => hasher.field("local").field(tool).field(&sighting.rule).field(occurrence.unwrap_or(0).to_string()),
    };
}

/// What of the code itself tells one place from another, best first.
fn evidence(location: &Location) -> Option<(&'static str, &str)> {
    [("line", &location.line_hash), ("snippet", &location.snippet_hash), ("enclosing", &location.enclosing)]
        .into_iter()
        .find(|(_, text)| !text.is_empty())
        .map(|(kind, text)| (kind, text.as_str()))
}

/// For weaknesses without code evidence: the how-many-eth of its rule in its file, counted from the top. It is stable
/// while nothing of the kind is added above it, which is more than a line number can say. Counted within one message:
/// a part of a scan holds whole files.
fn occurrences(sightings: &[Sighting]) -> BTreeMap<usize, u32> {
    let mut places = BTreeMap::<(&str, &str), Vec<(u32, u32, &str, usize)>>::new();
    for (n, sighting) in sightings.iter().enumerate().filter(|(_, s)| s.class == FindingClass::Weakness) {
        let location = sighting.location.as_ref();
        if location.is_none_or(|location| evidence(location).is_none()) {
            let (path, start, end) = location.map_or(("", 0, 0), |at| (at.path.as_str(), at.start_line, at.end_line));
            places.entry((path, &sighting.rule)).or_default().push((start, end, &sighting.title, n));
        }
    }
    let mut numbers = BTreeMap::new();
    for mut place in places.into_values() {
        place.sort_unstable();
        // Equal places are one finding told twice.
        let mut number = 0;
        for (n, this) in place.iter().enumerate() {
            number += u32::from(n > 0 && (place[n - 1].0, place[n - 1].1, place[n - 1].2) != (this.0, this.1, this.2));
            numbers.insert(this.3, number);
        }
    }
    numbers
}

/// The secret itself, wherever it is; where the tool gave only a mask, its place.
fn secret(hasher: &mut IdHasher, sighting: &Sighting) {
    if let Some(secret) = sighting.secret.as_ref().filter(|secret| !secret.hmac.is_empty()) {
        hasher.field("hmac").field(&secret.key_id).field(&secret.hmac).field(&secret.family);
        return;
    }
    let family = sighting.secret.as_ref().map_or("", |secret| secret.family.as_str());
    let (kind, evidence) = sighting.location.as_ref().and_then(evidence).unwrap_or(("none", ""));
    hasher.field("place").field(family).field(place(sighting)).field(kind).field(evidence);
}

fn misconfiguration(hasher: &mut IdHasher, sighting: &Sighting) {
    let control = if sighting.control.is_empty() { ("rule", &sighting.rule) } else { ("control", &sighting.control) };
    hasher.field(control.0).field(control.1);
    match sighting.resource.trim() {
        "" => hasher.field("place").field(place(sighting)),
        resource => hasher.field("resource").field(resource),
    };
}

fn web(hasher: &mut IdHasher, sighting: &Sighting) {
    let endpoint = sighting.endpoint.as_ref();
    let (method, template, parameter) =
        endpoint.map_or((Endpoint::ANY_METHOD, "/", ""), |at| (&at.method, &at.path_template, &at.parameter));
    hasher.field(method.to_ascii_uppercase()).field(template).field(parameter);
    // Two missing headers of a site share a CWE, and often a parameter: the rule is what tells them apart.
    match sighting.cwes.iter().min() {
        Some(cwe) if !endpoint.is_some_and(Endpoint::is_whole_site) => hasher.field("cwe").field(cwe.to_string()),
        _ => hasher.field("rule").field(&sighting.rule),
    };
}

/// The asset is the host. Where no package is known, the port: normalisers put `port/protocol` into `resource`.
fn host(hasher: &mut IdHasher, sighting: &Sighting) {
    hasher.field(entity::vulnerability_id(&sighting.rule));
    match &sighting.package {
        Some(package) => hasher.field("package").field(package_identity(package)),
        None => hasher.field("port").field(sighting.resource.trim()),
    };
}

/// The workload (never a replica of it) where the sighting names one, else the asset alone.
fn runtime(hasher: &mut IdHasher, sighting: &Sighting) {
    hasher.field(sighting.resource.trim()).field(&sighting.rule);
}

/// A place for what has no better identity: the resource, else the path.
fn place(sighting: &Sighting) -> String {
    let location = sighting.location.as_ref().map(|location| path::canonical(&location.path));
    location.filter(|path| !path.is_empty()).unwrap_or_else(|| sighting.resource.trim().to_owned())
}

#[cfg(test)]
mod tests;
