//! The sightings of one message into findings.

use tributary_model::CodecError;
use tributary_model::id::FindingId;
use tributary_model::scan::ScanRef;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};

use super::evidence::{self, Followed, Saying};
use super::ledger;
use super::stage::{Track, Work};
use super::{digest, identity};

/// What the sightings of one message did.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What was seen, ascending; without what its tool says is gone.
    pub(super) ids: Vec<FindingId>,
    pub(super) new: u32,
    pub(super) unchanged: u32,
    pub(super) reopened: u32,
}

/// What one sighting did.
enum Effect {
    New,
    Known,
    Reopened,
}

impl Track {
    /// Takes the sightings of one message in, several of one finding as one.
    pub(super) fn see_all(&mut self, sightings: Vec<Sighting>, by: &Saying) -> Result<Seen, CodecError> {
        let ids = identity::ids(by.asset, by.tool, &sightings);
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|n| (ids[*n], *n));
        let scope = self.scopes.get(&ledger::scope_key(by.asset, by.scope)).cloned().unwrap_or_default();
        let scan = ScanRef { scan_id: by.scan_id.to_owned(), scope: String::new(), started_at: by.at };
        // Classes of which a newer complete scan of this scope has spoken: older ones only tell since when it was there.
        let outdated = if !by.scan_id.is_empty() && scope.is_older(&scan) { scope.classes } else { Vec::new() };
        let claimant = digest::claimant(by.tool, by.scope);
        let mut seen = Seen::default();
        let mut sightings: Vec<Option<Sighting>> = sightings.into_iter().map(Some).collect();
        for same in order.chunk_by(|a, b| ids[*a] == ids[*b]) {
            let id = ids[same[0]];
            let mut same: Vec<Sighting> = same.iter().filter_map(|n| sightings[*n].take()).collect();
            let Some(sighting) = (if same.len() > 1 { Some(evidence::fold(&same)) } else { same.pop() }) else {
                continue;
            };
            if sighting.status != ToolStatus::Fixed {
                seen.ids.push(id);
            }
            let is_outdated = outdated.contains(&sighting.class);
            match self.see(id, sighting, by, claimant, is_outdated)? {
                Effect::New => seen.new += 1,
                Effect::Known => seen.unchanged += 1,
                Effect::Reopened => seen.reopened += 1,
            }
        }
        Ok(seen)
    }

    fn see(
        &mut self,
        id: FindingId,
        sighting: Sighting,
        by: &Saying,
        claimant: u64,
        is_outdated: bool,
    ) -> Result<Effect, CodecError> {
        let content = digest::content(&sighting);
        if !self.open.contains_key(&id)
            && let Some(held) = self.findings.get(&id)
        {
            let is_known = is_outdated || (held.knows(claimant, content) && can_repeat(&sighting));
            if is_known && held.first_seen <= by.at && (by.backfill || !held.backfill) {
                return Ok(Effect::Known);
            }
        }
        let Some(work) = self.open_finding(id)? else {
            if !is_outdated && sighting.status != ToolStatus::Fixed {
                self.open_new(id, sighting, by, (claimant, content));
                return Ok(Effect::New);
            }
            return Ok(Effect::Known);
        };
        if is_outdated {
            work.tracked.first_seen = work.tracked.first_seen.min(by.at);
            work.tracked.backfill &= by.backfill;
            return Ok(Effect::Known);
        }
        evidence::see(&mut work.tracked, sighting, by);
        work.contents.push((claimant, content));
        Ok(match evidence::follow_claims(&mut work.tracked, by.at) {
            Followed::Reopened => Effect::Reopened,
            Followed::Same | Followed::Changed => Effect::Known,
        })
    }

    fn open_new(&mut self, id: FindingId, sighting: Sighting, by: &Saying, content: (u64, u64)) {
        let mut tracked = evidence::open(id, sighting, by);
        evidence::follow_claims(&mut tracked, by.at);
        self.members.insert(self.number(by.asset), id);
        self.open.insert(id, Box::new(Work { tracked, contents: vec![content] }));
    }
}

/// Whether saying it again says nothing: run-time detections add up, and a tool that says "gone" says it to withdraw.
fn can_repeat(sighting: &Sighting) -> bool {
    sighting.class != FindingClass::Runtime && sighting.status != ToolStatus::Fixed
}
