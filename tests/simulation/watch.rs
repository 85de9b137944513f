//! What holds at every moment, not only at rest: said of everything committed so far, after every step of a world. A stage
//! may lag behind its inputs, so nothing here compares topics of two stages; what one stage commits together, it does.

use std::collections::{BTreeMap, BTreeSet};

use tributary_correlate::assess::{chain, snapshot};
use tributary_model::finding::{Finding, FindingEnd, TrackedFinding};
use tributary_model::id::{FindingId, RiskId};
use tributary_model::reject::{Origin, Reject};
use tributary_model::remedy::Ticket;
use tributary_model::risk::{Change, Risk, RiskState};
use tributary_model::scan::{ScanRun, ScanState};
use tributary_model::time::Millis;
use tributary_model::topic::Cleanup;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::message::Message;
use tributary_stream::sim::SimLog;

use crate::predicates::{Verdict, holds};
use crate::river::{change, text};
use crate::workload::POISON;

/// Everything committed so far, as far as the predicates need it.
#[derive(Default)]
pub struct Watch {
    read: BTreeMap<(Topic, u32), u64>,
    /// The last value of every key of a compacted topic; `None` is a tombstone.
    last: BTreeMap<(Topic, bytes::Bytes), Option<bytes::Bytes>>,
    changes: BTreeMap<RiskId, Change>,
    risks: BTreeMap<RiskId, Risk>,
    /// By (component, finding): the open risk that names it.
    named: BTreeMap<(String, FindingId), RiskId>,
    tracked: BTreeMap<FindingId, TrackedFinding>,
    /// Which components a finding is in.
    homes: BTreeMap<FindingId, BTreeSet<String>>,
    /// By what a finding is: its id.
    ids: BTreeMap<(String, String), FindingId>,
    runs: BTreeMap<String, ScanRun>,
    /// By (asset, scope): the scan that was applied last, as scans are ordered.
    watermarks: BTreeMap<(String, String), (Millis, String)>,
    tickets: BTreeMap<String, i64>,
    rejected: BTreeSet<Origin>,
    poison: BTreeSet<Origin>,
}

impl Watch {
    /// Takes in what a step committed.
    pub fn step(&mut self, log: &SimLog) -> Verdict {
        let mut fresh: BTreeMap<Topic, Vec<Message>> = BTreeMap::new();
        for topic in Topic::ALL {
            fresh.insert(topic, log.fresh(topic, &mut self.read));
        }
        let of = |topic: Topic| fresh[&topic].iter();
        for message in of(Topic::Facts).chain(of(Topic::Observations)) {
            if message.value.as_deref() == Some(POISON) {
                self.poison.insert(message.origin());
            }
        }
        of(Topic::Rejects).try_for_each(|message| self.i1(message))?;
        for topic in Topic::ALL.into_iter().filter(|topic| topic.cleanup() == Cleanup::Compact) {
            of(topic).try_for_each(|message| self.i2(message))?;
        }
        of(Topic::Changes).try_for_each(|message| self.i4(change(message)))?;
        of(Topic::Risks).try_for_each(|message| self.i6(message))?;
        self.i5()?;
        of(Topic::Tracked).try_for_each(|message| self.i7(message))?;
        of(Topic::Findings).for_each(|message| self.home(message));
        of(Topic::Tracked).try_for_each(|message| self.i9(message))?;
        of(Topic::Scans).try_for_each(|message| self.ledger(message))?;
        of(Topic::Tickets).try_for_each(|message| self.ticket(message))?;
        if fresh.values().any(|messages| !messages.is_empty()) { self.i8() } else { Ok(()) }
    }

    /// I1: only what cannot be read is rejected, and once.
    fn i1(&mut self, message: &Message) -> Verdict {
        let origin = decoded::<Reject>(message).unwrap_or_default().origin;
        holds(self.poison.contains(&origin), || format!("I1: {origin:?} is rejected and is no poison"))?;
        holds(self.rejected.insert(origin.clone()), || format!("I1: {origin:?} is rejected twice"))
    }

