//! Rows of a posture scan (one check on one resource, passed or failed) → reports per account, for every format of Prowler.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};
use tributary_model::time::Millis;

use crate::normalize::{controls, title};
use crate::report::Report;

/// What a check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A finding.
    Failed,
    /// Evidence that the check ran, never a finding.
    Passed,
    /// Left to a person: says nothing.
    Manual,
}

impl Outcome {
    /// `PASS`, `FAIL`, `MANUAL` and the words of other tools.
    pub fn parse(word: &str) -> Self {
        match word.trim().to_ascii_uppercase().as_str() {
            "FAIL" | "FAILED" | "NON_COMPLIANT" | "WARNING" | "WARN" => Outcome::Failed,
            "PASS" | "PASSED" | "COMPLIANT" => Outcome::Passed,
            _ => Outcome::Manual,
        }
    }
}

/// One check on one resource.
pub struct Row<'r> {
    pub rule: &'r str,
    pub title: &'r str,
    pub severity: &'r str,
    pub resource: &'r str,
    pub outcome: Outcome,
    pub is_muted: bool,
    pub time: Option<Millis>,
}

/// What is known of one asset.
#[derive(Default)]
struct Group {
    sightings: Vec<Sighting>,
    seen: HashSet<(String, String)>,
    rules: BTreeSet<String>,
    has_passed: bool,
    started_at: Option<Millis>,
}

/// Rows by asset.
#[derive(Default)]
pub struct Posture {
    groups: BTreeMap<String, Group>,
}

impl Posture {
    /// Adds a row. A check reported twice about one resource is one finding.
    pub fn add(&mut self, asset: String, row: &Row<'_>) {
        let group = self.groups.entry(asset).or_default();
        group.started_at = [group.started_at, row.time].into_iter().flatten().min();
        group.has_passed |= row.outcome == Outcome::Passed;
        if !row.rule.is_empty() && row.outcome != Outcome::Manual {
            group.rules.insert(row.rule.to_owned());
        }
        let is_new = || (row.rule.to_owned(), row.resource.to_owned());
        if row.outcome == Outcome::Failed && group.seen.insert(is_new()) {
            group.sightings.push(sighting(row));
        }
    }

    /// Whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// One report per asset. The rules that ran are known where passed checks are in the report; with failures alone it
    /// cannot be told from a partial run, and withdraws nothing unless the producer says that it is complete.
    pub fn into_reports(self, tool: &str, tool_version: &str) -> Vec<Report> {
        let reports = self.groups.into_iter().map(|(asset, group)| Report {
            asset,
            tool: tool.to_owned(),
            tool_version: tool_version.to_owned(),
            started_at: group.started_at,
            complete: (!group.has_passed).then_some(false),
            rules_enabled: if group.has_passed { group.rules.into_iter().collect() } else { Vec::new() },
            classes: vec![FindingClass::Misconfiguration],
            sightings: group.sightings,
            ..Report::default()
        });
        reports.collect()
    }
}

fn sighting(row: &Row<'_>) -> Sighting {
    Sighting {
        class: FindingClass::Misconfiguration,
        rule: row.rule.to_owned(),
        control: controls::control("prowler", row.rule).to_owned(),
        title: title::line(row.title),
        severity: Severity::parse(row.severity),
        resource: row.resource.to_owned(),
        status: if row.is_muted { ToolStatus::Dismissed } else { ToolStatus::Open },
        ..Sighting::default()
    }
}
