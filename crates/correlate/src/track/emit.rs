//! Settle: what context and time add to each finding, and the records that differ from the last ones written.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tributary_model::finding::{Departure, FindingEnd, FindingState, ToolClaim, TrackedFinding};
use tributary_model::id::FindingId;
use tributary_model::profile::AssetProfile;
use tributary_model::scan::ScanRun;
use tributary_model::sighting::FindingClass;
use tributary_model::time::{DAY, Millis};
use tributary_model::{CodecError, Topic};
use tributary_stream::message::{Output, Outputs};

use super::held::{self, DEPARTED_KEPT, Held};
use super::ledger::{self, SILENT_AFTER};
use super::members::Asset;
use super::stage::{Mark, Track, Work};
use super::{evidence, splice, usage, withdraw};

/// Components named in a line of the scan ledger.
const RUN_COMPONENTS: usize = 16;

impl Track {
    /// Works through the marks, then through the findings in work, then writes the ledger. Findings that only time or
    /// context touches are taken up one by one: a restart must not hold all of them decoded at once.
    pub(super) fn settle_all(&mut self, now: Millis, out: &mut Outputs) -> Result<(), CodecError> {
        let mut swept = BTreeSet::new();
        let mut due = BTreeSet::new();
        for mark in self.marks.take() {
            match mark {
                Mark::View(asset) => {
                    if self.refresh_view(&asset) {
                        swept.insert(Arc::clone(&asset));
                    }
                    if self.assets.get(&asset).is_some_and(|known| known.is_blank(&asset)) {
                        self.drop_asset_if_empty(&asset); // its only message said nothing
                    }
                }
                Mark::Sweep(asset) => {
                    let silence = self.next_silence(&asset, now);
                    self.timers.set(&Mark::Sweep(Arc::clone(&asset)), silence);
                    swept.insert(asset);
                }
                Mark::Finding(id) => drop(due.insert(id)),
                Mark::Run(key) => self.prune_run(&key, now),
            }
        }
        for asset in swept {
            let members: Vec<FindingId> = self.members.of(self.number(&asset)).collect();
            for id in members {
                due.remove(&id);
                self.finish_one(id, now, out)?;
            }
        }
        due.extend(self.open.keys());
        for id in due {
            self.finish_one(id, now, out)?;
        }
        self.emit_pending(out)
    }

    fn finish_one(&mut self, id: FindingId, now: Millis, out: &mut Outputs) -> Result<(), CodecError> {
        if self.open_finding(id)?.is_none() {
            self.timers.set(&Mark::Finding(id), None);
        }
        match self.open.remove(&id) {
            Some(work) => self.finish(id, *work, now, out),
            None => Ok(()),
        }
    }

    /// Asks the context about an asset again; says whether its findings are touched.
    fn refresh_view(&mut self, asset: &Arc<str>) -> bool {
        let Some(mut known) = self.assets.get(asset).cloned() else { return false };
        let graph = Arc::clone(&self.graph);
        let reader = graph.view();
        let view = reader.asset(asset);
        self.reads.set(asset, reader.reads());
        if known.view.as_deref() == Some(&view) {
            return false;
        }
        if view.standing.deployed && !known.profile.was_deployed {
            known.profile = Arc::new(AssetProfile { was_deployed: true, ..known.profile.as_ref().clone() });
            self.pending.profiles.insert(Arc::clone(asset));
        }
        known.view = Some(Arc::new(view));
        self.assets.insert(Arc::clone(asset), known);
        self.pending.covered.insert(Arc::clone(asset));
        true
    }

    /// When the next of the asset's scopes falls silent.
    pub(super) fn next_silence(&self, asset: &str, now: Millis) -> Option<Millis> {
        let scopes = self.assets.get(asset).map(|asset| Arc::clone(&asset.scopes)).unwrap_or_default();
        let known = scopes.iter().filter_map(|scope| self.scopes.get(&ledger::scope_key(asset, scope)));
        known.map(|scope| scope.active_at.saturating_add(SILENT_AFTER)).filter(|due| *due > now).min()
    }

