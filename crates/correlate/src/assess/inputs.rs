//! Gathers what a decision uses, each with its source and whether it was assumed; nothing is decided here.

mod deployment;
mod threat;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tributary_model::asset::{self, AssetKind};
use tributary_model::borrowed::ToolClaim;
use tributary_model::finding::RuntimeVerdict;
use tributary_model::risk::Exposure;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass};

use super::Finding;
use super::alias;
use super::chain::hex;
use super::surroundings::{Intelligence, Known, Surroundings};
use super::tables::Exploitation;
use super::vector;

/// Everything a decision uses. Serialised without observation times, it is what `inputs_digest` is taken over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inputs {
    /// Kind of problem.
    pub class: FindingClass,
    /// A package or file that is itself malicious.
    pub malware: bool,
    /// A secret that was tried and worked.
    pub verified: bool,
    /// Highest severity that a tool reports.
    pub severity: Severity,
    /// One tool only, and it doubts its own claim.
    pub doubtful: bool,
    /// In KEV; `None` when no catalogue was ever read.
    pub kev: Known<Option<bool>>,
    /// `since 2021-12-10, used by ransomware`; empty when not in KEV.
    pub kev_detail: String,
    /// Whether anybody exploits it.
    pub exploitation: Known<Exploitation>,
    /// A public exploit is ready to use.
    pub weaponised: bool,
    /// EPSS bucket: its floor in parts per million.
    pub epss_floor_ppm: Option<u32>,
    /// EPSS of the day; shown, not compared.
    #[serde(skip)]
    pub epss_ppm: Option<u32>,
    /// An attacker can automate it.
    pub automatable: Known<bool>,
    /// Total technical impact.
    pub total: Known<bool>,
    /// Highest CVSS base score, in tenths.
    pub cvss_tenths: Option<Known<u32>>,
    /// Reachability of what runs.
    pub exposure: Known<Exposure>,
    /// Whether evidence is deployed.
    pub deployed: Option<bool>,
    /// Where.
    pub environments: Vec<String>,
    /// Business criticality; 0 when unknown.
    pub tier: Known<i32>,
    /// Strongest run-time verdict.
    pub runtime: RuntimeVerdict,
    /// A tool shows that vulnerable code is called, or that it is not.
    pub reachable: Option<bool>,
    /// A version that fixes it exists, or the fix is in the organisation's own hands.
    pub fix_available: bool,
    /// Development or test scope in every piece of evidence, and in no image.
    pub development_only: bool,
    /// An OS package that a sensor watches everywhere and never saw used.
    pub idle_os_package: bool,
}

impl Inputs {
    /// SHA-256 (hex) of the canonical JSON.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut json = Vec::with_capacity(1024);
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(&mut json, self);
        hex(&Sha256::digest(&json))
    }
}

/// A group of findings as the inputs see it. All of `findings` count.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Kind of problem.
    pub class: FindingClass,
    /// Ids of the alias group, ascending; empty for classes without ids.
    pub ids: &'a [String],
    /// Ids whose exploitation counts too: members of a bundle.
    pub bundled: &'a [String],
    /// The counting findings.
    pub findings: &'a [&'a Finding<'a>],
    /// A scan from another angle confirms it.
    pub confirmed: bool,
}

impl<'a> Evidence<'a> {
    /// Every present claim of every finding; all claims of findings without a present one (stale, not observed).
    fn claims(self) -> impl Iterator<Item = &'a ToolClaim<'a>> {
        self.findings.iter().flat_map(|finding| {
            let claims = &finding.tracked.claims;
            let any_present = claims.iter().any(|claim| claim.present);
            claims.iter().filter(move |claim| claim.present || !any_present)
        })
    }
}

pub use threat::epss_floor;

