//! Trivy JSON: vulnerabilities, misconfigurations, secrets and licences of images, repositories, file systems, SBOMs and clusters
//! in one report; the old scheme, a bare array of results, too.

use tributary_model::asset;
use tributary_model::observation::InventoryItem;
use tributary_model::sighting::FindingClass;
use tributary_model::time::Millis;

use crate::event::{Events, Input, InventoryReport, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::List;
use crate::normalize::{image_names, package_of, workload_name};
use crate::report::Report;
use crate::time;

mod shape;
mod sight;
#[cfg(test)]
mod tests;

use shape::{Outcome, Resource, Scan};
pub(super) use sight::avd_id;

const TOOL: &str = "trivy";

/// One report per image, branch or workload; an inventory of each that lists its packages.
///
/// # Errors
/// Not JSON, not Trivy's, or nothing says which asset was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let is_bare = input.body.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b != b'{');
    let scan: Scan<'_> = if is_bare {
        let outcomes: List<Outcome<'_>> =
            serde_json::from_slice(input.body).map_err(|error| Rejection::json("Trivy", &error))?;
        if outcomes.iter().any(|outcome| outcome.target.is_empty() && outcome.kind.is_empty()) {
            return Err(Rejection::new(code::MALFORMED, "an entry of the list is no Trivy result: it has no Target"));
        }
        // Old versions write `null` where nothing was found and also after some failures: it withdraws nothing.
        let complete = if outcomes.was_given { None } else { Some(false) };
        Scan { complete, results: outcomes, ..Scan::default() }
    } else {
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("Trivy", &error))?
    };
    if !is_bare && !scan.is_trivy() {
        return Err(Rejection::new(code::MALFORMED, "the object has none of the keys of a Trivy report"));
    }
    if scan.is_cluster() { Ok(cluster(input, &scan)) } else { artifact(input, &scan) }
}

/// A scan of one artefact.
fn artifact(input: &Input<'_>, scan: &Scan<'_>) -> Result<Events, Rejection> {
    let (subject, reported) = reported_asset(input, scan);
    let asset = asset_of::choose(input, subject, reported)?;
    let mut report = report(scan, asset);
    let mut items = Vec::new();
    add(&mut report, &scan.results, &mut items, "", &scan.metadata.os.family);
    let names = scan.metadata.repo_tags.iter().map(|tag| &**tag);
    let facts = image_names::facts(input, TOOL, &report.asset, report.started_at, &scan.metadata.image_id, names);
    let mut events = Events { facts, ..Events::default() };
    if report.classes.is_empty() {
        // No result at all: the default scanners ran and packages are what every kind of target has. A deleted secret is never
        // taken as fixed, so claiming to have looked for secrets would gain nothing.
        report.classes.push(FindingClass::Vulnerability);
    }
    push_inventory(input, &mut events, &report.asset, report.started_at, items);
    events.reports.push(report);
    Ok(events)
}

/// A scan of a cluster: each resource is a workload; packages belong to the image it runs where that is known.
fn cluster(input: &Input<'_>, scan: &Scan<'_>) -> Events {
    let cluster = workload_name::cluster(input, Some(&scan.cluster_name));
    let mut events = Events::default();
    let sections = [&scan.resources, &scan.findings, &scan.vulnerabilities, &scan.misconfigurations];
    for resource in sections.into_iter().flatten() {
        add_resource(input, scan, &cluster, resource, &mut events);
    }
    if events.reports.is_empty() {
        let mut whole = report(scan, asset_of::cluster(&cluster));
        whole.classes = vec![FindingClass::Vulnerability, FindingClass::Misconfiguration];
        events.reports.push(whole);
    }
    events.reports.sort_by(|a, b| a.asset.cmp(&b.asset));
    events
}

fn add_resource(input: &Input<'_>, scan: &Scan<'_>, cluster: &str, resource: &Resource<'_>, events: &mut Events) {
    let workload = asset_of::workload(cluster, &resource.namespace, &resource.kind, &resource.name);
    let address = asset_of::kubernetes_resource(&resource.namespace, &resource.kind, &resource.name);
    let digests = resource.metadata.repo_digests.iter().map(|digest| &**digest);
    let image = asset_of::image("", digests, "");
    for outcome in &resource.results {
        let is_of_image = outcome.class.ends_with("-pkgs") || outcome.vulnerabilities.was_given;
        let asset = image.as_ref().filter(|_| is_of_image).unwrap_or(&workload);
        let index = events.reports.iter().position(|report| report.asset == *asset).unwrap_or_else(|| {
            events.reports.push(report(scan, asset.clone()));
            events.reports.len() - 1
        });
        let mut items = Vec::new();
        add(
            &mut events.reports[index],
            std::slice::from_ref(outcome),
            &mut items,
            &address,
            &resource.metadata.os.family,
        );
        let (asset, started_at) = (events.reports[index].asset.clone(), events.reports[index].started_at);
        push_inventory(input, events, &asset, started_at, items);
    }
}

