//! OpenVEX 0.2 → VEX facts about products. Trust in the author is not decided here: a grant and a policy do that.
//! A later statement about the same product and vulnerability wins.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tributary_model::fact::{Attribute, value};
use tributary_model::time::Millis;
use tributary_model::{entity, package};

use crate::event::{Events, Input, Rejection};
use crate::normalize::claims::Claims;
use crate::normalize::image_reference::{self, ImageReference};
use crate::normalize::title;
use crate::time;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default, borrow)]
    author: Cow<'a, str>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    vulnerability: Value,
    #[serde(default)]
    products: Option<Vec<Value>>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default, rename = "impact_statement")]
    impact: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
}

/// What one statement says about one product.
struct Said {
    at: Millis,
    status: String,
    justification: String,
    versions: BTreeSet<String>,
    subcomponents: BTreeSet<String>,
}

impl Said {
    /// Whether the two differ in one respect only. A versionless statement suppresses nothing, so it joins no other.
    fn is_mergeable(&self, other: &Said) -> bool {
        let is_versioned = !self.versions.contains("") && !other.versions.contains("");
        self.versions == other.versions || (is_versioned && self.subcomponents == other.subcomponents)
    }
}

/// `Vex` facts by `openvex:<author>` about `product:<purl without version>` or `product:sha256:…`.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let document: Document<'_> = serde_json::from_slice(input.body).map_err(|e| Rejection::json("OpenVEX", &e))?;
    let author = document.author.trim();
    let of_document =
        [&document.last_updated, &document.timestamp].into_iter().flatten().find_map(|at| time::parse(at));
    let of_document = of_document.unwrap_or_else(|| input.default_time());
    let mut latest = BTreeMap::<(String, String), Said>::new();
    for statement in &document.statements {
        let own = [&statement.last_updated, &statement.timestamp].into_iter().flatten().find_map(|at| time::parse(at));
        collect(statement, own.unwrap_or(of_document), &mut latest);
    }
    let mut claims = Claims::new(input, format!("openvex:{author}"));
    for ((product, vulnerability), said) in latest {
        claims.observed_at = said.at;
        let vex = value::Vex {
            status: said.status,
            justification: said.justification,
            version: said.versions.into_iter().collect::<Vec<_>>().join(","),
            author: author.to_owned(),
            subcomponents: said.subcomponents.into_iter().collect(),
        };
        claims.say(&product, Attribute::Vex, &vulnerability, &vex);
    }
    claims.into_events(
        "no OpenVEX statement can be used: each needs a vulnerability, a product with a purl or digest, a known status, and \
         not_affected a justification or impact statement",
    )
}

fn collect(statement: &Statement, at: Millis, latest: &mut BTreeMap<(String, String), Said>) {
    let is_known = matches!(statement.status.as_str(), "not_affected" | "affected" | "fixed" | "under_investigation");
    let justification = [&statement.justification, &statement.impact].into_iter().flatten();
    let justification = justification.map(|text| title::line(text)).find(|text| !text.is_empty()).unwrap_or_default();
    if !is_known || (statement.status == "not_affected" && justification.is_empty()) {
        return;
    }
    let Some(vulnerability) = vulnerability(&statement.vulnerability) else { return };
    for stated in statement.products.iter().flatten() {
        let Some((product, version)) = product(stated) else { continue };
        let said = Said {
            at,
            status: statement.status.clone(),
            justification: justification.clone(),
            versions: BTreeSet::from([version]),
            subcomponents: subcomponents(stated),
        };
        merge(latest, (product, vulnerability.clone()), said);
    }
}

/// The later statement wins, of two at one time the one further down. Equal ones add up where they differ in versions only,
/// or in parts only: never both, since a statement about one part of one version says nothing about another of another.
fn merge(latest: &mut BTreeMap<(String, String), Said>, key: (String, String), said: Said) {
    match latest.get_mut(&key) {
        Some(known) if known.at == said.at && known.status == said.status && known.is_mergeable(&said) => {
            known.versions.extend(said.versions);
            if known.subcomponents.is_empty() || said.subcomponents.is_empty() {
                known.subcomponents.clear();
            } else {
                known.subcomponents.extend(said.subcomponents);
            }
        }
        Some(known) if known.at > said.at => {}
        _ => {
            latest.insert(key, said);
        }
    }
}

