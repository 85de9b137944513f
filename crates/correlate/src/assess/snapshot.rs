//! One group assessed: the whole record except its history, which [`super::transition`] alone decides.

use std::collections::BTreeSet;

use tributary_model::finding::{FindingEnd, FindingState};
use tributary_model::risk::{Evidence, Risk, RiskState};
use tributary_model::sighting::FindingClass;
use tributary_model::time::Millis;

use super::Finding;
use super::decide::{self, Model};
use super::group::{self, Group};
use super::inputs;
use super::surroundings::{Intelligence, Surroundings};
use super::transition::REOPEN_WINDOW;
use super::{deadline, fix, owner, score, vex};

/// Evidence that a record carries; the total says how much there is. A flaw of a base component has thousands of
/// pieces, and a record must stay far below a message's limit.
pub const MAX_EVIDENCE: usize = 32;

/// Installed versions that a record carries.
const MAX_VERSIONS: usize = 16;

/// Assesses a group under a model. `None` when nothing in it counts.
///
/// `findings` are those of the cell; `confirmed_by` are risks that confirm this one, ascending.
#[must_use]
pub fn assess(
    model: Model,
    group: &Group,
    findings: &[Finding<'_>],
    confirmed_by: Vec<tributary_model::id::RiskId>,
    around: &Surroundings,
    intel: &Intelligence,
) -> Option<Risk> {
    let members = canonical(group, findings);
    let counting: Vec<&Finding<'_>> = members.iter().copied().filter(|finding| group::counts(finding)).collect();
    let first = *counting.first()?;
    let evidence = inputs::Evidence {
        class: group.class,
        ids: &group.ids,
        bundled: &group.bundled,
        findings: &counting,
        confirmed: !confirmed_by.is_empty(),
    };
    let inputs = inputs::gather(evidence, around, intel);
    let decision = decide::decide(model, &inputs);
    let (points, contributions) = score::score(&inputs);
    let suppressed_by = vex::suppression(&counting, &group.ids, &intel.statements);
    let first_seen = story_begin(group, findings, &counting);
    Some(Risk {
        risk: group.risk,
        component: first.component.to_owned(),
        state: if suppressed_by.is_some() { RiskState::Suppressed } else { RiskState::Open },
        class: if inputs.malware { FindingClass::Malware } else { group.class },
        title: title(group, &counting, intel),
        name: group.name.clone(),
        vulnerability_ids: group.ids.clone(),
        cwes: cwes(group, &counting, intel),
        package: group::package_of(&first.tracked.sighting).to_owned(),
        installed_versions: installed_versions(&counting),
        place: place(group.class, first),
        band: decision.band,
        score: points,
        severity: inputs.severity,
        contributions,
        decision: decision.steps,
        model_version: model.name().to_owned(),
        inputs_digest: inputs.digest(),
        owner: owner::owner(&counting, around),
        tier: inputs.tier.value,
        environments: inputs.environments.clone(),
        exposure: inputs.exposure.value,
        deployed: inputs.deployed,
        runtime: inputs.runtime,
        kev: if group.ids.is_empty() { None } else { inputs.kev.value },
        epss_ppm: inputs.epss_ppm,
        cvss_score: inputs.cvss_tenths.as_ref().map(|tenths| f64::from(tenths.value) / 10.0),
        verified: inputs.verified,
        fix: fix::fix(group, first.component, &counting, around),
        first_seen,
        clock_start: first_seen,
        due_at: deadline::computed(first_seen, decision.band),
        suppressed_by: suppressed_by.unwrap_or_default(),
        confirmed_by,
        tools: tools(&counting),
        evidence_total: members.len() as u32,
        evidence: members.iter().take(MAX_EVIDENCE).map(|finding| piece(finding)).collect(),
        backfill: counting.iter().all(|finding| finding.tracked.backfill),
        ..Risk::default()
    })
}

/// When this story began: the earliest sighting of a counting member, or of one that ended so shortly before that the problem
/// never was away for longer than [`REOPEN_WINDOW`]. So neither a re-built image nor a fix in one of two places restarts a
/// clock, in whatever order the reports arrive.
fn story_begin(group: &Group, findings: &[Finding<'_>], counting: &[&Finding<'_>]) -> Millis {
    let mut begin = counting.iter().map(|finding| finding.tracked.first_seen).min().unwrap_or_default();
    let mut ended: Vec<(Millis, Millis)> = group
        .members
        .iter()
        .filter_map(|at| findings.get(*at))
        .map(|finding| &finding.tracked)
        .filter(|tracked| matches!(tracked.state, FindingState::Fixed | FindingState::Superseded))
        .map(|tracked| (tracked.state_since, tracked.first_seen))
        .collect();
    // Latest end first: each story that reaches the present one may reach back to another.
    ended.sort_unstable();
    for (end, first_seen) in ended.into_iter().rev() {
        if end.saturating_add(REOPEN_WINDOW) >= begin {
            begin = begin.min(first_seen);
        }
    }
    begin
}

/// The members that a record shows: those that count first, then by asset and id. Left out are findings of branches and
/// images that do not count (they belong to gates), and what has left the component.
#[must_use]
pub fn canonical<'a>(group: &Group, findings: &'a [Finding<'a>]) -> Vec<&'a Finding<'a>> {
    let mut members: Vec<&Finding<'_>> = group
        .members
        .iter()
        .filter_map(|at| findings.get(*at))
        .filter(|finding| finding.end == FindingEnd::None && finding.tracked.counts)
        .collect();
    members.sort_by(|left, right| {
        let key = |finding: &'a Finding<'a>| (!group::counts(finding), finding.tracked.asset, finding.tracked.finding);
        key(left).cmp(&key(right))
    });
    members
}

/// One piece of evidence.
#[must_use]
pub fn piece(finding: &Finding<'_>) -> Evidence {
    let tracked = &finding.tracked;
    let tools: BTreeSet<&str> = tracked.claims.iter().map(|claim| claim.tool).collect();
    let rules: BTreeSet<&str> = tracked.claims.iter().map(|claim| claim.rule).collect();
    Evidence {
        finding: tracked.finding,
        asset: tracked.asset.to_owned(),
        tools: tools.into_iter().map(str::to_owned).collect(),
        rules: rules.into_iter().map(str::to_owned).collect(),
        location: location(finding),
        state: tracked.state,
        counts: group::counts(finding),
        first_seen: tracked.first_seen,
        runtime: tracked.runtime,
    }
}

fn location(finding: &Finding<'_>) -> String {
    let sighting = &finding.tracked.sighting;
    if let Some(location) = &sighting.location {
        return if location.start_line > 0 {
            format!("{}:{}", location.path, location.start_line)
        } else {
            location.path.to_owned()
        };
    }
    if sighting.endpoint.is_some() {
        return fix::endpoint(finding);
    }
    match &sighting.package {
        Some(package) if !package.file.is_empty() => package.file.to_owned(),
        Some(package) => package.manifest_dir.to_owned(),
        None => sighting.resource.to_owned(),
    }
}

fn place(class: FindingClass, first: &Finding<'_>) -> String {
    let sighting = &first.tracked.sighting;
    match class {
        FindingClass::Vulnerability | FindingClass::Malware | FindingClass::Licence => String::new(),
        FindingClass::Web => fix::endpoint(first),
        FindingClass::Secret => sighting.secret.as_ref().map_or_else(String::new, |secret| secret.family.to_owned()),
        FindingClass::Host | FindingClass::Runtime => first.tracked.asset.to_owned(),
        // A resource's address says more than the file that declares it.
        FindingClass::Misconfiguration if !sighting.resource.is_empty() => sighting.resource.to_owned(),
        _ => sighting.location.as_ref().map_or(sighting.resource, |location| location.path).to_owned(),
    }
}

fn title(group: &Group, counting: &[&Finding<'_>], intel: &Intelligence) -> String {
    let summary = group.ids.iter().filter_map(|id| intel.vulnerabilities.get(id)).map(|known| known.summary.as_str());
    let reported = counting.iter().map(|finding| finding.tracked.sighting.title);
    let text = summary.chain(reported).find(|text| !text.is_empty()).unwrap_or_default();
    let subject = counting.iter().find_map(|finding| finding.tracked.sighting.package.as_ref());
    let head = match subject {
        Some(package) => format!("{} in {}", group.name, package.name),
        None => group.name.clone(),
    };
    // Tools put the package's name, or the last part of it, before the title (`freetype: overflow in …`); here it stands
    // there already.
    let text = match (text.split_once(": "), subject) {
        (Some((said, rest)), Some(package)) if package.name.rsplit([':', '/']).next() == Some(said) => rest,
        (Some((said, rest)), Some(package)) if package.name == said => rest,
        _ => text,
    };
    let title = if text.is_empty() || text == head { head } else { format!("{head}: {text}") };
    title.chars().take(300).collect()
}

fn cwes(group: &Group, counting: &[&Finding<'_>], intel: &Intelligence) -> Vec<u32> {
    let reported = counting.iter().flat_map(|finding| &finding.tracked.sighting.cwes);
    let published = group.ids.iter().filter_map(|id| intel.vulnerabilities.get(id)).flat_map(|known| &known.cwes);
    reported.chain(published).copied().collect::<BTreeSet<u32>>().into_iter().collect()
}

fn installed_versions(counting: &[&Finding<'_>]) -> Vec<String> {
    let packages = counting.iter().filter_map(|finding| finding.tracked.sighting.package.as_ref());
    let versions: BTreeSet<&str> =
        packages.map(|package| package.version).filter(|version| !version.is_empty()).collect();
    versions.into_iter().take(MAX_VERSIONS).map(str::to_owned).collect()
}

fn tools(counting: &[&Finding<'_>]) -> Vec<String> {
    let claims = counting.iter().flat_map(|finding| &finding.tracked.claims).filter(|claim| claim.present);
    claims.map(|claim| claim.tool).collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
}
