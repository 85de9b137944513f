//! Recomputes what is marked: surroundings first, then signals between code and web, then every dirty cell once, then
//! the risks that lost their findings to another.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_model::borrowed::Borrowed;
use tributary_model::finding::FindingEnd;
use tributary_model::id::RiskId;
use tributary_model::reject::Reject;
use tributary_model::sighting::FindingClass;
use tributary_model::time::Millis;
use tributary_stream::message::Outputs;

use super::cells::{Cell, Member};
use super::{Assess, Known, broadcast_cause};
use crate::assess::group::{self, CellId, Group};
use crate::assess::reading::{self, Reader};
use crate::assess::surroundings::{Statement, Surroundings};
use crate::assess::transition::{Cause, Gone, Next};
use crate::assess::{Finding, alias, confirm, snapshot};
use crate::graph::View;

/// What one settle collects over its cells.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Cells to recompute.
    pub(super) dirty: BTreeSet<CellId>,
    reader: Reader,
    /// The risks of findings that left.
    vacated: BTreeMap<CellId, Vec<RiskId>>,
    /// Risks without findings in the cell that had them.
    pub(super) vanished: BTreeMap<RiskId, Cause>,
    /// Where their findings went.
    pub(super) successors: BTreeMap<RiskId, RiskId>,
    /// Risks that have findings after this step.
    pub(super) alive: BTreeSet<RiskId>,
}

/// One cell while it is recomputed.
struct Draft<'a> {
    members: &'a [Member],
    findings: &'a [Finding<'a>],
    groups: &'a [Group],
    around: &'a Surroundings,
    statements: &'a [Statement],
    view: &'a View<'a>,
    cause: &'a Cause,
}

impl Assess {
    pub(super) fn settle_all(&mut self, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        let mut step = Step { dirty: self.dirty_cells.take(), ..Step::default() };
        for (cell, incoming) in std::mem::take(&mut self.incoming) {
            let vacated = self.cells.merge(cell, incoming);
            if !vacated.is_empty() {
                step.vacated.insert(cell, vacated);
            }
        }
        self.settle_known(&mut step);
        self.settle_components(&mut step, now);
        self.settle_signals(&mut step);
        for cell in std::mem::take(&mut step.dirty) {
            self.settle_cell(cell, &mut step, now, out)?;
        }
        self.settle_vanished(&step, now, out)?;
        self.retire(now, out);
        self.causes.clear();
        Ok(())
    }

    /// The first KEV catalogue, the first workload: what was unknown for everybody is known now. Another model judges everybody anew.
    fn settle_known(&mut self, step: &mut Step) {
        let known = Known {
            kev_read: self.estate.kev_read(),
            any_deployment: self.estate.graph().deployments_known(),
            model: self.estate.model(),
        };
        if known == self.known {
            return;
        }
        self.known = known;
        for component in self.cells.components() {
            self.dirty_components.mark(component);
        }
        step.dirty.extend(self.cells.ids());
    }

    fn settle_components(&mut self, step: &mut Step, now: Millis) {
        for component in self.dirty_components.take() {
            let assets = self.cells.assets_of(&component);
            debug_assert_eq!(assets, self.assets_in_records(&component), "what is kept beside the records");
            if assets.is_empty() {
                self.around.remove(&component);
                self.component_reads.set(&component, Vec::new());
            } else if self.read_surroundings(&component, &assets) {
                for cell in self.cells.of_component(&component) {
                    step.dirty.insert(cell);
                    self.causes.entry(cell).or_insert_with(|| broadcast_cause("component", now));
                }
            }
        }
    }

    /// What [`super::cells::Cells::assets_of`] saves the reading of.
    fn assets_in_records(&self, component: &str) -> BTreeSet<Arc<str>> {
        let cells = self.cells.of_component(component).into_iter().map(|cell| self.cells.get(&cell).members);
        cells.flat_map(|members| assets_of(&decoded(&members))).collect()
    }

    /// Reads what is around a component; whether it differs from before.
    fn read_surroundings(&mut self, component: &Arc<str>, assets: &BTreeSet<Arc<str>>) -> bool {
        let (around, keys) = reading::surroundings(&self.estate, component, assets);
        self.component_reads.set(component, keys);
        let differs = self.around.get(component).is_none_or(|known| **known != around);
        if differs {
            self.around.insert(Arc::clone(component), Arc::new(around));
        }
        differs
    }

