//! The scan ledger: parts, ends, order, withdrawal.

use std::sync::Arc;

use tributary_model::CodecError;
use tributary_model::id::FindingId;
use tributary_model::observation::Observation;
use tributary_model::scan::{ScanRef, ScanRun, ScanState};
use tributary_model::sighting::Sighting;
use tributary_model::time::{DAY, HOUR, Millis};

use super::evidence::{self, Saying};
use super::ledger::{self, RUN_KEPT, SILENT_AFTER, Scope};
use super::sightings::Seen;
use super::stage::{Mark, Parts, Track};
use super::{digest, withdraw};

/// How long the watermark of a scope outlives its last message when its asset has no finding left: then it only says
/// that the asset was once scanned, and coverage has long called it unscanned.
const WATERMARK_KEPT: Millis = 180 * DAY;

/// The same report twice within this time is one delivery repeated. Shorter, and an upload that was tried again would be
/// a scan of its own; longer, and a repository that is scanned every night without a change would seem unscanned.
const DELIVERED_WITHIN: Millis = 12 * HOUR;

impl Track {
    /// One message of a scan. A scan that is finished, and a part that was received, change nothing (F2), unless the
    /// same report comes back after another one.
    pub(super) fn scan_part(
        &mut self,
        asset: &Arc<str>,
        observation: &Observation,
        sightings: Vec<Sighting>,
        by: &Saying,
        now: Millis,
    ) -> Result<(), CodecError> {
        let Some(scan) = &observation.scan else { return Ok(()) };
        let key = ledger::run_key(asset, scan);
        let known = self.runs.get(&key).filter(|run| !self.comes_back(scan, run)).cloned();
        let mut run = known.map_or_else(|| new_run(observation, scan), |run| run.as_ref().clone());
        if run.state != ScanState::Receiving {
            return Ok(());
        }
        let Err(place) = run.parts_received.binary_search(&observation.part) else { return Ok(()) };
        let count = sightings.len() as u32;
        let seen = self.see_all(sightings, by)?;
        run.parts_received.insert(place, observation.part);
        run.sightings += count;
        run.new += seen.new;
        run.unchanged += seen.unchanged;
        run.reopened += seen.reopened;
        run.updated_at = now;
        if let Some(end) = &observation.completed {
            run.parts_expected = end.parts;
            run.classes.clone_from(&end.classes);
            run.completed = Some(end.clone());
        }
        self.hold_part(asset, &key, observation.part, seen);
        if ledger::is_whole(&run) {
            self.finish_scan(asset, &key, &mut run, by)?;
        }
        self.put_run(asset, key, run, now);
        Ok(())
    }

    /// A report that says nothing of its time is known by its content, and that comes again byte for byte: when a fix is
    /// reverted, the report of the day before; every night, where nothing changes. It is a new scan if it began after
    /// another one had replaced it, or later than anyone delivers the same thing twice.
    fn comes_back(&self, scan: &ScanRef, known: &ScanRun) -> bool {
        let scope = self.scopes.get(&ledger::scope_key(&known.asset, &scan.scope));
        let watermark = scope.and_then(|scope| scope.watermark.as_ref());
        let was_replaced = watermark.is_some_and(|(since, _)| known.started_at < *since && *since < scan.started_at);
        let is_next_day = scan.started_at.saturating_sub(known.started_at) >= DELIVERED_WITHIN;
        known.state != ScanState::Receiving && (was_replaced || is_next_day)
    }

    /// Settles what a scan with all its parts withdraws.
    fn finish_scan(&mut self, asset: &Arc<str>, key: &str, run: &mut ScanRun, by: &Saying) -> Result<(), CodecError> {
        let Some(end) = run.completed.take() else { return Ok(()) };
        let scan = ScanRef { scan_id: run.scan_id.clone(), scope: run.scope.clone(), started_at: run.started_at };
        let scope = self.scopes.get(&ledger::scope_key(by.asset, &scan.scope)).cloned().unwrap_or_default();
        let seen = self.seen_by(key);
        run.state = if !end.complete {
            ScanState::Partial
        } else if scope.is_older(&scan) {
            ScanState::Outdated
        } else {
            let (gone, total) = self.unseen(&end, &seen, by)?;
            let total = total.saturating_sub((run.new + run.reopened) as usize);
            let suspect = scope.suspect.as_ref().filter(|suspect| suspect.0 < (scan.started_at, scan.scan_id.clone()));
            let seen_before = suspect.map(|suspect| self.seen_by(&suspect.1));
            if withdraw::confirmed(&gone, total, seen_before.as_deref()) {
                run.gone = self.withdraw_all(&gone, by)?;
                run.is_watermark = true;
                if let Some((_, suspect)) = scope.suspect {
                    self.drop_parts(asset, &suspect);
                }
                ScanState::Applied
            } else {
                metrics::counter!("tributary_track_suspect_scans_total").increment(1);
                ScanState::Suspect
            }
        };
        if run.state != ScanState::Suspect {
            self.drop_parts(asset, key);
        }
        Ok(())
    }

