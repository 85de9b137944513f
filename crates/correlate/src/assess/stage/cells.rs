//! The findings of one partition, by cell, with the risk each was last given to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use hashbrown::HashMap;
use tributary_model::id::{FindingId, IdHasher, RiskId};
use tributary_model::sighting::FindingClass;
use tributary_stream::table::Table;

use crate::assess::group::CellId;

/// Key of a finding in a component.
pub(super) type MemberKey = [u8; 16];

/// A hash, because component names and finding ids together are three times as long.
pub(super) fn member_key(component: &str, finding: FindingId) -> MemberKey {
    IdHasher::new("member").field(component).field(finding.0).finish()
}

/// A finding as kept.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its id.
    pub(super) finding: FindingId,
    /// The risk it was last given to; none before the first settle.
    pub(super) risk: Option<RiskId>,
    /// The asset it is on. Kept beside the record, because what surrounds a component is asked for by its assets whenever
    /// something around it changes, and reading every record for that was most of what ASSESS did under load.
    pub(super) asset: Arc<str>,
    /// The record, encoded.
    pub(super) record: Arc<[u8]>,
}

/// Members of one cell, ascending by finding.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    /// Name of the component.
    pub(super) component: Arc<str>,
    /// Kind of problem.
    pub(super) class: FindingClass,
    /// The members.
    pub(super) members: Arc<Vec<Member>>,
}

/// A record on its way into a cell.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// The asset that the finding is on.
    pub(super) asset: Arc<str>,
    /// The record, encoded.
    pub(super) record: Arc<[u8]>,
    /// The risk it was given to in the cell that it comes from.
    pub(super) risk: Option<RiskId>,
}

/// What a transaction brings to a cell: arrivals, or `None` where a finding left.
#[derive(Debug, Clone, Default)]
pub(super) struct Incoming {
    /// Set with the first arrival.
    pub(super) of: Option<(Arc<str>, FindingClass)>,
    /// By finding.
    pub(super) members: BTreeMap<FindingId, Option<Arrival>>,
}

/// All cells.
#[derive(Debug, Default)]
pub(super) struct Cells {
    by_id: Table<CellId, Cell>,
    homes: Table<MemberKey, CellId>,
    /// Cells by component. May name a cell that is empty or was rolled back: those are harmless, and dropped at commit.
    by_component: BTreeMap<Arc<str>, BTreeSet<CellId>>,
    emptied: Vec<(Arc<str>, CellId)>,
    /// Names of components and assets, each once.
    names: HashMap<Arc<str>, (), foldhash::fast::FixedState>,
    /// So many names were in use when they were last looked through.
    names_used: usize,
}

/// Names that nobody uses any more are dropped when there are twice as many as last time, and so many at least.
const NAMES_MIN: usize = 1_024;

