//! A rolling upgrade: two builds side by side, of which the older knows one model only. Before the activation both judge alike,
//! after it the older one does nothing, and no risk ever goes back.

use std::collections::BTreeMap;

use serde_json::Value;
use tributary_model::risk::{Change, Risk, RiskState};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::KafkaLog;

use crate::check::{histories_are_whole, latest, read};
use crate::fleet::{Fleet, wait_until};
use crate::input::sample;

const OLD: &str = "tributary-1";
const NEW: &str = "bod-26-04";

fn versions(fleet: &Fleet, args: &[&str]) -> (bool, String) {
    let output = fleet.command("operator").arg("versions").args(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Models in the order in which each risk was judged by them.
fn judged(log: &KafkaLog) -> BTreeMap<String, Vec<String>> {
    let mut changes: Vec<Change> =
        read(log, Topic::Changes).iter().map(|m| Change::decode(m.value.as_deref().unwrap()).unwrap()).collect();
    changes.sort_by_key(|change| (change.risk, change.generation, change.revision));
    let mut judged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes {
        let models = judged.entry(change.risk.to_string()).or_default();
        if models.last() != Some(&change.model_version) {
            models.push(change.model_version);
        }
    }
    judged
}

#[test]
fn two_builds_side_by_side_never_flap_a_risk() {
    let input = sample();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-1");
    fleet.settings.push(("TRIBUTARY__VERSIONS__KNOWN_MODELS", OLD.to_owned()));
    fleet.start("correlate-0");
    fleet.settings.pop();
    fleet.wait_ready();
    let half = input.records.len() / 2;
    input.records[..half].iter().for_each(|record| fleet.post(record));
    fleet.wait_done(&log);
    let before = judged(&log);
    assert!(!before.is_empty() && before.values().all(|models| models == &[OLD]), "nobody prefers what only it knows");
    let (done, said) = versions(&fleet, &["activate", "--model", NEW]);
    assert!(done && said.contains("Nothing was done"), "{said}");
    let (done, said) = versions(&fleet, &["activate", "--model", "tributary-0", "--yes"]);
    assert!(!done && said.contains("this build knows"), "{said}");
    // In the middle of the work. The older build ends by itself; this keeps whoever supervises it from starting it as a newer one.
    input.records[half..].iter().enumerate().for_each(|(index, record)| {
        if index == 2 {
            let (done, said) = versions(&fleet, &["activate", "--model", NEW, "--by", "the test", "--yes"]);
            assert!(done && said.contains("is in force"), "{said}");
            fleet.settings.push(("TRIBUTARY__VERSIONS__KNOWN_MODELS", OLD.to_owned()));
        }
        fleet.post(record);
    });
    wait_until("the older build says why it is not ready", || {
        fleet.tend();
        let (ready, why) = fleet.readiness("correlate-0");
        !ready && why.contains("the model bod-26-04 is in force")
    });
    fleet.wait_done(&log);
    wait_until("every open risk is judged by the new model", || {
        let risks = latest(&log, Topic::Risks).into_values();
        let mut risks = risks.map(|message| Risk::decode(message.value.as_deref().unwrap()).unwrap());
        risks.all(|risk| risk.state != RiskState::Open || risk.model_version == NEW)
    });
    fleet.wait_done(&log);
    let after = judged(&log);
    assert!(after.values().any(|models| models == &[OLD, NEW]), "some were there before");
    for (risk, models) in after {
        // One that was closed before stays as it was judged.
        assert!(models == [OLD, NEW] || models == [NEW] || models == [OLD], "{risk} was judged by {models:?} in turn");
    }
    histories_are_whole(&log);
    let tail = fleet.command("operator").args(["tail", "versions", "--limit", "1"]).output().unwrap();
    let line: Value = serde_json::from_slice(&tail.stdout).unwrap();
    assert_eq!((line["key"].as_str(), line["value"]["model"].as_str()), (Some("versions"), Some(NEW)));
    let (done, said) = versions(&fleet, &["list"]);
    assert!(done && said.contains("model bod-26-04, since") && said.contains("by the test"), "{said}");
}
