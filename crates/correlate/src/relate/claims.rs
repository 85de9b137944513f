//! One fact into the claims of its entity: the last writer per asserter wins, by event time.
//! Snapshots replace: a newer set of values by one asserter withdraws the older set.

use std::collections::BTreeMap;

use tributary_model::fact::{Attribute, Claim, Fact};
use tributary_model::time::{DAY, Millis};

/// Claims that one entity may have. The largest honest entities are products with a VEX statement per vulnerability
/// (some thousands for a distribution's image) and CVEs with many exploits; a runaway producer reaches it in minutes.
/// More would let one entity outgrow a record of the log.
pub(super) const MAX_CLAIMS: usize = 4_096;

/// Bytes of text in the claims of one entity. A record on the log must stay below the broker's usual limit of 1 MiB,
/// with room for what Avro and the context's own copy add.
pub(super) const MAX_BYTES: usize = 640 * 1024;

/// How long a retraction is remembered, counted from its arrival: longer than facts stay on their topic (7 days by
/// default), so no replay and no late producer can bring back what was retracted. For ever would leak an entry per
/// workload that ever ended.
pub(super) const RETRACTION_KEPT: Millis = 30 * DAY;

/// What a fact did to the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The claims are other than before.
    Changed,
    /// It was known already, or a newer word of the same asserter is.
    Unchanged,
    /// It would exceed a bound; nothing changed.
    TooMany,
}

/// Whether a newer snapshot of this attribute by one asserter withdraws the values that it does not repeat.
/// The others are told one by one (an ingress, an image name, a CVSS version) and retracted one by one.
pub(super) const fn is_snapshot(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::RunsImage | Attribute::Source | Attribute::OwnsAsset | Attribute::Alias | Attribute::Bundles
    )
}

/// Records a fact. `claims` stay sorted by (attribute, qualifier, asserter). Snapshots are compared later, when all
/// facts of a transaction are in: [`withdraw_replaced`].
pub(super) fn record(claims: &mut Vec<Claim>, mut fact: Fact, now: Millis) -> Recorded {
    if fact.value.is_empty() {
        fact.expires_at = Some(now.saturating_add(RETRACTION_KEPT));
    }
    let place = claims.binary_search_by(|claim| key(&claim.fact).cmp(&key(&fact)));
    match place {
        Ok(at) if !is_newer(&fact, &claims[at].fact) => settle_tie(&mut claims[at], &fact),
        Ok(at) => {
            let since = if claims[at].fact.value == fact.value { claims[at].since } else { fact.observed_at };
            claims[at] = Claim { since, fact };
            Recorded::Changed
        }
        Err(_) if claims.len() >= MAX_CLAIMS || bytes(claims) + size(&fact) > MAX_BYTES => Recorded::TooMany,
        Err(at) => {
            claims.insert(at, Claim { since: fact.observed_at, fact });
            Recorded::Changed
        }
    }
}

/// Drops every value that a newer snapshot by the same asserter does not repeat. The snapshot itself is what keeps
/// late facts of the older one out. A snapshot of nothing is a retraction with an empty qualifier.
pub(super) fn withdraw_replaced(claims: &mut Vec<Claim>) {
    let mut newest = BTreeMap::<(Attribute, String), Millis>::new();
    for Claim { fact, .. } in claims.iter().filter(|claim| is_snapshot(claim.fact.attribute)) {
        let at = newest.entry((fact.attribute, fact.asserter.clone())).or_insert(fact.observed_at);
        *at = fact.observed_at.max(*at);
    }
    claims.retain(|Claim { fact, .. }| {
        newest.get(&(fact.attribute, fact.asserter.clone())).is_none_or(|at| fact.observed_at >= *at)
    });
}

/// What a producer that hits a bound is told.
pub(super) fn too_many(claims: usize) -> String {
    format!(
        "this entity has {claims} claims already (at most {MAX_CLAIMS}, and {MAX_BYTES} bytes): \
         retract some, or fix the producer"
    )
}

fn key(fact: &Fact) -> (Attribute, &str, &str) {
    (fact.attribute, &fact.qualifier, &fact.asserter)
}

/// Later event time wins; at the same time the greater text does, so that arrival order does not matter.
fn is_newer(fact: &Fact, than: &Fact) -> bool {
    (fact.observed_at, fact.value.as_str()) > (than.observed_at, than.value.as_str())
}

/// An equal or older word: an older one with the same value still tells since when it has been claimed; an equal one
/// may extend its life.
fn settle_tie(claim: &mut Claim, fact: &Fact) -> Recorded {
    if claim.fact.value != fact.value || fact.value.is_empty() {
        return Recorded::Unchanged;
    }
    let since = claim.since.min(fact.observed_at);
    let is_same_time = claim.fact.observed_at == fact.observed_at;
    let expires_at = if is_same_time { later(claim.fact.expires_at, fact.expires_at) } else { claim.fact.expires_at };
    if (since, expires_at) == (claim.since, claim.fact.expires_at) {
        return Recorded::Unchanged;
    }
    claim.since = since;
    claim.fact.expires_at = expires_at;
    Recorded::Changed
}

/// The later of two ends; no end is the latest.
fn later(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    a.zip(b).map(|(a, b)| a.max(b))
}

fn bytes(claims: &[Claim]) -> usize {
    claims.iter().map(|claim| size(&claim.fact)).sum()
}

fn size(fact: &Fact) -> usize {
    fact.qualifier.len() + fact.value.len() + fact.asserter.len() + 64
}
