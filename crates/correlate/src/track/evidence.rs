//! What a sighting does to a finding: the claim of its tool, and the evidence that is shown.

use std::cmp::Ordering;

use tributary_model::finding::{FindingState, ToolClaim, TrackedFinding};
use tributary_model::id::FindingId;
use tributary_model::reject::Origin;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};
use tributary_model::time::Millis;

/// Claims one finding keeps. More tools than this never see one thing; more scopes than this are a producer that puts
/// something unique into its scope.
const MAX_CLAIMS: usize = 16;

/// Who says it and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying<'a> {
    pub(super) asset: &'a str,
    pub(super) tool: &'a str,
    /// Empty for alerts.
    pub(super) scope: &'a str,
    /// Empty for alerts.
    pub(super) scan_id: &'a str,
    pub(super) at: Millis,
    pub(super) backfill: bool,
    pub(super) cause: &'a Origin,
}

/// A finding seen for the first time.
pub(super) fn open(finding: FindingId, sighting: Sighting, by: &Saying) -> TrackedFinding {
    let mut tracked = TrackedFinding {
        finding,
        asset: by.asset.to_owned(),
        first_seen: by.at,
        state_since: by.at,
        backfill: by.backfill,
        cause: by.cause.clone(),
        ..TrackedFinding::default()
    };
    see(&mut tracked, sighting, by);
    tracked
}

/// Takes a sighting into a finding. Older words than the claim's last one only say that it was there earlier.
pub(super) fn see(tracked: &mut TrackedFinding, sighting: Sighting, by: &Saying) {
    tracked.first_seen = tracked.first_seen.min(by.at);
    tracked.backfill &= by.backfill;
    let is_present = sighting.status != ToolStatus::Fixed;
    let Some(at) = place_of_claim(tracked, by, is_present) else { return };
    let old = &tracked.claims[at];
    if (old.observed_at, old.scan_id.as_str()) > (by.at, by.scan_id) {
        return;
    }
    let is_later = (old.observed_at, old.scan_id.as_str()) < (by.at, by.scan_id);
    let mut claim = claim_of(&sighting, by);
    claim.present = is_present;
    // Run-time detections add up, so each must know which of them it has counted.
    if sighting.class != FindingClass::Runtime && says_the_same(old, &claim) {
        claim.scan_id.clone_from(&old.scan_id);
        claim.observed_at = old.observed_at;
    }
    let mut is_news = tracked.claims[at] != claim;
    tracked.claims[at] = claim;
    let (count, more) = (tracked.sighting.count, sighting.count.max(1));
    let adds_up = sighting.class == FindingClass::Runtime;
    is_news |= show(tracked, sighting, by.tool);
    if adds_up {
        tracked.sighting.count = count.saturating_add(if is_later { more } else { 0 });
    }
    if is_news && *by.cause != Origin::default() {
        tracked.cause = by.cause.clone();
    }
}

/// Index of the claim of this tool and scope, made when absent. `None`: there is no claim to withdraw, or no room.
fn place_of_claim(tracked: &mut TrackedFinding, by: &Saying, make: bool) -> Option<usize> {
    let key = (by.tool, by.scope);
    let found = tracked.claims.binary_search_by(|claim| (claim.tool.as_str(), claim.scope.as_str()).cmp(&key));
    match found {
        Ok(at) => Some(at),
        Err(_) if !make => None,
        Err(mut at) => {
            if tracked.claims.len() >= MAX_CLAIMS {
                let gone = tracked.claims.iter().position(|claim| !claim.present);
                let Some(gone) = gone else {
                    metrics::counter!("tributary_track_claims_full_total").increment(1);
                    return None;
                };
                tracked.claims.remove(gone);
                at -= usize::from(gone < at);
            }
            let claim = ToolClaim { observed_at: Millis::MIN, ..ToolClaim::default() };
            tracked.claims.insert(at, claim);
            Some(at)
        }
    }
}

