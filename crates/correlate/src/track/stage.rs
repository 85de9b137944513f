//! The stage: what it holds, and the order in which a message and a settle are worked through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_model::borrowed::{self, Borrowed};
use tributary_model::finding::TrackedFinding;
use tributary_model::id::FindingId;
use tributary_model::observation::Observation;
use tributary_model::profile::AssetProfile;
use tributary_model::reject::Reject;
use tributary_model::scan::{ScanRef, ScanRun};
use tributary_model::time::Millis;
use tributary_model::{CodecError, Topic};
use tributary_stream::message::{Message, Outputs};
use tributary_stream::stage::{NotAPiece, Stage, TRACK};
use tributary_stream::table::Table;

use super::evidence::Saying;
use super::held::Held;
use super::ledger::{self, Scope};
use super::members::{Asset, Members};
use super::{profile, saved};
use crate::graph::{Graph, Reads};
use crate::{Marks, Timers, decode, malformed, refuse};

pub(super) const NAME: &str = TRACK.name;

/// TRACK's state of one partition.
pub struct Track {
    pub(super) graph: Arc<Graph>,
    pub(super) findings: Table<FindingId, Held>,
    pub(super) assets: Table<Arc<str>, Asset>,
    pub(super) members: Members,
    /// The scan ledger, by [`ledger::run_key`].
    pub(super) runs: Table<String, Arc<ScanRun>>,
    /// What the parts of unfinished and suspect scans saw.
    pub(super) parts: Table<String, Arc<Parts>>,
    /// By [`ledger::scope_key`]; derived from the ledger.
    pub(super) scopes: Table<String, Scope>,
    /// Which context the view of each asset was read from.
    pub(super) reads: Reads<Arc<str>>,
    pub(super) timers: Timers<Mark>,
    pub(super) marks: Marks<Mark>,
    /// Findings that this transaction works on, decoded.
    pub(super) open: BTreeMap<FindingId, Box<Work>>,
    pub(super) pending: Pending,
    next_number: u32,
}

/// Part number → what it saw, ascending.
pub(super) type Parts = BTreeMap<u32, Arc<[FindingId]>>;

/// A finding in work.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) tracked: TrackedFinding,
    /// See [`Held::new`].
    pub(super) contents: Vec<(u64, u64)>,
}

/// Something to look at in the next settle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// The context of an asset.
    View(Arc<str>),
    /// Every finding of an asset.
    Sweep(Arc<str>),
    /// One finding.
    Finding(FindingId),
    /// A line of the ledger that may be old enough to go.
    Run(String),
}

/// Records other than findings that this transaction has changed.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Ledger lines, with their asset.
    pub(super) runs: BTreeMap<String, Arc<str>>,
    /// Parts, with the asset.
    pub(super) parts: BTreeMap<(String, u32), Arc<str>>,
    /// Parts that the log does not have yet: dropping one of them needs no tombstone.
    pub(super) fresh_parts: BTreeSet<(String, u32)>,
    pub(super) profiles: BTreeSet<Arc<str>>,
    /// Assets whose ledger lines may name other components now.
    pub(super) covered: BTreeSet<Arc<str>>,
}

impl Track {
    /// An empty partition that reads the context through `graph`.
    #[must_use]
    pub fn new(graph: Arc<Graph>) -> Self {
        Self {
            graph,
            findings: Table::default(),
            assets: Table::default(),
            members: Members::default(),
            runs: Table::default(),
            parts: Table::default(),
            scopes: Table::default(),
            reads: Reads::default(),
            timers: Timers::default(),
            marks: Marks::default(),
            open: BTreeMap::new(),
            pending: Pending::default(),
            next_number: 0,
        }
    }

    /// The asset's own copy of its key; the asset is made when it is new.
    pub(super) fn asset_key(&mut self, asset: &str) -> Arc<str> {
        if let Some(key) = self.assets.key(asset) {
            return Arc::clone(key);
        }
        let key: Arc<str> = Arc::from(asset);
        self.next_number += 1;
        let profile = Arc::new(AssetProfile { asset: asset.to_owned(), ..AssetProfile::default() });
        let fresh = Asset { number: self.next_number, profile, ..Asset::default() };
        self.assets.insert(Arc::clone(&key), fresh);
        self.marks.mark(Mark::View(Arc::clone(&key)));
        key
    }

