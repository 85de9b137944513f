//! From the claims about an entity to its context: one winner per (attribute, qualifier).

use std::cmp::Reverse;

use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::fact::Claim;
use tributary_model::time::Millis;

use super::lapse;
use super::precedence;

/// The context at `now`. Claims are sorted by (attribute, qualifier, asserter), and so are the attributes of the result.
///
/// A live claim beats a lapsed one; between equals the fixed order of asserters decides, then the newest, then the name.
/// A lapsed winner stays, marked stale: a silent sensor takes nothing away (F27).
pub(super) fn decide(entity: &str, claims: &[Claim], now: Millis) -> EntityContext {
    let same_value = |a: &Claim, b: &Claim| {
        (a.fact.attribute, a.fact.qualifier.as_str()) == (b.fact.attribute, b.fact.qualifier.as_str())
    };
    let attributes = claims.chunk_by(same_value).filter_map(|rivals| winner(rivals, now)).collect();
    EntityContext { entity: entity.to_owned(), attributes }
}

fn winner(rivals: &[Claim], now: Millis) -> Option<ContextAttribute> {
    let standing = |claim: &&Claim| {
        let fact = &claim.fact;
        let rank = precedence::rank(fact.attribute, &fact.asserter);
        (lapse::is_lapsed(claim, now), rank, Reverse(fact.observed_at), fact.asserter.clone())
    };
    let claim = rivals.iter().filter(|claim| !claim.fact.value.is_empty()).min_by_key(standing)?;
    Some(ContextAttribute {
        attribute: claim.fact.attribute,
        qualifier: claim.fact.qualifier.clone(),
        value: claim.fact.value.clone(),
        asserter: claim.fact.asserter.clone(),
        observed_at: claim.since,
        stale: lapse::is_lapsed(claim, now),
    })
}
