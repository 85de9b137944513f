//! The bundled intelligence (schemas/intel): facts to start with where there is no network, dated and old by design.
//! What was compiled by hand is asserted as `bundled`, which every other source outranks.

use tributary_model::fact::{Attribute, Fact, value};
use tributary_model::record::Extensions;
use tributary_model::reject::Origin;
use tributary_model::{entity, time::Millis};

use crate::event::{Input, SecretHasher};
use crate::normalize::claims::Claims;
use crate::normalize::osv::MIRROR;
use crate::time;

/// The day whose state the snapshot has. Shown wherever it is used.
pub const DATE: &str = "2025-08-25";

/// Model name of the rounded EPSS scores, so that they are never compared with those of a real model.
const EPSS_MODEL: &str = "rounded";

const KEV: &str = include_str!("../../../schemas/intel/kev-2025-08-25.csv");
const ESSENTIALS: &str = include_str!("../../../schemas/intel/essentials-2025-08-25.csv");

/// [`DATE`] at midnight UTC: the event time of every fact, so that any later source replaces it.
#[must_use]
pub fn observed_at() -> Millis {
    time::parse(DATE).unwrap_or_default()
}

/// Every fact of the snapshot, in the order of the files. `origin` says which record stands for it.
#[must_use]
pub fn facts(origin: &Origin) -> Vec<Fact> {
    let ext = Extensions { time: Some(observed_at()), ..Extensions::default() };
    let input = Input { body: &[], ext: &ext, origin, secrets: &NoSecrets };
    let mut claims = Claims::new(&input, "cisa-kev");
    KEV.lines().skip(1).for_each(|row| kev(row, &mut claims));
    "bundled".clone_into(&mut claims.asserter);
    ESSENTIALS.lines().skip(1).for_each(|row| essentials(row, &mut claims));
    claims.into_facts()
}

/// `cve,date_added,due_date,ransomware`.
fn kev(row: &str, claims: &mut Claims<'_>) {
    let mut fields = row.split(',');
    let mut next = || fields.next().unwrap_or_default().to_owned();
    let (cve, date_added, due_date, ransomware) = (next(), next(), next(), next());
    let kev = value::Kev { date_added, due_date, ransomware: ransomware == "true" };
    claims.say(&entity::vulnerability(&cve), Attribute::Kev, "", &kev);
}

/// `cve,alias,cvss,exploitation,automatable,technical_impact,epss,cwes,summary`; empty fields say nothing.
fn essentials(row: &str, claims: &mut Claims<'_>) {
    let mut fields = row.splitn(9, ',');
    let mut next = || fields.next().unwrap_or_default().trim();
    let (cve, alias, vector) = (next(), next(), next());
    let ssvc = value::Ssvc {
        exploitation: next().to_owned(),
        automatable: next().to_owned(),
        technical_impact: next().to_owned(),
    };
    let (epss, cwes, summary) = (next(), next(), next());
    let vulnerability = entity::vulnerability(cve);
    if !alias.is_empty() {
        claims.text(&vulnerability, Attribute::Alias, alias, "");
        claims.text(&entity::vulnerability(alias), Attribute::Alias, cve, MIRROR);
    }
    if let Ok(parsed) = vector.parse::<cvss::Cvss>() {
        let cvss = value::Cvss { vector: vector.to_owned(), score: parsed.score() };
        claims.say(&vulnerability, Attribute::Cvss, "3.1", &cvss);
    }
    if !ssvc.exploitation.is_empty() {
        claims.say(&vulnerability, Attribute::Ssvc, "", &ssvc);
    }
    if let Ok(score) = epss.parse::<f64>() {
        let epss = value::Epss {
            score_ppm: (score * 1_000_000.0).round() as u32,
            // Scores of 0.9 and above have been in the highest hundredth since the model's version 2.
            percentile_ppm: 990_000,
            model: EPSS_MODEL.to_owned(),
            date: DATE.to_owned(),
        };
        claims.say(&vulnerability, Attribute::Epss, "", &epss);
    }
    let cwes: Vec<u32> = cwes.split(';').filter_map(|cwe| cwe.parse().ok()).collect();
    if !cwes.is_empty() {
        claims.say(&vulnerability, Attribute::Weaknesses, "", &cwes);
    }
    claims.text(&vulnerability, Attribute::Summary, "", summary);
}

/// Intelligence has no secrets.
struct NoSecrets;

impl SecretHasher for NoSecrets {
    fn hmac(&self, _: &str) -> String {
        String::new()
    }
    fn key_id(&self) -> &'static str {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for (file, columns) in [(KEV, 4), (ESSENTIALS, 9)] {
            let ids: Vec<&str> = file.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
            let distinct: BTreeSet<&str> = ids.iter().copied().collect();
            assert_eq!(ids.len(), distinct.len(), "one row per vulnerability");
            for row in file.lines() {
                assert_eq!(row.split(',').count(), columns, "{row}");
            }
        }
        assert_eq!((KEV.lines().count(), ESSENTIALS.lines().count()), (1_405, 74), "README.md names these numbers");
        let vectors =
            ESSENTIALS.lines().skip(1).filter_map(|row| row.split(',').nth(2)).filter(|vector| !vector.is_empty());
        for vector in vectors {
            assert!(vector.parse::<cvss::Cvss>().is_ok(), "{vector}");
        }
    }

    #[test]
    fn facts_are_dated_and_say_who_claims_them() {
        let facts = facts(&Origin::default());
        assert!(
            observed_at() > 0 && facts.iter().all(|fact| fact.observed_at == observed_at() && !fact.value.is_empty())
        );
        let of = |cve: &str, attribute| {
            let fact = facts.iter().find(|fact| fact.entity == format!("vuln:{cve}") && fact.attribute == attribute);
            fact.map(|fact| (fact.value.as_str(), fact.asserter.as_str()))
        };
        let kev = r#"{"date_added":"2021-12-10","due_date":"2021-12-24","ransomware":true}"#;
        assert_eq!(of("CVE-2021-44228", Attribute::Kev), Some((kev, "cisa-kev")));
        let ssvc = r#"{"exploitation":"active","automatable":"yes","technical_impact":"total"}"#;
        assert_eq!(of("CVE-2021-44228", Attribute::Ssvc), Some((ssvc, "bundled")));
        assert_eq!(of("GHSA-jfh8-c2jp-5v3q", Attribute::Alias), Some(("\"mirror\"", "bundled")));
        assert_eq!(of("CVE-2024-3094", Attribute::Kev), None, "absence is no fact");
        let keys: BTreeSet<_> = facts.iter().map(|fact| (&fact.entity, fact.attribute, &fact.qualifier)).collect();
        assert_eq!(keys.len(), facts.len(), "one fact per key");
    }
}