    fn finish(&mut self, id: FindingId, work: Work, now: Millis, out: &mut Outputs) -> Result<(), CodecError> {
        let Work { mut tracked, contents } = work;
        let asset: Arc<str> =
            self.findings.get(&id).map_or_else(|| Arc::from(tracked.asset.as_str()), |h| h.asset.clone());
        let known = self.assets.get(&asset).cloned().unwrap_or_default();
        self.add_context(&mut tracked, &known, now);
        let departed = move_components(&mut tracked, &known, now);
        for component in take_due_departures(&mut tracked, now) {
            out.delete(Topic::Findings, &component, splice::key(&component, id));
        }
        if tracked.components.is_empty() && tracked.left.is_empty() {
            self.forget(id, &asset, known.number, out);
            return Ok(());
        }
        let next = Held::new(&tracked, Arc::clone(&asset), &contents)?;
        // What is due and yet stays (another source still claims it) is looked at again tomorrow.
        let due = next.due.map(|due| if due > now { due } else { now.saturating_add(DAY) });
        self.timers.set(&Mark::Finding(id), due);
        let is_same = self.findings.get(&id).is_some_and(|held| held.is_same_record(&next));
        if !is_same {
            emit_finding(&tracked, &departed, &next, out);
        }
        self.findings.insert(id, next);
        Ok(())
    }

    /// State, counting and run-time verdict, as context and time have them.
    fn add_context(&self, tracked: &mut TrackedFinding, known: &Asset, now: Millis) {
        let Some(view) = &known.view else { return };
        // It ran once and runs nowhere now: those who ran it say so, for an edge that merely lapsed is still an edge (F7).
        let is_superseded = known.profile.was_deployed && !view.standing.deployed;
        let mut present = tracked.claims.iter().filter(|claim| claim.present);
        let is_silent = present.all(|claim| self.is_silent(tracked, claim, now));
        let state = match evidence::claimed_state(tracked) {
            FindingState::Fixed => FindingState::Fixed,
            _ if is_superseded => FindingState::Superseded,
            FindingState::Active if is_silent => FindingState::Stale,
            claimed => claimed,
        };
        if state != tracked.state {
            tracked.state = state;
            tracked.state_since = now;
        }
        tracked.counts = view.standing.counts && !is_superseded;
        tracked.runtime = usage::verdict(tracked, &known.profile);
    }

    /// Whether nothing has been heard of a claim's source for long. Alerts are told once, so their silence says nothing;
    /// a run-time detection that is not repeated fades.
    fn is_silent(&self, tracked: &TrackedFinding, claim: &ToolClaim, now: Millis) -> bool {
        if claim.scope.is_empty() {
            let is_detection = tracked.sighting.class == FindingClass::Runtime;
            return is_detection && claim.observed_at.saturating_add(SILENT_AFTER) <= now;
        }
        let scope = self.scopes.get(&ledger::scope_key(&tracked.asset, &claim.scope));
        scope.is_none_or(|scope| scope.is_silent(now))
    }

    fn forget(&mut self, id: FindingId, asset: &str, number: u32, out: &mut Outputs) {
        self.findings.remove(&id);
        self.members.remove(number, id);
        self.timers.set(&Mark::Finding(id), None);
        out.delete(Topic::Tracked, asset, id.to_string());
        self.drop_asset_if_empty(asset);
    }

    fn emit_pending(&mut self, out: &mut Outputs) -> Result<(), CodecError> {
        let mut pending = std::mem::take(&mut self.pending);
        for asset in &pending.covered {
            let components = self.covered(asset);
            let is_other = |key: &String| self.runs.get(key).is_some_and(|run| run.components != components);
            let lines = self.watermarks(asset).into_iter().filter(is_other);
            pending.runs.extend(lines.map(|key| (key, Arc::clone(asset))));
        }
        for asset in pending.profiles {
            match self.assets.get(&asset) {
                Some(known) => out.put(Topic::Assets, &asset, asset.to_string(), known.profile.as_ref())?,
                None => out.delete(Topic::Assets, &asset, asset.to_string()),
            }
        }
        for ((run, part), asset) in pending.parts {
            self.emit_part(&asset, &run, part, out)?;
        }
        for (key, asset) in pending.runs {
            let Some(run) = self.runs.get(&key).cloned() else {
                out.delete(Topic::Scans, &asset, key);
                continue;
            };
            let components = self.covered(&run.asset);
            let run = ScanRun { components, ..run.as_ref().clone() };
            out.put(Topic::Scans, &run.asset, key.clone(), &run)?;
            self.runs.insert(key, Arc::new(run));
        }
        Ok(())
    }

