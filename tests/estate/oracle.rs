//! `expected.toml` as types, and how each entry is compared with what the pipeline made.

use std::fmt;

use serde::Deserialize;
use tributary_model::finding::RuntimeVerdict;
use tributary_model::remedy::Ticket;
use tributary_model::risk::{Exposure, Risk, RiskState};

#[derive(Deserialize)]
pub struct Expected {
    pub totals: Totals,
    pub secrets: Secrets,
    pub persons: Persons,
    pub risk: Vec<ExpectedRisk>,
    pub absent: Vec<Absent>,
    pub apart: Vec<Apart>,
    pub linked: Vec<Linked>,
    pub ticket: Vec<ExpectedTicket>,
    pub reject: Vec<ExpectedReject>,
    pub bottom: Vec<Bottom>,
}

/// One `[[bottom]]`: risks of one kind at the end of the list, by their number.
#[derive(Deserialize)]
pub struct Bottom {
    pub component: String,
    pub kind: String,
    pub rule: Option<String>,
    pub count: usize,
    pub band: String,
    pub why: String,
}

impl Bottom {
    /// Whether a risk is one of them.
    pub fn holds(&self, risk: &Risk) -> bool {
        let has_rule =
            |rule: &String| risk.evidence.iter().any(|e| e.rules.iter().any(|name| name.ends_with(rule.as_str())));
        risk.component == self.component
            && risk.class.name() == self.kind
            && risk.band.name() == self.band
            && self.rule.as_ref().is_none_or(has_rule)
    }
}

#[derive(Deserialize)]
pub struct Totals {
    pub records: u64,
}

#[derive(Deserialize)]
pub struct Secrets {
    pub raw: Vec<String>,
}

#[derive(Deserialize)]
pub struct Persons {
    pub emails: Vec<String>,
}

#[derive(Deserialize)]
pub struct Apart {
    #[serde(default)]
    pub groups: Vec<String>,
    pub why: String,
}

#[derive(Deserialize)]
pub struct Linked {
    pub component: String,
    pub cwe: u32,
    pub kinds: Vec<String>,
    pub why: String,
}

#[derive(Deserialize)]
pub struct ExpectedReject {
    pub file: String,
    pub reason: String,
    pub why: String,
}

impl Expected {
    pub fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/estate/expected.toml");
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

/// One `[[risk]]`.
#[derive(Deserialize)]
pub struct ExpectedRisk {
    pub component: String,
    pub component_or: Option<String>,
    pub kind: String,
    pub group: Option<String>,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub package: Option<String>,
    pub rule: Option<String>,
    pub control: Option<String>,
    pub resource: Option<String>,
    pub cwe: Option<u32>,
    pub path: Option<String>,
    pub endpoint: Option<String>,
    pub band: Option<String>,
    #[serde(default)]
    pub bands: Vec<String>,
    pub state: Option<String>,
    pub owner: Option<String>,
    #[serde(default)]
    pub tools: Vec<String>,
    pub fix: Option<String>,
    pub deployed: Option<bool>,
    pub exposed: Option<String>,
    pub env: Option<Vec<String>>,
    pub runtime: Option<String>,
    pub first_seen: Option<String>,
    pub verified: Option<bool>,
    #[serde(default)]
    pub why: String,
}

impl fmt::Display for ExpectedRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [&self.group, &self.rule, &self.control, &self.resource, &self.path, &self.endpoint, &self.package];
        let name: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        write!(f, "{} {} {}", self.component, self.kind, name.join(" "))
    }
}

