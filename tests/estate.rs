//! The embedded pipeline end to end over the sample estate: what comes out must be what `tests/estate/expected.toml`
//! says, which was written by hand from the rules.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on should stop

#[path = "estate/oracle.rs"]
mod oracle;
#[path = "estate/run.rs"]
mod run;

use std::sync::LazyLock;

use oracle::{Expected, ExpectedRisk};
use run::Run;
use tributary_model::risk::{Risk, RiskState};

static RUN: LazyLock<Run> = LazyLock::new(|| Run::of_demo(&[]));
static EXPECTED: LazyLock<Expected> = LazyLock::new(Expected::read);

/// Collects every failure before it complains, so that one run shows all.
fn all_hold(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn matching<'a>(expected: &ExpectedRisk) -> Vec<&'a Risk> {
    RUN.risks.iter().filter(|risk| expected.describes(risk)).collect()
}

#[test]
fn every_story_risk_exists_once_in_its_band() {
    let mut failures = Vec::new();
    for expected in &EXPECTED.risk {
        let found: Vec<&Risk> =
            matching(expected).into_iter().filter(|risk| risk.state != RiskState::Resolved).collect();
        let [risk] = found.as_slice() else {
            failures.push(format!("{expected}: {} risks instead of one", found.len()));
            continue;
        };
        failures.extend(expected.differences(risk).into_iter().map(|difference| format!("{expected}: {difference}")));
    }
    all_hold(&failures);
}

#[test]
fn nothing_else_is_urgent() {
    let unexpected: Vec<String> = RUN
        .open()
        .filter(|risk| risk.band > tributary_model::severity::Band::Scheduled)
        .filter(|risk| !EXPECTED.risk.iter().any(|expected| expected.describes(risk)))
        .map(|risk| format!("{} {} {} {}", risk.component, risk.band.name(), risk.name, risk.title))
        .collect();
    all_hold(&unexpected);
}

#[test]
fn the_bottom_is_as_long_as_it_should_be() {
    let mut failures = Vec::new();
    for bottom in &EXPECTED.bottom {
        let found: Vec<&str> = RUN.open().filter(|risk| bottom.holds(risk)).map(|risk| risk.title.as_str()).collect();
        if found.len() != bottom.count {
            failures.push(format!(
                "{} {}: {} instead of {}: {found:?}; {}",
                bottom.component,
                bottom.kind,
                found.len(),
                bottom.count,
                bottom.why
            ));
        }
    }
    all_hold(&failures);
}

#[test]
fn what_must_be_absent_is_absent() {
    let mut failures = Vec::new();
    for absent in &EXPECTED.absent {
        for risk in RUN.open().filter(|risk| absent.forbids(risk)) {
            failures
                .push(format!("story {:?}: {} {} is open; {}", absent.story, risk.component, risk.name, absent.why));
        }
    }
    all_hold(&failures);
}

#[test]
fn what_must_stay_apart_is_apart() {
    for apart in &EXPECTED.apart {
        for risk in RUN.open() {
            let joined = apart.groups.iter().filter(|group| risk.vulnerability_ids.contains(group)).count();
            assert!(joined < 2, "{} joins {:?}: {}", risk.name, apart.groups, apart.why);
        }
    }
}

#[test]
fn code_and_web_confirm_each_other() {
    for linked in &EXPECTED.linked {
        let of_kind = |kind: &str| {
            RUN.open()
                .find(|r| r.component == linked.component && r.cwes.contains(&linked.cwe) && r.class.name() == kind)
        };
        let (Some(first), Some(second)) = (of_kind(&linked.kinds[0]), of_kind(&linked.kinds[1])) else {
            panic!("both risks of {:?} exist", linked.kinds)
        };
        assert!(
            first.confirmed_by.contains(&second.risk) && second.confirmed_by.contains(&first.risk),
            "{}",
            linked.why
        );
    }
}

#[test]
fn tickets_ask_for_fixes_not_for_findings() {
    let mut failures = Vec::new();
    for expected in &EXPECTED.ticket {
        let wanted: Vec<&Risk> =
            expected.risks.iter().filter_map(|[component, name]| RUN.risk_named(component, name)).collect();
        let found: Vec<_> =
            RUN.tickets.iter().filter(|t| wanted.iter().any(|w| t.risks.iter().any(|r| r.risk == w.risk))).collect();
        let [ticket] = found.as_slice() else {
            let titles: Vec<&str> = found.iter().map(|ticket| ticket.title.as_str()).collect();
            failures.push(format!("{}: {} tickets instead of one: {titles:?}", expected.target, found.len()));
            continue;
        };
        failures.extend(expected.differences(ticket, &wanted).into_iter().map(|d| format!("{}: {d}", expected.target)));
    }
    all_hold(&failures);
}

#[test]
fn what_nobody_scans_is_shown() {
    let gaps = RUN.json["coverage_gaps"].as_array().unwrap();
    assert!(gaps.iter().any(|gap| gap["component"] == "loyalty-portal"), "{gaps:?}");
}

#[test]
fn rejects_are_those_four() {
    let codes: Vec<(String, String)> =
        RUN.rejects.iter().map(|reject| (reject.code.clone(), reject.reason.clone())).collect();
    assert_eq!(codes.len(), EXPECTED.reject.len(), "{codes:#?}");
    for expected in &EXPECTED.reject {
        let wanted = if expected.reason == "grant" { "not_granted" } else { "truncated" };
        let alike = EXPECTED.reject.iter().filter(|other| other.reason == expected.reason).count();
        assert_eq!(
            codes.iter().filter(|(code, _)| code == wanted).count(),
            alike,
            "{}: {}: {codes:#?}",
            expected.file,
            expected.why
        );
    }
}

#[test]
fn bands_spread_over_all_four() {
    let bands = RUN.json["by_band"].as_object().unwrap();
    assert_eq!(bands.len(), 4);
    assert!(bands.values().all(|count| count.as_u64().unwrap() > 0), "{bands:?}");
}

#[test]
fn thousands_become_a_short_list() {
    assert_eq!(RUN.json["raw_records"].as_u64(), Some(EXPECTED.totals.records));
    assert!(RUN.json["sightings"].as_u64().unwrap() >= 2_000, "{}", RUN.json);
    assert!(RUN.json["risks_open"].as_u64().unwrap() < RUN.json["findings_active"].as_u64().unwrap());
}

/// F23: a search for the raw value in every store finds nothing. The raw topics hold bytes as received, by contract.
#[test]
fn no_secret_and_no_person_in_any_canonical_topic() {
    let mut failures = Vec::new();
    for secret in EXPECTED.secrets.raw.iter().chain(&EXPECTED.persons.emails) {
        for (topic, bytes) in &RUN.canonical {
            if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                failures.push(format!("{secret} stands in {topic}"));
            }
        }
    }
    failures.dedup();
    all_hold(&failures);
}

