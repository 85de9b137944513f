use tributary_model::fact::Attribute;
use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{DependencyScope, FindingClass, Sighting, ToolStatus};

use crate::event::code;
use crate::format::Format::Trivy;
use crate::normalize::fixture;

const IMAGE: &str = include_str!("../../../tests/fixtures/trivy/image.json");
const REPOSITORY: &str = include_str!("../../../tests/fixtures/trivy/repository.json");
const CLUSTER: &str = include_str!("../../../tests/fixtures/trivy/cluster.json");

fn by_rule<'s>(sightings: &'s [Sighting], rule: &str) -> &'s Sighting {
    sightings.iter().find(|sighting| sighting.rule == rule).unwrap_or_else(|| panic!("{rule}"))
}

#[test]
fn an_image_is_its_manifest_digest() {
    let events = fixture::normalize(Trivy, IMAGE.as_bytes(), &Extensions::default()).unwrap();
    let report = &events.reports[0];
    assert_eq!(report.asset, format!("image:sha256:{}", "1a".repeat(32)));
    assert_eq!((report.tool_version.as_str(), report.started_at), ("0.69.0", Some(1_793_957_400_000)));
    assert_eq!(report.classes, [FindingClass::Vulnerability, FindingClass::Secret, FindingClass::Licence]);
    assert_eq!(report.sightings.len(), 6);
    let facts: Vec<_> = events.facts.iter().map(|fact| (fact.attribute, fact.qualifier.as_str())).collect();
    let config = format!("sha256:{}", "2b".repeat(32));
    assert_eq!(facts, [(Attribute::ImageDigest, config.as_str()), (Attribute::ImageName, "r.example/shop:1.4")]);
}

#[test]
fn an_os_package_has_its_source_and_the_best_cvss() {
    let report = fixture::report(Trivy, IMAGE, &Extensions::default());
    let openssl = by_rule(&report.sightings, "CVE-2024-0001");
    let package = openssl.package.as_ref().unwrap();
    assert_eq!(package.purl, "pkg:deb/debian/libssl3");
    assert_eq!(package.source_purl, "pkg:deb/debian/openssl");
    assert!(package.is_os_package && package.manifest_dir.is_empty() && package.file.is_empty());
    assert_eq!((package.version.as_str(), &package.fixed_versions[..]), ("3.0.11-1", &["3.0.11-2".to_owned()][..]));
    assert!(openssl.cvss_vector.starts_with("CVSS:4.0/"), "{}", openssl.cvss_vector);
    assert_eq!((openssl.cvss_score, openssl.severity), (Some(8.7), Severity::High));
    assert_eq!(openssl.aliases, ["GHSA-aaaa-bbbb-cccc"], "the Debian advisory is a bundle and no alias");
    assert_eq!(openssl.cwes, [125, 787]);
    let wont_fix = by_rule(&report.sightings, "CVE-2024-0002");
    assert!(wont_fix.package.as_ref().unwrap().wont_fix);
    assert_eq!(wont_fix.severity, Severity::Critical, "an unknown severity is rated by the score");
    assert_eq!(by_rule(&report.sightings, "CVE-2024-0003").status, ToolStatus::Dismissed, "suppressed is a proposal");
}

#[test]
fn an_inventory_comes_with_the_packages() {
    let events = fixture::normalize(Trivy, IMAGE.as_bytes(), &Extensions::default()).unwrap();
    let items = &events.inventories[0].items;
    assert_eq!(items.len(), 2);
    assert_eq!((items[0].purl.as_str(), items[0].version.as_str()), ("pkg:deb/debian/libssl3", "3.0.11-1"));
    assert_eq!(items[0].files, ["/usr/lib/libssl.so.3"]);
    assert_eq!(items[0].licence, "Apache-2.0 AND MIT");
}

#[test]
fn secrets_are_located_and_licences_belong_to_packages() {
    let report = fixture::report(Trivy, IMAGE, &Extensions::default());
    let secret = by_rule(&report.sightings, "aws-access-key-id");
    let (location, found) = (secret.location.as_ref().unwrap(), secret.secret.as_ref().unwrap());
    assert_eq!((location.path.as_str(), location.start_line), ("app/config.env", 3));
    assert_eq!((found.hmac.as_str(), found.family.as_str()), ("", "aws-access-key"));
    assert!(!location.line_hash.is_empty());
    let licence = by_rule(&report.sightings, "GPL-3.0");
    assert_eq!(licence.class, FindingClass::Licence);
    assert_eq!(licence.package.as_ref().unwrap().purl, "pkg:deb/debian/bash");
}

