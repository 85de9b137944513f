//! A risk's whole derivation in words, from its record alone; and what its band would be if something were otherwise.

use std::fmt::Write;

use tributary_model::risk::{Exposure, Risk, RiskState};
use tributary_model::sighting::FindingClass;

use super::decide::{self, Decision, Model};
use super::inputs::Inputs;
use super::score;
use super::surroundings::Known;
use super::tables::Exploitation;

/// The derivation, for people. Plain text, one statement a line.
#[must_use]
pub fn explain(risk: &Risk) -> String {
    let mut text = String::new();
    let state = match risk.state {
        RiskState::Open => "open",
        RiskState::Suppressed => "suppressed",
        RiskState::Resolved => "resolved",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} ({})\n{state}, {}, {} of 1000 points\n",
        risk.title,
        risk.risk.short(),
        risk.band.name(),
        risk.score
    );
    let _ = writeln!(text, "Band ({}):", risk.model_version);
    for (at, step) in risk.decision.iter().enumerate() {
        let assumed = if step.assumed { " [something here is assumed]" } else { "" };
        let _ = writeln!(text, "  {}. {}{assumed}", at + 1, step.reason);
    }
    let _ = writeln!(text, "\nPoints:");
    for one in &risk.contributions {
        let from = if one.assumed { "assumed".to_owned() } else { format!("from {}", one.source) };
        let _ = writeln!(text, "  {:>4}  {:<9} {} ({from})", one.points, one.factor, one.value);
    }
    let _ = writeln!(text, "  {:>4}  together\n", risk.score);
    let owner = if risk.owner.team.is_empty() { "nobody is known" } else { &risk.owner.team };
    let _ = writeln!(text, "Owner: {owner} ({}, confidence {})", risk.owner.source, risk.owner.confidence);
    let _ = writeln!(text, "Fix: {}", risk.fix.summary);
    let places = if risk.evidence_total == 1 { "place" } else { "places" };
    let _ = writeln!(text, "Seen by {} in {} {places}:", risk.tools.join(", "), risk.evidence_total);
    for piece in &risk.evidence {
        let _ = writeln!(text, "  {} {} ({})", piece.asset, piece.location, piece.tools.join(", "));
    }
    if !risk.suppressed_by.is_empty() {
        let _ = writeln!(text, "Suppressed: {}", risk.suppressed_by);
    }
    text
}

/// What to suppose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// In KEV.
    pub kev: Option<bool>,
    /// Reachable from the internet.
    pub exposed: Option<bool>,
    /// An attacker can automate it.
    pub automatable: Option<bool>,
    /// Total technical impact.
    pub total: Option<bool>,
    /// Business criticality.
    pub tier: Option<i32>,
    /// A fix exists.
    pub fix_available: Option<bool>,
}

/// The decision under suppositions, from the record alone. Inputs that the record states only in words are read back
/// from its decision, and without suppositions the answer is the record's own.
#[must_use]
pub fn what_if(risk: &Risk, overrides: Overrides) -> (Decision, i32) {
    let mut inputs = recovered(risk);
    if let Some(kev) = overrides.kev {
        inputs.kev = Known::said(Some(kev), "what-if", 0);
        inputs.kev_detail = if kev { "since today".to_owned() } else { String::new() };
        inputs.exploitation =
            if kev { Known::said(Exploitation::Active, "what-if", 0) } else { Known::assumed(Exploitation::None) };
    }
    if let Some(exposed) = overrides.exposed {
        let exposure = if exposed { Exposure::Open } else { Exposure::Controlled };
        inputs.exposure = Known::said(exposure, "what-if", 0);
    }
    if let Some(automatable) = overrides.automatable {
        inputs.automatable = Known::said(automatable, "what-if", 0);
    }
    if let Some(total) = overrides.total {
        inputs.total = Known::said(total, "what-if", 0);
    }
    if let Some(tier) = overrides.tier {
        inputs.tier = Known::said(tier, "what-if", 0);
    }
    if let Some(fix_available) = overrides.fix_available {
        inputs.fix_available = fix_available;
    }
    let model = Model::parse(&risk.model_version).unwrap_or_default();
    let decision = decide::decide(model, &inputs);
    (decision, score::score(&inputs).0)
}

/// The inputs as far as the record tells them.
fn recovered(risk: &Risk) -> Inputs {
    let said = |text: &str| risk.decision.iter().any(|step| step.reason.contains(text));
    let contribution = |text: &str| risk.contributions.iter().find(|one| one.value.contains(text));
    let kev_detail = contribution("in KEV ").map_or_else(String::new, |one| one.value.replacen("in KEV ", "", 1));
    let known = |value: bool, text: &str| match contribution(text) {
        Some(one) => Known { value, source: one.source.clone(), observed_at: one.observed_at, assumed: one.assumed },
        None => Known::assumed(value),
    };
    let exploitation = if risk.kev == Some(true) || contribution("exploited").is_some() || said("exploitation active") {
        Exploitation::Active
    } else if contribution("proof of concept").is_some()
        || contribution("weaponised").is_some()
        || said("exploitation poc")
    {
        Exploitation::Poc
    } else {
        Exploitation::None
    };
    let total = contribution("total technical impact").is_some();
    Inputs {
        class: risk.class,
        malware: risk.class == FindingClass::Malware,
        verified: risk.verified,
        severity: risk.severity,
        doubtful: said("low confidence"),
        kev: risk.kev.map_or_else(|| Known::assumed(None), |kev| Known::said(Some(kev), "record", 0)),
        kev_detail,
        exploitation: match exploitation {
            Exploitation::None if contribution("no exploit").is_none_or(|one| one.assumed) => {
                Known::assumed(Exploitation::None)
            }
            exploitation => Known::said(exploitation, "record", 0),
        },
        weaponised: contribution("weaponised").is_some(),
        epss_floor_ppm: risk.epss_ppm.map(super::inputs::epss_floor),
        epss_ppm: risk.epss_ppm,
        automatable: Known::said(said(", automatable"), "record", 0),
        total: known(total, "technical impact"),
        cvss_tenths: risk.cvss_score.map(|score| Known::said((score * 10.0).round() as u32, "record", 0)),
        exposure: if risk.exposure == Exposure::Unknown {
            Known::assumed(Exposure::Unknown)
        } else {
            Known::said(risk.exposure, "record", 0)
        },
        deployed: risk.deployed,
        environments: risk.environments.clone(),
        tier: if risk.tier == 0 { Known::assumed(0) } else { Known::said(risk.tier, "record", 0) },
        runtime: risk.runtime,
        reachable: match (contribution("code is called"), contribution("code is not called")) {
            (Some(_), _) => Some(true),
            (_, Some(_)) => Some(false),
            _ if said("is not called") => Some(false),
            _ => None,
        },
        fix_available: !said("no fix is available"),
        development_only: said("needed for development"),
        idle_os_package: said("OS package that a sensor watches"),
    }
}

#[cfg(test)]
mod tests;
