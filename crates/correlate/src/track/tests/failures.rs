//! Scans: what closes, what comes back, and what must change nothing.

use super::*;

#[test]
fn f1_a_rescan_closes_nothing_that_it_still_sees() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..34))]);
    let rescored = |mut sighting: Sighting| {
        sighting.severity = Severity::High;
        sighting
    };
    harness.step(&[scan(REPO, "npm", 20, vulnerabilities(0..34).into_iter().map(rescored).rev().collect())]);
    assert_eq!(harness.states(), states([(FindingState::Active, 34)]));
    assert!(harness.findings().iter().all(|finding| finding.first_seen == 10 && finding.reopened == 0));
}

#[test]
fn f1_only_a_complete_scan_of_the_same_scope_withdraws() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..3))]);
    harness.step(&[scan(REPO, "trivy", 20, vec![])]);
    harness.step(&[ending(scan(REPO, "npm", 30, vec![]), |end| end.complete = false)]);
    harness.step(&[ending(scan(REPO, "npm", 40, vec![]), |end| end.classes = vec![FindingClass::Secret])]);
    harness.step(&[ending(scan(REPO, "npm", 50, vec![]), |end| end.rules_enabled = vec!["CVE-2030-0".into()])]);
    assert_eq!(harness.states(), states([(FindingState::Active, 2), (FindingState::Fixed, 1)]));
    harness.step(&[ending(scan(REPO, "npm", 60, vec![]), |end| end.paths = vec!["api".into()])]);
    assert_eq!(harness.states(), states([(FindingState::Active, 2), (FindingState::Fixed, 1)]));
    assert_eq!(harness.run("scan-0030").state, ScanState::Partial);
    harness.step(&[ending(scan(REPO, "npm", 70, vec![]), |end| end.paths = vec!["web/".into()])]);
    assert_eq!(harness.states(), states([(FindingState::Fixed, 3)]));
    assert_eq!(harness.run("scan-0070").gone, 2);
}

#[test]
fn a_finding_of_two_tools_is_fixed_when_both_stop_seeing_it() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1)]), scan(REPO, "trivy", 11, vec![vulnerability(1)])]);
    harness.step(&[scan(REPO, "npm", 20, vec![])]);
    assert_eq!(harness.finding().state, FindingState::Active);
    harness.step(&[scan(REPO, "trivy", 21, vec![])]);
    let finding = harness.finding();
    assert_eq!((finding.state, finding.state_since, finding.claims.len()), (FindingState::Fixed, 21, 2));
}

#[test]
fn f2_the_same_report_twice_changes_nothing() {
    let mut harness = harness();
    let report = scan(REPO, "npm", 10, vulnerabilities(0..34));
    harness.step(std::slice::from_ref(&report));
    assert!(harness.step(std::slice::from_ref(&report)).is_empty());
    assert!(harness.step(&[report.clone(), report.clone()]).is_empty());
    harness.step(&[scan(REPO, "npm", 20, vulnerabilities(0..34))]);
    assert!(harness.step(&[report]).is_empty(), "also when a newer one came between");
    let mut once = super::harness();
    let report = scan(REPO, "npm", 10, vulnerabilities(0..34));
    once.step(&[report.clone(), report]);
    assert_eq!(once.run("scan-0010").new, 34);
}

#[test]
fn an_unchanged_rescan_is_one_record_out() {
    let mut harness = harness();
    let first = harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..500))]);
    assert_eq!(first, BTreeMap::from([("tracked", 500), ("findings", 500), ("scans", 1)]));
    let second = harness.step(&[scan(REPO, "npm", 20, vulnerabilities(0..500))]);
    assert_eq!(second, BTreeMap::from([("scans", 1)]));
    assert_eq!((harness.run("scan-0020").unchanged, harness.run("scan-0020").is_watermark), (500, true));
    harness.restart();
    harness.settle();
    let third = harness.step(&[scan(REPO, "npm", 30, vulnerabilities(0..500))]);
    assert_eq!(third, BTreeMap::from([("scans", 1)]), "also right after a restart");
}

