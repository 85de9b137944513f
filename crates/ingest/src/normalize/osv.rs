//! OSV records (one, an array, or JSON lines) → aliases or bundles, summary, CVSS and weaknesses of vulnerabilities.
//! Two CVEs never join: a record that names several, or what it follows upstream, is a bundle (F31). `related` joins nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use tributary_model::entity;
use tributary_model::fact::{Attribute, value};

use crate::event::{Events, Input, Rejection};
use crate::normalize::claims::Claims;
use crate::normalize::{advisory, cwe, title};
use crate::time;

/// Value of an alias fact that only repeats, at the other id, what the record says. It lives as long as the record's own
/// fact does, but is not withdrawn with it: who joins ids uses the record's own facts and ignores mirrors.
pub const MIRROR: &str = "mirror";

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    severity: Option<Vec<Severity>>,
    #[serde(default)]
    affected: Option<Vec<Affected>>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(default)]
    severity: Option<Vec<Severity>>,
}

#[derive(Deserialize)]
struct Severity {
    #[serde(default)]
    score: String,
}

/// Facts by `osv:<database>` (the letters before the first `-` of the record's id); aliases by `osv:<record id>`, so that
/// each record replaces its own set and no other's. Event time is `modified`.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let is_array = input.body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    let mut claims = Claims::new(input, "osv");
    if is_array {
        let records: Vec<Record<'_>> = serde_json::from_slice(input.body).map_err(|e| Rejection::json("OSV", &e))?;
        for record in records {
            claim(input, &record, &mut claims);
        }
    } else {
        for record in serde_json::Deserializer::from_slice(input.body).into_iter::<Record<'_>>() {
            claim(input, &record.map_err(|error| Rejection::json("OSV", &error))?, &mut claims);
        }
    }
    claims.into_events("there is no OSV record with an id in it: send records as published on osv.dev")
}

fn claim(input: &Input<'_>, record: &Record<'_>, claims: &mut Claims<'_>) {
    let id = entity::vulnerability_id(&record.id);
    if id.is_empty() {
        return;
    }
    let vulnerability = entity::vulnerability(&id);
    claims.observed_at = record.modified.as_deref().and_then(time::parse).unwrap_or_else(|| input.default_time());
    claims.asserter = format!("osv:{id}");
    claim_names(record, &id, claims);
    claims.asserter = format!("osv:{}", id.split('-').next().unwrap_or(&id));
    let summary = [&record.summary, &record.details].into_iter().flatten().find_map(|text| {
        text.lines().map(|line| title::line(line.trim_start_matches('#'))).find(|line| !line.is_empty())
    });
    if let Some(summary) = summary {
        claims.text(&vulnerability, Attribute::Summary, "", &summary);
    }
    for (version, cvss) in scores(record) {
        claims.say(&vulnerability, Attribute::Cvss, version, &cvss);
    }
    let weaknesses = weaknesses(&record.database_specific);
    if !weaknesses.is_empty() {
        claims.say(&vulnerability, Attribute::Weaknesses, "", &weaknesses);
    }
    if let Some(at) = &record.withdrawn {
        let day = at.get(..10).unwrap_or_default();
        claims.text(&vulnerability, Attribute::WithdrawnAdvisory, "", &format!("withdrawn {day}"));
    }
}

/// Aliases in both directions, or the members of a bundle; the empty set where there are none any more.
fn claim_names(record: &Record<'_>, id: &str, claims: &mut Claims<'_>) {
    let vulnerability = entity::vulnerability(id);
    let ids = |list: &Option<Vec<String>>| -> BTreeSet<String> {
        let ids = list.iter().flatten().map(|other| entity::vulnerability_id(other));
        ids.filter(|other| !other.is_empty() && other != id).collect()
    };
    let (aliases, mut members) = (ids(&record.aliases), ids(&record.upstream));
    let is_cve = |id: &str| id.starts_with("CVE-");
    // A CVE among the aliases of a CVE record makes two as well.
    let cves = aliases.iter().filter(|id| is_cve(id)).count() + usize::from(is_cve(id));
    let is_bundle = cves > 1 || advisory::is_bundle(id);
    if is_bundle {
        members.extend(aliases.iter().cloned());
        if advisory::is_bundle(id) {
            // Distributions listed the CVEs of an update as `related` before `upstream` existed.
            members.extend(ids(&record.related).into_iter().filter(|id| is_cve(id)));
        }
    }
    let is_withdrawn = record.withdrawn.is_some();
    for member in members.iter().filter(|_| !is_withdrawn) {
        claims.text(&vulnerability, Attribute::Bundles, member, "");
    }
    if is_bundle || is_withdrawn || aliases.is_empty() {
        claims.retract(&vulnerability, Attribute::Alias, "");
    } else {
        for alias in &aliases {
            claims.text(&vulnerability, Attribute::Alias, alias, "");
        }
    }
    for alias in aliases.iter().filter(|_| !is_bundle) {
        let other = entity::vulnerability(alias);
        if is_withdrawn {
            claims.retract(&other, Attribute::Alias, id);
        } else {
            claims.text(&other, Attribute::Alias, id, MIRROR);
        }
    }
}

