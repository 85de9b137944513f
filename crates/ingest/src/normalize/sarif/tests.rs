use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};

use crate::event::code;
use crate::format::Format::Sarif;
use crate::normalize::{code_evidence, fixture};
use crate::report::Report;

const CODE: &str = include_str!("../../../tests/fixtures/sarif/code.sarif");

fn reports() -> Vec<Report> {
    let ext = Extensions { repo: Some("github.com/acme/shop".into()), ..Extensions::default() };
    fixture::normalize(Sarif, CODE.as_bytes(), &ext).unwrap().reports
}

fn titled<'r>(report: &'r Report, title: &str) -> &'r Sighting {
    report.sightings.iter().find(|sighting| sighting.title == title).unwrap_or_else(|| panic!("{title}"))
}

#[test]
fn a_run_is_a_scan_of_a_branch_and_category() {
    let reports = reports();
    let first = &reports[0];
    assert_eq!(first.asset, "repo:github.com/acme/shop#release", "the branch of the provenance");
    assert_eq!((first.tool.as_str(), first.tool_version.as_str()), ("rulehound", "3.1.4"));
    assert_eq!(first.scope, ["category=nightly/shop"], "without the id of this one run");
    assert_eq!(first.scan_id.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
    assert_eq!((first.started_at, first.complete), (Some(1_793_957_400_000), None));
    assert_eq!(first.rules_enabled, ["js/never", "js/unused", "js/xss", "js/xss/attribute", "tool/ranked", "x/sqli"]);
    assert_eq!(first.classes, [FindingClass::Weakness]);
    assert_eq!(reports[1].complete, Some(false), "a failed run withdraws nothing");
    assert_eq!(reports[1].asset, "repo:github.com/acme/shop#");
    assert!(reports[2].rules_enabled.is_empty(), "a list of what was found declares nothing");
}

#[test]
fn only_open_results_are_sightings_and_suppressed_ones_are_proposals() {
    let report = &reports()[0];
    let titles: Vec<_> = report.sightings.iter().map(|s| (s.title.as_str(), s.status)).collect();
    assert_eq!(
        titles,
        [
            ("Flows from a parameter.", ToolStatus::Open),
            ("Variable tmp of load is never read.", ToolStatus::Open),
            ("Query from input", ToolStatus::Open),
            ("In an attribute", ToolStatus::Dismissed),
            ("In review", ToolStatus::Open),
            ("ranked", ToolStatus::Open),
        ]
    );
}

#[test]
fn severities_and_weaknesses_come_from_results_and_rules() {
    let report = &reports()[0];
    let of = |title: &str| {
        let sighting = titled(report, title);
        (sighting.severity, sighting.cwes.clone(), sighting.rule.clone())
    };
    assert_eq!(of("Flows from a parameter."), (Severity::High, vec![79], "js/xss".into()));
    assert_eq!(of("Variable tmp of load is never read."), (Severity::Low, vec![], "js/unused".into()));
    assert_eq!(of("Query from input"), (Severity::High, vec![23, 89], "x/sqli".into()));
    assert_eq!(of("In an attribute"), (Severity::High, vec![79], "js/xss/attribute".into()), "part of the rule js/xss");
    assert_eq!(of("ranked"), (Severity::Critical, vec![327], "tool/ranked".into()));
    assert_eq!(titled(report, "Flows from a parameter.").confidence, Severity::High);
}

#[test]
fn code_evidence_is_declared_or_computed() {
    let report = &reports()[0];
    let declared = titled(report, "Flows from a parameter.").location.clone().unwrap();
    assert_eq!((declared.path.as_str(), declared.start_line, declared.end_line), ("src/view.js", 12, 13));
    assert_eq!((declared.line_hash.as_str(), declared.enclosing.as_str()), ("39fa2ee980eb94b0:1", "view.render"));
    assert_eq!(declared.snippet_hash, code_evidence::of("show( q )").snippet_hash);
    let computed = titled(report, "Variable tmp of load is never read.").location.clone().unwrap();
    assert_eq!(computed.line_hash, code_evidence::of("let tmp = 1").line_hash);
}

#[test]
fn secrets_and_packages_keep_their_class() {
    let reports = reports();
    let secret = &reports[1].sightings[0];
    assert_eq!((secret.class, secret.title.as_str()), (FindingClass::Secret, "An AWS key"));
    assert!(secret.secret.as_ref().unwrap().hmac.starts_with("hmac-"));
    assert_eq!(secret.location.as_ref().unwrap().line_hash, "");
    let package = &reports[2].sightings[0];
    assert_eq!(
        (package.class, package.rule.as_str(), package.cvss_score),
        (FindingClass::Vulnerability, "CVE-2024-3001", Some(9.1))
    );
    assert_eq!(package.title, "tar: path traversal");
    let package = package.package.as_ref().unwrap();
    assert_eq!(
        (package.name.as_str(), package.version.as_str(), package.manifest_dir.as_str()),
        ("tar", "6.0.0", "web")
    );
    assert_eq!(package.fixed_versions, ["6.1.0"]);
}

#[test]
fn a_run_without_results_is_partial_and_a_log_without_runs_is_nothing() {
    let ext = fixture::repository();
    let run =
        |results: &str| format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"T"}}}}{results}}}]}}"#);
    assert_eq!(fixture::report(Sarif, &run(""), &ext).complete, Some(false));
    assert_eq!(fixture::report(Sarif, &run(r#","results":[]"#), &ext).complete, None);
    let reject = |body: &str, ext: &Extensions| fixture::normalize(Sarif, body.as_bytes(), ext).unwrap_err().code;
    assert_eq!(reject(r#"{"version":"2.1.0"}"#, &ext), code::MALFORMED);
    assert_eq!(reject(r#"{"version":"2.1.0","runs":[]}"#, &ext), code::NOTHING_IN_IT);
    assert_eq!(reject(&run(r#","results":[]"#), &Extensions::default()), code::NO_ASSET);
    assert_eq!(reject("{\"runs\":[", &ext), code::TRUNCATED);
}

#[test]
fn an_image_is_named_by_trivys_properties() {
    let digest = "4d".repeat(32);
    let body = format!(
        r#"{{"runs":[{{"tool":{{"driver":{{"name":"Trivy"}}}},"results":[],
        "properties":{{"imageName":"shop:1","imageID":"sha256:{}","repoDigests":["shop@sha256:{digest}"]}}}}]}}"#,
        "5e".repeat(32)
    );
    let report = fixture::report(Sarif, &body, &fixture::repository());
    assert_eq!((report.asset, report.classes), (format!("image:sha256:{digest}"), vec![FindingClass::Vulnerability],));
}

#[test]
fn each_place_of_a_result_is_a_sighting_of_its_own() {
    let body = r#"{"runs":[{"tool":{"driver":{"name":"Grype"}},"results":[{"ruleId":"r","message":{"text":"m"},
        "partialFingerprints":{"primaryLocationLineHash":"abc:1"},"locations":[
        {"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":1}}},
        {"physicalLocation":{"artifactLocation":{"uri":"b.js"},"region":{"startLine":2,"snippet":{"text":"x"}}}}]}]}]}"#;
    let report = fixture::report(Sarif, body, &fixture::repository());
    let hashes: Vec<_> =
        report.sightings.iter().map(|s| s.location.clone().unwrap()).map(|l| (l.path, l.line_hash)).collect();
    assert_eq!(
        hashes,
        [("a.js".to_owned(), "abc:1".to_owned()), ("b.js".to_owned(), code_evidence::of("x").line_hash)]
    );
    assert_eq!(report.scope, ["sarif"], "apart from the tool's own format");
}

#[test]
fn no_input_panics() {
    fixture::survives(Sarif, CODE, &["AKIAFAKEFIXTURE00001"]);
}
