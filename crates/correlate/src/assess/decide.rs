//! From inputs to a band, step by step and in words.
//!
//! Model `tributary-1`: published vulnerabilities by BOD 26-04, then a floor, then at most one band less; everything
//! else by SSVC Deployer, then a cap. Rules about malware, live secrets and licences stand above the tables.

use tributary_model::risk::{DecisionStep, Exposure};
use tributary_model::severity::{Band, Severity};
use tributary_model::sighting::FindingClass;

use super::inputs::Inputs;
use super::tables::{self, Exploitation, HumanImpact, SystemExposure};

/// The decision models that can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Model {
    /// The default.
    #[default]
    Tributary1,
    /// BOD 26-04 to the letter for published vulnerabilities: unknown exposure counts as exposed, nothing raises or lowers.
    Bod2604,
    /// CISA Coordinator for published vulnerabilities.
    CisaCoordinator,
}

impl Model {
    /// Every model.
    pub const ALL: [Model; 3] = [Model::Tributary1, Model::Bod2604, Model::CisaCoordinator];

    /// Their names, in the same order.
    pub const NAMES: [&str; 3] = [Model::ALL[0].name(), Model::ALL[1].name(), Model::ALL[2].name()];

    /// The model with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Model> {
        Model::ALL.into_iter().find(|model| model.name() == name)
    }

    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Model::Tributary1 => "tributary-1",
            Model::Bod2604 => "bod-26-04",
            Model::CisaCoordinator => "cisa-coordinator-2.0.3",
        }
    }
}

/// A band and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The band.
    pub band: Band,
    /// First step first.
    pub steps: Vec<DecisionStep>,
}

impl Decision {
    fn step(&mut self, kind: &str, band: Band, assumed: bool, reason: String) {
        self.band = band;
        self.steps.push(DecisionStep { kind: kind.to_owned(), band, reason, assumed });
    }
}

/// Decides. Total: every input has a band.
#[must_use]
pub fn decide(model: Model, inputs: &Inputs) -> Decision {
    let mut decision = Decision { band: Band::Defer, steps: Vec::new() };
    if let Some((band, reason)) = standing_rule(inputs) {
        decision.step("rule", band, false, reason.to_owned());
        return decision;
    }
    if !matches!(inputs.class, FindingClass::Vulnerability | FindingClass::Host) {
        deployer(inputs, &mut decision);
        return decision;
    }
    match model {
        Model::Tributary1 => {
            bod(inputs, inputs.exposure.value == Exposure::Open, &mut decision);
            raise(inputs, &mut decision);
            lower(inputs, &mut decision);
        }
        Model::Bod2604 => {
            let exposed = matches!(inputs.exposure.value, Exposure::Open | Exposure::Unknown);
            bod(inputs, exposed, &mut decision);
        }
        Model::CisaCoordinator => coordinator(inputs, &mut decision),
    }
    decision
}

fn standing_rule(inputs: &Inputs) -> Option<(Band, &'static str)> {
    if inputs.malware {
        return Some((Band::Immediate, "The package is malicious: immediate, whatever a table says"));
    }
    if inputs.class == FindingClass::Secret && inputs.verified {
        return Some((Band::Immediate, "The secret was tried and works: immediate"));
    }
    (inputs.class == FindingClass::Licence)
        .then_some((Band::Defer, "A licence is decided by policy, not by a deadline: defer"))
}

fn bod(inputs: &Inputs, exposed: bool, decision: &mut Decision) {
    let kev = inputs.kev.value == Some(true);
    let cell = tables::bod(kev, exposed, inputs.automatable.value, inputs.total.value);
    let kev_word = match inputs.kev.value {
        Some(true) => format!("in KEV {}", inputs.kev_detail),
        Some(false) => "not in KEV".to_owned(),
        None => "KEV unknown (no catalogue was read)".to_owned(),
    };
    let exposed_word = match (inputs.exposure.value, exposed) {
        (Exposure::Unknown, true) => "exposure unknown, taken as exposed",
        (Exposure::Unknown, false) => "exposure unknown, taken as inside",
        (_, true) => "exposed to the internet",
        (_, false) => "not exposed to the internet",
    };
    let reason = format!(
        "BOD 26-04: {}, {exposed_word}, {}, {} technical impact → {}",
        kev_word.trim_end(),
        if inputs.automatable.value { "automatable" } else { "not automatable" },
        if inputs.total.value { "total" } else { "partial" },
        cell.word,
    );
    let assumed = inputs.kev.assumed || inputs.exposure.assumed || inputs.automatable.assumed || inputs.total.assumed;
    decision.step("table", cell.band, assumed, reason);
}

