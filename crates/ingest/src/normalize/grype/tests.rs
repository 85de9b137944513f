use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::FindingClass;

use crate::event::code;
use crate::format::Format::Grype;
use crate::normalize::fixture;

const IMAGE: &str = include_str!("../../../tests/fixtures/grype/image.json");

#[test]
fn filters_are_scope_and_the_manifest_is_the_asset() {
    let report = fixture::report(Grype, IMAGE, &Extensions::default());
    assert_eq!(report.asset, format!("image:sha256:{}", "6a".repeat(32)));
    assert_eq!(report.scope, ["only-fixed", "layers=all-layers", "exclude=/test/**", "ignore=CVE-1,,,x,,,,"]);
    assert_eq!((report.started_at, report.complete), (Some(1_793_957_400_123), None));
    assert_eq!(report.classes, [FindingClass::Vulnerability]);
}

#[test]
fn matches_of_one_vulnerability_in_one_package_are_one_sighting() {
    let report = fixture::report(Grype, IMAGE, &Extensions::default());
    let rules: Vec<_> = report.sightings.iter().map(|sighting| sighting.rule.as_str()).collect();
    assert_eq!(rules, ["CVE-2024-5001", "GHSA-aaaa-bbbb-cccc", "CVE-2024-5003", "CVE-2024-5004"]);
    let tar = &report.sightings[1];
    assert_eq!(tar.aliases, ["CVE-2024-5002"]);
    let package = tar.package.as_ref().unwrap();
    assert_eq!((package.file.as_str(), package.manifest_dir.as_str()), ("app/node_modules/tar/package.json", ""));
    assert_eq!(package.fixed_versions, ["6.2.1"]);
}

#[test]
fn os_packages_have_their_source_and_the_best_cvss() {
    let report = fixture::report(Grype, IMAGE, &Extensions::default());
    let krb5 = &report.sightings[0];
    let package = krb5.package.as_ref().unwrap();
    assert_eq!(
        (package.purl.as_str(), package.source_purl.as_str()),
        ("pkg:deb/debian/libkrb5-3", "pkg:deb/debian/krb5")
    );
    assert!(package.wont_fix && package.file.is_empty());
    assert_eq!((krb5.cvss_score, krb5.severity), (Some(9.1), Severity::Information));
    assert_eq!((krb5.title.as_str(), &krb5.cwes[..]), ("krb5: a long line wraps", &[125][..]));
    assert!(krb5.aliases.is_empty());
    assert_eq!(report.sightings[2].package.as_ref().unwrap().source_purl, "pkg:rpm/ol/openssl");
}

#[test]
fn a_directory_keeps_the_manifest_directory() {
    let body = r#"{"matches":[
        {"vulnerability":{"id":"CVE-1-1","severity":"Low"},"artifact":{"name":"a","version":"1","type":"npm","locations":[{"path":"/web/package-lock.json"}]}},
        {"vulnerability":{"id":"CVE-1-1","severity":"Low"},"artifact":{"name":"a","version":"1","type":"npm","locations":[{"path":"/api/package-lock.json"}]}}],
        "source":{"type":"directory","target":"."}}"#;
    let report = fixture::report(Grype, body, &fixture::repository());
    let directories: Vec<_> =
        report.sightings.iter().map(|s| s.package.as_ref().unwrap().manifest_dir.as_str()).collect();
    assert_eq!(directories, ["web", "api"], "two manifests are two findings");
    assert_eq!(report.asset, "repo:github.com/acme/shop#main");
    let reject = fixture::normalize(Grype, body.as_bytes(), &Extensions::default()).unwrap_err();
    assert_eq!(reject.code, code::NO_ASSET);
    assert_eq!(fixture::normalize(Grype, b"{}", &fixture::repository()).unwrap_err().code, code::MALFORMED);
}

#[test]
fn no_input_panics() {
    fixture::survives(Grype, IMAGE, &[]);
}