#[test]
fn f3_a_moved_line_keeps_the_finding_and_its_history() {
    let at = |line: u32| {
        let location = Location { path: "a.py".into(), start_line: line, line_hash: "h".into(), ..Location::default() };
        Sighting { class: FindingClass::Weakness, cwes: vec![89], location: Some(location), ..Sighting::default() }
    };
    let mut harness = harness();
    harness.step(&[scan(REPO, "codeql", 10, vec![at(4)])]);
    harness.step(&[scan(REPO, "codeql", 20, vec![at(90)])]);
    let finding = harness.finding();
    assert_eq!((finding.first_seen, finding.reopened, finding.state), (10, 0, FindingState::Active));
    assert_eq!(finding.sighting.location.unwrap().start_line, 90, "the place shown is the present one");
}

#[test]
fn f4_branches_are_scopes_and_only_the_default_branch_counts() {
    let mut harness = harness();
    harness.context("repo:github.com/acme/shop", &[(Attribute::DefaultBranch, "", "\"main\"")]);
    let branch = "repo:github.com/acme/shop#feature/x";
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..8)), scan(branch, "npm", 11, vulnerabilities(0..8))]);
    assert_eq!(harness.findings().iter().filter(|finding| finding.counts).count(), 8);
    assert_eq!(harness.findings().len(), 16);
    harness.step(&[scan(branch, "npm", 20, vec![])]);
    let main = harness.findings().into_iter().filter(|finding| finding.asset == REPO);
    assert!(main.clone().count() == 8 && main.clone().all(|finding| finding.state == FindingState::Active));
    assert_eq!(
        main.clone().next().unwrap().components,
        ["github.com/acme/shop"],
        "an unclaimed repository is one component"
    );
}

#[test]
fn f8_a_new_severity_changes_the_finding_and_not_its_id() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1)])]);
    let out =
        harness.step(&[scan(REPO, "npm", 20, vec![Sighting { severity: Severity::Critical, ..vulnerability(1) }])]);
    assert_eq!(out, BTreeMap::from([("tracked", 1), ("findings", 1), ("scans", 1)]));
    assert_eq!(harness.finding().claims[0].severity, Severity::Critical);
}

#[test]
fn f24_a_shuffled_report_says_nothing_new() {
    let duplicate = |version: &str, fixed: &[&str]| {
        let fixed_versions = fixed.iter().map(ToString::to_string).collect();
        let package = Package { version: version.into(), fixed_versions, ..vulnerability(1).package.unwrap() };
        Sighting { package: Some(package), aliases: vec!["GHSA-b".into(), "GHSA-a".into()], ..vulnerability(1) }
    };
    let mut harness = harness();
    let (one, other) = (duplicate("1.0.0", &["1.2", "1.1"]), duplicate("1.0.1", &["1.1"]));
    harness.step(&[scan(REPO, "npm", 10, vec![one.clone(), other.clone()])]);
    let one = Sighting { aliases: vec!["GHSA-a".into(), "GHSA-b".into()], ..one };
    assert_eq!(harness.step(&[scan(REPO, "npm", 20, vec![other, one])]), BTreeMap::from([("scans", 1)]));
    assert_eq!(harness.finding().claims[0].fixed_versions, ["1.1", "1.2"]);
}

#[test]
fn two_tools_of_equal_richness_do_not_take_turns() {
    let mut harness = harness();
    let other_words = Sighting { title: "the same flaw".into(), ..vulnerability(1) };
    harness.step(&[scan(REPO, "a", 10, vec![vulnerability(1)]), scan(REPO, "b", 11, vec![other_words.clone()])]);
    let out = harness.step(&[scan(REPO, "a", 20, vec![vulnerability(1)]), scan(REPO, "b", 21, vec![other_words])]);
    assert_eq!(out, BTreeMap::from([("scans", 2)]));
}

