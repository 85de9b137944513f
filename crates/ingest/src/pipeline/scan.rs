//! Which scan a report is, what it can withdraw, and of which asset it is.

use std::collections::BTreeMap;

use tributary_model::asset;
use tributary_model::record::Extensions;
use tributary_model::scan::ScanRef;

use crate::event::{Events, InventoryReport, Rejection, code};
use crate::report::Report;
use crate::scrub;

/// Longest scope that is kept as text. It is part of keys; a list of a thousand target paths is as good as its hash.
const SCOPE_BYTES_MAX: usize = 512;

/// Gives assets to reports that have none, from what the producer said.
pub(super) fn name_assets(events: &mut Events, ext: &Extensions) -> Result<(), Rejection> {
    for report in &mut events.reports {
        if report.asset.is_empty() {
            let in_code = report.sightings.iter().any(|sighting| sighting.location.is_some());
            report.asset = named(ext, in_code)?;
        }
    }
    let inventories = events.inventories.iter_mut().map(|inventory| &mut inventory.asset);
    let runtime = events.runtime.iter_mut().map(|runtime| &mut runtime.asset);
    for asset in inventories.chain(runtime).filter(|asset| asset.is_empty()) {
        *asset = named(ext, false)?;
    }
    Ok(())
}

fn named(ext: &Extensions, in_code: bool) -> Result<String, Rejection> {
    let repository = || {
        let repo = ext.repo.as_deref()?;
        asset::repository(repo, ext.branch.as_deref().unwrap_or_default())
    };
    let image = || ext.image.as_deref().and_then(asset::image);
    let resource = || ext.resource.as_deref().and_then(asset::web);
    let named = if in_code { repository().or_else(image) } else { image().or_else(repository) };
    named.or_else(resource).ok_or_else(|| {
        Rejection::new(
            code::NO_ASSET,
            "the report does not say what was scanned: give --repo URL --branch NAME, --image REF@DIGEST, or --resource URL",
        )
    })
}

/// Joins reports of one asset, tool and scope (two runs of a SARIF file): as separate scans each would withdraw what the
/// other saw.
pub(super) fn merge(reports: Vec<Report>, ext: &Extensions) -> Vec<Report> {
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut merged: Vec<Report> = Vec::with_capacity(reports.len());
    for report in reports {
        let next = merged.len();
        let place = *places.entry((report.asset.clone(), scope(&report, ext))).or_insert(next);
        if place == next {
            merged.push(report);
        } else {
            join(&mut merged[place], report);
        }
    }
    merged
}

fn join(into: &mut Report, report: Report) {
    // "Not declared" means everything: a list of one run says nothing about the other.
    let union = |into: &mut Vec<String>, other: Vec<String>| {
        if into.is_empty() || other.is_empty() {
            into.clear();
        } else {
            into.extend(other);
        }
    };
    union(&mut into.rules_enabled, report.rules_enabled);
    union(&mut into.paths, report.paths);
    into.classes.extend(report.classes);
    into.sightings.extend(report.sightings);
    into.complete = match (into.complete, report.complete) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (one, other) => one.or(other),
    };
    into.started_at = [into.started_at, report.started_at].into_iter().flatten().min();
    into.scan_id = into.scan_id.take().or(report.scan_id);
}

/// Canonical text of what separates scans of one asset: tool, the report's own scope, the producer's.
pub(super) fn scope(report: &Report, ext: &Extensions) -> String {
    let mut scope = escape(&report.tool);
    for part in &report.scope {
        scope.push(';');
        scope.push_str(&escape(part));
    }
    if let Some(extra) = &ext.scan_scope {
        scope.push_str(";scope=");
        scope.push_str(&escape(extra));
    }
    if scope.len() <= SCOPE_BYTES_MAX {
        return scope;
    }
    let hash = blake3::hash(scope.as_bytes()).to_hex();
    let tool: String = escape(&report.tool).chars().take(64).collect();
    format!("{tool};{}", &hash[..32])
}

fn bounded(mut id: String) -> String {
    scrub::identity(&mut id);
    id
}

fn escape(part: &str) -> String {
    // `|` separates asset, scope and scan id in keys.
    part.replace('\\', "\\\\").replace(';', "\\;").replace('|', "\\p")
}

/// The scan of a report. The producer's id wins, then the report's; else the same bytes about the same asset are the same
/// scan, however often they are sent (F2).
pub(super) fn reference(report: &Report, ext: &Extensions, body: &blake3::Hash) -> ScanRef {
    let scope = scope(report, ext);
    let started_at = report.started_at.or(ext.time);
    let scan_id = ext.scan_id.clone().or_else(|| report.scan_id.clone()).map(|id| escape(&id));
    let scan_id = scan_id.map_or_else(|| derived_id(&report.asset, &scope, started_at, ext, body), bounded);
    ScanRef { scan_id, scope, started_at: started_at.unwrap_or(ext.received_at) }
}

/// The scan of an inventory: it has parts like any other, but no class, so that it withdraws nothing.
pub(super) fn of_inventory(inventory: &InventoryReport, ext: &Extensions, body: &blake3::Hash) -> ScanRef {
    let report = Report { tool: inventory.tool.clone(), scope: vec!["inventory".to_owned()], ..Report::default() };
    let scope = scope(&report, ext);
    let scan_id = ext.scan_id.as_deref().map(escape).map(bounded);
    let scan_id =
        scan_id.unwrap_or_else(|| derived_id(&inventory.asset, &scope, Some(inventory.observed_at), ext, body));
    ScanRef { scan_id, scope, started_at: inventory.observed_at }
}

/// Hash of what makes a scan. With the commit and the event time where given: two clean scans of two commits write the
/// same bytes and are two scans. Never with the time of receipt: a repeated delivery is the same scan.
fn derived_id(asset: &str, scope: &str, time: Option<i64>, ext: &Extensions, body: &blake3::Hash) -> String {
    let mut hasher = blake3::Hasher::new();
    let time = time.map(|time| time.to_string()).unwrap_or_default();
    for field in [asset, scope, &time, ext.commit.as_deref().unwrap_or_default()] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.update(body.as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Whether the scan may withdraw: the producer's word, else the format's; else a full report is complete and one of a
/// pull request is not.
pub(super) fn is_complete(report: &Report, ext: &Extensions) -> bool {
    ext.complete.or(report.complete).unwrap_or_else(|| !is_pull_request(ext))
}

/// Whether the producer says that this is about a pull or merge request: CI systems name its branch by its number.
fn is_pull_request(ext: &Extensions) -> bool {
    let is_of_request = |name: &str| {
        let name = name.trim_start_matches("refs/");
        name.starts_with("pull/")
            || name.starts_with("pull-requests/")
            || name.starts_with("merge-requests/")
            || name.split_once('/').is_some_and(|(number, kind)| {
                kind == "merge" && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
    };
    let in_type = |event: &str| event.contains("pull_request") || event.contains("merge_request");
    ext.branch.as_deref().is_some_and(is_of_request) || ext.event_type.as_deref().is_some_and(in_type)
}
