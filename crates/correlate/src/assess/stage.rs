//! The stage: cells of findings in, records of risks kept, differences out.
//!
//! A cell is recomputed once per step, however many of its findings, facts or neighbours changed. Findings are kept as
//! they came, encoded: they are read only when their cell is recomputed, and memory is what counts (I8).

mod cells;
mod emit;
mod saved;
mod settle;
mod signals;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tributary_model::borrowed::{self, Borrowed};
use tributary_model::finding::FindingEnd;
use tributary_model::id::{FindingId, RiskId};
use tributary_model::reject::{Origin, Reject};
use tributary_model::risk::RiskState;
use tributary_model::sighting::FindingClass;
use tributary_model::time::{DAY, Millis};
use tributary_model::topic::Topic;
use tributary_stream::message::{Message, Outputs};
use tributary_stream::stage::{ASSESS, NotAPiece, Stage};
use tributary_stream::table::Table;

use super::Finding;
use super::decide::Model;
use super::estate::Estate;
use super::group::CellId;
use super::place::Place;
use super::surroundings::Surroundings;
use super::transition::Cause;
use crate::graph::Reads;
use crate::{Marks, Timers, malformed};
use cells::{Arrival, Cells, Incoming};
use signals::Signals;

const NAME: &str = ASSESS.name;

/// How long the record of a closed risk outlives its last finding: as long as a reopening keeps its clock. Shorter
/// would restart clocks, longer only costs memory.
const RETIRE_AFTER: Millis = 30 * DAY;

/// ASSESS's state of one partition.
#[derive(Debug)]
pub struct Assess {
    estate: Arc<Estate>,
    cells: Cells,
    /// What this transaction brought, by cell, until settle.
    incoming: BTreeMap<CellId, Incoming>,
    /// The last record told of each risk, encoded.
    risks: Table<RiskId, Bytes>,
    /// What is around each component.
    around: Table<Arc<str>, Arc<Surroundings>>,
    signals: Table<Arc<str>, Arc<Signals>>,
    cell_reads: Reads<CellId>,
    component_reads: Reads<Arc<str>>,
    dirty_cells: Marks<CellId>,
    dirty_components: Marks<Arc<str>>,
    /// Closed risks without findings, and when their records go.
    retiring: Timers<RiskId>,
    /// Why a cell is dirty; the last reason is named.
    causes: BTreeMap<CellId, Cause>,
    /// Open risks that a restore found without any finding.
    orphans: Marks<RiskId>,
    known: Known,
    committed_known: Known,
}

/// Facts about the whole estate at the last settle: when one changes, everything is recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Known {
    kev_read: bool,
    any_deployment: bool,
    model: Model,
}

impl Assess {
    /// An empty partition.
    #[must_use]
    pub fn new(estate: Arc<Estate>) -> Self {
        Self {
            estate,
            cells: Cells::default(),
            incoming: BTreeMap::new(),
            risks: Table::default(),
            around: Table::default(),
            signals: Table::default(),
            cell_reads: Reads::default(),
            component_reads: Reads::default(),
            dirty_cells: Marks::default(),
            dirty_components: Marks::default(),
            retiring: Timers::default(),
            causes: BTreeMap::new(),
            orphans: Marks::default(),
            known: Known::default(),
            committed_known: Known::default(),
        }
    }

    /// Takes a finding, or its end; answers the cells that it changed and when it says so. It is not decoded before its cell is
    /// settled: a batch of decoded findings is several times its records, all of it fresh memory.
    fn take(&mut self, message: &Message) -> Result<(Vec<CellId>, Millis), Reject> {
        let Some(value) = &message.value else {
            return Ok((self.take_tombstone(message), message.timestamp));
        };
        let finding = Finding::decode(value).map_err(|error| malformed(NAME, message, error))?;
        if finding.component.is_empty() {
            return Err(malformed(NAME, message, "a finding without a component: TRACK always names one"));
        }
        let id = finding.tracked.finding;
        let place = Place::from(&finding);
        let arriving = Arriving {
            component: stays(finding.end).then(|| self.cells.shared(finding.component)),
            asset: self.cells.shared(finding.tracked.asset),
            key: cells::member_key(finding.component, id),
            cell: place.cell(),
            class: place.class(),
            id,
            end: finding.end,
        };
        Ok((self.arrive(arriving, value), event_time(&finding)))
    }

