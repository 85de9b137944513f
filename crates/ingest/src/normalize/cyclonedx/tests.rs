use tributary_model::fact::{Attribute, value};
use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass, ToolStatus};

use crate::event::code;
use crate::format::Format::CycloneDx;
use crate::normalize::fixture;

const SCAN: &str = include_str!("../../../tests/fixtures/cyclonedx/scan.json");
const OLD: &str = include_str!("../../../tests/fixtures/cyclonedx/old.xml");
const NEW: &str = include_str!("../../../tests/fixtures/cyclonedx/new.xml");

#[test]
fn a_bom_with_vulnerabilities_is_a_scan_and_an_inventory() {
    let events = fixture::normalize(CycloneDx, SCAN.as_bytes(), &Extensions::default()).unwrap();
    let report = &events.reports[0];
    assert_eq!(report.asset, "repo:github.com/acme/shop#");
    assert_eq!((report.tool.as_str(), report.tool_version.as_str()), ("dep-scan", "5.5.0"));
    assert_eq!(
        (report.started_at, report.classes.as_slice()),
        (Some(1_793_957_400_000), &[FindingClass::Vulnerability][..])
    );
    let purls: Vec<_> = events.inventories[0].items.iter().map(|item| item.purl.as_str()).collect();
    assert_eq!(purls, ["pkg:npm/web", "pkg:npm/tar", "pkg:maven/org.a/b"], "files and systems are no packages");
    let tar = &events.inventories[0].items[1];
    assert_eq!(
        (tar.licence.as_str(), tar.files.as_slice()),
        ("MIT AND ISC OR MIT", &["/app/node_modules/tar/index.js".to_owned()][..])
    );
}

#[test]
fn a_vulnerability_is_a_sighting_per_component() {
    let report = fixture::normalize(CycloneDx, SCAN.as_bytes(), &fixture::repository()).unwrap().reports.remove(0);
    let found: Vec<_> =
        report.sightings.iter().map(|s| (s.rule.as_str(), s.package.as_ref().unwrap().purl.as_str())).collect();
    assert_eq!(
        found,
        [
            ("CVE-2024-9001", "pkg:npm/tar"),
            ("CVE-2024-9001", "pkg:maven/org.a/b"),
            ("CVE-2024-9002", "pkg:npm/web"),
            ("CVE-2024-9003", "pkg:github/acme/shop"),
        ]
    );
    let tar = &report.sightings[0];
    assert_eq!(
        (tar.severity, tar.cvss_score, tar.title.as_str()),
        (Severity::Medium, Some(7.5), "tar: escapes the directory")
    );
    assert!(tar.cvss_vector.starts_with("CVSS:3.1/"));
    assert_eq!(tar.aliases, ["GHSA-aaaa-bbbb-cccc"]);
    let package = tar.package.as_ref().unwrap();
    assert_eq!((package.manifest_dir.as_str(), package.scope), ("ui", DependencyScope::Development));
    assert_eq!(
        (package.fixed_versions.as_slice(), package.introduced_by.as_slice()),
        (&["6.1.9".to_owned()][..], &["web@2.0".to_owned()][..])
    );
    assert_eq!(report.sightings[1].package.as_ref().unwrap().fixed_versions, ["6.2.1"], "from the recommendation");
    assert_eq!(report.sightings[3].title, "CVE-2024-9003 in acme/shop");
}

#[test]
fn an_analysis_is_a_vex_fact_and_a_proposal() {
    let events = fixture::normalize(CycloneDx, SCAN.as_bytes(), &fixture::repository()).unwrap();
    assert_eq!(events.reports[0].sightings[2].status, ToolStatus::Dismissed);
    assert_eq!(events.facts.len(), 1);
    let fact = &events.facts[0];
    assert_eq!(
        (fact.entity.as_str(), fact.attribute, fact.qualifier.as_str()),
        ("product:pkg:github/acme/shop", Attribute::Vex, "CVE-2024-9002")
    );
    let vex: value::Vex = value::parse(&fact.value).unwrap();
    assert_eq!(
        (vex.status.as_str(), vex.justification.as_str(), vex.version.as_str()),
        ("not_affected", "code_not_reachable", "main")
    );
}

#[test]
fn statements_alone_need_no_asset() {
    let body = r#"{"bomFormat":"CycloneDX","serialNumber":"urn:uuid:3","vulnerabilities":[{"id":"CVE-2024-1","analysis":{"state":"in_triage"},
        "affects":[{"ref":"urn:cdx:1/1#pkg:npm/tar@6.0.0"}]}]}"#;
    let events = fixture::normalize(CycloneDx, body.as_bytes(), &Extensions::default()).unwrap();
    assert!(events.reports.is_empty() && events.inventories.is_empty());
    assert_eq!(events.facts[0].entity, "product:pkg:npm/tar");
    assert!(events.facts[0].value.contains("under_investigation") && events.facts[0].value.contains("6.0.0"));
}

#[test]
fn an_sbom_without_vulnerabilities_is_no_scan() {
    let body = r#"{"bomFormat":"CycloneDX","vulnerabilities":[],"components":[{"type":"library","name":"tar","purl":"pkg:npm/tar@1"}]}"#;
    let events = fixture::normalize(CycloneDx, body.as_bytes(), &fixture::repository()).unwrap();
    assert_eq!((events.reports.len(), events.inventories.len()), (0, 1));
    let reject = |body: &str, ext: &Extensions| fixture::normalize(CycloneDx, body.as_bytes(), ext).unwrap_err().code;
    assert_eq!(reject(body, &Extensions::default()), code::NO_ASSET);
    assert_eq!(reject(r#"{"bomFormat":"CycloneDX"}"#, &fixture::repository()), code::NOTHING_IN_IT);
    assert_eq!(reject(r#"{"a":1}"#, &fixture::repository()), code::MALFORMED);
    assert_eq!(reject("<html/>", &fixture::repository()), code::MALFORMED);
}

#[test]
fn xml_of_both_generations() {
    let events = fixture::normalize(CycloneDx, OLD.as_bytes(), &Extensions::default()).unwrap();
    let report = &events.reports[0];
    assert_eq!(
        (report.asset.as_str(), report.tool.as_str()),
        (format!("image:sha256:{}", "af".repeat(32)).as_str(), "grype")
    );
    let django = &report.sightings[0];
    assert_eq!(django.package.as_ref().unwrap().purl, "pkg:pypi/django");
    assert_eq!(
        (django.cvss_score, django.severity, django.title.as_str()),
        (Some(9.8), Severity::Critical, "sql & more")
    );
    assert_eq!((report.sightings.len(), events.inventories[0].items[0].licence.as_str()), (1, "BSD"));
    let report = fixture::report(CycloneDx, NEW, &fixture::repository());
    let found = &report.sightings[0];
    assert_eq!(
        (report.tool.as_str(), found.rule.as_str(), found.status),
        ("scan", "GHSA-aaaa-bbbb-cccc", ToolStatus::Fixed)
    );
    assert_eq!((found.aliases.as_slice(), found.cvss_score), (&["CVE-2024-9201".to_owned()][..], Some(5.3)));
}

#[test]
fn no_input_panics() {
    for body in [SCAN, OLD, NEW] {
        fixture::survives(CycloneDx, body, &[]);
    }
}
