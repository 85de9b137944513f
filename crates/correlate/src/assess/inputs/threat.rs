//! Exploited, exploitable, likely: KEV, known exploits, EPSS, and what a scan demonstrated.

use tributary_model::severity::Severity;
use tributary_model::sighting::FindingClass;

use super::Evidence;
use crate::assess::group::is_of_site;
use crate::assess::surroundings::{Intelligence, Known, Vulnerability};
use crate::assess::tables::Exploitation;

/// Floors of the EPSS buckets, in parts per million, descending. Fixed and coarse: the score of most vulnerabilities
/// moves a little every day, and a bucket per tenth would re-emit a fifth of all risks with each daily file.
const EPSS_FLOORS: [u32; 8] = [900_000, 500_000, 200_000, 100_000, 50_000, 10_000, 1_000, 0];

pub(super) struct Threat {
    pub(super) kev: Known<Option<bool>>,
    pub(super) kev_detail: String,
    pub(super) exploitation: Known<Exploitation>,
    pub(super) weaponised: bool,
    pub(super) epss_ppm: Option<u32>,
}

/// The floor of a score's bucket.
#[must_use]
pub fn epss_floor(ppm: u32) -> u32 {
    EPSS_FLOORS.into_iter().find(|floor| ppm >= *floor).unwrap_or_default()
}

pub(super) fn gather(evidence: Evidence<'_>, severity: Severity, intel: &Intelligence) -> Threat {
    let ids = evidence.ids.iter().chain(evidence.bundled);
    let known: Vec<&Vulnerability> = ids.filter_map(|id| intel.vulnerabilities.get(id)).collect();
    let listed =
        known.iter().filter_map(|vulnerability| vulnerability.kev.as_ref()).min_by_key(|kev| kev.value.0.clone());
    let kev = match listed {
        Some(kev) => Known::said(Some(true), kev.source.clone(), kev.observed_at),
        None if intel.kev_read => Known::said(Some(false), "cisa-kev", 0),
        None => Known::assumed(None),
    };
    let kev_detail = listed.map_or_else(String::new, |kev| {
        let ransomware = if kev.value.1 { ", used by ransomware" } else { "" };
        format!("since {}{ransomware}", kev.value.0)
    });
    let exploit = known.iter().filter_map(|vulnerability| vulnerability.exploit.as_ref());
    let exploit = exploit.max_by_key(|exploit| exploit.value == "weaponised");
    Threat {
        exploitation: exploitation(evidence, severity, &kev, exploit, &known),
        weaponised: exploit.is_some_and(|exploit| exploit.value == "weaponised"),
        epss_ppm: known.iter().filter_map(|vulnerability| vulnerability.epss_ppm).max(),
        kev,
        kev_detail,
    }
}

fn exploitation(
    evidence: Evidence<'_>,
    severity: Severity,
    kev: &Known<Option<bool>>,
    exploit: Option<&Known<String>>,
    known: &[&Vulnerability],
) -> Known<Exploitation> {
    if kev.value == Some(true) {
        return Known::said(Exploitation::Active, kev.source.clone(), kev.observed_at);
    }
    let ssvc = known.iter().filter_map(|vulnerability| vulnerability.ssvc.as_ref()).map(|ssvc| {
        let word = match ssvc.value[0].as_str() {
            "active" => Exploitation::Active,
            "poc" => Exploitation::Poc,
            _ => Exploitation::None,
        };
        Known::said(word, "cisa-ssvc", ssvc.observed_at)
    });
    let exploit = exploit.map(|exploit| Known::said(Exploitation::Poc, exploit.source.clone(), exploit.observed_at));
    let said = ssvc.chain(exploit).max_by(|left, right| (left.value, &right.source).cmp(&(right.value, &left.source)));
    said.unwrap_or_else(|| demonstrated(evidence, severity))
}

/// What a scan or a sensor showed on this component itself.
fn demonstrated(evidence: Evidence<'_>, severity: Severity) -> Known<Exploitation> {
    match evidence.class {
        // The scanner's own attack is the proof. A missing header was looked at, not attacked.
        FindingClass::Web if evidence.findings.iter().any(|finding| !is_of_site(&finding.tracked.sighting)) => {
            Known::said(Exploitation::Poc, "web scan", 0)
        }
        FindingClass::Weakness if evidence.confirmed => Known::said(Exploitation::Poc, "confirmed by a web scan", 0),
        FindingClass::Runtime if severity >= Severity::High => Known::said(Exploitation::Active, "runtime sensor", 0),
        _ => Known::assumed(Exploitation::None),
    }
}