/// Vectors of the record, else of the first affected package that has some: version and score, one per version.
fn scores(record: &Record<'_>) -> Vec<(&'static str, value::Cvss)> {
    let own = record.severity.as_deref().unwrap_or_default();
    let of_package = record
        .affected
        .iter()
        .flatten()
        .filter_map(|affected| affected.severity.as_deref())
        .find(|list| !list.is_empty());
    let listed = if own.is_empty() { of_package.unwrap_or_default() } else { own };
    let mut scores: Vec<(&'static str, value::Cvss)> = Vec::new();
    for severity in listed {
        let Ok(vector) = severity.score.trim().parse::<cvss::Cvss>() else { continue };
        let version = match &vector {
            cvss::Cvss::CvssV20(_) => "2.0",
            cvss::Cvss::CvssV30(_) => "3.0",
            cvss::Cvss::CvssV31(_) => "3.1",
            cvss::Cvss::CvssV40(_) => "4.0",
            _ => continue,
        };
        if scores.iter().all(|(known, _)| *known != version) {
            scores.push((version, value::Cvss { vector: severity.score.trim().to_owned(), score: vector.score() }));
        }
    }
    scores
}

/// `cwe_ids: ["CWE-79"]` (GitHub) and `cwes: [{"cweId": "CWE-506"}]` (malicious packages).
fn weaknesses(database_specific: &Value) -> Vec<u32> {
    let list = |key: &str| database_specific.get(key).and_then(Value::as_array).into_iter().flatten();
    let texts = list("cwe_ids").chain(list("cwes").filter_map(|entry| entry.get("cweId"))).filter_map(Value::as_str);
    let mut numbers = Vec::new();
    texts.for_each(|text| cwe::collect(text, true, &mut numbers));
    cwe::canonical(numbers)
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    const RECORD: &str = r#"{"id":"GHSA-ABCD-2222-3333","modified":"2026-02-01T00:00:00Z","aliases":["cve-2030-7"],"related":["CVE-2030-8"],
        "summary":"till: prices can be negative","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"},{"type":"X","score":"7"}],
        "database_specific":{"cwe_ids":["CWE-20","CWE-7"]}}"#;

    #[test]
    fn one_vulnerability_under_two_names() {
        let expected = [
            "vuln:GHSA-abcd-2222-3333 alias [CVE-2030-7] = \"\" (osv:GHSA-abcd-2222-3333)",
            "vuln:CVE-2030-7 alias [GHSA-abcd-2222-3333] = \"mirror\" (osv:GHSA-abcd-2222-3333)",
            "vuln:GHSA-abcd-2222-3333 summary = \"till: prices can be negative\" (osv:GHSA)",
            "vuln:GHSA-abcd-2222-3333 cvss [3.1] = {\"vector\":\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N\",\"score\":7.5} (osv:GHSA)",
            "vuln:GHSA-abcd-2222-3333 weaknesses = [7,20] (osv:GHSA)",
        ];
        check(normalize, RECORD, Extensions::default(), &expected);
        check(normalize, &format!("[{RECORD}]"), Extensions::default(), &expected);
        let lines = run(normalize, &format!("{}\n{RECORD}", RECORD.replace("ABCD", "EFGH")), Extensions::default());
        let events = lines.unwrap();
        assert_eq!(events.facts.len(), 10);
        assert_eq!(events.facts[0].observed_at, time::parse("2026-02-01").unwrap());
        check_robust(normalize, RECORD);
    }

    #[test]
    fn f31_what_names_several_joins_nothing() {
        check(
            normalize,
            r#"{"id":"GO-2030-1","aliases":["CVE-2030-1","CVE-2030-2","GHSA-xxxx-2222-3333"]}"#,
            Extensions::default(),
            &[
                "vuln:GO-2030-1 bundles [CVE-2030-1] = \"\" (osv:GO-2030-1)",
                "vuln:GO-2030-1 bundles [CVE-2030-2] = \"\" (osv:GO-2030-1)",
                "vuln:GO-2030-1 bundles [GHSA-xxxx-2222-3333] = \"\" (osv:GO-2030-1)",
                "vuln:GO-2030-1 alias =  (osv:GO-2030-1)",
            ],
        );
        check(
            normalize,
            r#"{"id":"DSA-9-1","related":["CVE-2030-3","X-1"],"upstream":["CVE-2030-4"]}"#,
            Extensions::default(),
            &[
                "vuln:DSA-9-1 bundles [CVE-2030-3] = \"\" (osv:DSA-9-1)",
                "vuln:DSA-9-1 bundles [CVE-2030-4] = \"\" (osv:DSA-9-1)",
                "vuln:DSA-9-1 alias =  (osv:DSA-9-1)",
            ],
        );
    }

    #[test]
    fn a_withdrawn_record_takes_its_alias_back() {
        check(
            normalize,
            r#"{"id":"GHSA-abcd-2222-3333","aliases":["CVE-2030-7"],"withdrawn":"2026-03-01T00:00:00Z"}"#,
            Extensions::default(),
            &[
                "vuln:GHSA-abcd-2222-3333 alias =  (osv:GHSA-abcd-2222-3333)",
                "vuln:CVE-2030-7 alias [GHSA-abcd-2222-3333] =  (osv:GHSA-abcd-2222-3333)",
                "vuln:GHSA-abcd-2222-3333 withdrawn_advisory = \"withdrawn 2026-03-01\" (osv:GHSA)",
            ],
        );
    }

    #[test]
    fn malware_is_a_vulnerability_with_a_summary() {
        check(
            normalize,
            "{\"id\":\"MAL-2030-5\",\"aliases\":[],\"details\":\"\\n# Malicious code in x\",\"database_specific\":{\"cwes\":[{\"cweId\":\"CWE-506\"}]}}",
            Extensions::default(),
            &[
                "vuln:MAL-2030-5 alias =  (osv:MAL-2030-5)",
                "vuln:MAL-2030-5 summary = \"Malicious code in x\" (osv:MAL)",
                "vuln:MAL-2030-5 weaknesses = [506] (osv:MAL)",
            ],
        );
    }
}