    /// Findings that this scope claims and that the scan had to see but did not; and how many of the kind it claims.
    fn unseen(
        &mut self,
        end: &tributary_model::scan::ScanCompleted,
        seen: &[FindingId],
        by: &Saying,
    ) -> Result<(Vec<FindingId>, usize), CodecError> {
        let claimant = digest::claimant(by.tool, by.scope);
        let members: Vec<FindingId> = self.members.of(self.number(by.asset)).collect();
        let (mut gone, mut total) = (Vec::new(), 0);
        for id in members {
            let is_open = self.open.contains_key(&id);
            let held = self.findings.get(&id).filter(|_| !is_open);
            if held.is_some_and(|held| !held.is_claimed_by(claimant) || !end.classes.contains(&held.class)) {
                continue;
            }
            if seen.binary_search(&id).is_ok() {
                total += 1;
                continue;
            }
            let decoded;
            let tracked = match (self.open.get(&id), held) {
                (Some(work), _) => &work.tracked,
                (None, Some(held)) => {
                    decoded = held.decode()?;
                    &decoded
                }
                (None, None) => continue,
            };
            let claim = tracked.claims.iter().find(|claim| claim.tool == by.tool && claim.scope == by.scope);
            let is_claimed = claim.is_some_and(|claim| claim.present) && end.classes.contains(&tracked.sighting.class);
            total += usize::from(is_claimed);
            // A partial scan that began later may have seen it.
            let is_older = claim.is_some_and(|claim| claim.observed_at <= by.at);
            if is_claimed && is_older && withdraw::had_to_see(end, tracked, by.tool, by.scope) {
                gone.push(id);
            }
        }
        Ok((gone, total))
    }

    fn withdraw_all(&mut self, gone: &[FindingId], by: &Saying) -> Result<u32, CodecError> {
        let mut withdrawn = 0;
        for id in gone {
            if let Some(work) = self.open_finding(*id)?
                && evidence::withdraw(&mut work.tracked, by)
            {
                evidence::follow_claims(&mut work.tracked, by.at);
                withdrawn += 1;
            }
        }
        Ok(withdrawn)
    }

    /// Writes a line of the ledger and what derives from it.
    fn put_run(&mut self, asset: &Arc<str>, key: String, run: ScanRun, now: Millis) {
        let scope_key = ledger::scope_key(asset, &run.scope);
        let mut scope = self.scopes.get(&scope_key).cloned().unwrap_or_default();
        let replaced = scope.watermark.clone();
        scope.take(&key, &run);
        if replaced != scope.watermark
            && let Some((started_at, scan_id)) = replaced
        {
            let old = ScanRef { scan_id, scope: run.scope.clone(), started_at };
            self.timers.set(&Mark::Run(ledger::run_key(asset, &old)), Some(run.updated_at.saturating_add(RUN_KEPT)));
        }
        self.timers.set(&Mark::Run(key.clone()), Some(run_due(&scope, &run)));
        if let Some(mut known) = self.assets.get(asset).cloned()
            && !known.scopes.contains(&run.scope)
        {
            Arc::make_mut(&mut known.scopes).insert(run.scope.clone());
            self.assets.insert(Arc::clone(asset), known);
        }
        self.scopes.insert(scope_key, scope);
        let due = self.next_silence(asset, now);
        self.timers.set(&Mark::Sweep(Arc::clone(asset)), due);
        self.runs.insert(key.clone(), Arc::new(run));
        self.pending.runs.insert(key, Arc::clone(asset));
    }

    /// A line of the ledger is due: it goes unless something still depends on it.
    pub(super) fn prune_run(&mut self, key: &str, now: Millis) {
        let Some(run) = self.runs.get(key).cloned() else {
            self.timers.set(&Mark::Run(key.to_owned()), None);
            return;
        };
        let scope_key = ledger::scope_key(&run.asset, &run.scope);
        let mut scope = self.scopes.get(&scope_key).cloned().unwrap_or_default();
        let due = run_due(&scope, &run);
        let is_watermark = scope.watermark.as_ref().is_some_and(|mark| is_run(mark, &run));
        let is_needed = is_watermark && self.members.of(self.number(&run.asset)).next().is_some();
        if due > now || is_needed {
            let again = if due > now { due } else { now.saturating_add(RUN_KEPT) };
            self.timers.set(&Mark::Run(key.to_owned()), Some(again));
            return;
        }
        let asset: Arc<str> = Arc::from(run.asset.as_str());
        self.drop_parts(&asset, key);
        self.runs.remove(key);
        self.pending.runs.insert(key.to_owned(), asset);
        self.timers.set(&Mark::Run(key.to_owned()), None);
        scope.suspect.take_if(|suspect| suspect.1 == key);
        let is_empty = (is_watermark || scope.watermark.is_none()) && scope.active_at <= run.updated_at;
        if is_empty {
            self.scopes.remove(&scope_key);
            self.forget_scope(&run.asset, &run.scope);
        } else {
            self.scopes.insert(scope_key, scope);
        }
    }

    fn forget_scope(&mut self, asset: &str, scope: &str) {
        if let Some(mut known) = self.assets.get(asset).cloned() {
            Arc::make_mut(&mut known.scopes).remove(scope);
            self.assets.insert(Arc::from(asset), known);
            self.drop_asset_if_empty(asset);
        }
    }