/// I5 and I6 over the whole history of the estate.
#[test]
fn chains_verify_and_revisions_are_contiguous() {
    assert!(RUN.changes.len() >= RUN.risks.len());
    let mut heads: std::collections::BTreeMap<_, (i64, String)> = std::collections::BTreeMap::new();
    for change in &RUN.changes {
        let (revision, head) = heads.get(&(change.risk, change.generation)).cloned().unwrap_or_default();
        assert_eq!(change.revision, revision + 1, "{}: revisions grow by one", change.risk);
        assert_eq!(change.previous_hash, head, "{}: the chain is whole", change.risk);
        tributary_correlate::assess::chain::verify([change]).unwrap_or_else(|error| panic!("{}: {error}", change.risk));
        heads.insert((change.risk, change.generation), (change.revision, change.hash.clone()));
    }
    for risk in &RUN.risks {
        assert_eq!(heads[&(risk.risk, risk.generation)], (risk.revision, risk.chain_head.clone()), "{}", risk.title);
    }
}

/// The contribution points add up to the score, so a person can check it.
#[test]
fn every_score_is_the_sum_of_its_contributions() {
    for risk in RUN.open() {
        let sum: i32 = risk.contributions.iter().map(|contribution| contribution.points).sum();
        assert_eq!(risk.score, sum, "{} {}", risk.component, risk.title);
        assert!((0..=1000).contains(&risk.score));
        assert!(!risk.decision.is_empty(), "{} says how its band was decided", risk.title);
    }
}