fn report(scan: &Scan<'_>, asset: String) -> Report {
    Report {
        asset,
        tool: TOOL.to_owned(),
        tool_version: scan.trivy.version.to_string(),
        started_at: time::parse(&scan.created_at),
        complete: scan.complete,
        ..Report::default()
    }
}

/// Adds what some results say to a report.
fn add(report: &mut Report, outcomes: &[Outcome<'_>], items: &mut Vec<InventoryItem>, address: &str, family: &str) {
    let is_repository = asset::kind(&report.asset) == asset::AssetKind::Repository;
    for outcome in outcomes {
        let place = sight::Place { outcome, address, is_repository, distribution: family };
        sight::classes(outcome, &mut report.classes);
        let packages = sight::Packages::of(outcome);
        report
            .sightings
            .extend(outcome.vulnerabilities.iter().map(|vuln| sight::vulnerability(&place, &packages, vuln)));
        report
            .sightings
            .extend(outcome.modified.iter().filter_map(|modified| sight::modified(&place, &packages, modified)));
        let failed = outcome.misconfigurations.iter().filter(|check| check.is_failed());
        report.sightings.extend(failed.map(|check| sight::misconfiguration(&place, check)));
        report.sightings.extend(outcome.secrets.iter().map(|secret| sight::secret(&place, secret)));
        report.sightings.extend(outcome.licenses.iter().map(|licence| sight::licence(&place, licence)));
        items.extend(outcome.packages.iter().filter_map(|package| sight::inventory(&place, package)));
    }
    report.classes.sort_unstable();
    report.classes.dedup();
}

fn push_inventory(
    input: &Input<'_>,
    events: &mut Events,
    asset: &str,
    started_at: Option<Millis>,
    items: Vec<InventoryItem>,
) {
    if items.is_empty() {
        return;
    }
    let observed_at = started_at.unwrap_or_else(|| input.default_time());
    if let Some(inventory) = events.inventories.iter_mut().find(|inventory| inventory.asset == asset) {
        inventory.items.extend(items);
        return;
    }
    let (asset, tool) = (asset.to_owned(), TOOL.to_owned());
    events.inventories.push(InventoryReport { asset, tool, observed_at, items });
}

/// What the report says it is about. `ImageID` is the digest of the configuration, which nothing runs by: it comes last.
fn reported_asset(input: &Input<'_>, scan: &Scan<'_>) -> (Subject, Option<String>) {
    let metadata = &scan.metadata;
    match &*scan.artifact_type {
        "repository" => {
            let url = if metadata.repo_url.is_empty() { &scan.artifact_name } else { &metadata.repo_url };
            (Subject::Repository, asset::repository(url, asset_of::branch(input, &metadata.branch)))
        }
        "aws_account" => (Subject::Running, Some(asset::cloud("aws", &scan.artifact_name))),
        "container_image" => {
            let name =
                metadata.repo_tags.first().filter(|_| scan.artifact_name.is_empty()).unwrap_or(&scan.artifact_name);
            let digests = metadata.repo_digests.iter().map(|digest| &**digest);
            (Subject::Image, asset_of::image(name, digests, &metadata.image_id))
        }
        // File systems, SBOMs and virtual machines are named by a path on the scanner's machine, which says nothing; an SBOM of
        // an image has the image's digest.
        _ => {
            let digests: Vec<&str> = metadata.repo_digests.iter().map(|digest| &**digest).collect();
            let image = asset_of::image("", digests, &metadata.image_id);
            let subject = if image.is_some() { Subject::Image } else { Subject::Repository };
            (subject, image)
        }
    }
}

/// The purl type and namespace of a result.
fn ecosystem(outcome: &Outcome<'_>, distribution: &str) -> (&'static str, String) {
    if outcome.kind.is_empty() && !distribution.is_empty() {
        return package_of::ecosystem_of(distribution);
    }
    package_of::ecosystem_of(&outcome.kind)
}