    /// Puts a finding where it belongs; answers the cells that it changed.
    fn arrive(&mut self, arriving: Arriving, value: &[u8]) -> Vec<CellId> {
        let Arriving { component, asset, key, cell, class, id, end } = arriving;
        let old = self.cells.home(&key);
        let is_known = old == Some(cell) && !self.incoming.contains_key(&cell) && self.cells.holds(&cell, id, value);
        if is_known {
            return Vec::new();
        }
        let mut changed = Vec::new();
        let risk = old.and_then(|old| self.risk_of(old, id));
        if let Some(old) = old.filter(|old| *old != cell || component.is_none()) {
            self.incoming.entry(old).or_default().members.insert(id, None);
            changed.push(old);
        }
        if let Some(component) = component {
            let incoming = self.incoming.entry(cell).or_default();
            incoming.of = Some((component, class));
            incoming.members.insert(id, Some(Arrival { asset, record: Arc::from(value), risk }));
            changed.push(cell);
        }
        self.cells.place(key, (end == FindingEnd::None).then_some(cell));
        changed
    }

    fn take_tombstone(&mut self, message: &Message) -> Vec<CellId> {
        let Some((component, finding)) = message.key_str().rsplit_once('|') else { return Vec::new() };
        let Ok(finding) = finding.parse::<FindingId>() else { return Vec::new() };
        let key = cells::member_key(component, finding);
        let Some(cell) = self.cells.home(&key) else { return Vec::new() };
        self.incoming.entry(cell).or_default().members.insert(finding, None);
        self.cells.place(key, None);
        vec![cell]
    }

    /// The risk that a finding was last given to, also when it has just arrived from another cell.
    fn risk_of(&self, cell: CellId, finding: FindingId) -> Option<RiskId> {
        let arriving = self.incoming.get(&cell).and_then(|incoming| incoming.members.get(&finding));
        let carried = arriving.and_then(|arrival| arrival.as_ref()?.risk);
        self.cells.risk_of(&cell, finding).or(carried)
    }

    fn mark(&mut self, cell: CellId, cause: Cause) {
        self.dirty_cells.mark(cell);
        self.causes.insert(cell, cause);
    }

    fn load_risk(&mut self, message: &Message) -> Result<(), Reject> {
        let Ok(id) = message.key_str().parse::<RiskId>() else {
            return Err(malformed(NAME, message, "the key of a risk is not a risk id"));
        };
        let Some(value) = &message.value else {
            self.risks.remove(&id);
            return Ok(());
        };
        borrowed::Risk::decode(value).map_err(|error| malformed(NAME, message, error))?;
        self.risks.insert(id, Bytes::copy_from_slice(value)); // not a part of the block that it was read in
        Ok(())
    }

    /// Gives findings back the risks that their evidence names, finds open risks without any, starts the timers of the
    /// closed ones. What a restore cannot know (evidence beyond a record's bound) the first settle finds out.
    fn adopt(&mut self) {
        let mut risks: Vec<(RiskId, Bytes)> = self.risks.iter().map(|(id, record)| (*id, record.clone())).collect();
        risks.sort_by_key(|(id, _)| *id);
        for (id, record) in risks {
            let Ok(risk) = borrowed::Risk::decode(&record) else { continue };
            if risk.state == RiskState::Resolved {
                self.retiring.set(&id, Some(retires_at(risk.resolved_at, risk.decided_at)));
                continue;
            }
            let mut has_finding = false;
            for finding in risk.evidence.iter().filter_map(|evidence| evidence.finding.parse().ok()) {
                let key = cells::member_key(risk.component, finding);
                has_finding |= self.cells.assign(&key, finding, id);
            }
            if !has_finding {
                self.orphans.mark(id);
            }
        }
    }
}

/// When the record of a closed risk without findings goes.
fn retires_at(resolved_at: Option<Millis>, decided_at: Millis) -> Millis {
    resolved_at.unwrap_or(decided_at).saturating_add(RETIRE_AFTER)
}

/// A moved finding is looked at once more, to say where it went.
fn stays(end: FindingEnd) -> bool {
    end != FindingEnd::Forgotten
}

