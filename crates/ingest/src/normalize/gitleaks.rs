//! Gitleaks JSON: credentials in a repository and its history. The secret becomes an HMAC here; `Match`, `Line` and the commit
//! message, which may hold it, are never copied. `Fingerprint` has the commit in it and changes on every rewrite: not read.

use serde::Deserialize;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Sighting};
use tributary_model::{asset, path};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{List, Number, Text, first};
use crate::normalize::{code_evidence, secret_of, title};
use crate::report::Report;

/// One leak; the names of version 7 are aliases.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Leak<'a> {
    #[serde(rename = "RuleID", alias = "rule", borrow)]
    rule: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
    #[serde(alias = "offender", borrow)]
    secret: Text<'a>,
    #[serde(rename = "Match", borrow)]
    matched: Text<'a>,
    #[serde(alias = "file", borrow)]
    file: Text<'a>,
    #[serde(alias = "lineNumber")]
    start_line: Number,
    end_line: Number,
    #[serde(borrow)]
    link: Text<'a>,
    #[serde(rename = "repoURL", borrow)]
    repository: Text<'a>,
}

/// One report about the repository.
///
/// # Errors
/// Not JSON, not Gitleaks', or nothing says which repository was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let leaks: List<Leak<'_>> =
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("Gitleaks", &error))?;
    if leaks.iter().any(|leak| leak.rule.is_empty()) {
        return Err(Rejection::new(code::MALFORMED, "an entry of the list is no Gitleaks leak: it has no RuleID"));
    }
    let reported = leaks.iter().find_map(|leak| {
        let url = first([&*leak.repository, repository_of_link(&leak.link)]);
        asset::repository(url, asset_of::branch(input, ""))
    });
    let report = Report {
        asset: asset_of::choose(input, Subject::Repository, reported)?,
        tool: "gitleaks".to_owned(),
        classes: vec![FindingClass::Secret],
        sightings: leaks.iter().map(|leak| sighting(input, leak)).collect(),
        // `null` is written by wrappers that found no report as well as by those that found no leak.
        complete: (!leaks.was_given).then_some(false),
        ..Report::default()
    };
    Ok(Events { reports: vec![report], ..Events::default() })
}

/// `https://host/org/name/blob/<commit>/file#L1` → `https://host/org/name`.
fn repository_of_link(link: &str) -> &str {
    ["/-/blob/", "/blob/", "/src/"]
        .iter()
        .find_map(|middle| link.split_once(middle))
        .map_or("", |(repository, _)| repository)
}

fn sighting(input: &Input<'_>, leak: &Leak<'_>) -> Sighting {
    let start_line = leak.start_line.line();
    // The line may serve as evidence only where the tool has hidden the secret in it.
    let is_masked = secret_of::is_mask(&leak.secret) && !leak.secret.is_empty() && leak.matched.contains(&*leak.secret);
    Sighting {
        class: FindingClass::Secret,
        rule: leak.rule.to_string(),
        title: title::line(first([&*leak.description, &*leak.rule])),
        // Gitleaks has no severities; a credential in a repository is high until something says more.
        severity: Severity::High,
        location: Some(Location {
            path: path::canonical(&leak.file),
            start_line,
            end_line: leak.end_line.line().max(start_line),
            line_hash: if is_masked { code_evidence::of_masked(&leak.matched) } else { String::new() },
            ..Location::default()
        }),
        secret: Some(secret_of::of(input, &leak.secret, &leak.rule, false)),
        ..Sighting::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format::Gitleaks;
    use crate::normalize::fixture;

    const LEAKS: &str = include_str!("../../tests/fixtures/gitleaks/leaks.json");

    #[test]
    fn a_secret_is_its_hmac_and_a_mask_is_its_place() {
        let report = fixture::report(Gitleaks, LEAKS, &fixture::repository());
        assert_eq!((report.asset.as_str(), report.sightings.len()), ("repo:github.com/acme/shop#main", 4));
        let secrets: Vec<_> = report.sightings.iter().map(|s| s.secret.clone().unwrap()).collect();
        assert!(secrets[0].hmac.starts_with("hmac-"));
        assert_eq!((secrets[0].key_id.as_str(), secrets[0].family.as_str()), ("test", "aws-access-key"));
        assert_eq!(secrets[0].hmac, secrets[1].hmac, "the same secret in another commit and file");
        assert_eq!((secrets[2].hmac.as_str(), secrets[2].key_id.as_str()), ("", ""));
        let locations: Vec<_> = report.sightings.iter().map(|s| s.location.clone().unwrap()).collect();
        assert_eq!((locations[0].path.as_str(), locations[0].line_hash.as_str()), ("config/prod.env", ""));
        assert!(!locations[2].line_hash.is_empty(), "a masked line is evidence");
        assert_eq!((locations[3].path.as_str(), locations[3].start_line), ("README.md", 23), "version 7");
    }

    #[test]
    fn the_link_names_the_repository_and_nothing_found_is_a_clean_scan() {
        let events =
            fixture::normalize(Gitleaks, LEAKS.as_bytes(), &tributary_model::record::Extensions::default()).unwrap();
        assert_eq!(events.reports[0].asset, "repo:github.com/acme/shop#");
        let clean = fixture::report(Gitleaks, "[]", &fixture::repository());
        assert_eq!((clean.sightings.len(), clean.complete, clean.classes), (0, None, vec![FindingClass::Secret]));
        assert_eq!(fixture::report(Gitleaks, "null", &fixture::repository()).complete, Some(false));
        let other = fixture::normalize(Gitleaks, br#"[{"Target":"x"}]"#, &fixture::repository());
        assert_eq!(other.unwrap_err().code, code::MALFORMED);
    }

    #[test]
    fn no_secret_gets_out_and_no_input_panics() {
        fixture::survives(Gitleaks, LEAKS, &["FAKEFIXTUREKEY", "fakeFixtureToken", "0123abcd:config"]);
    }
}
