//! A finding at rest: its record as written to the log, and what the common path asks of it without decoding.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tributary_model::finding::{FindingState, TrackedFinding};
use tributary_model::sighting::FindingClass;
use tributary_model::time::{DAY, Millis};
use tributary_model::{AvroRecord, CodecError, borrowed};

use super::digest;
use super::ledger::SILENT_AFTER;

/// How long a closed finding is remembered. Within it a return is a return (its clock and its decisions hold), after it
/// a new finding; longer costs memory for what nobody looks at.
pub(super) const CLOSED_KEPT: Millis = 90 * DAY;

/// How long the last record about a finding in a component it has left stays on the log before its tombstone: longer
/// than any consumer may be behind.
pub(super) const DEPARTED_KEPT: Millis = 7 * DAY;

/// One finding.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The encoded [`TrackedFinding`].
    record: Bytes,
    /// Its asset.
    pub(super) asset: Arc<str>,
    /// One per claim.
    claims: Box<[Claimed]>,
    /// Copies of fields of the record.
    pub(super) first_seen: Millis,
    pub(super) state: FindingState,
    pub(super) class: FindingClass,
    pub(super) backfill: bool,
    /// When it changes by itself.
    pub(super) due: Option<Millis>,
}

/// The same in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept<'a> {
    #[serde(with = "serde_bytes")]
    record: &'a [u8],
    claims: Vec<Claimed>,
    first_seen: Millis,
    state: FindingState,
    class: FindingClass,
    backfill: bool,
    due: Option<Millis>,
}

impl Kept<'_> {
    /// The finding, on this asset.
    pub(super) fn held(self, asset: Arc<str>) -> Held {
        let Self { record, claims, first_seen, state, class, backfill, due } = self;
        let (record, claims) = (Bytes::copy_from_slice(record), claims.into_boxed_slice());
        Held { record, asset, claims, first_seen, state, class, backfill, due }
    }
}

/// What is known of one claim without decoding.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Claimed {
    claimant: u64,
    /// Of the last sighting; 0 when not known since the restart.
    content: u64,
    present: bool,
}

/// A finding at rest, of a record or of its borrowed form: both have the same fields. `$content` tells of a claimant what it said last.
macro_rules! held {
    ($record:expr, $tracked:ident, $asset:ident, $content:expr) => {{
        let claims = $tracked.claims.iter().map(|claim| {
            let claimant = digest::claimant(&claim.tool, &claim.scope);
            Claimed { claimant, content: $content(claimant), present: claim.present }
        });
        let standing = Standing {
            class: $tracked.sighting.class,
            state: $tracked.state,
            state_since: $tracked.state_since,
            counts: $tracked.counts,
            is_attributed: !$tracked.components.is_empty(),
            left: $tracked.left.iter().map(|left| left.at).min(),
            said: $tracked.claims.iter().map(|claim| claim.observed_at).max(),
        };
        Held {
            record: $record,
            asset: $asset,
            claims: claims.collect(),
            first_seen: $tracked.first_seen,
            state: $tracked.state,
            class: $tracked.sighting.class,
            backfill: $tracked.backfill,
            due: standing.due(),
        }
    }};
}

impl Held {
    /// Encodes a finding. `contents` are digests of the sightings that the claims of this step come from.
    pub(super) fn new(tracked: &TrackedFinding, asset: Arc<str>, contents: &[(u64, u64)]) -> Result<Self, CodecError> {
        let content = |claimant| contents.iter().rev().find(|known| known.0 == claimant).map_or(0, |known| known.1);
        Ok(held!(tracked.encode()?.into(), tracked, asset, content))
    }

    /// One that was encoded before; what its tools said last is not known.
    pub(super) fn at_rest(record: &[u8], tracked: &borrowed::TrackedFinding<'_>, asset: Arc<str>) -> Self {
        // A copy: `record` is a part of the block that it was read in.
        held!(Bytes::copy_from_slice(record), tracked, asset, |_| 0)
    }

    /// For a snapshot: all but its asset.
    pub(super) fn keep(&self) -> Kept<'_> {
        let Self { record, asset: _, claims, first_seen, state, class, backfill, due } = self;
        Kept {
            record,
            claims: claims.to_vec(),
            first_seen: *first_seen,
            state: *state,
            class: *class,
            backfill: *backfill,
            due: *due,
        }
    }

    /// The finding.
    pub(super) fn decode(&self) -> Result<TrackedFinding, CodecError> {
        TrackedFinding::decode(&self.record)
    }

    /// Whether the records are equal.
    pub(super) fn is_same_record(&self, other: &Held) -> bool {
        self.record == other.record
    }

    /// The encoded record.
    pub(super) fn record(&self) -> &Bytes {
        &self.record
    }

    /// Digests of the claims' last sightings, as [`Held::new`] takes them.
    pub(super) fn contents(&self) -> Vec<(u64, u64)> {
        self.claims.iter().map(|claim| (claim.claimant, claim.content)).collect()
    }

    /// Whether this claimant said exactly this before and the finding stands as it did then.
    pub(super) fn knows(&self, claimant: u64, content: u64) -> bool {
        self.state == FindingState::Active
            && self.claims.iter().any(|known| known.claimant == claimant && known.content == content && known.present)
    }

    /// Whether this claimant's claim is present.
    pub(super) fn is_claimed_by(&self, claimant: u64) -> bool {
        self.claims.iter().any(|claim| claim.present && claim.claimant == claimant)
    }
}

/// What of a finding says when it changes by itself.
struct Standing {
    class: FindingClass,
    state: FindingState,
    state_since: Millis,
    counts: bool,
    /// It belongs to a component.
    is_attributed: bool,
    /// When it left the first of the components that it has left.
    left: Option<Millis>,
    /// When one of its claims was last made.
    said: Option<Millis>,
}

impl Standing {
    /// When a finding changes without any input: a closed one is forgotten, what it left gets its tombstone, a run-time
    /// detection that is not repeated fades.
    fn due(&self) -> Option<Millis> {
        let departed = self.left.map(|left| left.saturating_add(DEPARTED_KEPT));
        let is_forgotten = is_over(self.state, self.counts) && self.is_attributed;
        let closed = is_forgotten.then(|| self.state_since.saturating_add(CLOSED_KEPT));
        let is_live_detection = self.class == FindingClass::Runtime && self.state == FindingState::Active;
        let fades = self.said.filter(|_| is_live_detection).map(|said| said.saturating_add(SILENT_AFTER));
        departed.into_iter().chain(closed).chain(fades).min()
    }
}

/// Whether nobody needs the finding any more: it is closed, or it does not count and its source has fallen silent (a
/// branch that was deleted).
pub(super) fn is_closed(tracked: &TrackedFinding) -> bool {
    is_over(tracked.state, tracked.counts)
}

fn is_over(state: FindingState, counts: bool) -> bool {
    let is_abandoned = state == FindingState::Stale && !counts;
    is_abandoned || matches!(state, FindingState::Fixed | FindingState::Superseded)
}

/// When a closed finding is forgotten.
pub(super) fn forgotten_at(tracked: &TrackedFinding) -> Millis {
    tracked.state_since.saturating_add(CLOSED_KEPT)
}
