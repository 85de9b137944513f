//! CISA's catalogue of known exploited vulnerabilities (JSON) → one `Kev` fact per vulnerability.
//! Event time is the release of the catalogue, so that a replayed older one changes nothing.

use std::borrow::Cow;

use serde::Deserialize;
use tributary_model::entity;
use tributary_model::fact::{Attribute, value};

use crate::event::{Events, Input, Rejection};
use crate::normalize::claims::Claims;
use crate::time;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue<'a> {
    #[serde(default)]
    date_released: Option<String>,
    #[serde(borrow)]
    vulnerabilities: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(rename = "cveID", borrow)]
    cve_id: Cow<'a, str>,
    #[serde(default)]
    date_added: String,
    #[serde(default)]
    due_date: String,
    #[serde(default, borrow)]
    known_ransomware_campaign_use: Cow<'a, str>,
}

/// `Kev` facts by `cisa-kev`. Absence from the catalogue is no fact: it does not mean safe.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let catalogue: Catalogue<'_> = serde_json::from_slice(input.body).map_err(|e| Rejection::json("KEV", &e))?;
    let mut claims = Claims::new(input, "cisa-kev");
    if let Some(released) = catalogue.date_released.as_deref().and_then(time::parse) {
        claims.observed_at = released;
    }
    for entry in catalogue.vulnerabilities {
        if entry.cve_id.trim().is_empty() {
            continue;
        }
        let kev = value::Kev {
            date_added: entry.date_added,
            due_date: entry.due_date,
            ransomware: entry.known_ransomware_campaign_use.eq_ignore_ascii_case("known"),
        };
        claims.say(&entity::vulnerability(&entry.cve_id), Attribute::Kev, "", &kev);
    }
    claims.into_events("the KEV catalogue names no vulnerability: send the whole catalogue")
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    const CATALOGUE: &str = r#"{"catalogVersion":"2026.01.02","dateReleased":"2026-01-02T15:00:00.1234Z","vulnerabilities":[
        {"cveID":"cve-2030-1","dateAdded":"2026-01-01","dueDate":"2026-01-22","knownRansomwareCampaignUse":"Known","cwes":[]},
        {"cveID":"CVE-2030-2","dateAdded":"2026-01-02","knownRansomwareCampaignUse":"Unknown"}]}"#;

    #[test]
    fn one_fact_per_vulnerability() {
        check(
            normalize,
            CATALOGUE,
            Extensions::default(),
            &[
                r#"vuln:CVE-2030-1 kev = {"date_added":"2026-01-01","due_date":"2026-01-22","ransomware":true} (cisa-kev)"#,
                r#"vuln:CVE-2030-2 kev = {"date_added":"2026-01-02","due_date":"","ransomware":false} (cisa-kev)"#,
            ],
        );
        let events = run(normalize, CATALOGUE, Extensions::default()).unwrap();
        assert_eq!(events.facts[0].observed_at, time::parse("2026-01-02T15:00:00.123Z").unwrap());
        check_robust(normalize, CATALOGUE);
    }
}
