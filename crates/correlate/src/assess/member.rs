//! Which fix would close a risk: its place under a remedy, a function of the risk's record alone.

use tributary_model::id::{IdHasher, RemedyId};
use tributary_model::reject::Origin;
use tributary_model::remedy::RemedyMember;
use tributary_model::risk::{Fix, Risk};

/// The remedy of a fix: scope, kind and target, never the version.
#[must_use]
pub fn remedy_of(fix: &Fix) -> RemedyId {
    RemedyId(IdHasher::new("remedy").field(&fix.scope).field(&fix.kind).field(&fix.target).finish())
}

/// The risk as a member of its remedy; `None` when nothing would fix it.
#[must_use]
pub fn member_of(risk: &Risk, cause: &Origin) -> Option<RemedyMember> {
    if matches!(risk.fix.kind.as_str(), "" | "none") {
        return None;
    }
    Some(RemedyMember {
        remedy: remedy_of(&risk.fix),
        kind: risk.fix.kind.clone(),
        target: risk.fix.target.clone(),
        risk: risk.risk,
        title: risk.title.clone(),
        name: risk.name.clone(),
        component: risk.component.clone(),
        owner: if risk.fix.owner.team.is_empty() { risk.owner.clone() } else { risk.fix.owner.clone() },
        state: risk.state,
        band: risk.band,
        score: risk.score,
        version: risk.fix.version.clone(),
        summary: risk.fix.summary.clone(),
        due_at: risk.due_at,
        first_seen: risk.first_seen,
        backfill: risk.backfill,
        cause: cause.clone(),
    })
}

/// What to tell REMEDY after a transition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct News {
    /// The remedy that the risk belongs to no longer.
    pub left: Option<RemedyId>,
    /// Its place now, where that differs from what was told before.
    pub member: Option<RemedyMember>,
}

/// The difference between what was told of `previous`, the record told last, and what `risk` gives.
#[must_use]
pub fn news(previous: Option<&Risk>, risk: &Risk, cause: &Origin) -> News {
    let before = previous.and_then(|previous| member_of(previous, cause));
    let after = member_of(risk, cause);
    let is_elsewhere = |before: &RemedyMember| after.as_ref().is_none_or(|after| after.remedy != before.remedy);
    let left = before.as_ref().filter(|before| is_elsewhere(before)).map(|before| before.remedy);
    News { left, member: after.filter(|after| before.as_ref() != Some(after)) }
}