/// The name, from an object or (before 0.2) a bare text.
fn vulnerability(value: &Value) -> Option<String> {
    let name = value.get("name").or_else(|| value.get("@id")).unwrap_or(value).as_str()?;
    let name = entity::vulnerability_id(name.rsplit('/').next().unwrap_or(name));
    (!name.is_empty()).then_some(name)
}

/// Entity and version of a product: its digest when it has one, which is its own version, else its purl.
fn product(value: &Value) -> Option<(String, String)> {
    let hash = value.get("hashes").and_then(|hashes| hashes.get("sha-256").or_else(|| hashes.get("sha256")));
    let purl = value.pointer("/identifiers/purl").and_then(Value::as_str);
    let purl = purl.or_else(|| value.get("@id").unwrap_or(value).as_str());
    let digest = hash.and_then(Value::as_str).and_then(image_reference::digest);
    let digest = digest.or_else(|| Some(ImageReference::parse(purl?).digest).filter(|digest| !digest.is_empty()));
    if let Some(digest) = digest {
        return Some((entity::product(&digest), digest));
    }
    let parsed = package::parse(purl?)?;
    Some((entity::product(&parsed.purl), parsed.version))
}

/// Canonical purls of the parts that a statement about a product is limited to.
fn subcomponents(product: &Value) -> BTreeSet<String> {
    let parts = product.get("subcomponents").and_then(Value::as_array).into_iter().flatten();
    let purl = |part: &Value| {
        let purl = part.pointer("/identifiers/purl").or_else(|| part.get("@id")).unwrap_or(part).as_str()?;
        Some(package::parse(purl)?.purl)
    };
    parts.filter_map(purl).collect()
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    fn document(statements: &str) -> String {
        format!(
            r#"{{"@context":"https://openvex.dev/ns/v0.2.0","author":"team-till","timestamp":"2026-05-01T00:00:00Z","statements":[{statements}]}}"#
        )
    }

    #[test]
    fn statements_about_products() {
        let hex = "cd".repeat(32);
        let statements = format!(
            r#"{{"vulnerability":{{"name":"cve-2030-1"}},"status":"not_affected","justification":"component_not_present","products":[
                {{"@id":"pkg:npm/till@2.0.0?x=y"}},{{"@id":"pkg:npm/till@1.0.0"}},{{"@id":"x","hashes":{{"sha-256":"{hex}"}},"subcomponents":[{{"@id":"pkg:npm/Part@1"}}]}}]}},
               {{"vulnerability":"CVE-2030-2","status":"affected","products":["pkg:npm/till"]}},
               {{"vulnerability":"CVE-2030-2","status":"fixed","products":["pkg:npm/till@3"],"timestamp":"2026-06-01T00:00:00Z"}}"#
        );
        let body = document(&statements);
        check(
            normalize,
            &body,
            Extensions::default(),
            &[
                r#"product:pkg:npm/till vex [CVE-2030-1] = {"status":"not_affected","justification":"component_not_present","version":"1.0.0,2.0.0","author":"team-till"} (openvex:team-till)"#,
                r#"product:pkg:npm/till vex [CVE-2030-2] = {"status":"fixed","justification":"","version":"3","author":"team-till"} (openvex:team-till)"#,
                &format!(
                    r#"product:sha256:{hex} vex [CVE-2030-1] = {{"status":"not_affected","justification":"component_not_present","version":"sha256:{hex}","author":"team-till","subcomponents":["pkg:npm/part"]}} (openvex:team-till)"#
                ),
            ],
        );
        check_robust(normalize, &body);
    }

    #[test]
    fn not_affected_needs_a_reason() {
        let bare = document(
            r#"{"vulnerability":{"name":"CVE-2030-1"},"status":"not_affected","products":["pkg:npm/till@1"]}"#,
        );
        assert_eq!(run(normalize, &bare, Extensions::default()).unwrap_err().code, "nothing_in_it");
        let versionless = document(
            r#"{"vulnerability":{"@id":"https://nvd.nist.gov/vuln/detail/CVE-2030-1"},"status":"not_affected","impact_statement":"unused","products":["pkg:npm/till"]}"#,
        );
        check(
            normalize,
            &versionless,
            Extensions::default(),
            &[
                r#"product:pkg:npm/till vex [CVE-2030-1] = {"status":"not_affected","justification":"unused","version":"","author":"team-till"} (openvex:team-till)"#,
            ],
        );
    }
}
