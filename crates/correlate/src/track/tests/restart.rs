//! Restarts, rollbacks, time.

use super::*;

/// One thing that happens.
type Event = Box<dyn Fn(&mut Harness)>;

/// A history that touches everything: two assets, parts, a suspect, context, a move, use at run time.
fn history() -> Vec<Event> {
    let part = |number: u32| {
        let mut part = scan(REPO, "snyk", 30, vulnerabilities(number as usize..number as usize + 2));
        part.part = number;
        part.completed = part.completed.filter(|_| number == 1).map(|end| ScanCompleted { parts: 2, ..end });
        part
    };
    let runs = |image: &'static str| {
        move |harness: &mut Harness| {
            harness.context("workload:c/n/deployment/x", &[(Attribute::RunsImage, image, "\"\"")]);
        }
    };
    vec![
        Box::new(|harness| harness.apply(&[scan(REPO, "npm", 10, vulnerabilities(0..50))])),
        Box::new(runs(IMAGE)),
        Box::new(|harness| harness.apply(&[scan(IMAGE, "trivy", 11, vulnerabilities(0..3))])),
        Box::new(|harness| harness.apply(&[scan(REPO, "gitleaks", 12, vec![secret()])])),
        Box::new(|harness| harness.apply(&[scan(REPO, "npm", 20, vulnerabilities(0..2))])),
        Box::new(move |harness| harness.apply(&[part(1)])),
        Box::new(|harness| harness.context("component:shop", &[(Attribute::Source, "github.com/acme/shop", "\"\"")])),
        Box::new(runs("image:sha256:bb")),
        Box::new(move |harness| harness.apply(&[part(0)])),
        Box::new(|harness| harness.apply(&[scan(REPO, "gitleaks", 22, vec![])])),
        Box::new(|harness| harness.apply(&[scan(REPO, "npm", 40, vulnerabilities(0..2))])),
        Box::new(|harness| harness.apply(&[scan(REPO, "npm", 50, vulnerabilities(0..4))])),
        Box::new(|harness| harness.now += 8 * DAY),
        Box::new(|harness| harness.now += 40 * DAY),
        Box::new(|harness| harness.now += 100 * DAY),
        Box::new(|harness| harness.now += 8 * DAY),
    ]
}

#[test]
fn a_restart_at_any_point_emits_nothing_and_changes_no_outcome() {
    for restart in [Harness::restart, Harness::revive] {
        let mut through = harness();
        let mut restarted = harness();
        for (n, event) in history().iter().enumerate() {
            event(&mut through);
            through.settle();
            event(&mut restarted);
            restarted.settle();
            restart(&mut restarted);
            assert!(restarted.settle().is_empty(), "event {n}");
            assert_eq!(restarted.log, through.log, "event {n}");
        }
    }
}

#[test]
fn a_rollback_at_any_point_changes_no_outcome() {
    let mut through = harness();
    let mut aborting = harness();
    for (n, event) in history().iter().enumerate() {
        event(&mut through);
        through.settle();
        let (now, sizes, timer) = (aborting.now, aborting.stage.sizes(), aborting.stage.next_timer());
        event(&mut aborting);
        let mut lost = Outputs::default();
        aborting.stage.wake(aborting.now);
        aborting.stage.settle(aborting.now, &mut lost).unwrap();
        aborting.stage.rollback();
        assert_eq!((aborting.stage.sizes(), aborting.stage.next_timer()), (sizes, timer), "event {n}");
        aborting.now = now;
        event(&mut aborting);
        aborting.stage.wake(aborting.now);
        let mut again = Outputs::default();
        aborting.stage.settle(aborting.now, &mut again).unwrap();
        aborting.stage.commit();
        assert_eq!(again.records(), lost.records(), "event {n}");
        aborting.store(&again);
        assert_eq!(aborting.log, through.log, "event {n}");
    }
}

#[test]
fn one_transaction_or_many_come_to_the_same() {
    let reports = [
        scan(REPO, "npm", 10, vulnerabilities(0..9)),
        scan(REPO, "trivy", 11, vulnerabilities(3..12)),
        scan(REPO, "npm", 20, vulnerabilities(5..9)),
        scan(REPO, "trivy", 21, vulnerabilities(6..7)),
        scan(REPO, "npm", 30, vulnerabilities(0..7)),
    ];
    let mut together = harness();
    together.step(&reports);
    let mut apart = harness();
    for report in &reports {
        apart.step(std::slice::from_ref(report));
    }
    assert_eq!(together.findings(), apart.findings());
}

#[test]
fn f27_a_silent_scope_makes_its_findings_stale_and_they_still_count() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1)])]);
    harness.now += 30 * DAY;
    assert!(harness.settle().is_empty());
    harness.now += 5 * DAY;
    harness.settle();
    let finding = harness.finding();
    assert_eq!((finding.state, finding.counts), (FindingState::Stale, true));
    harness.step(&[scan(REPO, "npm", 20, vec![vulnerability(1)])]);
    assert_eq!((harness.finding().state, harness.finding().reopened), (FindingState::Active, 0));
}

#[test]
fn f16_closed_findings_age_out_and_take_everything_with_them() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..5))]);
    harness.step(&[scan(REPO, "npm", 20, vec![])]);
    harness.now = 20 + 90 * DAY;
    harness.settle();
    let ends: Vec<Finding> = harness.of(Topic::Findings);
    assert!(ends.len() == 5 && ends.iter().all(|finding| finding.end == FindingEnd::Forgotten));
    harness.now += 7 * DAY;
    harness.settle();
    assert!(harness.findings().is_empty() && harness.of::<Finding>(Topic::Findings).is_empty());
    harness.now += 200 * DAY;
    harness.settle();
    assert_eq!((harness.log.len(), harness.stage.next_timer()), (0, None));
    assert!(harness.stage.sizes().iter().all(|(_, size)| *size == 0));
}

#[test]
fn a_finding_seen_while_it_is_being_forgotten_comes_back() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1)])]);
    harness.step(&[scan(REPO, "npm", 20, vec![])]);
    harness.now = 20 + 91 * DAY;
    harness.settle();
    harness.step(&[scan(REPO, "npm", 30, vec![vulnerability(1)])]);
    let findings: Vec<Finding> = harness.of(Topic::Findings);
    assert_eq!((findings.len(), findings[0].end, findings[0].tracked.first_seen), (1, FindingEnd::None, 10));
}