    /// I2: a stage says only what differs from what it said last: no re-delivery, restart or move repeats a word.
    fn i2(&mut self, message: &Message) -> Verdict {
        let before = self.last.insert((message.topic, message.key.clone()), message.value.clone());
        let differs = before.flatten() != message.value;
        holds(differs, || format!("I2: {} says of {} what it said before", message.topic, message.key_str()))
    }

    /// I4 and I6: no change is there twice, none is skipped, each continues the one before.
    fn i4(&mut self, change: Change) -> Verdict {
        let before = self.changes.get(&change.risk);
        let is_first = before.is_none() && change.revision == 1 && change.previous_hash.is_empty();
        let continues = before.is_some_and(|before| before.generation == change.generation);
        holds(is_first || continues, || format!("I4: risk {} begins at revision {}", change.risk, change.revision))?;
        chain::verify(before.into_iter().chain([&change])).map_err(|error| format!("I6: {}: {error}", change.risk))?;
        self.changes.insert(change.risk, change);
        Ok(())
    }

    /// I6: a risk's record is the head of its chain. I9: its clock is no later than its evidence. I8: it is bounded.
    fn i6(&mut self, message: &Message) -> Verdict {
        let Some(risk) = decoded::<Risk>(message) else {
            let id = message.key_str().parse().map_err(text)?;
            self.changes.remove(&id);
            return holds(self.risks.remove(&id).is_some_and(|risk| risk.state == RiskState::Resolved), || {
                format!("I8: the risk {id} is dropped and was not closed")
            });
        };
        let head = self.changes.get(&risk.risk).map(|change| (change.revision, change.hash.as_str()));
        holds(head == Some((risk.revision, &risk.chain_head)), || {
            format!("I6: {} is not its chain's head", risk.risk)
        })?;
        let first = risk.evidence.iter().filter(|one| one.counts).map(|one| one.first_seen).min();
        let is_open = risk.state != RiskState::Resolved;
        holds(!is_open || first.is_some(), || format!("I5: {} is open and nothing in it counts", risk.risk))?;
        // No story of a workload is longer than the window in which a reopening keeps its clock.
        holds(!is_open || first.is_some_and(|first| risk.clock_start <= first), || {
            format!("I9: the clock of {} starts at {}, its evidence at {first:?}", risk.name, risk.clock_start)
        })?;
        holds(risk.evidence.len() <= snapshot::MAX_EVIDENCE, || format!("I8: {} is not bounded", risk.risk))?;
        self.risks.insert(risk.risk, risk);
        Ok(())
    }

    /// I5: no finding is in two open risks of a component. That it is in one can be said only at rest.
    fn i5(&mut self) -> Verdict {
        self.named.clear();
        for risk in self.risks.values().filter(|risk| risk.state != RiskState::Resolved) {
            for evidence in risk.evidence.iter().filter(|evidence| evidence.counts) {
                let key = (risk.component.clone(), evidence.finding);
                let other = self.named.insert(key, risk.risk);
                holds(other.is_none(), || format!("I5: {} is in {other:?} and {}", evidence.finding, risk.risk))?;
            }
        }
        Ok(())
    }

    /// I7: the same thing has the same id for ever, and no other has it. I9: its first sighting never moves later.
    fn i7(&mut self, message: &Message) -> Verdict {
        let Some(tracked) = decoded::<TrackedFinding>(message) else {
            let id = message.key_str().parse().map_err(text)?;
            self.tracked.remove(&id);
            return Ok(());
        };
        let id = tracked.finding;
        holds(message.key_str() == id.to_string(), || format!("I7: {id} is under {}", message.key_str()))?;
        let what = (tracked.asset.clone(), tracked.sighting.rule.clone());
        let known = *self.ids.entry(what.clone()).or_insert(id);
        holds(known == id, || format!("I7: {what:?} is {known}, and now {id}"))?;
        if let Some(before) = self.tracked.insert(id, tracked.clone()) {
            let is_same = (&before.asset, &before.sighting.rule) == (&tracked.asset, &tracked.sighting.rule);
            holds(is_same, || format!("I7: {id} was {}, and now is {}", before.sighting.rule, tracked.sighting.rule))?;
            holds(tracked.first_seen <= before.first_seen, || format!("I9: {id} was first seen earlier before"))?;
        }
        Ok(())
    }