/// Gathers the inputs of one group.
#[must_use]
pub fn gather(evidence: Evidence<'_>, around: &Surroundings, intel: &Intelligence) -> Inputs {
    let malware = evidence.class == FindingClass::Malware || evidence.ids.iter().any(|id| alias::is_malware(id));
    let severity = severity(evidence);
    let threat = threat::gather(evidence, severity, intel);
    let runs = deployment::gather(evidence, around);
    let (automatable, total) = technical(evidence, severity, intel);
    Inputs {
        class: evidence.class,
        malware,
        verified: is_verified(evidence),
        severity,
        doubtful: is_doubtful(evidence),
        kev: threat.kev,
        kev_detail: threat.kev_detail,
        exploitation: threat.exploitation,
        weaponised: threat.weaponised,
        epss_floor_ppm: threat.epss_ppm.map(threat::epss_floor),
        epss_ppm: threat.epss_ppm,
        automatable,
        total,
        cvss_tenths: cvss(evidence, intel),
        exposure: runs.exposure,
        deployed: runs.deployed,
        environments: runs.environments,
        tier: around.tier.clone().unwrap_or_else(|| Known::assumed(0)),
        runtime: evidence.findings.iter().map(|finding| finding.tracked.runtime).max().unwrap_or_default(),
        reachable: reachable(evidence),
        fix_available: is_fixable(evidence),
        development_only: is_development_only(evidence),
        idle_os_package: is_idle_os_package(evidence),
    }
}

fn severity(evidence: Evidence<'_>) -> Severity {
    let reported = evidence.claims().map(|claim| claim.severity).max().unwrap_or_default();
    if reported != Severity::Unknown {
        return reported;
    }
    let scored = evidence
        .claims()
        .filter_map(|claim| claim.cvss_score)
        .fold(None::<f64>, |best, score| Some(best.map_or(score, |best| best.max(score))));
    scored.map_or(Severity::Unknown, Severity::from_cvss)
}

fn is_verified(evidence: Evidence<'_>) -> bool {
    evidence.class == FindingClass::Secret
        && evidence.findings.iter().any(|finding| {
            let secret = finding.tracked.sighting.secret.as_ref();
            let says_so = secret.is_some_and(|secret| secret.verified)
                || finding.tracked.claims.iter().any(|claim| claim.verified);
            says_so && !secret.is_some_and(|secret| secret.revoked)
        })
}

fn is_doubtful(evidence: Evidence<'_>) -> bool {
    let mut tools: Vec<&str> = evidence.claims().map(|claim| claim.tool).collect();
    tools.sort_unstable();
    tools.dedup();
    tools.len() < 2 && evidence.claims().any(|claim| claim.confidence == Severity::Low)
}

fn reachable(evidence: Evidence<'_>) -> Option<bool> {
    let mut verdicts = evidence.claims().map(|claim| claim.reachable);
    if verdicts.any(|verdict| verdict == Some(true)) {
        return Some(true);
    }
    let mut verdicts = evidence.claims().filter_map(|claim| claim.reachable);
    verdicts.next().map(|_| false)
}

fn is_fixable(evidence: Evidence<'_>) -> bool {
    if !matches!(evidence.class, FindingClass::Vulnerability | FindingClass::Host | FindingClass::EndOfLife) {
        return true;
    }
    evidence.findings.iter().any(|finding| {
        let package = finding.tracked.sighting.package.as_ref();
        package.is_none_or(|package| !package.fixed_versions.is_empty())
            || finding.tracked.claims.iter().any(|claim| !claim.fixed_versions.is_empty())
    })
}

fn is_development_only(evidence: Evidence<'_>) -> bool {
    !evidence.findings.is_empty()
        && evidence.findings.iter().all(|finding| {
            let in_repository = asset::kind(finding.tracked.asset) == AssetKind::Repository;
            let scope = finding.tracked.sighting.package.as_ref().map(|package| package.scope);
            in_repository && matches!(scope, Some(DependencyScope::Development | DependencyScope::Test))
        })
}

fn is_idle_os_package(evidence: Evidence<'_>) -> bool {
    !evidence.findings.is_empty()
        && evidence.findings.iter().all(|finding| {
            let os = finding.tracked.sighting.package.as_ref().is_some_and(|package| package.is_os_package);
            os && finding.tracked.runtime == RuntimeVerdict::NotSeen
        })
}