    pub(super) fn number(&self, asset: &str) -> u32 {
        self.assets.get(asset).map_or(0, |asset| asset.number)
    }

    /// Replaces an asset's profile when it differs, and looks at its findings again.
    pub(super) fn set_profile(&mut self, asset: &Arc<str>, profile: AssetProfile) {
        let Some(mut known) = self.assets.get(asset).cloned() else { return };
        if *known.profile != profile {
            known.profile = Arc::new(profile);
            self.assets.insert(Arc::clone(asset), known);
            self.pending.profiles.insert(Arc::clone(asset));
            self.marks.mark(Mark::Sweep(Arc::clone(asset)));
        }
    }

    /// Decodes a finding into the working set.
    pub(super) fn open_finding(&mut self, id: FindingId) -> Result<Option<&mut Work>, CodecError> {
        if !self.open.contains_key(&id) {
            let Some(held) = self.findings.get(&id) else { return Ok(None) };
            let work = Work { tracked: held.decode()?, contents: held.contents() };
            self.open.insert(id, Box::new(work));
        }
        Ok(self.open.get_mut(&id).map(Box::as_mut))
    }

    fn observe(&mut self, mut observation: Observation, message: &Message, now: Millis) -> Result<(), CodecError> {
        let sightings = std::mem::take(&mut observation.sightings);
        let asset = self.asset_key(&observation.asset);
        let cause = if observation.origin.topic.is_empty() { message.origin() } else { observation.origin.clone() };
        let alert = ScanRef { started_at: observation.observed_at, ..ScanRef::default() };
        let scan = observation.scan.as_ref();
        let at = scan.unwrap_or(&alert);
        let by = Saying {
            asset: &observation.asset,
            tool: &observation.tool,
            scope: &at.scope,
            scan_id: &at.scan_id,
            at: at.started_at,
            backfill: observation.backfill,
            cause: &cause,
        };
        if scan.is_some() {
            self.scan_part(&asset, &observation, sightings, &by, now)?;
        } else {
            self.see_all(sightings, &by)?;
        }
        let mut known = self.assets.get(&asset).map(|asset| asset.profile.as_ref().clone()).unwrap_or_default();
        profile::take_usage(&mut known, &observation.runtime);
        if !observation.inventory.is_empty() {
            profile::take_inventory(&mut known, at, &observation.inventory);
        }
        self.set_profile(&asset, known);
        Ok(())
    }

    fn load_run(&mut self, message: &Message) -> Result<(), Reject> {
        let key = message.key_str().to_owned();
        let run = decode::<ScanRun>(NAME, message)?;
        if let Some((of, part)) = ledger::part_of_key(&key) {
            let mut parts = self.parts.get(of).map(|parts| parts.as_ref().clone()).unwrap_or_default();
            match run {
                Some(run) => drop(parts.insert(part, run.seen.into())),
                None => drop(parts.remove(&part)),
            }
            if parts.is_empty() {
                self.parts.remove(of);
            } else {
                self.parts.insert(of.to_owned(), Arc::new(parts));
            }
            return Ok(());
        }
        match run {
            Some(run) => self.runs.insert(key, Arc::new(run)),
            None => self.runs.remove(&key),
        }
        Ok(())
    }

    fn load_finding(&mut self, message: &Message) -> Result<(), Reject> {
        let Some(value) = &message.value else {
            if let Ok(id) = message.key_str().parse::<FindingId>()
                && let Some(held) = self.findings.get(&id)
            {
                let number = self.number(&held.asset.clone());
                self.members.remove(number, id);
                self.findings.remove(&id);
            }
            return Ok(());
        };
        let tracked = borrowed::TrackedFinding::decode(value).map_err(|error| malformed(NAME, message, error))?;
        let id = tracked.finding.parse::<FindingId>().map_err(|error| malformed(NAME, message, error))?;
        let asset = self.asset_key(tracked.asset);
        let held = Held::at_rest(value, &tracked, Arc::clone(&asset));
        self.members.insert(self.number(&asset), id);
        self.findings.insert(id, held);
        Ok(())
    }

