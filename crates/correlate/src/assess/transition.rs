//! History, and nothing else has it: the previous record and the assessed one give the next record and its change.
//!
//! Pure. A risk that comes out equal to what it was gives nothing at all (no-op revisions are suppressed).

mod fields;

use tributary_model::id::RiskId;
use tributary_model::reject::Origin;
use tributary_model::risk::{Change, ChangeKind, Evidence, Risk, RiskState};
use tributary_model::time::{DAY, Millis, SECOND};

use super::{chain, deadline};

pub use fields::differing;

/// Reopened within this time, a risk keeps its clock; later it is a new story.
pub(super) const REOPEN_WINDOW: Millis = 30 * DAY;

/// Context that arrives this soon after a risk was opened completes the first assessment: it is no escalation, and the
/// deadline counts from the clock's start. Shorter would make deadlines depend on which topic was read first.
const LATE_CONTEXT: Millis = DAY;

/// What ASSESS finds now.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Something counts: the assessed record, history left at its defaults.
    Present(Box<Risk>),
    /// Nothing counts any more; with what is left of the evidence.
    Gone(Gone, Vec<Evidence>),
}

/// Why nothing counts any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Every finding is fixed, superseded, or counts no more.
    Closed,
    /// Every finding belongs to another component now.
    Moved(RiskId),
    /// Its findings belong to another risk of this component now.
    Merged(RiskId),
}

/// What made this step happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// The input.
    pub origin: Origin,
    /// Its event time.
    pub event_at: Millis,
    /// Risks whose findings came here: the first is named.
    pub from: Option<RiskId>,
    /// Whether that risk still has findings (then this is a split, not a merge).
    pub from_lives: bool,
}

/// The next record and its change; `None` when nothing is to be said.
#[must_use]
pub fn transition(previous: Option<&Risk>, next: Next, cause: &Cause, now: Millis) -> Option<(Risk, Change)> {
    match (previous, next) {
        (None, Next::Gone(..)) => None,
        (None, Next::Present(assessed)) => Some(open(*assessed, cause, now)),
        (Some(previous), Next::Gone(gone, evidence)) => resolve(previous, gone, evidence, cause, now),
        (Some(previous), Next::Present(assessed)) => revise(previous, *assessed, cause, now),
    }
}

fn open(assessed: Risk, cause: &Cause, now: Millis) -> (Risk, Change) {
    let risk = Risk { generation: now.div_euclid(SECOND), opened_at: now, ..assessed };
    let kind = if cause.from.is_some() && cause.from_lives { ChangeKind::Split } else { ChangeKind::Opened };
    let reason = match (cause.from, cause.from_lives) {
        (Some(_), true) => "Split off: what was said to be one problem is two".to_owned(),
        (Some(_), false) => "Took over the findings of a risk that turned out to be this one".to_owned(),
        (None, _) => format!("First assessed as {}", risk.band.name()),
    };
    finish(None, risk, kind, reason, cause.from, cause, now)
}

fn resolve(previous: &Risk, gone: Gone, evidence: Vec<Evidence>, cause: &Cause, now: Millis) -> Option<(Risk, Change)> {
    if previous.state == RiskState::Resolved {
        return None;
    }
    let (kind, reason, other) = match gone {
        Gone::Closed => (ChangeKind::Resolved, "No counting finding is left", None),
        Gone::Moved(other) => (ChangeKind::Moved, "Its findings belong to another component now", Some(other)),
        Gone::Merged(other) => {
            (ChangeKind::Merged, "It turned out to be the same problem as another risk", Some(other))
        }
    };
    let risk = Risk {
        state: RiskState::Resolved,
        resolved_at: Some(now),
        suppressed_by: String::new(),
        confirmed_by: Vec::new(),
        tools: Vec::new(),
        evidence_total: evidence.len() as u32,
        evidence: evidence.into_iter().take(super::snapshot::MAX_EVIDENCE).collect(),
        ..previous.clone()
    };
    Some(finish(Some(previous), risk, kind, reason.to_owned(), other, cause, now))
}

fn revise(previous: &Risk, assessed: Risk, cause: &Cause, now: Millis) -> Option<(Risk, Change)> {
    let reopens = previous.state == RiskState::Resolved;
    let clock_start = clock_start(previous, &assessed, reopens, cause, now);
    let due_at = due_at(previous, &assessed, reopens, clock_start, now);
    let risk = Risk {
        generation: previous.generation,
        opened_at: previous.opened_at,
        reopened: previous.reopened + u32::from(reopens),
        clock_start,
        due_at,
        resolved_at: None,
        ..assessed
    };
    let (kind, reason) = describe(previous, &risk, reopens, cause)?;
    Some(finish(Some(previous), risk, kind, reason, cause.from, cause, now))
}

