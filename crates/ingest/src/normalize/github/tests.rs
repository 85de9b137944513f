use tributary_model::record::Extensions;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};

use super::*;
use crate::event::{Events, Input, Rejection};
use crate::normalize::fact_lines::{check, check_robust, run};
use crate::report::Report;

const REPOSITORY: &str = r#""repository":{"id":77,"name":"Shop","full_name":"Acme/Shop","html_url":"https://github.com/Acme/Shop","default_branch":"trunk"}"#;
const FACTS: [&str; 2] = [
    "repo:github.com/acme/shop default_branch = \"trunk\" (github)",
    "repo:github.com/acme/shop repository_alias [github:77] = \"provider id\" (github)",
];
const HEX: &str = "9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a";

type Normalize = fn(&Input<'_>) -> Result<Events, Rejection>;

fn payload(rest: &str) -> String {
    format!("{{{rest},{REPOSITORY}}}")
}

fn check_with_repository(normalize: Normalize, body: &str, more: &[&str]) {
    let expected: Vec<&str> = FACTS.iter().chain(more).copied().collect();
    check(normalize, body, Extensions::default(), &expected);
    check_robust(normalize, body);
}

fn only(normalize: Normalize, body: &str) -> (Report, Sighting) {
    check_robust(normalize, body);
    let mut events = run(normalize, body, Extensions::default()).unwrap_or_else(|rejection| panic!("{rejection}"));
    let mut report = events.reports.remove(0);
    assert!(report.is_alert && events.reports.is_empty() && report.sightings.len() == 1);
    let sighting = report.sightings.remove(0);
    (report, sighting)
}

#[test]
fn pushes() {
    check_with_repository(push, &payload(r#""ref":"refs/heads/trunk""#), &[]);
    check_with_repository(
        push,
        &payload(r#""ref":"refs/heads/release/2026.3""#),
        &["repo:github.com/acme/shop tracked_branch [release/2026.3] = \"release\" (github)"],
    );
    check_with_repository(
        push,
        &payload(r#""ref":"refs/tags/v1""#),
        &["repo:github.com/acme/shop tracked_branch [v1] = \"tag\" (github)"],
    );
    check_with_repository(
        push,
        &payload(r#""ref":"refs/tags/v1","deleted":true"#),
        &["repo:github.com/acme/shop tracked_branch [v1] =  (github)"],
    );
    assert_eq!(run(push, r#"{"ref":"refs/heads/x"}"#, Extensions::default()).unwrap_err().code, "no_asset");
}

#[test]
fn workflow_runs() {
    let body = payload(r#""workflow_run":{"head_branch":"release/1","updated_at":"2026-04-01T00:00:00Z"}"#);
    check_with_repository(
        workflow_run,
        &body,
        &["repo:github.com/acme/shop tracked_branch [release/1] = \"release\" (github)"],
    );
    let events = run(workflow_run, &body, Extensions::default()).unwrap();
    assert_eq!(events.facts[0].observed_at, crate::time::parse("2026-04-01").unwrap());
}

#[test]
fn deployments() {
    let status = |state: &str, deployment: &str| {
        payload(&format!(
            r#""deployment_status":{{"state":"{state}","environment":"prod-eu"}},"deployment":{{{deployment}}}"#
        ))
    };
    let environment = "workload:prod-eu//deployment/shop environment = \"production\" (github)";
    check_with_repository(deployment_status, &status("success", ""), &[environment]);
    check_with_repository(deployment_status, &status("failure", ""), &[]);
    let image = format!("r.example/shop@sha256:{HEX}");
    let runs = format!("workload:prod-eu//deployment/shop runs_image [image:sha256:{HEX}] = \"shop\" (github)");
    for deployment in
        [format!(r#""payload":{{"image":"{image}"}}"#), format!(r#""payload":"{{\"image\":\"{image}\"}}""#)]
    {
        check_with_repository(deployment_status, &status("success", &deployment), &[environment, &runs]);
    }
}

#[test]
fn published_images() {
    let body = payload(&format!(
        r#""registry_package":{{"name":"till","namespace":"Acme","updated_at":"0001-01-01T00:00:00Z","package_version":{{"version":"sha256:{HEX}",
        "target_commitish":"trunk","container_metadata":{{"tag":{{"name":"3","digest":"sha256:short"}},
        "labels":{{"source":"https://github.com/acme/till","revision":"","all_labels":{{"org.opencontainers.image.revision":"{commit}"}}}},
        "manifest":{{"digest":"sha256:{HEX}","config":{{"digest":"sha256:{config}"}}}}}}}}}}"#,
        commit = "0f".repeat(20),
        config = "1b".repeat(32),
    ));
    let expected = [
        format!(
            r#"image:sha256:{HEX} built_from = {{"repo":"github.com/acme/till","commit":"{}","branch":"trunk","path":""}} (github)"#,
            "0f".repeat(20)
        ),
        format!("image:sha256:{HEX} image_name [ghcr.io/acme/till:3] = \"\" (github)"),
        format!("image:sha256:{HEX} image_digest [sha256:{}] = \"config\" (github)", "1b".repeat(32)),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_with_repository(registry_package, &body, &expected);
    check_with_repository(
        registry_package,
        &payload(r#""registry_package":{"name":"x","package_version":{"version":"1.0.0"}}"#),
        &[],
    );
}

#[test]
fn code_scanning_alerts() {
    let alert = |state: &str, instances: &str| {
        payload(&format!(
            r#""action":"created","ref":"","alert":{{"number":3,"state":"{state}","updated_at":"2026-04-01T00:00:00Z","rule":{{"id":"js/xss","severity":"error",
            "security_severity_level":"medium","description":"Text from users\nreaches a page","tags":["security","external/cwe/cwe-079","external/cwe/cwe-020"]}},
            "tool":{{"name":"CodeQL","version":"2.1"}},{instances}}}"#
        ))
    };
    let instance = r#"{"ref":"refs/heads/feature","location":{"path":"./src/a.js","start_line":7,"end_line":0}}"#;
    let (report, sighting) =
        only(code_scanning_alert, &alert("open", &format!(r#""most_recent_instance":{instance}"#)));
    assert_eq!(
        (report.asset.as_str(), report.tool.as_str(), report.tool_version.as_str()),
        ("repo:github.com/acme/shop#feature", "codeql", "2.1")
    );
    assert_eq!(report.started_at, crate::time::parse("2026-04-01"));
    assert_eq!(
        (sighting.class, sighting.rule.as_str(), sighting.severity.name()),
        (FindingClass::Weakness, "js/xss", "medium")
    );
    assert_eq!(
        (sighting.title.as_str(), sighting.cwes.as_slice()),
        ("Text from users reaches a page", [20, 79].as_slice())
    );
    let location = sighting.location.unwrap();
    assert_eq!((location.path.as_str(), location.start_line, location.end_line), ("src/a.js", 7, 7));
    let (report, sighting) = only(code_scanning_alert, &alert("dismissed", r#""instances":[]"#));
    assert_eq!((report.asset.as_str(), sighting.status), ("repo:github.com/acme/shop#trunk", ToolStatus::Dismissed));
    let (_, sighting) = only(code_scanning_alert, &alert("fixed", &format!(r#""instances":[{instance}]"#)));
    assert_eq!(sighting.status, ToolStatus::Fixed);
    assert_eq!(
        run(code_scanning_alert, &payload(r#""alert":{}"#), Extensions::default()).unwrap_err().code,
        "malformed"
    );
}

#[test]
fn dependabot_alerts() {
    let body = payload(
        r#""action":"fixed","alert":{"state":"fixed","fixed_at":"2026-04-02T00:00:00Z","dependency":{"package":{"ecosystem":"pip","name":"Till_Kit"},
        "manifest_path":"apps/till/poetry.lock","scope":"development"},"security_advisory":{"ghsa_id":"GHSA-ABCD-2222-3333","cve_id":"CVE-2030-7","summary":"till",
        "severity":"moderate","identifiers":[{"value":"GHSA-abcd-2222-3333","type":"GHSA"},{"value":"CVE-2030-7","type":"CVE"}],"cwes":[{"cwe_id":"CWE-20"}],
        "cvss":{"vector_string":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L","score":5.3}},"security_vulnerability":{"first_patched_version":{"identifier":"2.0"}}}"#,
    );
    let (report, sighting) = only(dependabot_alert, &body);
    assert_eq!(
        (report.asset.as_str(), report.started_at),
        ("repo:github.com/acme/shop#trunk", crate::time::parse("2026-04-02"))
    );
    assert_eq!((sighting.rule.as_str(), sighting.aliases.join(" ")), ("GHSA-abcd-2222-3333", "CVE-2030-7".to_owned()));
    assert_eq!(
        (sighting.status, sighting.cvss_score, sighting.cwes.as_slice()),
        (ToolStatus::Fixed, Some(5.3), [20].as_slice())
    );
    let package = sighting.package.unwrap();
    assert_eq!(
        (package.purl.as_str(), package.manifest_dir.as_str(), package.fixed_versions.join(" ")),
        ("pkg:pypi/till-kit", "apps/till", "2.0".to_owned())
    );
    assert_eq!(package.scope, tributary_model::sighting::DependencyScope::Development);
}

#[test]
fn older_and_odd_dependabot_alerts() {
    let old = payload(
        r#""action":"dismiss","alert":{"affected_package_name":"till","external_identifier":"CVE-2030-7","fixed_in":"2.0","severity":"high","created_at":"2026-04-02T00:00:00Z"}"#,
    );
    let (_, sighting) = only(dependabot_alert, &old);
    assert_eq!(
        (sighting.rule.as_str(), sighting.status, sighting.severity.name()),
        ("CVE-2030-7", ToolStatus::Dismissed, "high")
    );
    assert_eq!(sighting.package.unwrap().purl, "pkg:generic/till");
    let malware = payload(
        r#""alert":{"dependency":{"package":{"ecosystem":"npm","name":"x"}},"security_advisory":{"ghsa_id":"GHSA-a","classification":"malware","cvss":{"vector_string":null,"score":0.0}}}"#,
    );
    let (_, sighting) = only(dependabot_alert, &malware);
    assert_eq!((sighting.class, sighting.cvss_score), (FindingClass::Malware, None));
    for bad in [r#""alert":{}"#, r#""alert":{"dependency":{"package":{"ecosystem":"npm","name":"x"}}}"#] {
        assert_eq!(run(dependabot_alert, &payload(bad), Extensions::default()).unwrap_err().code, "malformed", "{bad}");
    }
}

#[test]
fn secret_scanning_alerts() {
    let alert = |rest: &str| {
        payload(&format!(
            r#""action":"created","alert":{{"number":19,"secret_type":"github_personal_access_token"{rest}}}"#
        ))
    };
    let value = r#","secret":"ghp_thisisnotarealtoken000","validity":"active","state":"open","first_location_detected":{"path":"a/.env","start_line":3}"#;
    let (report, sighting) = only(secret_scanning_alert, &alert(value));
    assert!(!format!("{report:?}{sighting:?}").contains("notareal"), "F23: the value is nowhere");
    let secret = sighting.secret.unwrap();
    assert_eq!(
        (secret.hmac.as_str(), secret.family.as_str(), secret.verified),
        ("hmac-of-26-bytes", "github-token", true)
    );
    assert_eq!((sighting.location.unwrap().path.as_str(), sighting.status), ("a/.env", ToolStatus::Open));
    for (rest, status, revoked) in [
        (r#","state":"resolved","resolution":"revoked""#, ToolStatus::Fixed, true),
        (r#","state":"resolved","resolution":"false_positive""#, ToolStatus::Dismissed, false),
        (r#","state":"open","validity":"inactive""#, ToolStatus::Open, true),
        ("", ToolStatus::Open, false),
    ] {
        let (_, sighting) = only(secret_scanning_alert, &alert(rest));
        assert_eq!((sighting.status, sighting.secret.unwrap().revoked), (status, revoked), "{rest}");
        assert_eq!(sighting.location.unwrap().path, "secret-scanning/19");
    }
}