/// A finding on its way to its cell.
struct Arriving {
    /// `None` if it only leaves.
    component: Option<Arc<str>>,
    asset: Arc<str>,
    key: cells::MemberKey,
    cell: CellId,
    class: FindingClass,
    id: FindingId,
    end: FindingEnd,
}

/// Event time of what a finding says last.
fn event_time(finding: &Finding<'_>) -> Millis {
    let claims = finding.tracked.claims.iter().map(|claim| claim.observed_at);
    claims.chain([finding.tracked.state_since, finding.tracked.first_seen]).max().unwrap_or_default()
}

/// The cause where context or intelligence moved: their records have no coordinates here.
fn broadcast_cause(entity: &str, now: Millis) -> Cause {
    let topic = if entity.starts_with("vuln:") { Topic::Intel } else { Topic::Context };
    let origin = Origin { topic: topic.name().to_owned(), partition: 0, offset: -1 };
    Cause { origin, event_at: now, ..Cause::default() }
}

impl Stage for Assess {
    fn name(&self) -> &'static str {
        NAME
    }

    fn load(&mut self, message: &Message) -> Result<(), Reject> {
        // Nothing is marked while loading, because everything will be.
        if message.topic == Topic::Risks { self.load_risk(message) } else { self.take(message).map(drop) }
    }

    fn restored(&mut self, _now: Millis) {
        self.estate.refresh();
        let incoming = std::mem::take(&mut self.incoming);
        for (cell, incoming) in incoming {
            self.cells.merge(cell, incoming);
        }
        self.causes.clear();
        self.adopt();
        for cell in self.cells.ids() {
            self.dirty_cells.mark(cell);
        }
        self.commit(); // with these marks: no input repeats them after a rollback
    }

    fn apply(&mut self, message: &Message, _now: Millis) -> Result<(), Reject> {
        let (changed, event_at) = self.take(message)?;
        for cell in changed {
            self.mark(cell, Cause { origin: message.origin(), event_at, ..Cause::default() });
        }
        Ok(())
    }

    fn notice(&mut self, entities: &[String], now: Millis) {
        self.estate.notice(entities);
        for entity in entities {
            let mut keys = self.estate.graph().touched_by(entity);
            keys.extend(self.estate.base_keys(entity));
            for cell in self.cell_reads.touched(&keys) {
                self.dirty_cells.mark(cell);
                self.causes.entry(cell).or_insert_with(|| broadcast_cause(entity, now));
            }
            for component in self.component_reads.touched(&keys) {
                self.dirty_components.mark(component);
            }
        }
    }

    fn next_timer(&self) -> Option<Millis> {
        self.retiring.next()
    }

    fn wake(&mut self, _now: Millis) {} // settle retires what is due

    fn settle(&mut self, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        self.settle_all(now, out)
    }

    fn commit(&mut self) {
        for component in self.cells.commit() {
            self.around.remove(&component);
            self.component_reads.set(&component, Vec::new());
        }
        self.risks.commit();
        self.around.commit();
        self.signals.commit();
        self.cell_reads.commit();
        self.component_reads.commit();
        self.dirty_cells.commit();
        self.dirty_components.commit();
        self.retiring.commit();
        self.orphans.commit();
        self.committed_known = self.known;
    }

    fn rollback(&mut self) {
        self.cells.rollback();
        self.risks.rollback();
        self.around.rollback();
        self.signals.rollback();
        self.cell_reads.rollback();
        self.component_reads.rollback();
        self.dirty_cells.rollback();
        self.dirty_components.rollback();
        self.retiring.rollback();
        self.orphans.rollback();
        self.incoming.clear();
        self.causes.clear();
        self.known = self.committed_known;
    }

    fn save(&self, put: &mut dyn FnMut(&[u8])) {
        saved::save(self, put);
    }

    fn adopt(&mut self, piece: &[u8]) -> Result<usize, NotAPiece> {
        saved::adopt(self, piece)
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let (cells, findings, largest_cell, largest_component) = self.cells.sizes();
        vec![
            ("findings", findings),
            ("cells", cells),
            ("largest_cell", largest_cell),
            ("largest_component", largest_component),
            ("components", self.around.len()),
            ("risks", self.risks.len()),
        ]
    }
}

#[cfg(test)]
mod tests;