fn claim_of(sighting: &Sighting, by: &Saying) -> ToolClaim {
    let secret = sighting.secret.as_ref();
    let package = sighting.package.as_ref();
    ToolClaim {
        tool: by.tool.to_owned(),
        scope: by.scope.to_owned(),
        scan_id: by.scan_id.to_owned(),
        observed_at: by.at,
        present: true,
        rule: sighting.rule.clone(),
        severity: sighting.severity,
        cvss_vector: sighting.cvss_vector.clone(),
        cvss_score: sighting.cvss_score,
        aliases: sorted(&sighting.aliases),
        fixed_versions: package.map(|package| sorted(&package.fixed_versions)).unwrap_or_default(),
        verified: secret.is_some_and(|secret| secret.verified && !secret.revoked),
        dismissed: sighting.status == ToolStatus::Dismissed,
        confidence: sighting.confidence,
        reachable: sighting.reachable,
    }
}

/// Whether a claim says what it said before, whenever it says it.
fn says_the_same(old: &ToolClaim, new: &ToolClaim) -> bool {
    let ToolClaim { scan_id: _, observed_at: _, tool, scope, present, rule, severity, .. } = new;
    let ToolClaim { cvss_vector, cvss_score, aliases, fixed_versions, verified, dismissed, .. } = new;
    let ToolClaim { confidence, reachable, .. } = new;
    let about =
        (&old.tool, &old.scope, old.present, &old.rule, old.severity) == (tool, scope, *present, rule, *severity);
    let scored = (&old.cvss_vector, old.cvss_score) == (cvss_vector, *cvss_score);
    let named = (&old.aliases, &old.fixed_versions) == (aliases, fixed_versions);
    let judged = (old.verified, old.dismissed, old.confidence, old.reachable)
        == (*verified, *dismissed, *confidence, *reachable);
    about && scored && named && judged
}

/// Keeps the richest sighting as evidence; its own tool renews it, another one replaces it only by saying more, or as much and
/// being first by name. Answers whether anything is shown differently now.
fn show(tracked: &mut TrackedFinding, sighting: Sighting, tool: &str) -> bool {
    let is_own = tracked.sighting_tool.is_empty() || tracked.sighting_tool == tool;
    let is_orphaned = !tracked.claims.iter().any(|claim| claim.present && claim.tool == tracked.sighting_tool);
    let revoked = is_revoked(&tracked.sighting);
    let says_revoked = is_revoked(&sighting);
    // A tool that merely sees the text of a revoked secret knows nothing about its revocation; one that tried it does.
    let is_live = sighting.secret.as_ref().is_some_and(|secret| secret.verified && !secret.revoked);
    let mut is_news = false;
    // Words that it is gone describe nothing new; taking them as the description would let two tools take turns.
    let describes = sighting.status != ToolStatus::Fixed || tracked.sighting_tool.is_empty();
    // Of two that say equally much the first by name describes it, whichever arrived first (I3).
    let says_more = |known: &Sighting, by: &str| match richness(&sighting).cmp(&richness(known)) {
        Ordering::Greater => true,
        Ordering::Equal => tool < by,
        Ordering::Less => false,
    };
    if describes && (is_own || is_orphaned || says_more(&tracked.sighting, &tracked.sighting_tool)) {
        let described = canonical(sighting);
        is_news = described != tracked.sighting || tracked.sighting_tool != tool;
        tracked.sighting = described;
        tool.clone_into(&mut tracked.sighting_tool);
    }
    if let Some(secret) = &mut tracked.sighting.secret {
        let is_revoked = (revoked || says_revoked) && !is_live;
        is_news |= secret.revoked != is_revoked;
        secret.revoked = is_revoked;
    }
    is_news
}

/// Whether the secret of a sighting is known not to work any more.
pub(super) fn is_revoked(sighting: &Sighting) -> bool {
    sighting.secret.as_ref().is_some_and(|secret| secret.revoked)
}

/// How much of what identity, attribution and display use is there.
fn richness(sighting: &Sighting) -> u32 {
    let package = sighting.package.as_ref();
    let location = sighting.location.as_ref();
    let says = [
        !sighting.title.is_empty(),
        !sighting.cvss_vector.is_empty(),
        !sighting.cwes.is_empty(),
        package.is_some(),
        package.is_some_and(|package| !package.version.is_empty()),
        package.is_some_and(|package| !package.file.is_empty()),
        package.is_some_and(|package| !package.fixed_versions.is_empty()),
        package.is_some_and(|package| !package.introduced_by.is_empty()),
        location.is_some(),
        location.is_some_and(|location| location.start_line > 0),
        location.is_some_and(|location| !location.line_hash.is_empty()),
        location.is_some_and(|location| !location.enclosing.is_empty()),
        !sighting.control.is_empty(),
        !sighting.resource.is_empty(),
    ];
    says.into_iter().map(u32::from).sum()
}