#[test]
fn f28_an_empty_report_is_held_until_a_second_agrees() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..40))]);
    harness.step(&[scan(REPO, "npm", 20, vulnerabilities(0..3))]);
    assert_eq!(harness.states(), states([(FindingState::Active, 40)]));
    assert_eq!((harness.run("scan-0020").state, harness.run("scan-0020").is_watermark), (ScanState::Suspect, false));
    harness.restart();
    harness.settle();
    harness.step(&[scan(REPO, "npm", 30, vulnerabilities(0..3))]);
    assert_eq!(harness.states(), states([(FindingState::Active, 3), (FindingState::Fixed, 37)]));
    assert_eq!(harness.run("scan-0030").state, ScanState::Applied);
    let lines: Vec<ScanRun> = harness.of(Topic::Scans);
    assert!(lines.iter().all(|run| run.seen.is_empty()), "what the suspect saw is not kept any longer");
}

#[test]
fn f28_a_second_suspect_that_contradicts_the_first_is_held_too() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..80))]);
    harness.step(&[scan(REPO, "npm", 20, vulnerabilities(30..80).into_iter().take(30).collect())]);
    assert_eq!(harness.run("scan-0020").state, ScanState::Suspect);
    harness.step(&[scan(REPO, "npm", 30, vulnerabilities(0..80))]);
    assert_eq!(harness.states(), states([(FindingState::Active, 80)]));
    harness.step(&[scan(REPO, "npm", 40, vulnerabilities(0..10))]);
    assert_eq!(harness.run("scan-0040").state, ScanState::Suspect, "a normal scan has cleared the first one");
    assert_eq!(harness.states(), states([(FindingState::Active, 80)]));
}

#[test]
fn f28_small_scopes_change_by_halves() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..20))]);
    harness.step(&[scan(REPO, "npm", 20, vec![])]);
    assert_eq!(harness.states(), states([(FindingState::Fixed, 20)]));
}

#[test]
fn f30_deleting_a_secret_does_not_fix_it() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "gitleaks", 10, vec![secret()])]);
    harness.step(&[scan(REPO, "gitleaks", 20, vec![])]);
    assert_eq!(harness.finding().state, FindingState::NotObserved);
    let revoked = Secret { revoked: true, ..secret().secret.unwrap() };
    let alert = Observation {
        asset: REPO.into(),
        observed_at: 30,
        tool: "github".into(),
        sightings: vec![Sighting { secret: Some(revoked), status: ToolStatus::Open, ..secret() }],
        ..Observation::default()
    };
    harness.step(&[alert]);
    assert_eq!(harness.finding().state, FindingState::Fixed, "revocation does, also while the text stands");
}

#[test]
fn what_comes_back_is_reopened_and_keeps_its_first_day() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1)])]);
    harness.step(&[scan(REPO, "npm", 20, vec![])]);
    harness.step(&[scan(REPO, "npm", 30, vec![vulnerability(1)])]);
    let finding = harness.finding();
    assert_eq!((finding.state, finding.reopened), (FindingState::Active, 1));
    assert_eq!((finding.first_seen, finding.state_since), (10, 30));
    assert_eq!(harness.run("scan-0030").reopened, 1);
    let mut at_once = super::harness();
    at_once.step(&[10, 20, 30].map(|at| scan(REPO, "npm", at, if at == 20 { vec![] } else { vec![vulnerability(1)] })));
    assert_eq!(at_once.finding(), finding, "however the transactions are cut");
}

