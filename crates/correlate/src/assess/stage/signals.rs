//! Keeps what code and web risks of a component show to each other, and marks the other side when that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_model::finding::FindingEnd;
use tributary_model::id::RiskId;
use tributary_model::sighting::FindingClass;

use super::Assess;
use super::settle::{Step, decoded};
use crate::assess::Finding;
use crate::assess::alias::Aliases;
use crate::assess::confirm::{self, Signal};
use crate::assess::group::{self, CellId, Group};

/// By risk, with its cell.
pub(super) type Signals = BTreeMap<RiskId, (CellId, Signal)>;

/// The signals that one cell has now.
type Fresh = Vec<(RiskId, (CellId, Signal))>;

impl Assess {
    /// Recomputes the signals of dirty cells. Cells on the other side that a changed signal confirms become dirty too;
    /// they have no new signals, so one pass is enough.
    pub(super) fn settle_signals(&mut self, step: &mut Step) {
        let mut fresh: BTreeMap<Arc<str>, (BTreeSet<CellId>, Fresh)> = BTreeMap::new();
        for id in &step.dirty {
            let cell = self.cells.get(id);
            if !matches!(cell.class, FindingClass::Web | FindingClass::Weakness) {
                continue;
            }
            let mut findings = decoded(&cell.members);
            findings.retain(|finding| finding.end == FindingEnd::None);
            let groups = group::groups(&findings, &Aliases::default());
            let signals = groups.iter().filter_map(|group| signal_of(group, &findings));
            let (cells, all) = fresh.entry(Arc::clone(&cell.component)).or_default();
            cells.insert(*id);
            all.extend(signals.map(|signal| (signal.risk, (*id, signal))));
        }
        for (component, (cells, signals)) in fresh {
            self.update_signals(&component, &cells, signals, step);
        }
    }

    fn update_signals(&mut self, component: &Arc<str>, cells: &BTreeSet<CellId>, fresh: Fresh, step: &mut Step) {
        let before = self.signals.get(component).cloned().unwrap_or_default();
        let mut after = Signals::clone(&before);
        after.retain(|_, (cell, _)| !cells.contains(cell));
        after.extend(fresh);
        if after == *before {
            return;
        }
        let all = || before.values().chain(after.values());
        let changed = before.keys().chain(after.keys()).filter(|risk| before.get(*risk) != after.get(*risk));
        for risk in changed.copied().collect::<BTreeSet<RiskId>>() {
            for (_, signal) in before.get(&risk).into_iter().chain(after.get(&risk)) {
                step.dirty.extend(all().filter(|(_, other)| confirm::confirms(signal, other)).map(|(cell, _)| *cell));
            }
        }
        if after.is_empty() {
            self.signals.remove(component);
        } else {
            self.signals.insert(Arc::clone(component), Arc::new(after));
        }
    }
}

fn signal_of(group: &Group, findings: &[Finding<'_>]) -> Option<Signal> {
    let counting: Vec<&Finding<'_>> =
        group.members.iter().map(|at| &findings[*at]).filter(|finding| group::counts(finding)).collect();
    confirm::signal(group.risk, group.class, &counting)
}
