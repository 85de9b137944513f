use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass};

use crate::event::{Events, code};
use crate::format::Format::{
    self, GithubCodeScanningAlerts as Code, GithubDependabotAlerts as Dependabot, GithubSecretScanningAlerts as Secret,
};
use crate::normalize::fixture;

const CODE: &str = include_str!("../../../../tests/fixtures/github/code_scanning_alerts.json");
const DEPENDABOT: &str = include_str!("../../../../tests/fixtures/github/dependabot_alerts.json");
const SECRET: &str = include_str!("../../../../tests/fixtures/github/secret_scanning_alerts.json");
const GRAPHQL: &str = include_str!("../../../../tests/fixtures/github/vulnerability_alerts.json");
/// The invented value in `SECRET`.
const TOKEN: &str = "ghp_thisisnotarealtoken000";

fn read(format: Format, body: &str) -> Events {
    fixture::normalize(format, body.as_bytes(), &Extensions::default())
        .unwrap_or_else(|rejection| panic!("{rejection}"))
}

/// Asset, tool and the rules with their states, of every report.
fn told(events: &Events) -> Vec<String> {
    let line = |report: &crate::report::Report| {
        assert_eq!(
            (report.is_alert, report.complete),
            (false, Some(false)),
            "a page is a report, and not all there is"
        );
        let rules = report.sightings.iter().map(|s| format!(" {}={:?}", s.rule, s.status));
        format!("{} {}:{}", report.asset, report.tool, rules.collect::<String>())
    };
    events.reports.iter().map(line).collect()
}

#[test]
fn code_scanning_by_branch_and_tool() {
    let events = read(Code, CODE);
    assert_eq!(
        told(&events),
        [
            "repo:github.com/acme/shop#refs/pull/3/merge modewatch: loose-mode=Open",
            "repo:github.com/acme/shop#trunk codeql: py/path-injection=Open py/weak-hash=Dismissed py/old=Fixed",
        ]
    );
    let report = &events.reports[1];
    let found = &report.sightings[0];
    let at = found.location.as_ref().unwrap();
    assert_eq!((at.path.as_str(), at.start_line, at.end_line), ("shop/files.py", 12, 14));
    assert_eq!(
        (found.severity, found.cwes.as_slice(), found.class),
        (Severity::High, &[22][..], FindingClass::Weakness)
    );
    assert_eq!(
        (report.classes.as_slice(), report.sightings[1].title.as_str()),
        (&[FindingClass::Weakness][..], "Weak hash")
    );
    assert_eq!(events.reports[0].sightings[0].location, None);
}

#[test]
fn dependabot_by_repository_in_both_spellings() {
    let rest = read(Dependabot, DEPENDABOT);
    assert_eq!(
        told(&rest),
        [
            "repo:github.com/acme/shop# dependabot: GHSA-aaaa-2222-3333=Open GHSA-bbbb-2222-3333=Dismissed",
            "repo:github.com/acme/till# dependabot: GHSA-cccc-2222-3333=Fixed",
        ]
    );
    let answer = read(Dependabot, GRAPHQL);
    assert_eq!(
        told(&answer),
        [
            "repo:github.com/acme/clean# dependabot:",
            "repo:github.com/acme/shop# dependabot: GHSA-aaaa-2222-3333=Open GHSA-bbbb-2222-3333=Dismissed GHSA-cccc-2222-3333=Fixed",
        ]
    );
    let mut by_graphql = answer.reports[1].sightings[0].clone();
    let package = by_graphql.package.as_mut().unwrap();
    assert_eq!(
        (package.purl.as_str(), package.manifest_dir.as_str(), package.scope, package.version.as_str()),
        ("pkg:pypi/till-kit", "apps/till", DependencyScope::Runtime, "1.4.2")
    );
    package.version.clear();
    assert_eq!(by_graphql, rest.reports[0].sightings[0], "the version is all that GraphQL says more");
    let ranged = answer.reports[1].sightings[1].package.as_ref().unwrap();
    assert_eq!(
        (ranged.version.as_str(), ranged.file.as_str(), ranged.purl.as_str()),
        ("", "pom.xml", "pkg:maven/acme/bell")
    );
}