#[test]
fn an_older_scan_withdraws_nothing_and_reopens_nothing() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 20, vec![vulnerability(1), vulnerability(2)])]);
    harness.step(&[scan(REPO, "npm", 30, vec![vulnerability(2)])]);
    let out = harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1), vulnerability(3)])]);
    assert_eq!(harness.states(), states([(FindingState::Active, 1), (FindingState::Fixed, 1)]));
    assert_eq!(out, BTreeMap::from([("tracked", 1), ("findings", 1), ("scans", 1)]));
    let old = harness.findings().into_iter().find(|finding| finding.sighting.rule == "CVE-2030-1").unwrap();
    assert_eq!((old.first_seen, old.reopened), (10, 0), "it only tells that it was there earlier");
    assert_eq!(harness.run("scan-0010").state, ScanState::Outdated);
}

#[test]
fn a_complete_scan_withdraws_nothing_that_a_later_partial_one_has_seen() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![])]);
    harness.step(&[ending(scan(REPO, "npm", 30, vec![vulnerability(1)]), |end| end.complete = false)]);
    harness.step(&[scan(REPO, "npm", 20, vec![])]);
    assert_eq!((harness.finding().state, harness.run("scan-0020").gone), (FindingState::Active, 0));
    harness.step(&[scan(REPO, "npm", 40, vec![])]);
    assert_eq!(harness.finding().state, FindingState::Fixed);
}

#[test]
fn parts_are_a_set_in_any_order() {
    let part = |number: u32, sightings: Vec<Sighting>, parts: Option<u32>| {
        let mut part = scan(REPO, "npm", 20, sightings);
        part.part = number;
        part.completed = parts.and_then(|parts| part.completed.map(|end| ScanCompleted { parts, ..end }));
        part
    };
    let parts = [
        part(0, vulnerabilities(0..2), None),
        part(1, vulnerabilities(2..4), None),
        part(2, vulnerabilities(4..5), Some(3)),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut harness = harness();
        harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..8))]);
        for n in order {
            assert_eq!(harness.states(), states([(FindingState::Active, 8)]), "nothing is withdrawn before the end");
            harness.restart();
            harness.settle();
            harness.step(&[parts[n].clone()]);
            assert!(harness.step(&[parts[n].clone()]).is_empty());
        }
        assert_eq!(harness.states(), states([(FindingState::Active, 5), (FindingState::Fixed, 3)]), "{order:?}");
        let run = harness.run("scan-0020");
        assert_eq!((run.state, run.sightings, run.unchanged, run.gone), (ScanState::Applied, 5, 5, 3));
        let lines: Vec<ScanRun> = harness.of(Topic::Scans);
        assert_eq!(lines.len(), 2, "the parts are gone from the log");
    }
}

#[test]
fn alerts_close_and_dismiss_their_own_claim_only() {
    let alert = |at: Millis, status: ToolStatus| Observation {
        asset: REPO.into(),
        observed_at: at,
        tool: "github".into(),
        sightings: vec![Sighting { status, ..vulnerability(1) }],
        ..Observation::default()
    };
    let mut harness = harness();
    assert!(harness.step(&[alert(5, ToolStatus::Fixed)]).is_empty(), "the end of what was never seen");
    harness.step(&[alert(10, ToolStatus::Open), scan(REPO, "npm", 11, vec![vulnerability(1)])]);
    harness.step(&[alert(20, ToolStatus::Fixed)]);
    assert_eq!(harness.finding().state, FindingState::Active, "another tool still sees it");
    harness.step(&[scan(REPO, "npm", 21, vec![])]);
    assert_eq!(harness.finding().state, FindingState::Fixed);
    assert!(harness.step(&[alert(15, ToolStatus::Open)]).is_empty(), "an old alert reopens nothing");
    harness.step(&[alert(30, ToolStatus::Dismissed)]);
    let finding = harness.finding();
    assert!(finding.state == FindingState::Active && finding.claims[0].dismissed, "a dismissal is only a proposal");
}

