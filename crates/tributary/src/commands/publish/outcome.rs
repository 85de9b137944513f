//! What became of a published report: its delta from the ledger, and what is first to fix where it looked.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tributary_model::scan::{ScanRun, ScanState};

use crate::client::{Client, encode};
use crate::status::Status;

/// Between two questions: soon enough for a person, rare enough for the server.
const PAUSE: Duration = Duration::from_millis(100);
/// The ledger that is asked follows the log by a moment: so many quiet answers in a row mean that no scan will come.
const QUIET_ANSWERS: u32 = 8;
/// Risks listed: what a person fixes before the next push.
const FIX_FIRST: usize = 3;

/// How far a report came.
pub enum Applied {
    /// Its scan is applied and assessed.
    Scan(Delta),
    /// Everything sent is processed, and no scan came of it.
    NoScan,
    /// Time ran out.
    NotYet,
}

/// What a scan changed.
pub struct Delta {
    runs: Vec<ScanRun>,
    fix_first: Vec<Value>,
}

/// Polls the ledger until every part of the scan is applied and assessed.
pub fn wait(client: &Client, scan_id: &str, timeout: Duration) -> anyhow::Result<Applied> {
    let begun = Instant::now();
    let pause = tributary_stream::log::Waker::default();
    let mut quiet = 0;
    while begun.elapsed() <= timeout {
        // The status before the ledger: what was done then is in the ledger now, or will never be.
        let status: Status = client.get("/v1/status")?;
        let is_done = |status: &Status, names: &[&str]| {
            status.groups.iter().all(|group| !names.contains(&group.name.as_str()) || group.lag == 0)
        };
        let runs: Vec<ScanRun> = client.get(&format!("/v1/scans/{}", encode(scan_id)))?;
        if runs.is_empty() {
            quiet = if is_done(&status, &["ingest", "relate", "track"]) { quiet + 1 } else { 0 };
            if quiet >= QUIET_ANSWERS {
                return Ok(Applied::NoScan);
            }
        } else if runs.iter().all(|run| run.state != ScanState::Receiving)
            // Asked again: the findings came with the ledger's lines, and no earlier answer says whether they are assessed.
            && is_done(&client.get("/v1/status")?, &["assess"])
        {
            let fix_first = fix_first(client, &runs)?;
            return Ok(Applied::Scan(Delta { runs, fix_first }));
        }
        pause.wait(PAUSE);
    }
    Ok(Applied::NotYet)
}

/// The most urgent risks of the components that the scan is about.
fn fix_first(client: &Client, runs: &[ScanRun]) -> anyhow::Result<Vec<Value>> {
    let components: BTreeSet<&str> = runs.iter().flat_map(|run| &run.components).map(String::as_str).collect();
    let mut risks: Vec<Value> = Vec::new();
    for component in components {
        let path = format!("/v1/risks?limit={FIX_FIRST}&component={}", encode(component));
        risks.extend(client.get::<Vec<Value>>(&path)?);
    }
    // Sorted as each answer is: by urgency, then by rank inside it.
    let rank = |risk: &Value| {
        let band = tributary_model::severity::Band::ALL.iter().position(|band| risk["band"] == band.name());
        (band, std::cmp::Reverse(risk["score"].as_i64()))
    };
    risks.sort_by_key(rank);
    risks.truncate(FIX_FIRST);
    Ok(risks)
}

/// The line about one file.
pub fn line(file: &Path, scan_id: &str, delta: &Delta) -> Value {
    let sum = |of: fn(&ScanRun) -> u32| delta.runs.iter().map(|run| u64::from(of(run))).sum::<u64>();
    let assets: Vec<&str> = delta.runs.iter().map(|run| run.asset.as_str()).collect();
    let states: Vec<_> = delta.runs.iter().map(|run| run.state).collect();
    json!({
        "file": file, "scan": scan_id, "assets": assets, "states": states, "sightings": sum(|r| r.sightings),
        "new": sum(|r| r.new), "gone": sum(|r| r.gone), "unchanged": sum(|r| r.unchanged), "reopened": sum(|r| r.reopened),
        "fix_first": delta.fix_first,
    })
}