#[test]
fn secrets_by_repository() {
    let events = read(Secret, SECRET);
    let rules = "github_personal_access_token=Open acme_key=Dismissed acme_key=Fixed";
    assert_eq!(told(&events), [format!("repo:github.com/acme/shop# github secret scanning: {rules}")]);
    let found = &events.reports[0].sightings;
    assert_eq!((found[0].severity, found[0].secret.as_ref().unwrap().verified), (Severity::Critical, true));
    let paths: Vec<_> = found.iter().map(|sighting| sighting.location.as_ref().unwrap().path.as_str()).collect();
    assert_eq!(paths, ["deploy/.env", "secret-scanning/18", "secret-scanning/17"]);
}

#[test]
fn pages_one_behind_the_other_and_in_a_list_and_one_alert_alone() {
    let whole = told(&read(Secret, SECRET));
    assert_eq!(told(&read(Secret, &format!("[{SECRET}]"))), whole);
    let twice = read(Secret, &format!("{SECRET}\n{SECRET}"));
    assert_eq!(twice.reports[0].sightings.len(), 6);
    let answers = read(Dependabot, &format!("{GRAPHQL}{GRAPHQL}"));
    assert_eq!(answers.reports[1].sightings.len(), 6);
    let alone = r#"{"number":1,"state":"open","secret_type":"x","html_url":"https://ghe.acme.example/a/b/security/secret-scanning/1"}"#;
    assert_eq!(told(&read(Secret, alone)), ["repo:ghe.acme.example/a/b# github secret scanning: x=Open"]);
}

#[test]
fn the_producer_names_the_repository_only_where_the_alerts_do_not() {
    let ext = fixture::repository();
    let of = |body: &str| fixture::normalize(Code, body.as_bytes(), &ext).unwrap().reports[0].asset.clone();
    let alert = |rest: &str| format!(r#"[{{"rule":{{"id":"r"}},"state":"open"{rest}}}]"#);
    assert_eq!(of(&alert("")), "repo:github.com/acme/shop#main");
    assert_eq!(
        of(&alert(r#","html_url":"https://github.com/o/r/security/code-scanning/1""#)),
        "repo:github.com/o/r#main"
    );
    let report = fixture::report(Dependabot, "[]", &ext);
    assert_eq!(
        (report.asset.as_str(), report.sightings.len(), report.complete),
        ("repo:github.com/acme/shop#main", 0, Some(false))
    );
}

#[test]
fn bad_input_is_a_rejection() {
    let reject = |format: Format, body: &str| {
        let rejection = fixture::normalize(format, body.as_bytes(), &Extensions::default()).unwrap_err();
        (rejection.code, rejection.at)
    };
    for format in [Code, Dependabot, Secret] {
        assert_eq!(reject(format, "null").0, code::NOTHING_IN_IT);
        assert_eq!(reject(format, "[]").0, code::NO_ASSET, "found nothing, but where?");
        assert_eq!(reject(format, "[{").0, code::TRUNCATED);
        for item in ["{}", "7", "\"x\"", r#"{"rule":null,"secret_type":[],"dependency":1,"security_advisory":"x"}"#] {
            let (code, at) = reject(format, &format!("[{item}]"));
            assert_eq!(code, code::MALFORMED, "{item}");
            assert!(at.starts_with("$[0]."), "{at}");
        }
    }
    assert_eq!(reject(Dependabot, r#"{"data":null,"errors":[{"message":"x"}]}"#).0, code::NOTHING_IN_IT);
    assert_eq!(reject(Dependabot, r#"{"data":{"repository":{"vulnerabilityAlerts":null}}}"#).0, code::NOTHING_IN_IT);
    let (code, at) =
        reject(Dependabot, r#"{"data":{"repository":{"nameWithOwner":"a/b","vulnerabilityAlerts":{"nodes":[null]}}}}"#);
    assert_eq!(code, code::MALFORMED);
    assert!(at.starts_with("$.data.repository.vulnerabilityAlerts.nodes[0]"), "{at}");
    fixture::survives(Code, CODE, &[]);
    fixture::survives(Dependabot, DEPENDABOT, &[]);
    fixture::survives(Dependabot, GRAPHQL, &[]);
    fixture::survives(Secret, SECRET, &[TOKEN]);
}
