//! The invariants as predicates over what is on the log. Each answers what does not hold, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use tributary_correlate::assess::invariants;
use tributary_model::finding::TrackedFinding;
use tributary_model::id::{RemedyId, RiskId};
use tributary_model::reject::Reject;
use tributary_model::remedy::{RemedyMember, TicketState};
use tributary_model::risk::RiskState;
use tributary_model::scan::ScanState;
use tributary_model::severity::Band;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::sim::World;

use crate::river::{self, Outcome};
use crate::workload::{POISON, Workload};

pub type Verdict = Result<(), String>;

/// The latest of every compacted topic, by key; and how many changes were ever told.
pub type Said = (Vec<Vec<(String, Vec<u8>)>>, usize);

pub fn holds(condition: bool, what: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(what()) }
}

/// Two runs agree on something of the same key.
fn agree<K: Ord + Debug, V: PartialEq + Debug>(id: &str, ours: &BTreeMap<K, V>, theirs: &BTreeMap<K, V>) -> Verdict {
    let keys: BTreeSet<&K> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (mine, other) = (ours.get(key), theirs.get(key));
        holds(mine == other, || format!("{id}: {key:?} differs:\n  {mine:?}\n  {other:?}"))?;
    }
    Ok(())
}

/// I1 for the stages: what cannot be read gives one reject with its coordinates, and nothing else gives any.
pub fn i1(world: &World) -> Verdict {
    let inputs = [Topic::Facts, Topic::Observations].into_iter().flat_map(|topic| world.records(topic));
    let poisoned = inputs.filter(|message| message.value.as_deref() == Some(POISON));
    let mut expected: Vec<_> = poisoned.map(|message| message.origin()).collect();
    let rejects = world.records(Topic::Rejects);
    let mut found: Vec<_> =
        rejects.iter().map(|message| Reject::decode(message.value.as_ref().unwrap()).unwrap().origin).collect();
    expected.sort();
    found.sort();
    holds(!expected.is_empty() && expected == found, || format!("I1: rejected {found:?}, not {expected:?}"))
}

/// I5 and the whole of I6.
pub fn i5_i6(outcome: &Outcome) -> Verdict {
    invariants::i5(&outcome.findings, &outcome.risks).map_err(river::text)?;
    invariants::i6(&outcome.changes, &outcome.risks).map_err(river::text)
}

/// I3, and I7 for the ids in it: the open risks are those of the other run.
pub fn i3(ours: &Outcome, theirs: &Outcome) -> Verdict {
    let view = |outcome: &Outcome| -> BTreeMap<_, _> {
        outcome
            .open()
            .map(|risk| ((risk.component.clone(), risk.name.clone(), risk.risk), invariants::i3_view(risk)))
            .collect()
    };
    agree("I3", &view(ours), &view(theirs))
}

/// I7: the same findings and the same open tickets, under the same ids; and what TRACK says of each finding is the same.
pub fn i7(ours: &Outcome, theirs: &Outcome) -> Verdict {
    let view = |finding: &TrackedFinding| {
        let place = (finding.asset.clone(), finding.sighting.rule.clone(), finding.components.clone());
        (place, finding.state, finding.first_seen, finding.counts, finding.reopened)
    };
    let findings = |outcome: &Outcome| -> BTreeMap<_, _> {
        outcome.tracked.iter().map(|finding| (finding.finding, view(finding))).collect()
    };
    agree("I7", &findings(ours), &findings(theirs))?;
    agree("I7", &tickets(ours, theirs), &tickets(theirs, ours))
}

/// What is asked for: of every remedy with a ticket open in this run, and worth one in either or open in the other, what it
/// says. A ticket that was opened while a risk stood higher stays open for what is left (history, which I3 excludes), so a
/// remedy that neither run would open now may have a ticket in one of them only; [`asked`] sees to what that one says.
fn tickets(outcome: &Outcome, other: &Outcome) -> BTreeMap<RemedyId, impl PartialEq + Debug> {
    let compared = |key: &RemedyId| {
        other.is_open(key) || [outcome, other].into_iter().any(|run| run.open_members(key).any(is_worth_asking))
    };
    let open = outcome.tickets.values().filter(|ticket| outcome.is_open(&ticket.key) && compared(&ticket.key));
    open.map(|ticket| {
        let risks = ticket.risks.iter().filter(|risk| risk.state == RiskState::Open).map(|risk| risk.risk);
        let risks: BTreeSet<RiskId> = risks.collect();
        (ticket.key, (risks, ticket.band, ticket.owner.clone(), ticket.fix.clone()))
    })
    .collect()
}

