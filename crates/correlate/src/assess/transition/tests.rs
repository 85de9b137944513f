//! History: every kind of change, and nothing where nothing changed.

use tributary_model::severity::Band;

use super::*;
use crate::assess::chain;

const T0: Millis = 1_700_000_000_000;

fn assessed(band: Band, score: i32) -> Risk {
    Risk {
        risk: RiskId([1; 16]),
        band,
        score,
        first_seen: T0 - 10 * DAY,
        clock_start: T0 - 10 * DAY,
        due_at: deadline::computed(T0 - 10 * DAY, band),
        ..Risk::default()
    }
}

fn present(band: Band, score: i32) -> Next {
    Next::Present(Box::new(assessed(band, score)))
}

fn step(previous: Option<&Risk>, next: Next, now: Millis) -> Option<(Risk, Change)> {
    let step = transition(previous, next, &Cause { event_at: now, ..Cause::default() }, now);
    if let Some((risk, change)) = &step {
        assert_eq!(crate::assess::invariants::follows(previous, risk, change), Ok(()));
    }
    step
}

#[test]
fn opened_then_nothing_then_each_kind_of_change() {
    let (opened, change) = step(None, present(Band::Scheduled, 400), T0).unwrap();
    assert_eq!((change.kind, opened.revision, opened.generation), (ChangeKind::Opened, 1, T0 / 1000));
    assert_eq!(opened.due_at, Some(T0 + 50 * DAY));
    assert_eq!(step(Some(&opened), present(Band::Scheduled, 400), T0 + DAY), None);

    let mut renamed = assessed(Band::Scheduled, 400);
    renamed.title = "other".to_owned();
    let (updated, change) = step(Some(&opened), Next::Present(Box::new(renamed)), T0 + 1).unwrap();
    assert_eq!((change.kind, change.fields.as_slice()), (ChangeKind::Updated, ["title".to_owned()].as_slice()));

    let (raised, change) = step(Some(&updated), present(Band::Immediate, 800), T0 + 2).unwrap();
    assert_eq!((change.kind, change.band_before), (ChangeKind::Reprioritised, Band::Scheduled));

    let mut covered = assessed(Band::Immediate, 800);
    covered.state = RiskState::Suppressed;
    covered.suppressed_by = "vex".to_owned();
    let (suppressed, change) = step(Some(&raised), Next::Present(Box::new(covered)), T0 + 3).unwrap();
    assert_eq!(change.kind, ChangeKind::Suppressed);
    let (back, change) = step(Some(&suppressed), present(Band::Immediate, 800), T0 + 4).unwrap();
    assert_eq!((change.kind, back.reopened), (ChangeKind::Reopened, 0));

    let (resolved, change) = step(Some(&back), Next::Gone(Gone::Closed, Vec::new()), T0 + 5).unwrap();
    assert_eq!(
        (change.kind, resolved.resolved_at, resolved.band),
        (ChangeKind::Resolved, Some(T0 + 5), Band::Immediate)
    );
    assert_eq!(step(Some(&resolved), Next::Gone(Gone::Closed, Vec::new()), T0 + 6), None);
    let (reopened, change) = step(Some(&resolved), present(Band::Immediate, 800), T0 + 7).unwrap();
    assert_eq!((change.kind, reopened.reopened, reopened.resolved_at), (ChangeKind::Reopened, 1, None));
    assert_eq!(reopened.generation, opened.generation);
}

#[test]
fn what_never_was_is_not_resolved() {
    assert_eq!(step(None, Next::Gone(Gone::Closed, Vec::new()), T0), None);
}

#[test]
fn merged_split_and_moved_name_the_other_risk() {
    let other = RiskId([9; 16]);
    let (opened, _) = step(None, present(Band::Scheduled, 1), T0).unwrap();
    let (_, merged) = step(Some(&opened), Next::Gone(Gone::Merged(other), Vec::new()), T0 + 1).unwrap();
    assert_eq!((merged.kind, merged.other), (ChangeKind::Merged, Some(other)));
    let (_, moved) = step(Some(&opened), Next::Gone(Gone::Moved(other), Vec::new()), T0 + 1).unwrap();
    assert_eq!((moved.kind, moved.other), (ChangeKind::Moved, Some(other)));
    let split = Cause { from: Some(other), from_lives: true, ..Cause::default() };
    let (_, change) = transition(None, present(Band::Scheduled, 1), &split, T0).unwrap();
    assert_eq!((change.kind, change.other), (ChangeKind::Split, Some(other)));
    let takeover = Cause { from: Some(other), ..Cause::default() };
    let (_, change) = transition(Some(&opened), present(Band::Scheduled, 2), &takeover, T0 + 1).unwrap();
    assert_eq!((change.kind, change.other), (ChangeKind::Merged, Some(other)));
}