    /// Surroundings that know every asset of these findings.
    fn surroundings(&mut self, component: &Arc<str>, findings: &[Finding<'_>]) -> Arc<Surroundings> {
        let known = self.around.get(component);
        let is_known =
            known.is_some_and(|around| findings.iter().all(|finding| around.assets.contains(finding.tracked.asset)));
        if !is_known {
            let mut assets = known.map(|around| around.assets.clone()).unwrap_or_default();
            assets.extend(assets_of(findings));
            self.read_surroundings(component, &assets);
        }
        self.around.get(component).cloned().unwrap_or_default()
    }

    fn settle_cell(&mut self, id: CellId, step: &mut Step, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        let cell = self.cells.get(&id);
        let cause = self.causes.get(&id).cloned().unwrap_or_default();
        let before = cell.members.iter().filter_map(|member| member.risk);
        let before: BTreeSet<RiskId> = before.chain(step.vacated.remove(&id).unwrap_or_default()).collect();
        let mut here = BTreeSet::new();
        if cell.members.is_empty() {
            self.cell_reads.set(&id, Vec::new());
        } else {
            let findings = decoded(&cell.members);
            here = self.recompute((id, &cell), &findings, &cause, step, now, out)?;
        }
        for risk in before.difference(&here) {
            step.vanished.entry(*risk).or_insert_with(|| cause.clone());
        }
        Ok(())
    }

    /// Groups, assesses and emits one cell; the risks it has now.
    fn recompute(
        &mut self,
        (id, cell): (CellId, &Cell),
        findings: &[Finding<'_>],
        cause: &Cause,
        step: &mut Step,
        now: Millis,
        out: &mut Outputs,
    ) -> Result<BTreeSet<RiskId>, Reject> {
        let around = self.surroundings(&cell.component, findings);
        let estate = Arc::clone(&self.estate);
        let view = estate.graph().view();
        let statements = statements(&view, &around, findings);
        // What leaves says where it went and no more: it is dropped after this step, so a name or a clock that came from it
        // would stand or fall with the next reason to look at the cell.
        let (stay, leave) = parted(&cell.members, findings);
        let groups = grouped(cell.class, &stay.findings, &stay.findings, &view, &mut step.reader);
        let left = grouped(cell.class, &leave.findings, findings, &view, &mut step.reader);
        let lives = |group: &Group| groups.iter().any(|other| other.risk == group.risk);
        let left: Vec<Group> = left.into_iter().filter(|group| !lives(group)).collect();
        for (part, groups) in [(&stay, &groups), (&leave, &left)] {
            let Part { members, findings } = part;
            let (around, statements, view) = (&around, &statements, &view);
            let draft = Draft { members, findings, groups, around, statements, view, cause };
            for group in groups {
                self.settle_group(&draft, group, step, now, out)?;
            }
        }
        self.keep(id, cell, &stay, &groups);
        self.cell_reads.set(&id, if stay.members.is_empty() { Vec::new() } else { view.reads() });
        Ok(groups.iter().chain(&left).map(|group| group.risk).collect())
    }

    fn settle_group(
        &mut self,
        draft: &Draft<'_>,
        group: &Group,
        step: &mut Step,
        now: Millis,
        out: &mut Outputs,
    ) -> Result<(), Reject> {
        let before = group.members.iter().filter_map(|at| draft.members[*at].risk);
        let others: BTreeSet<RiskId> = before.filter(|risk| *risk != group.risk).collect();
        let lives = |risk: &RiskId| draft.groups.iter().any(|other| other.risk == *risk);
        for other in others.iter().filter(|other| !lives(other)) {
            step.successors.insert(*other, group.risk);
        }
        let next = self.assess_group(draft, group, step);
        let leaves = group.members.iter().all(|at| draft.findings[*at].end != FindingEnd::None);
        if leaves {
            step.vanished.entry(group.risk).or_insert_with(|| draft.cause.clone());
        } else {
            step.alive.insert(group.risk);
            self.retiring.set(&group.risk, None);
        }
        let cause = Cause {
            from: others.first().copied(),
            from_lives: others.first().is_some_and(lives),
            ..draft.cause.clone()
        };
        self.emit(group.risk, next, &cause, now, out)
    }

    fn assess_group(&self, draft: &Draft<'_>, group: &Group, step: &mut Step) -> Next {
        if !group.members.iter().any(|at| group::counts(&draft.findings[*at])) {
            let evidence = snapshot::canonical(group, draft.findings).into_iter().map(snapshot::piece).collect();
            return Next::Gone(why_gone(group, draft.findings), evidence);
        }
        let ids = group.ids.iter().chain(&group.bundled);
        let intel = step.reader.intelligence(draft.view, self.known.kev_read, ids, draft.statements.to_vec());
        let confirmed = self.confirmed_by(draft.findings[0].component, group.risk);
        let model = self.known.model;
        match snapshot::assess(model, group, draft.findings, confirmed, draft.around, &intel) {
            Some(risk) => Next::Present(Box::new(risk)),
            None => Next::Gone(Gone::Closed, Vec::new()),
        }
    }

    fn confirmed_by(&self, component: &str, risk: RiskId) -> Vec<RiskId> {
        let Some(signals) = self.signals.get(component) else { return Vec::new() };
        let Some((_, own)) = signals.get(&risk) else { return Vec::new() };
        confirm::confirmed_by(own, signals.values().map(|(_, other)| other))
    }

    /// Remembers which risk each finding was given to; findings that moved away leave.
    fn keep(&mut self, id: CellId, cell: &Cell, stay: &Part<'_>, groups: &[Group]) {
        let mut risks: Vec<Option<RiskId>> = vec![None; stay.members.len()];
        for group in groups {
            for at in &group.members {
                risks[*at] = Some(group.risk);
            }
        }
        let is_same = stay.members.iter().zip(&risks).all(|(member, risk)| member.risk == *risk);
        if is_same && stay.members.len() == cell.members.len() {
            return;
        }
        let members = stay.members.iter().zip(risks).map(|(member, risk)| Member { risk, ..member.clone() }).collect();
        self.cells.put(id, Cell { members: Arc::new(members), ..cell.clone() });
    }
}

/// Findings that stay in the cell, or those that leave it, with their members.
struct Part<'a> {
    members: Cow<'a, [Member]>,
    findings: Cow<'a, [Finding<'a>]>,
}