#[test]
fn a_repository_keeps_manifest_directories_scopes_and_paths() {
    let report = fixture::report(Trivy, REPOSITORY, &Extensions::default());
    assert_eq!(report.asset, "repo:github.com/acme/shop#main");
    let package = by_rule(&report.sightings, "CVE-2024-1001").package.clone().unwrap();
    assert_eq!((package.purl.as_str(), package.manifest_dir.as_str()), ("pkg:npm/%40acme/parser", "web"));
    assert_eq!((package.file.as_str(), package.scope), ("web/package-lock.json", DependencyScope::Development));
    assert_eq!(package.introduced_by, ["bundler@2.0.0", "loader@1.0.0"]);
    let bucket = by_rule(&report.sightings, "AVD-AWS-0092");
    assert_eq!((bucket.resource.as_str(), bucket.control.as_str()), ("aws_s3_bucket.logs", "s3-bucket-public-read"));
    assert_eq!(bucket.location.as_ref().unwrap().start_line, 4);
    let docker = by_rule(&report.sightings, "AVD-DS-0002");
    assert_eq!((docker.resource.as_str(), docker.control.as_str()), ("Dockerfile", "dockerfile-root-user"));
    assert_eq!(report.sightings.len(), 3, "a passed check is no finding");
}

#[test]
fn a_cluster_is_one_report_per_workload_or_image() {
    let events = fixture::normalize(Trivy, CLUSTER.as_bytes(), &Extensions::default()).unwrap();
    let reports: Vec<_> = events.reports.iter().map(|report| (report.asset.as_str(), report.sightings.len())).collect();
    let image = format!("image:sha256:{}", "3c".repeat(32));
    let deployment = "workload:prod-eu/shop/deployment/web";
    assert_eq!(reports, [(image.as_str(), 1), ("workload:prod-eu/shop/cronjob/backup", 0), (deployment, 1)]);
    let renamed = CLUSTER.replace("\"Resources\"", "\"Findings\"");
    assert_eq!(fixture::normalize(Trivy, renamed.as_bytes(), &Extensions::default()).unwrap().reports, events.reports);
    assert_eq!(events.reports[2].sightings[0].resource, "deployment/shop/web");
    assert_eq!(events.reports[2].sightings[0].control, "kubernetes-read-only-root");
}

#[test]
fn the_old_scheme_and_what_says_nothing() {
    let ext = fixture::repository();
    let old = r#"[{"Target":"Gemfile.lock","Type":"bundler","Vulnerabilities":[
        {"VulnerabilityID":"CVE-2020-1","PkgName":"rack","InstalledVersion":"1.0","Severity":"HIGH"}]}]"#;
    let report = fixture::report(Trivy, old, &ext);
    assert_eq!(report.sightings[0].package.as_ref().unwrap().purl, "pkg:gem/rack");
    assert_eq!(report.sightings[0].title, "CVE-2020-1 in rack");
    assert_eq!(report.complete, None);
    let nothing = fixture::report(Trivy, "null", &ext);
    assert_eq!((nothing.complete, nothing.sightings.len()), (Some(false), 0), "null withdraws nothing");
    let clean = fixture::report(Trivy, r#"{"SchemaVersion":2,"ArtifactName":".","ArtifactType":"filesystem"}"#, &ext);
    assert_eq!((clean.complete, clean.classes), (None, vec![FindingClass::Vulnerability]));
    let reject = |body: &str, ext: &Extensions| fixture::normalize(Trivy, body.as_bytes(), ext).unwrap_err().code;
    assert_eq!(reject("{}", &ext), code::MALFORMED);
    assert_eq!(reject(r#"[{"check_type":"terraform"}]"#, &ext), code::MALFORMED);
    assert_eq!(reject(r#"{"SchemaVersion":2,"ArtifactName":"."}"#, &Extensions::default()), code::NO_ASSET);
}

#[test]
fn ids_of_checks_have_one_spelling() {
    for id in ["KSV014", "KSV-0014", "AVD-KSV-0014", "ksv14"] {
        assert_eq!(super::sight::avd_id(id), "AVD-KSV-0014");
    }
    assert_eq!(super::sight::avd_id("AWS-0092"), "AVD-AWS-0092");
    assert_eq!(super::sight::avd_id("custom-check"), "CUSTOM-CHECK");
}

#[test]
fn no_input_panics() {
    for body in [IMAGE, REPOSITORY, CLUSTER] {
        fixture::survives(Trivy, body, &[]);
    }
}
