//! Decisions: one named case per rule of the model.

use super::*;
use crate::assess::inputs::testing::plain;
use crate::assess::surroundings::Known;

fn cve() -> Inputs {
    plain(FindingClass::Vulnerability)
}

fn said<T>(value: T) -> Known<T> {
    Known::said(value, "test", 1)
}

fn band(inputs: &Inputs) -> Band {
    decide(Model::Tributary1, inputs).band
}

fn kinds(inputs: &Inputs) -> Vec<String> {
    decide(Model::Tributary1, inputs).steps.into_iter().map(|step| step.kind).collect()
}

#[test]
fn exposed_automatable_and_total_is_immediate_and_an_idle_os_package_one_band_less() {
    let mut inputs = Inputs { exposure: said(Exposure::Open), automatable: said(true), total: said(true), ..cve() };
    assert_eq!(band(&inputs), Band::Immediate);
    inputs.idle_os_package = true;
    inputs.fix_available = false;
    assert_eq!(band(&inputs), Band::OutOfCycle);
    assert_eq!(kinds(&inputs), ["table", "lower"]);
    inputs.kev = said(Some(true));
    assert_eq!(band(&inputs), Band::Immediate);
    assert_eq!(kinds(&inputs), ["table"]);
}

#[test]
fn proven_and_total_or_tier_one_is_never_deferred_by_the_table() {
    assert_eq!(band(&cve()), Band::Defer);
    let proven = Inputs { exploitation: said(Exploitation::Poc), total: said(true), ..cve() };
    assert_eq!(band(&proven), Band::Scheduled);
    assert_eq!(band(&Inputs { total: said(false), ..proven }), Band::Defer);
    let tier_one = Inputs { tier: said(1), ..cve() };
    assert_eq!(band(&tier_one), Band::Scheduled);
    assert_eq!(band(&Inputs { fix_available: false, ..tier_one }), Band::Defer);
}

#[test]
fn unknown_kev_and_unknown_exposure_are_marked_and_not_taken_for_a_fact() {
    let inputs = Inputs { kev: Known::assumed(None), automatable: said(true), total: said(true), ..cve() };
    let decision = decide(Model::Tributary1, &inputs);
    assert_eq!(decision.band, Band::Scheduled);
    assert!(decision.steps[0].assumed);
    assert!(decision.steps[0].reason.contains("KEV unknown") && decision.steps[0].reason.contains("exposure unknown"));
    // To the letter of the directive, what may be exposed is exposed.
    assert_eq!(decide(Model::Bod2604, &inputs).band, Band::Immediate);
    let inside = Inputs { exposure: said(Exposure::Controlled), ..inputs };
    assert_eq!(decide(Model::Bod2604, &inside).band, Band::Scheduled);
}

#[test]
fn rules_above_the_tables() {
    assert_eq!(band(&Inputs { malware: true, ..plain(FindingClass::Malware) }), Band::Immediate);
    assert_eq!(band(&Inputs { malware: true, ..cve() }), Band::Immediate);
    assert_eq!(band(&Inputs { verified: true, ..plain(FindingClass::Secret) }), Band::Immediate);
    let worst = Inputs { severity: Severity::Critical, tier: said(1), ..plain(FindingClass::Licence) };
    assert_eq!(band(&worst), Band::Defer);
}

#[test]
fn low_and_information_outside_cves_are_capped() {
    for severity in [Severity::Information, Severity::Low] {
        let inputs = Inputs {
            severity,
            tier: said(1),
            exploitation: said(Exploitation::Poc),
            exposure: said(Exposure::Open),
            ..plain(FindingClass::Web)
        };
        assert_eq!(band(&inputs), Band::Defer);
        assert_eq!(kinds(&inputs), ["table", "cap"]);
    }
    assert_eq!(band(&Inputs { severity: Severity::Low, tier: said(1), ..cve() }), Band::Scheduled);
}

#[test]
fn f36_severity_tier_and_confidence_spread_the_bands() {
    let weakness = |tier: i32, total: bool, exploitation, exposure| Inputs {
        severity: if total { Severity::High } else { Severity::Medium },
        total: said(total),
        tier: said(tier),
        exploitation: said(exploitation),
        exposure: said(exposure),
        ..plain(FindingClass::Weakness)
    };
    let spread = [
        band(&weakness(3, false, Exploitation::None, Exposure::Controlled)),
        band(&weakness(2, true, Exploitation::None, Exposure::Controlled)),
        band(&weakness(1, true, Exploitation::Poc, Exposure::Open)),
        band(&Inputs { automatable: said(true), ..weakness(1, true, Exploitation::Active, Exposure::Open) }),
    ];
    assert_eq!(spread, [Band::Defer, Band::Scheduled, Band::OutOfCycle, Band::Immediate]);
    let sure = weakness(3, true, Exploitation::None, Exposure::Controlled);
    assert_eq!(band(&sure), Band::Scheduled);
    assert_eq!(band(&Inputs { doubtful: true, ..sure }), Band::Defer);
}

#[test]
fn the_coordinator_can_be_selected() {
    assert!(Model::ALL.into_iter().all(|model| Model::parse(model.name()) == Some(model)));
    assert_eq!(Model::parse("tributary-2"), None);
    let inputs = Inputs { kev: said(Some(true)), exploitation: said(Exploitation::Active), total: said(true), ..cve() };
    let decision = decide(Model::CisaCoordinator, &Inputs { tier: said(1), ..inputs });
    assert_eq!(decision.band, Band::Immediate);
    assert!(decision.steps[0].reason.ends_with("act"), "{decision:?}");
}
