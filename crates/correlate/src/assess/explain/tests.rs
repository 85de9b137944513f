//! The words are complete, and a record explains itself: without suppositions it decides what was decided.

use tributary_model::finding::RuntimeVerdict;
use tributary_model::severity::{Band, Severity};

use super::*;
use crate::assess::deadline;
use crate::assess::inputs::testing::plain;

fn record(inputs: &Inputs) -> Risk {
    let decision = decide::decide(Model::Tributary1, inputs);
    let (score, contributions) = score::score(inputs);
    Risk {
        class: inputs.class,
        band: decision.band,
        decision: decision.steps,
        score,
        contributions,
        kev: inputs.kev.value,
        exposure: inputs.exposure.value,
        environments: inputs.environments.clone(),
        deployed: inputs.deployed,
        tier: inputs.tier.value,
        severity: inputs.severity,
        runtime: inputs.runtime,
        verified: inputs.verified,
        epss_ppm: inputs.epss_ppm,
        cvss_score: inputs.cvss_tenths.as_ref().map(|tenths| f64::from(tenths.value) / 10.0),
        due_at: deadline::computed(0, decision.band),
        model_version: "tributary-1".to_owned(),
        ..Risk::default()
    }
}

fn said<T>(value: T) -> Known<T> {
    Known::said(value, "test", 7)
}

fn varied() -> Vec<Inputs> {
    let cve = plain(FindingClass::Vulnerability);
    vec![
        cve.clone(),
        Inputs { kev: Known::assumed(None), ..cve.clone() },
        Inputs {
            kev: said(Some(true)),
            kev_detail: "since 2023-10-10, used by ransomware".to_owned(),
            exploitation: said(Exploitation::Active),
            exposure: said(Exposure::Open),
            automatable: said(true),
            total: said(true),
            cvss_tenths: Some(said(75)),
            environments: vec!["production".to_owned()],
            deployed: Some(true),
            runtime: RuntimeVerdict::Executed,
            tier: said(1),
            ..cve.clone()
        },
        Inputs {
            exploitation: said(Exploitation::Poc),
            total: said(true),
            fix_available: false,
            idle_os_package: true,
            epss_ppm: Some(612_345),
            epss_floor_ppm: Some(500_000),
            runtime: RuntimeVerdict::NotSeen,
            ..cve.clone()
        },
        Inputs { reachable: Some(false), exposure: said(Exposure::Open), automatable: said(true), ..cve },
        Inputs {
            severity: Severity::High,
            total: said(true),
            tier: said(2),
            doubtful: true,
            exploitation: said(Exploitation::Poc),
            ..plain(FindingClass::Weakness)
        },
        Inputs { verified: true, ..plain(FindingClass::Secret) },
    ]
}

#[test]
fn a_record_without_suppositions_decides_what_was_decided() {
    for inputs in varied() {
        let risk = record(&inputs);
        let (decision, score) = what_if(&risk, Overrides::default());
        assert_eq!((decision.band, score), (risk.band, risk.score), "{inputs:#?}");
    }
}

#[test]
fn suppositions_change_the_answer() {
    let risk = record(&plain(FindingClass::Vulnerability));
    assert_eq!(risk.band, Band::Defer);
    let kev = Overrides { kev: Some(true), ..Overrides::default() };
    assert_eq!(what_if(&risk, kev).0.band, Band::OutOfCycle);
    let all = Overrides { exposed: Some(true), automatable: Some(true), total: Some(true), ..kev };
    let (decision, score) = what_if(&risk, all);
    assert_eq!(decision.band, Band::Immediate);
    assert!(score > risk.score);
    let tier = Overrides { tier: Some(1), ..Overrides::default() };
    assert_eq!(what_if(&risk, tier).0.band, Band::Scheduled);
}

#[test]
fn the_words_name_every_step_and_every_point() {
    let inputs = varied().remove(2);
    let risk = record(&inputs);
    let text = explain(&risk);
    for step in &risk.decision {
        assert!(text.contains(&step.reason), "{text}");
    }
    for one in &risk.contributions {
        assert!(text.contains(&one.value) && text.contains(&one.points.to_string()), "{text}");
    }
    assert!(text.contains("1000") && text.contains("immediate"), "{text}");
}
