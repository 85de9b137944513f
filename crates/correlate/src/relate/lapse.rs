//! Time alone changes context: claims lapse, retractions are forgotten, and what nobody confirms for long goes.

use tributary_model::fact::Claim;
use tributary_model::time::{DAY, Millis};

/// How long a lapsed claim stays in use, marked stale. Shorter, and a sensor that is down over a long project freeze
/// closes live risks; for ever, and every workload that ever ran without saying goodbye is kept.
pub(super) const STALE_KEPT: Millis = 180 * DAY;

/// Whether the claim has lapsed at `now`.
pub(super) fn is_lapsed(claim: &Claim, now: Millis) -> bool {
    claim.fact.expires_at.is_some_and(|end| end <= now)
}

/// When the claim is dropped: a retraction at its end, a value long after it.
fn forgotten_at(claim: &Claim) -> Option<Millis> {
    let kept = if claim.fact.value.is_empty() { 0 } else { STALE_KEPT };
    claim.fact.expires_at.map(|end| end.saturating_add(kept))
}

/// Drops what is to be forgotten at `now`; says whether anything was.
pub(super) fn forget(claims: &mut Vec<Claim>, now: Millis) -> bool {
    let before = claims.len();
    claims.retain(|claim| forgotten_at(claim).is_none_or(|end| end > now));
    claims.len() != before
}

/// The next time after `now` at which something lapses or is forgotten.
pub(super) fn next_due(claims: &[Claim], now: Millis) -> Option<Millis> {
    let ends = claims.iter().filter(|claim| !claim.fact.value.is_empty()).filter_map(|claim| claim.fact.expires_at);
    ends.chain(claims.iter().filter_map(forgotten_at)).filter(|end| *end > now).min()
}