#[test]
fn deadlines_only_tighten_while_open() {
    let (scheduled, _) = step(None, present(Band::Scheduled, 1), T0).unwrap();
    let (immediate, _) = step(Some(&scheduled), present(Band::Immediate, 1), T0 + 1).unwrap();
    assert_eq!(immediate.due_at, Some(T0 - 7 * DAY), "context of the first day completes the first assessment");
    let (relaxed, _) = step(Some(&immediate), present(Band::Defer, 1), T0 + 2).unwrap();
    assert_eq!(relaxed.due_at, immediate.due_at);
    let (escalated, _) = step(Some(&scheduled), present(Band::Immediate, 1), T0 + 20 * DAY).unwrap();
    assert_eq!(escalated.due_at, Some(T0 + 23 * DAY), "an escalation counts from itself");
    let (late, _) = step(Some(&scheduled), present(Band::Immediate, 1), T0 + 49 * DAY).unwrap();
    assert_eq!(late.due_at, scheduled.due_at, "and never loosens what was promised");
}

#[test]
fn a_reopening_within_thirty_days_keeps_the_clock() {
    let (opened, _) = step(None, present(Band::Scheduled, 1), T0).unwrap();
    let (resolved, _) = step(Some(&opened), Next::Gone(Gone::Closed, Vec::new()), T0 + DAY).unwrap();
    let (soon, _) = step(Some(&resolved), present(Band::Scheduled, 1), T0 + 20 * DAY).unwrap();
    assert_eq!(soon.clock_start, opened.clock_start);
    let (late, _) = step(Some(&resolved), present(Band::Scheduled, 1), T0 + 40 * DAY).unwrap();
    assert_eq!(late.clock_start, T0 + 40 * DAY);
    assert_eq!(late.first_seen, opened.first_seen);
    assert_eq!(step(Some(&late), present(Band::Scheduled, 1), T0 + 41 * DAY), None, "the new clock stays");
}

#[test]
fn i3_older_evidence_that_arrives_after_a_reopening_moves_the_clock_as_before_it() {
    let older = || {
        Next::Present(Box::new(Risk {
            first_seen: T0 - 20 * DAY,
            clock_start: T0 - 20 * DAY,
            ..assessed(Band::Scheduled, 1)
        }))
    };
    let (opened, _) = step(None, present(Band::Scheduled, 1), T0).unwrap();
    let (resolved, _) = step(Some(&opened), Next::Gone(Gone::Closed, Vec::new()), T0 + DAY).unwrap();
    let (soon, _) = step(Some(&resolved), present(Band::Scheduled, 1), T0 + 2 * DAY).unwrap();
    let (moved, _) = step(Some(&soon), older(), T0 + 3 * DAY).unwrap();
    assert_eq!((moved.reopened, moved.clock_start), (1, T0 - 20 * DAY));
}

#[test]
fn a_clock_that_started_anew_stays_with_its_start_through_another_reopening() {
    let close = |risk: &Risk, now| step(Some(risk), Next::Gone(Gone::Closed, Vec::new()), now).unwrap().0;
    let (opened, _) = step(None, present(Band::Scheduled, 1), T0).unwrap();
    let resolved = close(&opened, T0 + DAY);
    let (late, _) = step(Some(&resolved), present(Band::Scheduled, 1), T0 + 40 * DAY).unwrap();
    let resolved = close(&late, T0 + 41 * DAY);
    let (again, _) = step(Some(&resolved), present(Band::Scheduled, 1), T0 + 42 * DAY).unwrap();
    assert_eq!(again.clock_start, T0 + 40 * DAY);
}

#[test]
fn a_longer_history_is_one_chain() {
    let mut changes = Vec::new();
    let mut last: Option<Risk> = None;
    for at in 0..20 {
        let next = if at % 5 == 4 { Next::Gone(Gone::Closed, Vec::new()) } else { present(Band::Scheduled, at) };
        if let Some((risk, change)) = step(last.as_ref(), next, T0 + i64::from(at)) {
            last = Some(risk);
            changes.push(change);
        }
    }
    assert_eq!(changes.len(), 20);
    assert_eq!(chain::verify(&changes), Ok(()));
    assert_eq!(last.unwrap().revision, 20);
}

#[test]
fn the_epss_of_the_day_and_repeated_words_make_no_revision() {
    let (opened, _) = step(None, present(Band::Scheduled, 1), T0).unwrap();
    let mut same = assessed(Band::Scheduled, 1);
    same.epss_ppm = Some(123);
    assert_eq!(step(Some(&opened), Next::Present(Box::new(same)), T0 + DAY), None);
}
