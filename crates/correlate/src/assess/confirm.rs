//! Web and code weaknesses of one CWE on a matching route confirm each other; they stay two risks.
//!
//! A route matches when a fixed segment of the endpoint's path occurs, as a word, in the code's path or enclosing name:
//! `/api/sailings/search` and `SailingRepository.java`. Words that occur in every service match nothing.

use std::collections::BTreeSet;

use tributary_model::id::RiskId;
use tributary_model::sighting::FindingClass;

use super::{Finding, cwe};

/// Segments that say nothing about which route it is.
const COMMON: [&str; 22] = [
    "api",
    "app",
    "rest",
    "src",
    "main",
    "java",
    "web",
    "www",
    "lib",
    "service",
    "services",
    "controller",
    "controllers",
    "handler",
    "handlers",
    "index",
    "route",
    "routes",
    "public",
    "internal",
    "test",
    "search",
];

/// What one open web or code risk shows to the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// The risk.
    pub risk: RiskId,
    /// `Web` or `Weakness`.
    pub class: FindingClass,
    /// CWE numbers, ascending.
    pub cwes: Vec<u32>,
    /// Words of its route or path.
    pub words: BTreeSet<String>,
}

/// The signal of a group's counting findings; `None` for other classes and for what has no CWE.
#[must_use]
pub fn signal(risk: RiskId, class: FindingClass, findings: &[&Finding<'_>]) -> Option<Signal> {
    if !matches!(class, FindingClass::Web | FindingClass::Weakness) {
        return None;
    }
    let mut cwes: Vec<u32> =
        findings.iter().flat_map(|finding| finding.tracked.sighting.cwes.iter().copied()).collect();
    cwes.sort_unstable();
    cwes.dedup();
    let words: BTreeSet<String> = findings.iter().flat_map(|finding| words_of(finding)).collect();
    (!cwes.is_empty() && !words.is_empty()).then_some(Signal { risk, class, cwes, words })
}

fn words_of(finding: &Finding<'_>) -> BTreeSet<String> {
    let sighting = &finding.tracked.sighting;
    let mut words = BTreeSet::new();
    if let Some(endpoint) = &sighting.endpoint {
        add_words(endpoint.path_template, &mut words);
    }
    if let Some(location) = &sighting.location {
        add_words(location.path, &mut words);
        add_words(location.enclosing, &mut words);
    }
    words
}

/// Words between separators and at changes to upper case, in lower case, without a plural `s`, of four letters or more.
fn add_words(text: &str, words: &mut BTreeSet<String>) {
    let mut word = String::new();
    let mut was_lower = false;
    for c in text.chars().chain(['/']) {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            let plain = word.strip_suffix('s').unwrap_or(&word);
            if plain.chars().count() >= 4 && !COMMON.contains(&word.as_str()) && !COMMON.contains(&plain) {
                words.insert(plain.to_owned());
            }
            word.clear();
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
}

/// Whether two signals confirm each other.
#[must_use]
pub fn confirms(left: &Signal, right: &Signal) -> bool {
    left.class != right.class
        && cwe::any_same_flaw(&left.cwes, &right.cwes)
        && left.words.intersection(&right.words).next().is_some()
}

/// The risks that confirm one, ascending.
#[must_use]
pub fn confirmed_by<'a>(signal: &Signal, others: impl Iterator<Item = &'a Signal>) -> Vec<RiskId> {
    let mut risks: Vec<RiskId> = others.filter(|other| confirms(signal, other)).map(|other| other.risk).collect();
    risks.sort_unstable();
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: FindingClass, cwe: u32, text: &str) -> Signal {
        let mut words = BTreeSet::new();
        add_words(text, &mut words);
        Signal { risk: RiskId([class as u8; 16]), class, cwes: vec![cwe], words }
    }

    #[test]
    fn one_cwe_on_one_route_confirms() {
        let code = of(FindingClass::Weakness, 564, "src/main/java/shop/SailingRepository.java");
        let web = of(FindingClass::Web, 89, "/api/sailings/search");
        assert!(confirms(&code, &web) && confirms(&web, &code));
        assert_eq!(confirmed_by(&code, [&web].into_iter()), [web.risk]);
    }

    #[test]
    fn other_flaws_other_routes_and_one_side_do_not() {
        let code = of(FindingClass::Weakness, 89, "src/main/java/shop/SailingRepository.java");
        assert!(!confirms(&code, &of(FindingClass::Web, 79, "/api/sailings/search")));
        assert!(!confirms(&code, &of(FindingClass::Web, 89, "/api/main/search/{}")));
        assert!(!confirms(&code, &of(FindingClass::Weakness, 89, "src/Sailing.java")));
    }
}