    /// Forgets an asset with neither findings nor scans.
    pub(super) fn drop_asset_if_empty(&mut self, asset: &str) {
        let Some(known) = self.assets.get(asset) else { return };
        if known.scopes.is_empty() && self.members.of(known.number).next().is_none() {
            let key: Arc<str> = Arc::from(asset);
            let is_written = !known.is_blank(asset);
            self.assets.remove(asset);
            self.reads.set(&key, Vec::new());
            self.timers.set(&Mark::Sweep(Arc::clone(&key)), None);
            if is_written {
                self.pending.profiles.insert(key);
            }
        }
    }

    /// Lines of the ledger that are the watermark of a scope of this asset.
    pub(super) fn watermarks(&self, asset: &str) -> Vec<String> {
        let scopes = self.assets.get(asset).map(|asset| Arc::clone(&asset.scopes)).unwrap_or_default();
        let keys = scopes.iter().filter_map(|scope| {
            let (started_at, scan_id) = self.scopes.get(&ledger::scope_key(asset, scope))?.watermark.clone()?;
            Some(ledger::run_key(asset, &ScanRef { scan_id, scope: scope.clone(), started_at }))
        });
        keys.collect()
    }

    /// Scopes and timers from the ledger, after a restore.
    pub(super) fn derive_scopes(&mut self) {
        let mut runs: Vec<(String, Arc<ScanRun>)> =
            self.runs.iter().map(|(key, run)| (key.clone(), Arc::clone(run))).collect();
        runs.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, run) in &runs {
            let asset = self.asset_key(&run.asset);
            let scope_key = ledger::scope_key(&asset, &run.scope);
            let mut scope = self.scopes.get(&scope_key).cloned().unwrap_or_default();
            scope.take(key, run);
            if let Some(mut known) = self.assets.get(&asset).cloned() {
                Arc::make_mut(&mut known.scopes).insert(run.scope.clone());
                self.assets.insert(Arc::clone(&asset), known);
            }
            self.scopes.insert(scope_key, scope);
            let due = self.next_silence(&asset, Millis::MIN);
            self.timers.set(&Mark::Sweep(asset), due);
        }
        for (key, run) in runs {
            let scope = self.scopes.get(&ledger::scope_key(&run.asset, &run.scope)).cloned().unwrap_or_default();
            self.timers.set(&Mark::Run(key), Some(run_due(&scope, &run)));
        }
    }

    fn hold_part(&mut self, asset: &Arc<str>, run: &str, part: u32, seen: Seen) {
        let mut parts: Parts = self.parts.get(run).map(|parts| parts.as_ref().clone()).unwrap_or_default();
        // Of a suspect that comes again, the record is on the log already and needs its tombstone.
        if parts.insert(part, seen.ids.into()).is_none() {
            self.pending.fresh_parts.insert((run.to_owned(), part));
        }
        self.parts.insert(run.to_owned(), Arc::new(parts));
        self.pending.parts.insert((run.to_owned(), part), Arc::clone(asset));
    }

    fn drop_parts(&mut self, asset: &Arc<str>, run: &str) {
        let Some(parts) = self.parts.get(run).cloned() else { return };
        self.parts.remove(run);
        for part in parts.keys().map(|part| (run.to_owned(), *part)) {
            if self.pending.fresh_parts.remove(&part) {
                self.pending.parts.remove(&part);
            } else {
                self.pending.parts.insert(part, Arc::clone(asset));
            }
        }
    }

    /// Everything that the parts of a scan saw, ascending.
    fn seen_by(&self, run: &str) -> Vec<FindingId> {
        let parts = self.parts.get(run);
        let mut seen: Vec<FindingId> =
            parts.iter().flat_map(|parts| parts.values()).flat_map(|seen| seen.iter().copied()).collect();
        seen.sort_unstable(); // nothing to do for the usual one part
        seen.dedup();
        seen
    }
}

fn new_run(observation: &Observation, scan: &ScanRef) -> ScanRun {
    ScanRun {
        asset: observation.asset.clone(),
        scope: scan.scope.clone(),
        scan_id: scan.scan_id.clone(),
        tool: observation.tool.clone(),
        format: observation.format.clone(),
        started_at: scan.started_at,
        ..ScanRun::default()
    }
}

fn is_run(order: &ledger::Order, run: &ScanRun) -> bool {
    (order.0, order.1.as_str()) == (run.started_at, run.scan_id.as_str())
}

/// The watermark stays long, the last sign of life until the scope counts as silent, the rest as long as it may be
/// delivered again.
fn run_due(scope: &Scope, run: &ScanRun) -> Millis {
    let is_watermark = scope.watermark.as_ref().is_some_and(|mark| is_run(mark, run));
    let kept = match (is_watermark, scope.active_at == run.updated_at) {
        (true, _) => WATERMARK_KEPT,
        (false, true) => SILENT_AFTER,
        (false, false) => RUN_KEPT,
    };
    run.updated_at.saturating_add(kept)
}