/// Highest base score: published, else reported, else computed from a reported vector. In tenths, so that equality is exact.
fn cvss(evidence: Evidence<'_>, intel: &Intelligence) -> Option<Known<u32>> {
    let tenths = |score: f64| (score * 10.0).round().clamp(0.0, 100.0) as u32;
    let published = of_group(evidence, intel)
        .flat_map(|vulnerability| &vulnerability.cvss)
        .map(|cvss| Known::said(cvss.value.1, format!("cvss:{}", cvss.source), cvss.observed_at));
    let reported = evidence.claims().filter_map(|claim| {
        let score = claim.cvss_score.or_else(|| vector::score(claim.cvss_vector))?;
        Some(Known::said(tenths(score), format!("cvss:{}", claim.tool), claim.observed_at))
    });
    published.chain(reported).max_by(|left, right| {
        (left.value, &right.source, right.observed_at).cmp(&(right.value, &left.source, left.observed_at))
    })
}

/// Automatable, and total technical impact: CISA's word, else the vector's, else the severity's, else assumed.
fn technical(evidence: Evidence<'_>, severity: Severity, intel: &Intelligence) -> (Known<bool>, Known<bool>) {
    let ssvc = of_group(evidence, intel).find_map(|vulnerability| vulnerability.ssvc.as_ref());
    let by_vector = best_vector(evidence, intel);
    let from_ssvc = |at: usize, yes: &str| {
        ssvc.filter(|ssvc| !ssvc.value[at].is_empty())
            .map(|ssvc| Known::said(ssvc.value[at] == yes, "cisa-ssvc", ssvc.observed_at))
    };
    let automatable = from_ssvc(1, "yes")
        .or_else(|| by_vector.as_ref().map(|known| Known { value: known.value.automatable, ..relabel(known) }))
        .unwrap_or_else(|| assumed_automatable(evidence.class));
    let total = from_ssvc(2, "total")
        .or_else(|| by_vector.as_ref().map(|known| Known { value: known.value.total, ..relabel(known) }))
        .unwrap_or_else(|| total_by_severity(evidence.class, severity));
    (automatable, total)
}

fn relabel<T>(known: &Known<T>) -> Known<bool> {
    Known { value: false, source: known.source.clone(), observed_at: known.observed_at, assumed: known.assumed }
}

/// Whoever holds a secret can use it from a script; of the rest nothing is known.
fn assumed_automatable(class: FindingClass) -> Known<bool> {
    match class {
        FindingClass::Malware => Known::said(true, "class", 0),
        _ => Known::assumed(false),
    }
}

/// Outside published vulnerabilities a tool's severity is its word on the impact: critical and high are total.
fn total_by_severity(class: FindingClass, severity: Severity) -> Known<bool> {
    let published = matches!(class, FindingClass::Vulnerability | FindingClass::Host);
    match severity {
        Severity::Unknown => Known::assumed(false),
        Severity::Critical if published => Known::assumed(true),
        _ if published => Known::assumed(false),
        severity => Known::said(severity >= Severity::High, "severity", 0),
    }
}

/// The published vector of the highest version, else the reported vector with the highest score.
fn best_vector(evidence: Evidence<'_>, intel: &Intelligence) -> Option<Known<vector::VectorFacts>> {
    let published =
        of_group(evidence, intel).flat_map(|vulnerability| vulnerability.cvss.iter().rev()).find_map(|cvss| {
            let facts = vector::read(&cvss.value.0)?;
            Some(Known::said(facts, format!("cvss:{}", cvss.source), cvss.observed_at))
        });
    published.or_else(|| {
        let score = |claim: &ToolClaim<'_>| claim.cvss_score.map_or(0, |score| (score * 10.0) as u32);
        let mut claims: Vec<&ToolClaim<'_>> = evidence.claims().filter(|claim| !claim.cvss_vector.is_empty()).collect();
        claims.sort_by(|left, right| {
            (score(right), &right.cvss_vector, &left.tool).cmp(&(score(left), &left.cvss_vector, &right.tool))
        });
        claims.into_iter().find_map(|claim| {
            let facts = vector::read(claim.cvss_vector)?;
            Some(Known::said(facts, format!("cvss:{}", claim.tool), claim.observed_at))
        })
    })
}

fn of_group<'a>(
    evidence: Evidence<'a>,
    intel: &'a Intelligence,
) -> impl Iterator<Item = &'a super::surroundings::Vulnerability> {
    evidence.ids.iter().filter_map(|id| intel.vulnerabilities.get(id))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