/// Who stays, and who leaves. Mostly everybody stays, and nothing is copied.
fn parted<'a>(members: &'a [Member], findings: &'a [Finding<'a>]) -> (Part<'a>, Part<'a>) {
    if findings.iter().all(|finding| finding.end == FindingEnd::None) {
        let nobody = Part { members: Cow::Borrowed(&[]), findings: Cow::Borrowed(&[]) };
        return (Part { members: Cow::Borrowed(members), findings: Cow::Borrowed(findings) }, nobody);
    }
    let pairs = || members.iter().zip(findings);
    let of = |stays: bool| {
        let some = || pairs().filter(move |(_, finding)| (finding.end == FindingEnd::None) == stays);
        let members = some().map(|(member, _)| member.clone()).collect();
        Part { members: Cow::Owned(members), findings: some().map(|(_, finding)| finding.clone()).collect() }
    };
    (of(true), of(false))
}

/// The groups of some findings, under the names that `known` findings and intelligence give.
fn grouped(
    class: FindingClass,
    findings: &[Finding<'_>],
    known: &[Finding<'_>],
    view: &View<'_>,
    reader: &mut Reader,
) -> Vec<Group> {
    let mut aliases = alias::Aliases::default();
    if findings.is_empty() {
        return Vec::new();
    }
    if is_by_alias(class) {
        aliases = group::claimed_aliases(known);
        reader.aliases(view, &mut aliases);
    }
    group::groups(findings, &aliases)
}

/// The findings of a cell, one per member. What does not decode was refused on arrival, so the default never stands in; it keeps
/// positions aligned.
pub(super) fn decoded(members: &[Member]) -> Vec<Finding<'_>> {
    members.iter().map(|member| Finding::decode(&member.record).unwrap_or_default()).collect()
}

const fn is_by_alias(class: FindingClass) -> bool {
    matches!(class, FindingClass::Vulnerability | FindingClass::Malware | FindingClass::Host)
}

/// Statements about the component's images and about the cell's packages.
fn statements(view: &View<'_>, around: &Surroundings, findings: &[Finding<'_>]) -> Vec<Statement> {
    let mut statements = around.statements.clone();
    let packages = findings.iter().filter_map(|finding| finding.tracked.sighting.package.as_ref());
    let purls: BTreeSet<&str> = packages.flat_map(|package| [package.purl, package.source_purl]).collect();
    for purl in purls.into_iter().filter(|purl| !purl.is_empty()) {
        statements.extend(reading::statements(view, purl));
    }
    statements
}

/// Everything moved to one component, or closed.
fn why_gone(group: &Group, findings: &[Finding<'_>]) -> Gone {
    let mut members = group.members.iter().map(|at| &findings[*at]);
    let moved = |finding: &Finding<'_>| finding.end == FindingEnd::Moved && !finding.moved_to.is_empty();
    match members.clone().find(|finding| moved(finding)) {
        Some(leader) if members.all(|finding| finding.end == FindingEnd::Moved || !group::counts(finding)) => {
            Gone::Moved(group::risk_id_elsewhere(group, leader, leader.moved_to))
        }
        _ => Gone::Closed,
    }
}

/// Assets of a cell's members.
fn assets_of(findings: &[Finding<'_>]) -> BTreeSet<Arc<str>> {
    findings.iter().map(|finding| Arc::from(finding.tracked.asset)).collect()
}