impl Cells {
    /// The shared name of a component or an asset.
    pub(super) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some((shared, ())) = self.names.get_key_value(name) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&shared), ());
        shared
    }

    /// The cell that holds a finding.
    pub(super) fn home(&self, key: &MemberKey) -> Option<CellId> {
        self.homes.get(key).copied()
    }

    /// Says which cell holds a finding.
    pub(super) fn place(&mut self, key: MemberKey, cell: Option<CellId>) {
        match cell {
            Some(cell) if self.homes.get(&key) == Some(&cell) => {}
            Some(cell) => self.homes.insert(key, cell),
            None => self.homes.remove(&key),
        }
    }

    /// The cell; empty when there is none.
    pub(super) fn get(&self, id: &CellId) -> Cell {
        self.by_id.get(id).cloned().unwrap_or_default()
    }

    /// Every cell, ascending.
    pub(super) fn ids(&self) -> Vec<CellId> {
        let mut ids: Vec<CellId> = self.by_id.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The cells of a component, ascending.
    pub(super) fn of_component(&self, component: &str) -> Vec<CellId> {
        self.by_component.get(component).into_iter().flatten().copied().collect()
    }

    /// The assets that the findings of a component are on.
    pub(super) fn assets_of(&self, component: &str) -> BTreeSet<Arc<str>> {
        let mut assets = BTreeSet::new();
        let cells = self.by_component.get(component).into_iter().flatten().filter_map(|id| self.by_id.get(id));
        // One asset has many findings, all of which share its name: texts are compared once for each name, not for each finding.
        let mut seen = HashSet::<*const u8, foldhash::fast::RandomState>::default();
        for asset in cells.flat_map(|cell| cell.members.iter()).map(|member| &member.asset) {
            if seen.insert(asset.as_ptr()) {
                assets.insert(Arc::clone(asset));
            }
        }
        assets
    }

    /// Every component, ascending.
    pub(super) fn components(&self) -> Vec<Arc<str>> {
        self.by_component.keys().cloned().collect()
    }

    /// Brings in what a transaction brought; answers the risks of findings that left.
    pub(super) fn merge(&mut self, id: CellId, incoming: Incoming) -> Vec<RiskId> {
        let before = self.get(&id);
        let (component, class) = incoming.of.unwrap_or((before.component, before.class));
        let mut members: BTreeMap<FindingId, Member> =
            before.members.iter().map(|member| (member.finding, member.clone())).collect();
        let mut vacated = Vec::new();
        for (finding, arrival) in incoming.members {
            let known = members.get(&finding).and_then(|member| member.risk);
            if let Some(Arrival { asset, record, risk }) = arrival {
                members.insert(finding, Member { finding, risk: known.or(risk), asset, record });
            } else {
                vacated.extend(known);
                members.remove(&finding);
            }
        }
        self.put(id, Cell { component, class, members: Arc::new(members.into_values().collect()) });
        vacated
    }

    /// Whether a finding is here with exactly this record.
    pub(super) fn holds(&self, id: &CellId, finding: FindingId, record: &[u8]) -> bool {
        let Some(cell) = self.by_id.get(id) else { return false };
        let at = cell.members.binary_search_by_key(&finding, |member| member.finding);
        at.is_ok_and(|at| &cell.members[at].record[..] == record)
    }

    /// The risk that a finding was last given to.
    pub(super) fn risk_of(&self, id: &CellId, finding: FindingId) -> Option<RiskId> {
        let members = &self.by_id.get(id)?.members;
        members[members.binary_search_by_key(&finding, |member| member.finding).ok()?].risk
    }

    /// Replaces a cell; an empty one goes.
    pub(super) fn put(&mut self, id: CellId, cell: Cell) {
        if cell.members.is_empty() {
            self.by_id.remove(&id);
            self.emptied.push((cell.component, id));
        } else {
            self.by_component.entry(Arc::clone(&cell.component)).or_default().insert(id);
            self.by_id.insert(id, cell);
        }
    }

    /// Remembers which risk a finding was given to, as a loaded record says. False when the finding is not here.
    pub(super) fn assign(&mut self, key: &MemberKey, finding: FindingId, risk: RiskId) -> bool {
        let Some(id) = self.home(key) else { return false };
        let mut cell = self.get(&id);
        let members = Arc::make_mut(&mut cell.members);
        let Ok(at) = members.binary_search_by_key(&finding, |member| member.finding) else { return false };
        members[at].risk = Some(risk);
        self.by_id.insert(id, cell);
        true
    }

    /// All cells.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&CellId, &Cell)> {
        self.by_id.iter()
    }

    /// Which cell holds which finding.
    pub(super) fn homes(&self) -> impl Iterator<Item = (&MemberKey, &CellId)> {
        self.homes.iter()
    }

    /// Takes members of a cell from a snapshot, after those that it has.
    pub(super) fn adopt(&mut self, id: CellId, component: Arc<str>, class: FindingClass, mut members: Vec<Member>) {
        if let Some(known) = self.by_id.get(&id) {
            members.splice(..0, known.members.iter().cloned());
        }
        self.by_component.entry(Arc::clone(&component)).or_default().insert(id);
        self.by_id.load(id, Cell { component, class, members: Arc::new(members) });
    }

    /// Takes from a snapshot which cell holds a finding.
    pub(super) fn adopt_home(&mut self, key: MemberKey, cell: CellId) {
        self.homes.load(key, cell);
    }

    /// Cells, findings, findings of the largest cell and of the largest component.
    pub(super) fn sizes(&self) -> (usize, usize, usize, usize) {
        let sizes = self.by_id.iter().map(|(_, cell)| cell.members.len());
        let (total, cell) = sizes.fold((0, 0), |(total, largest), size| (total + size, largest.max(size)));
        let of = |ids: &BTreeSet<CellId>| -> usize {
            ids.iter().filter_map(|id| self.by_id.get(id)).map(|cell| cell.members.len()).sum()
        };
        let component = self.by_component.values().map(of).max().unwrap_or(0);
        (self.by_id.len(), total, cell, component)
    }

    /// Forgets the undo log; answers the components that have no finding any more.
    pub(super) fn commit(&mut self) -> Vec<Arc<str>> {
        let mut left = Vec::new();
        self.by_id.commit();
        self.homes.commit();
        for (component, id) in std::mem::take(&mut self.emptied) {
            if self.by_id.contains(&id) {
                continue;
            }
            if let Some(cells) = self.by_component.get_mut(&component) {
                cells.remove(&id);
                if cells.is_empty() {
                    self.by_component.remove(&component);
                    left.push(component);
                }
            }
        }
        if self.names.len() >= NAMES_MIN.max(2 * self.names_used) {
            self.names.retain(|name, ()| Arc::strong_count(name) > 1);
            self.names_used = self.names.len();
        }
        left
    }

    pub(super) fn rollback(&mut self) {
        self.by_id.rollback();
        self.homes.rollback();
        self.emptied.clear();
    }
}