/// Purely the evidence's, except that a risk reopened after the window starts anew and stays with that start. Such a
/// risk alone has a clock that is later than its story; of any other, evidence that arrives late may still move the start
/// back, reopened or not.
fn clock_start(previous: &Risk, assessed: &Risk, reopens: bool, cause: &Cause, now: Millis) -> Millis {
    let closed = previous.resolved_at.unwrap_or(previous.decided_at);
    if reopens && now.saturating_sub(closed) > REOPEN_WINDOW {
        return cause.event_at.max(assessed.clock_start);
    }
    let started_anew = previous.clock_start > previous.first_seen;
    if started_anew { assessed.clock_start.max(previous.clock_start) } else { assessed.clock_start }
}

/// The earlier of the promised deadline and the computed one: it only tightens. An escalation counts from itself.
fn due_at(previous: &Risk, assessed: &Risk, reopens: bool, clock_start: Millis, now: Millis) -> Option<Millis> {
    let computed = deadline::computed(clock_start, assessed.band);
    if reopens {
        return computed;
    }
    let escalates = assessed.band > previous.band && now.saturating_sub(previous.opened_at) > LATE_CONTEXT;
    let candidate = if escalates { computed.max(deadline::computed(now, assessed.band)) } else { computed };
    match (previous.due_at, candidate) {
        (Some(promised), Some(candidate)) => Some(promised.min(candidate)),
        (promised, candidate) => promised.or(candidate),
    }
}

fn describe(previous: &Risk, risk: &Risk, reopens: bool, cause: &Cause) -> Option<(ChangeKind, String)> {
    let fields = differing(previous, risk);
    if fields.is_empty() {
        return None;
    }
    if reopens {
        return Some((ChangeKind::Reopened, "It is seen again".to_owned()));
    }
    if cause.from.is_some() {
        let reason = "Another risk turned out to be this one, and its findings came here";
        return Some((ChangeKind::Merged, reason.to_owned()));
    }
    match (previous.state, risk.state) {
        (RiskState::Open, RiskState::Suppressed) => {
            return Some((ChangeKind::Suppressed, format!("Suppressed by {}", risk.suppressed_by)));
        }
        (RiskState::Suppressed, RiskState::Open) => {
            return Some((ChangeKind::Reopened, "What suppressed it does not cover it any more".to_owned()));
        }
        _ => {}
    }
    if previous.band != risk.band {
        let why = risk.decision.last().map_or("", |step| step.reason.as_str());
        let reason = format!("{} → {}: {why}", previous.band.name(), risk.band.name());
        return Some((ChangeKind::Reprioritised, reason));
    }
    if previous.score != risk.score {
        let reason = format!("Score {} → {}", previous.score, risk.score);
        return Some((ChangeKind::Reprioritised, reason));
    }
    Some((ChangeKind::Updated, format!("Other values of {}", fields.join(", "))))
}

fn finish(
    previous: Option<&Risk>,
    mut risk: Risk,
    kind: ChangeKind,
    reason: String,
    other: Option<RiskId>,
    cause: &Cause,
    now: Millis,
) -> (Risk, Change) {
    risk.revision = previous.map_or(1, |previous| previous.revision + 1);
    risk.decided_at = now;
    let change = Change {
        risk: risk.risk,
        component: risk.component.clone(),
        generation: risk.generation,
        revision: risk.revision,
        kind,
        fields: previous
            .map_or_else(Vec::new, |previous| differing(previous, &risk).into_iter().map(str::to_owned).collect()),
        reason,
        band_before: previous.map_or(risk.band, |previous| previous.band),
        band: risk.band,
        score: risk.score,
        state: risk.state,
        other,
        actor: "pipeline".to_owned(),
        cause: cause.origin.clone(),
        event_at: cause.event_at,
        decided_at: now,
        model_version: risk.model_version.clone(),
        inputs_before: previous.map_or_else(String::new, |previous| previous.inputs_digest.clone()),
        inputs_after: risk.inputs_digest.clone(),
        previous_hash: String::new(),
        hash: String::new(),
    };
    let change = chain::link(change, previous.map_or("", |previous| previous.chain_head.as_str()));
    risk.chain_head.clone_from(&change.hash);
    (risk, change)
}

#[cfg(test)]
mod tests;