#[test]
fn f5_f25_detections_of_one_workload_add_up_in_one_finding() {
    let detection = |at: Millis, count: u32| Observation {
        asset: "workload:c/n/deployment/pay".into(),
        observed_at: at,
        tool: "falco".into(),
        sightings: vec![Sighting { class: FindingClass::Runtime, rule: "shell".into(), count, ..Sighting::default() }],
        ..Observation::default()
    };
    let mut harness = harness();
    harness.step(&[detection(10, 3)]);
    harness.step(&[detection(20, 4), detection(30, 5)]);
    harness.step(&[detection(30, 5)]);
    assert_eq!(harness.finding().sighting.count, 12, "the repeated message is not counted twice");
    harness.now = 30 + 35 * DAY;
    harness.settle();
    assert_eq!(harness.finding().state, FindingState::Stale);
    harness.step(&[detection(harness.now, 1)]);
    assert_eq!(harness.finding().state, FindingState::Active);
}

#[test]
fn what_is_no_observation_is_refused() {
    let mut stage = harness().stage;
    for value in [Some(Bytes::from_static(b"x")), None] {
        assert_eq!(stage.apply(&raw(Topic::Observations, "a", value), 1).unwrap_err().code, "malformed");
    }
    assert_eq!(stage.apply(&message(&Observation::default()), 1).unwrap_err().code, "no_asset");
}

/// A report without a time of its own is known by its bytes. Fixed on Tuesday, reverted on Wednesday: Monday's report
/// comes again, and what it says is open again. Delivered once more, it changes nothing.
#[test]
fn a_report_that_comes_back_after_another_one_is_a_new_scan() {
    let content_of_monday = |began: Millis| {
        let mut report = scan(REPO, "semgrep", began, vulnerabilities(0..3));
        report.scan.as_mut().unwrap().scan_id = "monday".into();
        report
    };
    let mut h = harness();
    h.step(&[content_of_monday(10)]);
    h.step(&[scan(REPO, "semgrep", 20, vulnerabilities(1..3))]);
    assert_eq!(h.states(), states([(FindingState::Active, 2), (FindingState::Fixed, 1)]));
    assert!(h.step(&[content_of_monday(10)]).is_empty(), "an old record again");
    h.step(&[content_of_monday(30)]);
    assert_eq!(h.states(), states([(FindingState::Active, 3)]));
    let run = h.run("monday");
    assert_eq!((run.started_at, run.reopened, run.unchanged), (30, 1, 2));
    for again in [content_of_monday(30), content_of_monday(10), content_of_monday(40)] {
        assert!(h.step(&[again]).is_empty());
    }
    h.restart();
    assert!(h.step(&[content_of_monday(30)]).is_empty());
}

/// Scanned every night, nothing changes, and the report carries no time: the scope is not silent, and a suspect that says
/// the same again the next night is believed.
#[test]
fn the_same_report_every_night_is_a_scan_every_night() {
    let nightly = |night: Millis, content: &str, seen: std::ops::Range<usize>| {
        let mut report = scan(REPO, "semgrep", night * DAY, vulnerabilities(seen));
        report.scan.as_mut().unwrap().scan_id = content.into();
        report
    };
    let mut h = harness();
    for night in 1..80 {
        h.now = night * DAY;
        h.step(&[nightly(night, "same", 0..40)]);
        assert!(h.step(&[nightly(night, "same", 0..40)]).is_empty(), "delivered twice");
    }
    assert_eq!(h.states(), states([(FindingState::Active, 40)]));
    assert_eq!((h.run("same").started_at, h.of::<ScanRun>(Topic::Scans).len()), (79 * DAY, 1));
    h.now = 80 * DAY;
    h.step(&[nightly(80, "emptier", 0..3)]);
    assert_eq!(h.run("emptier").state, ScanState::Suspect);
    h.now = 81 * DAY;
    h.step(&[nightly(81, "emptier", 0..3)]);
    assert_eq!((h.run("emptier").state, h.run("emptier").gone), (ScanState::Applied, 37));
    assert!(h.of::<ScanRun>(Topic::Scans).iter().all(|run| run.seen.is_empty()), "the suspect's parts are gone");
}
