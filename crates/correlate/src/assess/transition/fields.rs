//! Which fields of two records differ in what they say. History, the EPSS of the day and the times at which the same
//! word was repeated are not compared: they alone make no revision.

use tributary_model::risk::{Contribution, Risk};

/// Names of the fields that differ, ascending.
#[must_use]
pub fn differing(left: &Risk, right: &Risk) -> Vec<&'static str> {
    let compared = [
        ("backfill", left.backfill == right.backfill),
        ("band", left.band == right.band),
        ("class", left.class == right.class),
        ("clock_start", left.clock_start == right.clock_start),
        ("confirmed_by", left.confirmed_by == right.confirmed_by),
        ("contributions", same_contributions(&left.contributions, &right.contributions)),
        ("cvss_score", left.cvss_score == right.cvss_score),
        ("cwes", left.cwes == right.cwes),
        ("decision", left.decision == right.decision),
        ("deployed", left.deployed == right.deployed),
        ("due_at", left.due_at == right.due_at),
        ("environments", left.environments == right.environments),
        ("evidence", left.evidence == right.evidence),
        ("evidence_total", left.evidence_total == right.evidence_total),
        ("exposure", left.exposure == right.exposure),
        ("first_seen", left.first_seen == right.first_seen),
        ("fix", left.fix == right.fix),
        ("inputs_digest", left.inputs_digest == right.inputs_digest),
        ("installed_versions", left.installed_versions == right.installed_versions),
        ("kev", left.kev == right.kev),
        ("model_version", left.model_version == right.model_version),
        ("name", left.name == right.name),
        ("owner", left.owner == right.owner),
        ("package", left.package == right.package),
        ("place", left.place == right.place),
        ("runtime", left.runtime == right.runtime),
        ("score", left.score == right.score),
        ("severity", left.severity == right.severity),
        ("state", left.state == right.state),
        ("suppressed_by", left.suppressed_by == right.suppressed_by),
        ("tier", left.tier == right.tier),
        ("title", left.title == right.title),
        ("tools", left.tools == right.tools),
        ("verified", left.verified == right.verified),
        ("vulnerability_ids", left.vulnerability_ids == right.vulnerability_ids),
    ];
    compared.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

fn same_contributions(left: &[Contribution], right: &[Contribution]) -> bool {
    fn said(one: &Contribution) -> (&str, &str, &str, i32, bool) {
        (&one.factor, &one.value, &one.source, one.points, one.assumed)
    }
    left.iter().map(said).eq(right.iter().map(said))
}
