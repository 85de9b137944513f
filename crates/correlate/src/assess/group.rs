//! From findings of one component to the groups that become risks (identity of risks; domain rules per class).
//!
//! A **cell** is what can be decided without looking at anything else: the findings of one package, of one file, of one
//! secret … Cells are keyed by identity alone, so a finding never changes its cell; inside a cell, aliases and clusters
//! say which findings are one risk.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tributary_model::borrowed::Sighting;
use tributary_model::entity::vulnerability_id;
use tributary_model::finding::{FindingEnd, FindingState};
use tributary_model::id::{IdHasher, RiskId};
use tributary_model::sighting::{Endpoint, FindingClass};

use super::Finding;
use super::alias::{self, Aliases};
use super::cluster::{self, Claim};
use super::place::{self, Place};

pub use super::place::home_of;

/// Id of a cell.
pub type CellId = [u8; 16];

/// Findings that become one risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Id of the risk.
    pub risk: RiskId,
    /// Kind of problem.
    pub class: FindingClass,
    /// Name: the alias group's, the CWE's, the control's or the rule's.
    pub name: String,
    /// Ids of the alias group, ascending; empty for classes without ids.
    pub ids: Vec<String>,
    /// CVEs that a bundle among the ids names.
    pub bundled: Vec<String>,
    /// Positions in the cell, ascending.
    pub members: Vec<usize>,
}

/// Whether a finding keeps a risk open. Stale and not observed do; superseded, fixed, moved and uncounted do not.
#[must_use]
pub fn counts(finding: &Finding<'_>) -> bool {
    keeps_open(finding.end, finding.tracked.counts, finding.tracked.state)
}

/// The same of what it depends on.
pub(super) fn keeps_open(end: FindingEnd, counts: bool, state: FindingState) -> bool {
    end == FindingEnd::None
        && counts
        && matches!(state, FindingState::Active | FindingState::NotObserved | FindingState::Stale)
}

/// The class that decides: a report that calls a malicious package a vulnerability is corrected by the advisory's id.
#[must_use]
pub fn class_of(sighting: &Sighting<'_>) -> FindingClass {
    place::class_of(sighting.class, sighting.rule)
}

/// Canonical purl of what has the vulnerability: the source package of a distribution, else the package.
#[must_use]
pub fn package_of<'a>(sighting: &Sighting<'a>) -> &'a str {
    sighting.package.as_ref().map_or("", |package| place::package_of(package.purl, package.source_purl))
}

/// What identifies the cell of a finding, beside component and class.
fn place_of(finding: &Finding<'_>) -> Vec<String> {
    Place::from(finding).parts().into_iter().map(Cow::into_owned).collect()
}

fn name_of_control<'a>(sighting: &Sighting<'a>) -> &'a str {
    if sighting.control.is_empty() { sighting.rule } else { sighting.control }
}

/// Whether a web sighting is about the site as such: observed by a scanner, not attacked by it.
#[must_use]
pub fn is_of_site(sighting: &Sighting<'_>) -> bool {
    sighting.endpoint.as_ref().is_some_and(|endpoint| endpoint.path_template == Endpoint::WHOLE_SITE)
}

/// `CWE-89`, else the rule.
fn weakness_name(sighting: &Sighting<'_>) -> String {
    let path = sighting.endpoint.as_ref().map_or("", |endpoint| endpoint.path_template);
    place::weakness_name(sighting.rule, sighting.cwes.first().copied(), path).into_owned()
}

fn risk_id(component: &str, class: FindingClass, group: &str, place: &[String]) -> RiskId {
    let mut hasher = IdHasher::new("risk");
    hasher.field(component).field(class.name()).field(group);
    for part in place {
        hasher.field(part);
    }
    RiskId(hasher.finish())
}

/// The id that this group's risk has in another component, for moves.
#[must_use]
pub fn risk_id_elsewhere(group: &Group, leader: &Finding<'_>, component: &str) -> RiskId {
    let place = place_of(leader);
    match group.class {
        FindingClass::Weakness => risk_id(component, group.class, &leader.tracked.finding.to_string(), &[]),
        FindingClass::Secret => risk_id(component, group.class, "", &place),
        class => risk_id(component, class, &group.name, &place),
    }
}

/// The advisory that a finding is about: its rule; where that is a distribution's bundle which this claim narrows to
/// one CVE, that CVE.
#[must_use]
pub fn advisory_of(finding: &Finding<'_>) -> String {
    let sighting = &finding.tracked.sighting;
    let rule = vulnerability_id(sighting.rule);
    if !alias::is_bundle_kind(&rule) {
        return rule;
    }
    let named = named_ids(finding);
    let mut cves = named.iter().filter(|id| alias::is_cve(id));
    match (cves.next(), cves.next()) {
        (Some(only), None) => only.clone(),
        _ => rule,
    }
}

/// Every id that a finding's sighting and claims name, ascending.
#[must_use]
pub fn named_ids(finding: &Finding<'_>) -> BTreeSet<String> {
    let sighting = &finding.tracked.sighting;
    let claims = finding.tracked.claims.iter().flat_map(|claim| claim.aliases.iter().chain([&claim.rule]));
    sighting.aliases.iter().chain([&sighting.rule]).chain(claims).map(|id| vulnerability_id(id)).collect()
}

