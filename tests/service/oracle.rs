//! What one process that nobody disturbs makes of an input, and what a disturbed run has in common with it.
#![allow(dead_code)] // every binary uses what it needs

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::up::{Post, Service};

/// What I3 compares, by risk id; and which revisions there are, which no crash may skip or repeat.
pub fn outcome(risks: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let fields = [
        "component",
        "state",
        "class",
        "vulnerability_ids",
        "band",
        "score",
        "contributions",
        "owner",
        "fix",
        "clock_start",
        "suppressed_by",
        "evidence",
        "evidence_total",
    ];
    let risks = risks.values().filter(|risk| risk["state"] == "open");
    let picked = |risk: &Value| {
        let mut picked: Value = fields.iter().map(|field| ((*field).to_owned(), risk[*field].clone())).collect();
        // The same thing said again later is no revision, so when it was said last depends on what arrived first.
        for contribution in picked["contributions"].as_array_mut().unwrap() {
            contribution.as_object_mut().unwrap().remove("observed_at");
        }
        picked
    };
    risks.map(|risk| (risk["risk"].as_str().unwrap().to_owned(), picked(risk))).collect()
}

/// What one process that nobody disturbs makes of these records.
pub fn undisturbed(records: &[Post]) -> BTreeMap<String, Value> {
    outcome(&undisturbed_risks(records))
}

/// The same, whole: the latest record of every risk.
pub fn undisturbed_risks(records: &[Post]) -> BTreeMap<String, Value> {
    let directory = tempfile::tempdir().unwrap();
    let mut service = Service::start(directory.path());
    for record in records {
        service.post(record).unwrap();
    }
    service.wait_idle(Duration::from_secs(600));
    let risks = service.latest("risks");
    service.stop();
    risks
}

/// No revision is skipped or repeated.
pub fn assert_contiguous(changes: &[Value]) {
    let mut revisions: BTreeMap<(String, i64), Vec<i64>> = BTreeMap::new();
    for change in changes.iter().map(|line| &line["value"]) {
        let key = (change["risk"].as_str().unwrap().to_owned(), change["generation"].as_i64().unwrap());
        revisions.entry(key).or_default().push(change["revision"].as_i64().unwrap());
    }
    for (key, mut seen) in revisions {
        seen.sort_unstable();
        assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<_>>(), "{key:?}: no revision is skipped or repeated");
    }
}
