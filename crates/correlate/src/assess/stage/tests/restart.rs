//! Restarts, rollbacks and repetitions change no outcome.

use tributary_model::finding::FindingState;
use tributary_model::versions::{self, Versions};
use tributary_stream::broadcast::InForce;

use super::*;

type Step = Box<dyn Fn(&mut Harness)>;

/// A history that meets most of the stage: each step is one transaction.
fn steps() -> Vec<Step> {
    let ws =
        |id, rule: &str, asset: &str, tool: &str| finding(id, asset, tool, vulnerability(rule, "pkg:npm/ws@1.0.0"));
    vec![
        Box::new(move |harness| {
            harness.apply(&ws(1, "CVE-2024-1", REPO, "trivy"));
            harness.apply(&ws(2, "GHSA-aaaa", IMAGE, "grype"));
            harness.apply(&finding(3, REPO, "codeql", weakness("sqli", 89, "src/Cart.java", 7)));
        }),
        Box::new(|harness| harness.know("component:shop", catalogue(1, "team-shop"))),
        Box::new(|harness| harness.know("vuln:GHSA-aaaa", vec![alias("CVE-2024-1")])),
        Box::new(|harness| deploy(harness, IMAGE)),
        Box::new(move |harness| {
            let mut fixed = ws(1, "CVE-2024-1", REPO, "trivy");
            fixed.tracked.state = FindingState::Fixed;
            harness.apply(&fixed);
            harness.apply(&finding(4, REPO, "semgrep", weakness("sql", 564, "src/Cart.java", 7)));
        }),
        Box::new(|harness| harness.know("vuln:CVE-2024-1", kev())),
        Box::new(|harness| {
            let mut moved = finding(3, REPO, "codeql", weakness("sqli", 89, "src/Cart.java", 7));
            moved.end = FindingEnd::Moved;
            moved.moved_to = "store".to_owned();
            harness.apply(&moved);
        }),
        Box::new(|harness| harness.know("vuln:GHSA-aaaa", Vec::new())),
        // Where a finding is must be known to take it from there: to another cell, and for good.
        Box::new(|harness| {
            harness.apply(&finding(4, REPO, "semgrep", weakness("sql", 564, "src/Order.java", 7)));
        }),
        Box::new(move |harness| harness.tombstone(&ws(2, "GHSA-aaaa", IMAGE, "grype"))),
    ]
}

fn outcome(harness: &Harness) -> Vec<Output> {
    harness.log.clone()
}

fn plain_run() -> Harness {
    let mut harness = Harness::new();
    for step in steps() {
        step(&mut harness);
        harness.settle();
        harness.now += 1000;
    }
    harness.check_invariants();
    harness
}

#[test]
fn a_restart_after_any_step_emits_nothing_and_changes_no_outcome() {
    let plain = plain_run();
    let ways: [fn(&mut Harness) -> Vec<Output>; 2] = [Harness::restart, Harness::revive];
    for (at, restart) in (0..steps().len()).flat_map(|at| ways.map(|way| (at, way))) {
        let mut harness = Harness::new();
        for (number, step) in steps().into_iter().enumerate() {
            step(&mut harness);
            harness.settle();
            if number == at {
                let emitted = restart(&mut harness);
                assert!(emitted.is_empty(), "after step {at}: {emitted:?}");
            }
            harness.now += 1000;
        }
        let risks = |harness: &Harness| {
            let view = |risk: &Risk| (risk.state, risk.revision, invariants::i3_view(risk));
            harness.risks().iter().map(|(id, risk)| (*id, view(risk))).collect::<Vec<_>>()
        };
        assert_eq!(risks(&harness), risks(&plain), "restart after step {at}");
        harness.check_invariants();
    }
}

#[test]
fn a_rollback_of_any_step_leaves_no_trace() {
    let plain = plain_run();
    for at in 0..steps().len() {
        let mut harness = Harness::new();
        for (number, step) in steps().into_iter().enumerate() {
            let sizes = harness.stage.sizes();
            step(&mut harness);
            if number == at {
                harness.stage.settle(harness.now, &mut Outputs::default()).unwrap();
                harness.stage.rollback();
                assert_eq!(harness.stage.sizes(), sizes);
                harness.offset = harness.offset.saturating_sub(delivered(&steps()[at]));
                step(&mut harness);
            }
            harness.settle();
            harness.now += 1000;
        }
        assert_eq!(outcome(&harness), outcome(&plain), "rollback of step {at}");
    }
}