/// Never `defer`: a public proof of concept with total impact; anything in a tier-1 component.
fn raise(inputs: &Inputs, decision: &mut Decision) {
    if decision.band > Band::Defer {
        return;
    }
    let proven = inputs.exploitation.value >= Exploitation::Poc && inputs.total.value;
    if proven {
        let reason = "A public proof of concept with total impact is never deferred → 60 days".to_owned();
        decision.step("floor", Band::Scheduled, inputs.total.assumed, reason);
    } else if inputs.tier.value == 1 {
        let reason = "In a tier-1 component nothing is deferred by the table → 60 days".to_owned();
        decision.step("floor", Band::Scheduled, inputs.tier.assumed, reason);
    }
}

/// One band less, once, whatever the number of reasons; never for what is in KEV.
fn lower(inputs: &Inputs, decision: &mut Decision) {
    if inputs.kev.value == Some(true) || decision.band == Band::Defer {
        return;
    }
    let mut reasons = Vec::new();
    if !inputs.fix_available {
        reasons.push("no fix is available");
    }
    if inputs.development_only {
        reasons.push("it is needed for development or tests only and is in no image");
    }
    if inputs.idle_os_package {
        reasons.push("it is an OS package that a sensor watches and never saw used");
    }
    if inputs.reachable == Some(false) {
        reasons.push("a tool shows that the vulnerable code is not called");
    }
    if !reasons.is_empty() {
        let band = decision.band.lower();
        decision.step("lower", band, false, format!("One band lower: {} → {}", reasons.join("; "), band.name()));
    }
}

/// Severity as impact, tier as what it happens to, confidence as how sure: the SSVC human impact of what is no CVE.
fn human_impact(inputs: &Inputs) -> HumanImpact {
    let impact = match (inputs.tier.value, inputs.total.value) {
        (1, true) => HumanImpact::VeryHigh,
        (1, false) | (2, true) => HumanImpact::High,
        (2, false) | (_, true) => HumanImpact::Medium,
        (_, false) => HumanImpact::Low,
    };
    if inputs.doubtful { impact.lower() } else { impact }
}

fn deployer(inputs: &Inputs, decision: &mut Decision) {
    let exposure = match inputs.exposure.value {
        Exposure::Small => SystemExposure::Small,
        Exposure::Open => SystemExposure::Open,
        Exposure::Controlled | Exposure::Unknown => SystemExposure::Controlled,
    };
    let impact = human_impact(inputs);
    let cell = tables::deployer(inputs.exploitation.value, exposure, inputs.automatable.value, impact);
    let tier = if inputs.tier.value == 0 { "tier unknown".to_owned() } else { format!("tier {}", inputs.tier.value) };
    let reason = format!(
        "SSVC Deployer: exploitation {}, exposure {}{}, {}, human impact {} ({tier}, {} impact{}) → {}",
        inputs.exploitation.value.name(),
        exposure.name(),
        if inputs.exposure.assumed { " (assumed)" } else { "" },
        if inputs.automatable.value { "automatable" } else { "not automatable" },
        impact.name().replace('_', " "),
        if inputs.total.value { "total" } else { "partial" },
        if inputs.doubtful { ", low confidence" } else { "" },
        cell.band.name(),
    );
    let assumed = inputs.exposure.assumed || inputs.tier.assumed || inputs.total.assumed || inputs.automatable.assumed;
    decision.step("table", cell.band, assumed, reason);
    if matches!(inputs.severity, Severity::Information | Severity::Low) && decision.band > Band::Defer {
        let reason = format!("Severity {} is capped at defer", inputs.severity.name());
        decision.step("cap", Band::Defer, false, reason);
    }
}

fn coordinator(inputs: &Inputs, decision: &mut Decision) {
    let well_being = match inputs.tier.value {
        1 => HumanImpact::High,
        2 | 0 => HumanImpact::Medium,
        _ => HumanImpact::Low,
    };
    let exploitation = inputs.exploitation.value;
    let cell = tables::coordinator(exploitation, inputs.automatable.value, inputs.total.value, well_being);
    let reason = format!(
        "CISA Coordinator: exploitation {}, {}, {} technical impact, mission and well-being {} → {}",
        exploitation.name(),
        if inputs.automatable.value { "automatable" } else { "not automatable" },
        if inputs.total.value { "total" } else { "partial" },
        well_being.name(),
        cell.word,
    );
    let assumed = inputs.tier.assumed || inputs.automatable.assumed || inputs.total.assumed;
    decision.step("table", cell.band, assumed, reason);
}

#[cfg(test)]
mod tests;
