//! SARIF 2.1.0: one report per run. What a run says decides its asset, its scope and whether it may withdraw.

use std::collections::BTreeSet;

use serde::Deserialize;
use tributary_model::asset;
use tributary_model::sighting::FindingClass;

use crate::event::{Events, Input, Rejection, code};
use crate::format::Format;
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{List, first};
use crate::report::Report;
use crate::time;

mod place;
mod rule;
mod shape;
mod sight;
#[cfg(test)]
mod tests;

use shape::Run;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Log<'a> {
    #[serde(borrow)]
    runs: List<Run<'a>>,
}

/// One report per run; runs of one tool, asset and category are joined where reports become scans.
///
/// # Errors
/// Not JSON, no runs, or nothing says which asset was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let log: Log<'_> = serde_json::from_slice(input.body).map_err(|error| Rejection::json("SARIF", &error))?;
    if !log.runs.was_given {
        return Err(Rejection::new(code::MALFORMED, "the SARIF log has no list of runs"));
    }
    if log.runs.is_empty() {
        return Err(Rejection::new(code::NOTHING_IN_IT, "the SARIF log has no run: the tool did not start"));
    }
    let reports = log.runs.iter().map(|run| report(input, run)).collect::<Result<Vec<_>, _>>()?;
    Ok(Events { reports, ..Events::default() })
}

fn report(input: &Input<'_>, run: &Run<'_>) -> Result<Report, Rejection> {
    let driver = &run.tool.driver;
    let tool = first([&*driver.name, "sarif"]).to_lowercase();
    let (subject, reported) = reported_asset(input, run);
    let asset = asset_of::choose(input, subject, reported)?;
    let rules = rule::Rules::of(run);
    let roots = place::Roots::of(run);
    let is_repository = asset::kind(&asset) == asset::AssetKind::Repository;
    let context = sight::Context { input, rules: &rules, roots: &roots, tool: &tool, is_repository };
    let open = run.results.iter().filter(|result| result.is_open());
    let sightings: Vec<_> = open.flat_map(|result| sight::sightings(&context, result)).collect();
    let mut classes: BTreeSet<FindingClass> = sightings.iter().map(|sighting| sighting.class).collect();
    classes.insert(sight::usual_class(&tool));
    let guid = run.automation_details.guid.given();
    Ok(Report {
        asset,
        tool_version: first([&*driver.semantic_version, &*driver.version]).to_owned(),
        scan_id: guid.map(str::to_owned),
        scope: scope(run, &tool),
        tool,
        started_at: started_at(run),
        complete: is_partial(run).then_some(false),
        rules_enabled: rules.enabled(&sightings),
        paths: Vec::new(),
        classes: classes.into_iter().collect(),
        is_alert: false,
        sightings,
    })
}

/// `automationDetails.id` is a category, a slash, and the id of this one run; only the category separates scans. A tool whose
/// own format is read too says more there: neither may withdraw what the other saw.
fn scope(run: &Run<'_>, tool: &str) -> Vec<String> {
    let category = run.automation_details.id.rsplit_once('/').map_or("", |(category, _)| category);
    let own_format = Format::parse(tool).map(|_| "sarif".to_owned());
    let category = (!category.is_empty()).then(|| format!("category={category}"));
    own_format.into_iter().chain(category).collect()
}

fn started_at(run: &Run<'_>) -> Option<i64> {
    let begun = run.invocations.iter().filter_map(|invocation| time::parse(&invocation.start_time_utc)).min();
    begun.or_else(|| run.invocations.iter().filter_map(|invocation| time::parse(&invocation.end_time_utc)).min())
}

/// A run without a list of results did not get as far as scanning; one that failed or keeps results in other files saw less
/// than everything.
fn is_partial(run: &Run<'_>) -> bool {
    !run.results.was_given
        || run.invocations.iter().any(|invocation| invocation.execution_successful == "false".into())
        || !run.external_property_file_references.results.is_empty()
}

/// The repository under version control, or the image that Trivy's SARIF names.
fn reported_asset(input: &Input<'_>, run: &Run<'_>) -> (Subject, Option<String>) {
    let properties = &run.properties;
    let digests = properties.repo_digests.iter().map(|digest| &**digest);
    // Trivy names every artefact `imageName`; only an image has an id.
    if let Some(id) = properties.image_id.given()
        && let Some(image) = asset_of::image(&properties.image_name, digests, id)
    {
        return (Subject::Image, Some(image));
    }
    let mut provenance = run.version_control_provenance.iter();
    let repository = provenance
        .find_map(|source| asset::repository(&source.repository_uri, asset_of::branch(input, &source.branch)));
    (Subject::Repository, repository)
}
