//! Golden ids, and what must not change them.

use proptest::prelude::*;
use tributary_model::severity::Severity;
use tributary_model::sighting::{
    DependencyScope, Endpoint, FindingClass, Location, Package, Secret, Sighting, ToolStatus,
};

use super::ids;

const REPO: &str = "repo:github.com/acme/shop#main";
const IMAGE: &str = "image:sha256:aa";

fn of(class: FindingClass, rule: &str) -> Sighting {
    Sighting { class, rule: rule.to_owned(), ..Sighting::default() }
}

fn log4shell() -> Sighting {
    let package = Package {
        purl: "pkg:maven/org.apache.logging.log4j/log4j-core".into(),
        version: "2.14.1".into(),
        manifest_dir: "services/pay".into(),
        ..Package::default()
    };
    Sighting { package: Some(package), ..of(FindingClass::Vulnerability, "CVE-2021-44228") }
}

fn openssl() -> Sighting {
    let package = Package {
        purl: "pkg:deb/debian/libssl3".into(),
        source_purl: "pkg:deb/debian/openssl".into(),
        is_os_package: true,
        ..Package::default()
    };
    Sighting { package: Some(package), ..of(FindingClass::Vulnerability, "CVE-2024-5535") }
}

fn injection(line: u32) -> Sighting {
    let location = Location {
        path: "src/db.py".into(),
        start_line: line,
        end_line: line,
        line_hash: "8d1f0a".into(),
        ..Location::default()
    };
    Sighting { cwes: vec![89, 564], location: Some(location), ..of(FindingClass::Weakness, "py/sql-injection") }
}

fn bare(rule: &str, line: u32) -> Sighting {
    let location = Location { path: "src/db.py".into(), start_line: line, ..Location::default() };
    Sighting { location: Some(location), ..of(FindingClass::Weakness, rule) }
}

fn key(path: &str) -> Sighting {
    let secret =
        Secret { hmac: "c0ffee".into(), key_id: "k1".into(), family: "aws-access-key".into(), ..Secret::default() };
    let location = Location { path: path.into(), start_line: 3, ..Location::default() };
    Sighting { secret: Some(secret), location: Some(location), ..of(FindingClass::Secret, "aws-access-token") }
}

fn bucket() -> Sighting {
    let sighting = of(FindingClass::Misconfiguration, "CKV_AWS_20");
    Sighting { control: "s3-public-read".into(), resource: "aws_s3_bucket.data".into(), ..sighting }
}

fn endpoint() -> Sighting {
    let endpoint = Endpoint { method: "get".into(), path_template: "/orders/{}".into(), parameter: "q".into() };
    Sighting { endpoint: Some(endpoint), cwes: vec![79], ..of(FindingClass::Web, "40012") }
}

fn id(asset: &str, sighting: &Sighting) -> String {
    ids(asset, "tool", std::slice::from_ref(sighting))[0].to_string()
}

/// These ids are on logs: a change here is a new identity version, never a fix.
#[test]
fn golden_ids() {
    let golden = [
        (REPO, log4shell(), "27427a1c1ffbb132c6882bc4b81e0668"),
        (IMAGE, openssl(), "9da5a27c2201d726673ab6ecd3a42a00"),
        (REPO, injection(10), "05641adce800d3303126633aeface782"),
        (REPO, bare("r1", 7), "eeac4cc96ea07a31ffb3a7e8bfbdd09a"),
        (REPO, key("a.env"), "6fea685e95e1adeaae942def16c734aa"),
        (REPO, bucket(), "8505b6fbb264df0e6328619e5beb540e"),
        ("web:https://shop.example", endpoint(), "5372c74f9ebd767bf2728a479ae9fb5b"),
        (
            "host:db1",
            Sighting { resource: "443/tcp".into(), ..of(FindingClass::Host, "CVE-2020-1") },
            "324d5d73329b7efef092141152fb7e83",
        ),
        (
            "workload:c/n/deployment/pay",
            of(FindingClass::Runtime, "Terminal shell in container"),
            "9f3a21f9574ed74d92d2979e0b4c1f56",
        ),
        (
            IMAGE,
            Sighting { package: openssl().package, ..of(FindingClass::Malware, "MAL-2024-1") },
            "8da304e7caba933049bd21af2ce5bcff",
        ),
        (REPO, of(FindingClass::Manual, "PT-2026-7"), "4817e904d65888e54724ba454ad6de5d"),
    ];
    for (asset, sighting, expected) in golden {
        assert_eq!(id(asset, &sighting), format!("kv1:{expected}"), "{}", sighting.class.name());
    }
}

fn same(asset: &str, a: &Sighting, b: &Sighting) {
    assert_eq!(id(asset, a), id(asset, b));
}

fn other(asset: &str, a: &Sighting, b: &Sighting) {
    assert_ne!(id(asset, a), id(asset, b));
}

#[test]
fn f8_severity_is_an_attribute() {
    let rescored = Sighting { severity: Severity::Critical, cvss_score: Some(9.8), ..log4shell() };
    same(REPO, &log4shell(), &rescored);
}

#[test]
fn f3_a_moved_line_keeps_the_id() {
    same(REPO, &injection(10), &injection(99));
}