/// As REMEDY's documentation has it: scheduled or more urgent, and not only imported, unless immediate.
fn is_worth_asking(member: &RemedyMember) -> bool {
    member.band == Band::Immediate || member.band >= Band::Scheduled && !member.backfill
}

/// The two ends of REMEDY: what is worth asking for is asked, and an open ticket says what its members say now.
pub fn asked(outcome: &Outcome) -> Verdict {
    for key in outcome.members.keys() {
        let worth = outcome.open_members(key).find(|member| is_worth_asking(member));
        holds(worth.is_none() || outcome.is_open(key), || format!("I5: {key} has no ticket for {worth:?}"))?;
    }
    for ticket in outcome.tickets.values().filter(|ticket| ticket.state == TicketState::Open) {
        let members: Vec<&RemedyMember> = outcome.open_members(&ticket.key).collect();
        let risks: BTreeSet<(RiskId, Band)> = members.iter().map(|member| (member.risk, member.band)).collect();
        let listed = ticket.risks.iter().filter(|risk| risk.state == RiskState::Open);
        let says = (listed.map(|risk| (risk.risk, risk.band)).collect(), Some(ticket.band), ticket.due_at);
        let band = members.iter().map(|member| member.band).max();
        let due = members.iter().filter_map(|member| member.due_at).min();
        let key = ticket.key;
        let expected = (risks, band, due);
        holds(says == expected, || format!("I5: the ticket {key} says {says:?}, its members {expected:?}"))?;
        let targets = members.iter().all(|member| member.target == ticket.fix.target);
        holds(targets, || format!("I5: the ticket {key} asks for {:?}, its members do not", ticket.fix))?;
    }
    Ok(())
}

/// I4: every scan that was sent has its line, and it is finished; the lines are those of the other run.
pub fn i4(ours: &Outcome, theirs: &Outcome, workload: &Workload) -> Verdict {
    for key in &workload.scans {
        let run = ours.runs.get(key).ok_or_else(|| format!("I4: scan {key} is lost"))?;
        holds(run.state != ScanState::Receiving, || format!("I4: scan {key} has not all its parts"))?;
    }
    let lines = |outcome: &Outcome| -> BTreeMap<_, _> {
        let line = |run: &tributary_model::scan::ScanRun| {
            // Not the components: a line that is not the watermark keeps those it was finished with.
            (run.state, run.sightings, run.new, run.unchanged, run.reopened, run.gone)
        };
        outcome.runs.iter().map(|(key, run)| (key.clone(), line(run))).collect()
    };
    agree("I4", &lines(ours), &lines(theirs))
}

/// I9, by the input alone: a finding begins with its first sighting, wherever it has been since.
pub fn i9(outcome: &Outcome, workload: &Workload) -> Verdict {
    let found: BTreeMap<_, _> = outcome
        .tracked
        .iter()
        .map(|finding| ((finding.asset.clone(), finding.sighting.rule.clone()), finding.first_seen))
        .collect();
    agree("I9", &found, &workload.first_seen)?;
    let starts: BTreeMap<_, _> = outcome.tracked.iter().map(|finding| (finding.finding, finding.first_seen)).collect();
    for risk in outcome.open() {
        let counting = risk.evidence.iter().filter(|evidence| evidence.counts);
        let first = counting.filter_map(|evidence| starts.get(&evidence.finding)).min();
        holds(first.is_some_and(|first| risk.clock_start <= *first), || {
            format!(
                "I9: the clock of {} in {} started at {}, not {first:?}",
                risk.name, risk.component, risk.clock_start
            )
        })?;
    }
    Ok(())
}

/// I2: the latest of every compacted topic, and how much was ever said.
pub fn said(world: &World) -> Said {
    let topics = [
        Topic::Context,
        Topic::Intel,
        Topic::Tracked,
        Topic::Scans,
        Topic::Findings,
        Topic::Risks,
        Topic::Remedies,
        Topic::Tickets,
    ];
    let latest = topics.into_iter().map(|topic| {
        let pairs = world.latest(topic).into_iter();
        pairs.map(|(key, value)| (format!("{topic} {}", String::from_utf8_lossy(&key)), value.to_vec())).collect()
    });
    (latest.collect(), world.records(Topic::Changes).len())
}

/// I2: nothing was said in between.
pub fn i2(before: &Said, after: &Said) -> Verdict {
    holds(before.1 == after.1, || format!("I2: {} changes became {}", before.1, after.1))?;
    for (old, new) in before.0.iter().zip(&after.0) {
        for (old, new) in old.iter().zip(new) {
            holds(old == new, || format!("I2: {} is now {}, or says something else", old.0, new.0))?;
        }
        holds(old.len() == new.len(), || format!("I2: {} records became {}", old.len(), new.len()))?;
    }
    Ok(())
}