impl ExpectedRisk {
    /// Whether this entry is about that risk.
    pub fn describes(&self, risk: &Risk) -> bool {
        let component = risk.component == self.component || self.component_or.as_ref() == Some(&risk.component);
        let group = self.group.as_ref().is_none_or(|g| risk.name == *g || risk.vulnerability_ids.contains(g));
        let package = self.package.as_ref().is_none_or(|package| risk.package == *package);
        let by_rule = |name: &String| risk.evidence.iter().any(|e| e.rules.contains(name)) || risk.name == *name;
        let rule = self.rule.as_ref().is_none_or(by_rule);
        let control = self.control.as_ref().is_none_or(by_rule);
        let place = |wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|w| {
                risk.place.contains(w.as_str()) || risk.evidence.iter().any(|e| e.location.contains(w.as_str()))
            })
        };
        let cwe = self.cwe.is_none_or(|cwe| risk.cwes.contains(&cwe));
        component
            && risk.class.name() == self.kind
            && group
            && package
            && rule
            && control
            && cwe
            && place(&self.resource)
            && place(&self.path)
            && place(&self.endpoint)
    }

    /// What differs between this entry and the risk, in words.
    #[allow(clippy::too_many_lines)] // one check per field, top to bottom
    pub fn differences(&self, risk: &Risk) -> Vec<String> {
        let mut differences = Vec::new();
        let mut check = |what: &str, holds: bool, found: String| {
            if !holds {
                differences.push(format!("{what} is {found}"));
            }
        };
        let derivation = || risk.decision.iter().map(|step| step.reason.as_str()).collect::<Vec<_>>().join(" | ");
        let in_band = self.band.iter().chain(&self.bands).any(|band| band == risk.band.name());
        check(
            "band",
            in_band,
            format!("{}, expected {:?}{:?}: {} [{}]", risk.band.name(), self.band, self.bands, derivation(), self.why),
        );
        let state = self.state.as_deref().unwrap_or("open");
        let is_state = match risk.state {
            RiskState::Open => "open",
            RiskState::Suppressed => "suppressed",
            RiskState::Resolved => "resolved",
        };
        check("state", state == is_state, is_state.to_owned());
        check(
            "owner",
            self.owner.as_ref().is_none_or(|o| *o == risk.owner.team),
            format!("{:?}, expected {:?}", risk.owner.team, self.owner),
        );
        for tool in &self.tools {
            let all = risk.tools.iter().chain(risk.evidence.iter().flat_map(|evidence| &evidence.tools));
            let is_seen = all.into_iter().any(|seen| seen.contains(tool.as_str()));
            check("tools", is_seen, format!("{:?}, expected {tool}", risk.tools));
        }
        for alias in &self.aliases {
            check(
                "ids",
                risk.vulnerability_ids.contains(alias),
                format!("{:?}, expected {alias}", risk.vulnerability_ids),
            );
        }
        check(
            "fix",
            self.fix.as_ref().is_none_or(|fix| *fix == risk.fix.version),
            format!("{:?}, expected {:?}", risk.fix.version, self.fix),
        );
        if self.deployed == Some(true) {
            check("deployed", risk.deployed == Some(true), format!("{:?}", risk.deployed));
        } else if self.deployed == Some(false) {
            check("deployed", risk.deployed != Some(true), format!("{:?}", risk.deployed));
        }
        let exposure = match self.exposed.as_deref() {
            Some("yes") => risk.exposure == Exposure::Open,
            Some(_) => risk.exposure != Exposure::Open,
            None => true,
        };
        check("exposure", exposure, format!("{:?}, expected {:?}", risk.exposure, self.exposed));
        let environments = self.env.as_ref().is_none_or(|env| *env == risk.environments);
        check("environments", environments, format!("{:?}, expected {:?}", risk.environments, self.env));
        let runtime = match self.runtime.as_deref() {
            Some("loaded") => risk.runtime == RuntimeVerdict::Loaded,
            Some("executed") => matches!(risk.runtime, RuntimeVerdict::Executed | RuntimeVerdict::Loaded),
            _ => true,
        };
        check("runtime", runtime, format!("{:?}, expected {:?}", risk.runtime, self.runtime));
        if let Some(first_seen) = &self.first_seen {
            let expected = tributary_ingest::time::parse(first_seen).unwrap();
            check(
                "first_seen",
                risk.first_seen == expected,
                format!("{}, expected {first_seen}", tributary_ingest::time::format(risk.first_seen)),
            );
        }
        check("verified", self.verified.is_none_or(|verified| verified == risk.verified), risk.verified.to_string());
        differences
    }
}