#[test]
fn f24_the_order_of_lists_does_not_matter() {
    same(REPO, &injection(1), &Sighting { cwes: vec![564, 89], ..injection(1) });
    let (first, second) = (bare("r1", 7), bare("r1", 90));
    let forward = ids(REPO, "tool", &[first.clone(), second.clone()]);
    let backward = ids(REPO, "tool", &[second, first]);
    assert_eq!(forward, [backward[1], backward[0]]);
    assert_ne!(forward[0], forward[1]);
}

#[test]
fn a_weakness_without_code_evidence_is_tool_local() {
    assert_ne!(ids(REPO, "a", &[bare("r1", 7)]), ids(REPO, "b", &[bare("r1", 7)]));
    same(REPO, &bare("r1", 7), &bare("r1", 8));
    other(REPO, &bare("r1", 7), &bare("r2", 7));
    let twice = ids(REPO, "tool", &[bare("r1", 7), bare("r1", 7)]);
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn the_tool_is_in_no_other_id() {
    for sighting in [log4shell(), injection(1), key("a"), bucket(), endpoint()] {
        assert_eq!(ids(REPO, "a", std::slice::from_ref(&sighting)), ids(REPO, "b", std::slice::from_ref(&sighting)));
    }
}

#[test]
fn packages_by_class_of_asset() {
    let elsewhere = |dir: &str| {
        let package = Package { manifest_dir: dir.into(), ..log4shell().package.unwrap() };
        Sighting { package: Some(package), ..log4shell() }
    };
    other(REPO, &log4shell(), &elsewhere("services/cart"));
    same(IMAGE, &log4shell(), &elsewhere("services/cart"));
    let sibling = Package { purl: "pkg:deb/debian/openssl".into(), ..openssl().package.unwrap() };
    same(IMAGE, &openssl(), &Sighting { package: Some(sibling), ..openssl() });
    let upgraded = Package { version: "2.15.0".into(), ..log4shell().package.unwrap() };
    same(REPO, &log4shell(), &Sighting { package: Some(upgraded), ..log4shell() });
}

#[test]
fn a_secret_is_itself_wherever_it_is_and_its_place_when_masked() {
    same(REPO, &key("a.env"), &key("b.env"));
    let masked = |path: &str| Sighting { secret: Some(Secret::default()), ..key(path) };
    other(REPO, &masked("a.env"), &masked("b.env"));
    other(REPO, &masked("a.env"), &key("a.env"));
}

#[test]
fn f5_a_detection_belongs_to_its_workload() {
    let shell =
        |count| Sighting { count, title: format!("pod pay-7f9c-{count}"), ..of(FindingClass::Runtime, "shell") };
    same("workload:c/n/deployment/pay", &shell(1), &shell(400));
}

#[test]
fn a_site_wide_observation_is_known_by_its_rule_and_a_route_by_its_cwe() {
    let observed = |rule: &str, path: &str| {
        let endpoint = Endpoint { method: "ANY".into(), path_template: path.into(), parameter: String::new() };
        Sighting { endpoint: Some(endpoint), cwes: vec![693], ..of(FindingClass::Web, rule) }
    };
    let site = "web:https://shop.example";
    other(site, &observed("10020-1", Endpoint::WHOLE_SITE), &observed("10038-1", Endpoint::WHOLE_SITE));
    same(
        site,
        &observed("10020-1", Endpoint::WHOLE_SITE),
        &Sighting { cwes: vec![1021], ..observed("10020-1", Endpoint::WHOLE_SITE) },
    );
    same(site, &observed("10020-1", "/cart"), &observed("10038-1", "/cart"));
}

#[test]
fn two_rules_for_one_control_are_one_finding() {
    let prowler = Sighting { rule: "s3_bucket_public_access".into(), ..bucket() };
    same(REPO, &bucket(), &prowler);
    other(REPO, &Sighting { control: String::new(), ..bucket() }, &Sighting { control: String::new(), ..prowler });
}

proptest! {
    /// Nothing that is not identity changes an id.
    #[test]
    fn irrelevant_fields_change_nothing(
        which in 0..6usize,
        text in "[a-z]{0,8}",
        number in 0..1000u32,
        score in prop::option::of(0.0..10.0f64),
        flag in any::<bool>(),
    ) {
        let sighting = [log4shell(), openssl(), injection(1), key("a"), bucket(), endpoint()][which].clone();
        let mut changed = sighting.clone();
        changed.title.clone_from(&text);
        changed.severity = if flag { Severity::High } else { Severity::Low };
        changed.cvss_vector.clone_from(&text);
        changed.cvss_score = score;
        changed.aliases = vec![text.clone(), "GHSA-x".into()];
        changed.cwes.reverse();
        changed.count = number;
        changed.status = if flag { ToolStatus::Dismissed } else { ToolStatus::Open };
        changed.confidence = Severity::Medium;
        changed.reachable = Some(flag);
        if let Some(package) = &mut changed.package {
            package.version.clone_from(&text);
            package.name.clone_from(&text);
            package.file.clone_from(&text);
            package.scope = if flag { DependencyScope::Test } else { DependencyScope::Runtime };
            package.fixed_versions = vec![text.clone()];
            package.introduced_by = vec![text.clone()];
        }
        if let Some(location) = &mut changed.location {
            location.start_line = number;
            location.end_line = number;
        }
        if let Some(secret) = &mut changed.secret {
            secret.verified = flag;
            secret.revoked = flag;
        }
        prop_assert_eq!(id(REPO, &sighting), id(REPO, &changed));
    }
}