/// Assertions of the findings themselves.
#[must_use]
pub fn claimed_aliases(findings: &[Finding<'_>]) -> Aliases {
    let mut aliases = Aliases::default();
    for finding in findings {
        let sighting = &finding.tracked.sighting;
        let rule = vulnerability_id(sighting.rule);
        aliases.id(&rule);
        aliases.id(&advisory_of(finding));
        for other in &sighting.aliases {
            aliases.same(&rule, &vulnerability_id(other));
        }
        for claim in &finding.tracked.claims {
            let rule = vulnerability_id(claim.rule);
            for other in &claim.aliases {
                aliases.same(&rule, &vulnerability_id(other));
            }
        }
    }
    aliases
}

/// The groups of one cell, ascending by risk id. `aliases` are the claimed ones and intelligence's; only cells of
/// packages and hosts use them. `findings` are in canonical order (ascending by id).
#[must_use]
pub fn groups(findings: &[Finding<'_>], aliases: &Aliases) -> Vec<Group> {
    let Some(first) = findings.first() else { return Vec::new() };
    let class = class_of(&first.tracked.sighting);
    let mut groups = match class {
        FindingClass::Vulnerability | FindingClass::Malware | FindingClass::Host => by_alias(findings, class, aliases),
        FindingClass::Weakness => by_cluster(findings),
        _ => vec![whole(findings, class)],
    };
    groups.sort_by_key(|group| group.risk);
    groups
}

fn by_alias(findings: &[Finding<'_>], class: FindingClass, aliases: &Aliases) -> Vec<Group> {
    let names = aliases.names();
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        let advisory = advisory_of(finding);
        let name = names.get(advisory.as_str()).map_or(advisory.clone(), |name| (*name).to_owned());
        members.entry(name).or_default().push(at);
    }
    let place = place_of(&findings[0]);
    members
        .into_iter()
        .map(|(name, members)| {
            let ids: Vec<String> =
                names.iter().filter(|(_, group)| **group == name).map(|(id, _)| (*id).to_owned()).collect();
            let bundled = bundled(&ids, findings, &members);
            Group { risk: risk_id(findings[0].component, class, &name, &place), class, name, ids, bundled, members }
        })
        .collect()
}

/// CVEs that the members name beside the group's own: their exploitation counts for the bundle.
fn bundled(ids: &[String], findings: &[Finding<'_>], members: &[usize]) -> Vec<String> {
    if ids.iter().any(|id| alias::is_cve(id)) {
        return Vec::new();
    }
    let named: BTreeSet<String> = members.iter().flat_map(|at| named_ids(&findings[*at])).collect();
    named.into_iter().filter(|id| alias::is_cve(id)).collect()
}

fn by_cluster(findings: &[Finding<'_>]) -> Vec<Group> {
    let claims: Vec<Claim<'_>> = findings.iter().map(claim_of).collect();
    let clusters = cluster::clusters(&claims);
    clusters
        .into_iter()
        .map(|mut members| {
            let leader = &findings[members[0]];
            // By its leader, whose id survives a moved line and a renamed file; never by what a rename changes.
            let id = leader.tracked.finding.to_string();
            members.sort_unstable();
            Group {
                risk: risk_id(leader.component, FindingClass::Weakness, &id, &[]),
                class: FindingClass::Weakness,
                name: weakness_name(&leader.tracked.sighting),
                ids: Vec::new(),
                bundled: Vec::new(),
                members,
            }
        })
        .collect()
}

fn claim_of<'a>(finding: &'a Finding<'a>) -> Claim<'a> {
    let tracked = &finding.tracked;
    let location = tracked.sighting.location.as_ref();
    let mut tools: Vec<&str> = tracked.claims.iter().map(|claim| claim.tool).collect();
    tools.sort_unstable();
    tools.dedup();
    Claim {
        finding: tracked.finding,
        asset: tracked.asset,
        counts: tracked.counts && finding.end == FindingEnd::None,
        first_seen: tracked.first_seen,
        tools,
        rules: tracked.claims.iter().map(|claim| claim.rule).chain([tracked.sighting.rule]).collect(),
        cwes: &tracked.sighting.cwes,
        lines: location.map_or((0, 0), |location| (location.start_line, location.end_line)),
        line_hash: location.map_or("", |location| location.line_hash),
        snippet_hash: location.map_or("", |location| location.snippet_hash),
    }
}

fn whole(findings: &[Finding<'_>], class: FindingClass) -> Group {
    let first = &findings[0];
    let sighting = &first.tracked.sighting;
    let name = match class {
        FindingClass::Web => weakness_name(sighting),
        FindingClass::Misconfiguration => name_of_control(sighting).to_owned(),
        FindingClass::Secret => {
            let family = sighting.secret.as_ref().map_or("", |secret| secret.family);
            if family.is_empty() { sighting.rule.to_owned() } else { family.to_owned() }
        }
        _ => sighting.rule.to_owned(),
    };
    let group = if class == FindingClass::Secret { String::new() } else { name.clone() };
    Group {
        risk: risk_id(first.component, class, &group, &place_of(first)),
        class,
        name,
        ids: Vec::new(),
        bundled: Vec::new(),
        members: (0..findings.len()).collect(),
    }
}

#[cfg(test)]
mod tests;