/// How many messages a step applies: redelivery has the same offsets.
fn delivered(step: &Step) -> u64 {
    let mut harness = Harness::new();
    step(&mut harness);
    harness.offset
}

#[test]
fn a_rollback_before_the_first_commit_keeps_what_was_restored() {
    let mut harness = plain_run();
    let findings = harness.findings.clone();
    harness.log.clear(); // the risks are lost: everything has to be told again
    harness.stage = Assess::new(estate_of(&harness.store));
    for (key, value) in findings {
        let message = harness.message(Topic::Findings, &key, Some(value));
        harness.stage.load(&message).unwrap();
    }
    harness.stage.restored(harness.now);
    let mut first = Outputs::default();
    harness.stage.settle(harness.now, &mut first).unwrap();
    harness.stage.rollback();
    let mut second = Outputs::default();
    harness.stage.settle(harness.now, &mut second).unwrap();
    assert!(!first.is_empty());
    assert_eq!(first.records(), second.records());
}

#[test]
fn i2_what_was_applied_before_changes_nothing() {
    let mut harness = plain_run();
    for value in harness.findings.clone().into_values() {
        let finding = Finding::decode(&value).unwrap();
        assert!(harness.send(&[finding]).is_empty());
    }
    let entities: Vec<String> = ["component:shop", "vuln:CVE-2024-1", "vuln:GHSA-aaaa"].map(str::to_owned).to_vec();
    harness.stage.notice(&entities, harness.now);
    assert!(harness.settle().is_empty());
}

fn put_in_force(harness: &mut Harness, model: &str) -> Vec<Output> {
    let versions = Versions { model: model.to_owned(), ..Versions::default() };
    harness.store.put_in_force(InForce::Known(Arc::new(versions)));
    harness.stage.notice(&[versions::KEY.to_owned()], harness.now);
    harness.settle()
}

#[test]
fn another_model_in_force_judges_everything_anew_and_once() {
    let mut harness = plain_run();
    harness.know("component:shop", catalogue(4, "team-shop"));
    harness.send(&[finding(9, REPO, "trivy", vulnerability("CVE-2024-9", "pkg:npm/y@1.0.0"))]);
    let before = harness.open()["CVE-2024-9"].clone();
    assert!(put_in_force(&mut harness, "tributary-1").is_empty(), "it was in force before");
    assert!(!put_in_force(&mut harness, "cisa-coordinator-2.0.3").is_empty());
    let after = harness.open()["CVE-2024-9"].clone();
    assert_eq!(
        (before.model_version.as_str(), after.model_version.as_str()),
        ("tributary-1", "cisa-coordinator-2.0.3")
    );
    assert_eq!((after.risk, after.revision), (before.risk, before.revision + 1));
    assert!(harness.open().values().all(|risk| risk.model_version == after.model_version));
    assert!(harness.restart().is_empty(), "who takes over judges by the same");
    // The loop ends a build that does not know what is in force; until then it judges by what it knew.
    assert!(put_in_force(&mut harness, "tributary-9").is_empty());
    harness.check_invariants();
}

#[test]
fn an_open_risk_whose_findings_are_gone_is_closed_by_a_restart() {
    let mut harness = Harness::new();
    harness.send(&[finding(1, REPO, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"))]);
    harness.findings.clear();
    let emitted = harness.restart();
    assert!(!emitted.is_empty());
    assert!(harness.open().is_empty());
    assert!(harness.restart().is_empty());
}

#[test]
fn a_clock_that_jumps_back_breaks_no_chain() {
    let mut harness = Harness::new();
    for (at, step) in steps().into_iter().enumerate() {
        harness.now = T0 + if at % 2 == 0 { 10_000 } else { -10_000 };
        step(&mut harness);
        harness.settle();
    }
    harness.check_invariants();
}
