//! Inputs for tests: everything unknown.

use tributary_model::finding::RuntimeVerdict;
use tributary_model::risk::Exposure;
use tributary_model::severity::Severity;
use tributary_model::sighting::FindingClass;

use super::Inputs;
use crate::assess::surroundings::Known;
use crate::assess::tables::Exploitation;

/// Nothing is known, except that a fix exists and that a KEV catalogue was read and does not list it.
pub(crate) fn plain(class: FindingClass) -> Inputs {
    Inputs {
        class,
        malware: false,
        verified: false,
        severity: Severity::Unknown,
        doubtful: false,
        kev: Known::said(Some(false), "cisa-kev", 0),
        kev_detail: String::new(),
        exploitation: Known::assumed(Exploitation::None),
        weaponised: false,
        epss_floor_ppm: None,
        epss_ppm: None,
        automatable: Known::assumed(false),
        total: Known::assumed(false),
        cvss_tenths: None,
        exposure: Known::assumed(Exposure::Unknown),
        deployed: None,
        environments: Vec::new(),
        tier: Known::assumed(0),
        runtime: RuntimeVerdict::Unknown,
        reachable: None,
        fix_available: true,
        development_only: false,
        idle_os_package: false,
    }
}