/// One `[[absent]]`.
#[derive(Deserialize)]
pub struct Absent {
    pub story: Option<u32>,
    pub component: Option<String>,
    pub component_or: Option<String>,
    pub kind: Option<String>,
    pub group: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub cwes: Vec<u32>,
    #[serde(default)]
    pub controls: Vec<String>,
    #[serde(rename = "ref")]
    pub branch: Option<String>,
    pub env: Option<String>,
    pub change: Option<String>,
    pub rows: Option<String>,
    #[serde(default)]
    pub files: Vec<String>,
    pub why: String,
}

impl Absent {
    /// Whether an open risk is one that must not be.
    pub fn forbids(&self, risk: &Risk) -> bool {
        let names_a_component = self.component.is_none()
            || self.component.as_ref() == Some(&risk.component)
            || self.component_or.as_ref() == Some(&risk.component);
        if !names_a_component || self.change.is_some() || self.rows.is_some() {
            // Forged changes are proven by the risks that stay open; passes by the counts of sightings.
            return false;
        }
        let ids: Vec<&String> = self.group.iter().chain(&self.groups).collect();
        if !ids.is_empty() {
            let is_named = ids.iter().any(|id| risk.name == **id);
            let on_branch = self.branch.as_ref().is_none_or(|branch| {
                risk.evidence.iter().any(|e| {
                    e.counts
                        && e.asset.ends_with(&format!("#{branch}"))
                        && e.state == tributary_model::finding::FindingState::Active
                })
            });
            let in_environment = self.env.as_ref().is_none_or(|env| risk.environments.contains(env));
            return is_named && on_branch && in_environment;
        }
        if !self.controls.is_empty() {
            return risk.evidence.iter().any(|e| e.rules.iter().any(|rule| self.controls.contains(rule)));
        }
        if !self.cwes.is_empty() {
            return self.kind.as_deref() == Some(risk.class.name())
                && risk.cwes.iter().any(|cwe| self.cwes.contains(cwe));
        }
        // An entry that names only a component forbids every risk of it; one that names only files is proven elsewhere.
        self.component.is_some() && self.files.is_empty()
    }
}

/// One `[[ticket]]`.
#[derive(Deserialize)]
pub struct ExpectedTicket {
    pub target: String,
    pub owner: Option<String>,
    #[serde(default)]
    pub owner_any: Vec<String>,
    pub band: String,
    pub risks: Vec<[String; 2]>,
    pub fix: Option<String>,
}

impl ExpectedTicket {
    /// What differs, in words; `wanted` are the risks named that exist.
    pub fn differences(&self, ticket: &Ticket, wanted: &[&Risk]) -> Vec<String> {
        let mut differences = Vec::new();
        if wanted.len() != self.risks.len() {
            differences.push(format!("{} of {} risks exist", wanted.len(), self.risks.len()));
        }
        for risk in wanted {
            if !ticket.risks.iter().any(|r| r.risk == risk.risk) {
                differences.push(format!("{} {} is not under it", risk.component, risk.name));
            }
        }
        let owner_fits = self.owner.iter().chain(&self.owner_any).any(|owner| *owner == ticket.owner.team);
        if !owner_fits {
            differences.push(format!("owner is {:?}, expected {:?}", ticket.owner.team, self.owner));
        }
        if ticket.band.name() != self.band {
            differences.push(format!("band is {}, expected {}", ticket.band.name(), self.band));
        }
        if self.fix.as_ref().is_some_and(|fix| *fix != ticket.fix.version) {
            differences.push(format!("fix is {:?}, expected {:?}", ticket.fix.version, self.fix));
        }
        differences
    }
}