/// Lists in one order, so that a tool which shuffles its report says nothing new (F24).
fn canonical(mut sighting: Sighting) -> Sighting {
    sighting.aliases.sort_unstable();
    sighting.aliases.dedup();
    sighting.cwes.sort_unstable();
    sighting.cwes.dedup();
    if let Some(package) = &mut sighting.package {
        package.fixed_versions.sort_unstable();
        package.fixed_versions.dedup();
    }
    sighting
}

fn sorted(texts: &[String]) -> Vec<String> {
    let mut texts = texts.to_vec();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// Several sightings of one finding in one message (a package in two layers, a secret in three files) as one: what any
/// of them says, at the first place in canonical order.
pub(super) fn fold(sightings: &[Sighting]) -> Sighting {
    let mut sightings: Vec<&Sighting> = sightings.iter().collect();
    sightings.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut folded = sightings[0].clone();
    for other in &sightings[1..] {
        folded.aliases.extend(other.aliases.iter().cloned());
        folded.cwes.extend(other.cwes.iter().copied());
        folded.severity = folded.severity.max(other.severity);
        folded.count = folded.count.saturating_add(other.count);
        folded.reachable = folded.reachable.max(other.reachable);
        if other.status == ToolStatus::Open {
            folded.status = ToolStatus::Open;
        }
        if let (Some(into), Some(from)) = (&mut folded.package, &other.package) {
            into.fixed_versions.extend(from.fixed_versions.iter().cloned());
        }
        if let (Some(into), Some(from)) = (&mut folded.secret, &other.secret) {
            into.verified |= from.verified;
            into.revoked &= from.revoked;
        }
    }
    canonical(folded)
}

type Order<'a> = (Option<(&'a str, u32)>, Option<(&'a str, &'a str)>, std::cmp::Reverse<u32>, &'a str, &'a str);

fn order(sighting: &Sighting) -> Order<'_> {
    let location = sighting.location.as_ref().map(|at| (at.path.as_str(), at.start_line));
    let package = sighting.package.as_ref().map(|package| (package.file.as_str(), package.version.as_str()));
    (location, package, std::cmp::Reverse(richness(sighting)), &sighting.rule, &sighting.title)
}

/// Withdraws what one scope claims; says whether it did.
pub(super) fn withdraw(tracked: &mut TrackedFinding, by: &Saying) -> bool {
    let claim =
        tracked.claims.iter_mut().find(|claim| claim.present && claim.tool == by.tool && claim.scope == by.scope);
    let Some(claim) = claim else { return false };
    claim.present = false;
    by.scan_id.clone_into(&mut claim.scan_id);
    claim.observed_at = claim.observed_at.max(by.at);
    tracked.cause = by.cause.clone();
    true
}

/// What the claims alone say about the state.
pub(super) fn claimed_state(tracked: &TrackedFinding) -> FindingState {
    if tracked.claims.iter().any(|claim| claim.present) {
        // A secret that its provider revoked is harmless wherever it still stands.
        return if is_revoked(&tracked.sighting) { FindingState::Fixed } else { FindingState::Active };
    }
    let is_secret = tracked.sighting.class == FindingClass::Secret;
    // Deleting a secret from the code does not make it stop working (F30).
    if is_secret && !is_revoked(&tracked.sighting) { FindingState::NotObserved } else { FindingState::Fixed }
}

/// Follows the claims. What time and context add (`Stale`, `Superseded`) is not undone here.
pub(super) fn follow_claims(tracked: &mut TrackedFinding, at: Millis) -> Followed {
    let claimed = claimed_state(tracked);
    let is_shaded = matches!(tracked.state, FindingState::Stale | FindingState::Superseded);
    if tracked.state == claimed || (claimed == FindingState::Active && is_shaded) {
        return Followed::Same;
    }
    let was_fixed = tracked.state == FindingState::Fixed;
    tracked.state = claimed;
    tracked.state_since = at;
    if was_fixed && claimed == FindingState::Active {
        tracked.reopened += 1;
        return Followed::Reopened;
    }
    Followed::Changed
}

/// What following the claims did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    Same,
    Changed,
    Reopened,
}
