//! What `gh api` prints when it lists alerts: pages of them, which are reports and never complete by themselves.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_model::sighting::FindingClass;
use tributary_model::{asset, repository};

use super::payload::Repository;
use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{List, Object, first};
use crate::report::Report;

/// The alerts of one array, of several one behind the other (`--paginate`), of an array of arrays (`--slurp`), or one alone.
pub fn alerts<'a, T: Deserialize<'a> + Default>(input: &Input<'a>, what: &str) -> Result<Vec<Object<T>>, Rejection> {
    let mut alerts = Vec::new();
    let mut was_given = false;
    for page in serde_json::Deserializer::from_slice(input.body).into_iter::<List<List<Object<T>>>>() {
        let page = page.map_err(|error| Rejection::json(&format!("GitHub {what}"), &error))?;
        was_given |= page.was_given;
        alerts.extend(page.items.into_iter().flat_map(|alerts| alerts.items));
    }
    if !was_given {
        return Err(Rejection::new(code::NOTHING_IN_IT, format!("there is no list of GitHub {what} in it")));
    }
    Ok(alerts)
}

/// `host/org/name` of an alert: its page on the site says it, and in an organisation's export the repository beside it.
pub fn repository(html_url: &str, beside: &Repository) -> Option<String> {
    let of_page = html_url.split_once("/security/").and_then(|(url, _)| repository::canonical(url));
    of_page.or_else(|| beside.canonical().ok())
}

/// Alerts by repository, branch and tool.
pub struct Export<'i, 'a> {
    input: &'i Input<'a>,
    tool: &'static str,
    classes: &'static [FindingClass],
    reports: BTreeMap<(String, String), Report>,
}

impl<'i, 'a> Export<'i, 'a> {
    /// `tool` is named where no alert says which one it is of; `classes` ascend.
    pub fn new(input: &'i Input<'a>, tool: &'static str, classes: &'static [FindingClass]) -> Self {
        Self { input, tool, classes, reports: BTreeMap::new() }
    }

    /// The report that an alert of this repository and branch belongs to. An organisation's export is about many
    /// repositories, so what the alert says comes before what the producer says.
    pub fn report(&mut self, repo: Option<String>, branch: &str, tool: &str) -> Result<&mut Report, Rejection> {
        let ext = self.input.ext;
        let branch = first([branch, ext.branch.as_deref().unwrap_or_default()]);
        let asset = if let Some(asset) = repo.and_then(|repo| asset::repository(&repo, branch)) {
            asset
        } else {
            let optional = ext.repo.as_deref().and_then(|repo| asset::repository(repo, branch));
            asset_of::choose(self.input, Subject::Repository, optional)?
        };
        let classes = self.classes;
        Ok(self.reports.entry((asset, tool.to_owned())).or_insert_with_key(|(asset, tool)| Report {
            asset: asset.clone(),
            tool: tool.clone(),
            // One page of many looks like all of them: only the producer knows.
            complete: Some(false),
            classes: classes.to_vec(),
            ..Report::default()
        }))
    }

    /// An empty list is a look that found nothing, at what the producer names.
    pub fn into_events(mut self) -> Result<Events, Rejection> {
        if self.reports.is_empty() {
            self.report(None, "", self.tool)?;
        }
        Ok(Events { reports: self.reports.into_values().collect(), ..Events::default() })
    }
}

#[cfg(test)]
mod tests;