    fn load_profile(&mut self, message: &Message) -> Result<(), Reject> {
        let profile = decode::<AssetProfile>(NAME, message)?;
        let asset = self.asset_key(message.key_str());
        if let Some(mut known) = self.assets.get(&asset).cloned() {
            let empty = AssetProfile { asset: asset.to_string(), ..AssetProfile::default() };
            known.profile = Arc::new(profile.unwrap_or(empty));
            self.assets.insert(asset, known);
        }
        Ok(())
    }
}

fn broken(message: &Message, error: &CodecError) -> Reject {
    refuse(NAME, message, "undecodable", error.to_string())
}

impl Stage for Track {
    fn name(&self) -> &'static str {
        NAME
    }

    fn load(&mut self, message: &Message) -> Result<(), Reject> {
        match message.topic {
            Topic::Tracked => self.load_finding(message),
            Topic::Scans => self.load_run(message),
            Topic::Assets => self.load_profile(message),
            _ => Err(refuse(NAME, message, "wrong_topic", "TRACK restores from tracked, scans and assets only")),
        }
    }

    fn restored(&mut self, now: Millis) {
        self.graph.refresh();
        self.derive_scopes();
        let assets: BTreeSet<Arc<str>> = self.assets.iter().map(|(asset, _)| Arc::clone(asset)).collect();
        for asset in assets {
            self.marks.mark(Mark::View(Arc::clone(&asset)));
            self.marks.mark(Mark::Sweep(asset));
        }
        let due: Vec<_> = self.findings.iter().map(|(id, held)| (*id, held.due)).collect();
        for (id, due) in due {
            self.timers.set(&Mark::Finding(id), due);
        }
        self.wake(now);
        self.commit(); // with these marks: no input repeats them after a rollback
    }

    fn apply(&mut self, message: &Message, now: Millis) -> Result<(), Reject> {
        let Some(observation) = decode::<Observation>(NAME, message)? else {
            return Err(refuse(NAME, message, "malformed", "an observation without a value"));
        };
        if observation.asset.is_empty() {
            return Err(refuse(NAME, message, "no_asset", "an observation must name its asset"));
        }
        self.observe(observation, message, now).map_err(|error| broken(message, &error))
    }

    fn notice(&mut self, entities: &[String], _now: Millis) {
        self.graph.notice(entities);
        for entity in entities {
            for asset in self.reads.touched(&self.graph.touched_by(entity)) {
                self.marks.mark(Mark::View(asset));
            }
        }
    }

    fn next_timer(&self) -> Option<Millis> {
        self.timers.next()
    }

    fn wake(&mut self, now: Millis) {
        for due in self.timers.due(now) {
            self.marks.mark(due);
        }
    }

    fn settle(&mut self, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        self.settle_all(now, out).map_err(|error| Reject {
            stage: NAME.to_owned(),
            code: "unencodable".to_owned(),
            reason: error.to_string(),
            rejected_at: now,
            ..Reject::default()
        })
    }

    fn commit(&mut self) {
        self.findings.commit();
        self.assets.commit();
        self.members.commit();
        self.runs.commit();
        self.parts.commit();
        self.scopes.commit();
        self.reads.commit();
        self.timers.commit();
        self.marks.commit();
    }

    fn rollback(&mut self) {
        self.findings.rollback();
        self.assets.rollback();
        self.members.rollback();
        self.runs.rollback();
        self.parts.rollback();
        self.scopes.rollback();
        self.reads.rollback();
        self.timers.rollback();
        self.marks.rollback();
        self.open.clear();
        self.pending = Pending::default();
    }

    fn save(&self, put: &mut dyn FnMut(&[u8])) {
        saved::save(self, put);
    }

    fn adopt(&mut self, piece: &[u8]) -> Result<usize, NotAPiece> {
        saved::adopt(self, piece)
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("findings", self.findings.len()),
            ("assets", self.assets.len()),
            ("scan_runs", self.runs.len()),
            ("largest_asset", self.members.largest()),
        ]
    }
}