    fn emit_part(&self, asset: &str, run: &str, part: u32, out: &mut Outputs) -> Result<(), CodecError> {
        let key = ledger::part_key(run, part);
        let seen = self.parts.get(run).and_then(|parts| parts.get(&part));
        let (Some(seen), Some(line)) = (seen, self.runs.get(run)) else {
            out.delete(Topic::Scans, asset, key);
            return Ok(());
        };
        let record = ScanRun {
            asset: line.asset.clone(),
            scope: line.scope.clone(),
            scan_id: line.scan_id.clone(),
            tool: line.tool.clone(),
            format: line.format.clone(),
            started_at: line.started_at,
            updated_at: line.updated_at,
            parts_received: vec![part],
            seen: seen.to_vec(),
            ..ScanRun::default()
        };
        out.put(Topic::Scans, &record.asset, key, &record)
    }

    /// The components that a scan of this asset is about.
    fn covered(&self, asset: &str) -> Vec<String> {
        let Some(view) = self.assets.get(asset).and_then(|known| known.view.clone()) else { return Vec::new() };
        let mut components: Vec<String> = view.routes.iter().flat_map(|route| route.components.clone()).collect();
        if components.is_empty() {
            components.push(view.own_name.clone());
        }
        components.sort_unstable();
        components.dedup();
        components.truncate(RUN_COMPONENTS);
        components
    }
}

/// Gives the finding to the components it belongs to now. Answers those it has just left, with their new place; empty
/// when it is forgotten.
fn move_components(tracked: &mut TrackedFinding, known: &Asset, now: Millis) -> Vec<(String, String)> {
    let Some(view) = &known.view else { return Vec::new() };
    let is_forgotten = held::is_closed(tracked) && held::forgotten_at(tracked) <= now;
    let attribution = view.attribute(&withdraw::path_of(tracked));
    let components = if is_forgotten { Vec::new() } else { attribution.components };
    attribution.by.clone_into(&mut tracked.attributed_by);
    let new_place = components.first().cloned().unwrap_or_default();
    let gone = tracked.components.iter().filter(|old| !components.contains(old)).cloned();
    let departed: Vec<(String, String)> = gone.map(|old| (old, new_place.clone())).collect();
    tracked.left.retain(|left| !components.contains(&left.component));
    tracked.left.extend(departed.iter().map(|(component, _)| Departure { component: component.clone(), at: now }));
    tracked.left.sort_unstable();
    tracked.components = components;
    departed
}

/// Components whose tombstone is due, ascending.
fn take_due_departures(tracked: &mut TrackedFinding, now: Millis) -> Vec<String> {
    let (due, left) = std::mem::take(&mut tracked.left)
        .into_iter()
        .partition(|left: &Departure| left.at.saturating_add(DEPARTED_KEPT) <= now);
    tracked.left = left;
    due.into_iter().map(|left| left.component).collect()
}

fn emit_finding(tracked: &TrackedFinding, departed: &[(String, String)], held: &Held, out: &mut Outputs) {
    let id = tracked.finding;
    out.push(Output {
        topic: Topic::Tracked,
        partition_key: tracked.asset.clone(),
        key: Bytes::from(id.to_string()),
        value: Some(held.record().clone()),
        headers: Vec::new(),
    });
    for component in &tracked.components {
        splice::put(component, FindingEnd::None, "", tracked, held.record(), out);
    }
    for (component, moved_to) in departed {
        let end = if moved_to.is_empty() { FindingEnd::Forgotten } else { FindingEnd::Moved };
        splice::put(component, end, moved_to, tracked, held.record(), out);
    }
}
