use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, ToolStatus};

use crate::event::code;
use crate::format::Format::Ocsf;
use crate::normalize::fixture;

const PROWLER: &str = include_str!("../../../tests/fixtures/ocsf/prowler.json");
const PRODUCTS: &str = include_str!("../../../tests/fixtures/ocsf/products.jsonl");

#[test]
fn prowler_is_a_scan_of_each_account() {
    let events = fixture::normalize(Ocsf, PROWLER.as_bytes(), &Extensions::default()).unwrap();
    let assets: Vec<_> = events.reports.iter().map(|r| (r.asset.as_str(), r.sightings.len(), r.complete)).collect();
    assert_eq!(assets, [("cloud:aws/111122223333", 2, None), ("cloud:kubernetes/default", 1, Some(false))]);
    let report = &events.reports[0];
    assert!(!report.is_alert);
    assert_eq!(report.rules_enabled, ["iam_root_mfa_enabled", "kms_cmk_rotation_enabled", "s3_bucket_public_access"]);
    assert_eq!(report.started_at, Some(1_793_957_400_000), "seconds where OCSF says milliseconds");
    let bucket = &report.sightings[0];
    assert_eq!((bucket.control.as_str(), bucket.resource.as_str()), ("s3-bucket-public-read", "arn:aws:s3:::logs"));
    assert_eq!(
        (bucket.status, bucket.severity),
        (ToolStatus::Open, Severity::Critical),
        "the word New beside the number of Suppressed"
    );
    assert_eq!(report.sightings[1].status, ToolStatus::Dismissed);
}

#[test]
fn a_cluster_option_names_the_cluster() {
    let ext = Extensions { resource: Some("cluster/prod-eu".into()), ..Extensions::default() };
    let events = fixture::normalize(Ocsf, PROWLER.as_bytes(), &ext).unwrap();
    assert_eq!(events.reports[1].asset, "cloud:kubernetes/prod-eu");
}

#[test]
fn other_products_send_alerts() {
    let events = fixture::normalize(Ocsf, PRODUCTS.as_bytes(), &Extensions::default()).unwrap();
    let image = format!("image:sha256:{}", "9d".repeat(32));
    let found: Vec<_> = events
        .reports
        .iter()
        .flat_map(|report| {
            assert!(report.is_alert);
            report
                .sightings
                .iter()
                .map(|s| (report.asset.as_str(), report.tool.as_str(), s.class, s.rule.as_str(), s.status))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("cloud:aws/111122223333", "guardwatch", FindingClass::Runtime, "Recon:EC2/PortProbe", ToolStatus::Open),
            ("cloud:aws/111122223333", "security hub", FindingClass::Misconfiguration, "S3.2", ToolStatus::Open),
            ("cloud:aws/111122223333", "security hub", FindingClass::Misconfiguration, "S3.8", ToolStatus::Fixed),
            (image.as_str(), "inspector", FindingClass::Vulnerability, "CVE-2024-8001", ToolStatus::Fixed),
        ]
    );
    let hub = &events.reports[1];
    assert_eq!(hub.sightings[0].control, "s3-bucket-public-read");
    let inspector = &events.reports[2].sightings[0];
    let package = inspector.package.as_ref().unwrap();
    assert_eq!((package.purl.as_str(), &package.fixed_versions[..]), ("pkg:npm/tar", &["6.2.1".to_owned()][..]));
    assert_eq!((inspector.cvss_score, inspector.cwes.as_slice()), (Some(7.5), &[22][..]));
    assert_eq!(events.reports[0].sightings[0].count, 5);
}

#[test]
fn bad_input_is_a_rejection() {
    let reject = |body: &str| fixture::normalize(Ocsf, body.as_bytes(), &Extensions::default()).unwrap_err().code;
    assert_eq!(reject(r#"[{"class_uid":3002}]"#), code::NOTHING_IN_IT);
    assert_eq!(reject(r#"{"class_uid":2004,"finding_info":{"title":"x"}}"#), code::NO_ASSET);
    assert_eq!(reject("[{"), code::TRUNCATED);
    fixture::survives(Ocsf, PROWLER, &[]);
    fixture::survives(Ocsf, PRODUCTS, &[]);
}
