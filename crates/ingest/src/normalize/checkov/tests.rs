use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, ToolStatus};

use crate::event::code;
use crate::format::Format::Checkov;
use crate::normalize::{code_evidence, fixture};
use crate::report::Report;

const FRAMEWORKS: &str = include_str!("../../../tests/fixtures/checkov/frameworks.json");

fn reports() -> Vec<Report> {
    fixture::normalize(Checkov, FRAMEWORKS.as_bytes(), &fixture::repository()).unwrap().reports
}

#[test]
fn each_framework_is_a_scope() {
    let reports = reports();
    let scopes: Vec<_> = reports.iter().map(|r| (r.scope.join(","), r.classes.clone(), r.complete)).collect();
    assert_eq!(
        scopes,
        [
            ("terraform".to_owned(), vec![FindingClass::Misconfiguration], None),
            ("kubernetes".to_owned(), vec![FindingClass::Misconfiguration], Some(false)),
            ("dockerfile".to_owned(), vec![FindingClass::Misconfiguration], None),
            ("secrets".to_owned(), vec![FindingClass::Secret], None),
            ("sca_package".to_owned(), vec![FindingClass::Vulnerability], None),
            ("sast_python".to_owned(), vec![FindingClass::Weakness], None),
        ]
    );
    assert_eq!(reports[0].rules_enabled, ["CKV_AWS_18", "CKV_AWS_19", "CKV_AWS_20"]);
    assert!(reports[1].rules_enabled.is_empty(), "not known without passed checks");
    assert_eq!(reports[0].tool_version, "3.2.300");
}

#[test]
fn failed_is_a_finding_passed_is_not_skipped_is_a_proposal() {
    let reports = reports();
    let found: Vec<_> = reports[0].sightings.iter().map(|s| (s.rule.as_str(), s.status)).collect();
    assert_eq!(found, [("CKV_AWS_20", ToolStatus::Open), ("CKV_AWS_18", ToolStatus::Dismissed)]);
    let bucket = &reports[0].sightings[0];
    assert_eq!((bucket.resource.as_str(), bucket.control.as_str()), ("aws_s3_bucket.logs", "s3-bucket-public-read"));
    assert_eq!(bucket.severity, Severity::Unknown, "no severity without an API key");
    let location = bucket.location.as_ref().unwrap();
    assert_eq!((location.path.as_str(), location.start_line, location.end_line), ("infra/logs.tf", 2, 12));
}

#[test]
fn resources_secrets_packages_and_code() {
    let reports = reports();
    assert_eq!(reports[1].sightings[0].resource, "deployment/shop/web");
    assert_eq!(reports[2].sightings[0].resource, "Dockerfile");
    let secret = &reports[3].sightings[0];
    assert_eq!((secret.resource.as_str(), secret.secret.as_ref().unwrap().family.as_str()), ("", "aws-access-key"));
    let tar = &reports[4].sightings[0];
    let package = tar.package.as_ref().unwrap();
    assert_eq!(
        (tar.rule.as_str(), tar.cvss_score, tar.title.as_str()),
        ("CVE-2024-7001", Some(7.5), "CVE-2024-7001 in tar")
    );
    assert_eq!((package.purl.as_str(), package.manifest_dir.as_str()), ("pkg:npm/tar", "web"));
    let code = reports[5].sightings[0].location.as_ref().unwrap();
    assert_eq!(code.line_hash, code_evidence::of("h = md5( x )").line_hash);
}

#[test]
fn one_object_a_bare_summary_and_bad_input() {
    let one = r#"{"check_type":"terraform","results":{"failed_checks":[]},"summary":{}}"#;
    let report = fixture::report(Checkov, one, &fixture::repository());
    assert_eq!((report.complete, report.sightings.len()), (None, 0));
    let bare =
        r#"{"passed":0,"failed":0,"skipped":0,"parsing_errors":0,"resource_count":0,"checkov_version":"3.2.300"}"#;
    let report = fixture::report(Checkov, bare, &fixture::repository());
    assert_eq!((report.complete, report.tool_version.as_str()), (Some(false), "3.2.300"), "it looked at nothing");
    let reject = |body: &str, ext: &Extensions| fixture::normalize(Checkov, body.as_bytes(), ext).unwrap_err().code;
    assert_eq!(reject(r#"{"SchemaVersion":2}"#, &fixture::repository()), code::MALFORMED);
    assert_eq!(reject(one, &Extensions::default()), code::NO_ASSET);
    fixture::survives(Checkov, FRAMEWORKS, &["FAKEcheckovSECRET01", "25910f981e85"]);
}