    fn home(&mut self, message: &Message) {
        let finding = decoded::<Finding>(message);
        let Some((component, id)) = message.key_str().rsplit_once('|') else { return };
        let homes = self.homes.entry(id.parse().unwrap_or_default()).or_default();
        if finding.is_some_and(|finding| finding.end == FindingEnd::None) {
            homes.insert(component.to_owned());
        } else {
            homes.remove(component);
        }
    }

    /// I9: however a finding moves, it is in the components that TRACK says it belongs to, and in no other.
    fn i9(&self, message: &Message) -> Verdict {
        let Some(tracked) = decoded::<TrackedFinding>(message) else { return Ok(()) };
        let homes = self.homes.get(&tracked.finding);
        let said: BTreeSet<String> = tracked.components.iter().cloned().collect();
        let is_there = homes.is_some_and(|homes| *homes == said) || said.is_empty() && homes.is_none();
        holds(is_there, || format!("I9: {} belongs to {said:?} and is in {homes:?}", tracked.finding))
    }

    /// I4: the parts of a scan are a growing set, a finished scan stays finished, and an overtaken one is never applied.
    fn ledger(&mut self, message: &Message) -> Verdict {
        let Some(run) = decoded::<ScanRun>(message) else {
            self.runs.remove(message.key_str());
            return Ok(());
        };
        if let Some(before) = self.runs.insert(message.key_str().to_owned(), run.clone()) {
            let grows = before.parts_received.iter().all(|part| run.parts_received.contains(part));
            let goes_on = before.state == ScanState::Receiving || run.state != ScanState::Receiving;
            holds(grows && goes_on, || format!("I4: scan {} went back to {run:?}", message.key_str()))?;
        }
        if run.is_watermark {
            let at = (run.started_at, run.scan_id);
            let last = self.watermarks.entry((run.asset, run.scope)).or_insert_with(|| at.clone());
            holds(at >= *last, || format!("I4: scan {at:?} was applied after {last:?}"))?;
            *last = at;
        }
        Ok(())
    }

    /// I4: no revision of a ticket is there twice, none is skipped.
    fn ticket(&mut self, message: &Message) -> Verdict {
        let key = message.key_str().to_owned();
        let Some(value) = &message.value else {
            self.tickets.remove(&key);
            return Ok(());
        };
        let revision = serde_json::from_slice::<Ticket>(value).map_err(text)?.revision;
        let before = self.tickets.insert(key.clone(), revision).unwrap_or_default();
        holds(revision == before + 1, || format!("I4: ticket {key} went from revision {before} to {revision}"))
    }

    /// I8: nothing outlives what it hangs on: a remedy's member its risk, a part its unfinished scan.
    fn i8(&self) -> Verdict {
        let live = self.last.iter().filter(|(_, value)| value.is_some());
        for ((topic, key), _) in live {
            let key = String::from_utf8_lossy(key);
            match topic {
                Topic::Remedies => {
                    let risk = key.split_once('|').and_then(|(_, risk)| risk.parse().ok());
                    let lives = risk.is_some_and(|risk| self.risks.contains_key(&risk));
                    holds(lives, || format!("I8: the member {key} has no risk"))?;
                }
                Topic::Scans => {
                    let of = key.rsplit_once("|part-").and_then(|(scan, _)| self.runs.get(scan));
                    let is_waiting =
                        of.is_none_or(|run| matches!(run.state, ScanState::Receiving | ScanState::Suspect));
                    holds(is_waiting, || format!("I8: {key} is kept, its scan is finished"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn decoded<T: AvroRecord>(message: &Message) -> Option<T> {
    message.value.as_ref().map(|value| T::decode(value).unwrap())
}
