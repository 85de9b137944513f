//! Identity of risks: what merges, what stays apart, in any order.

use proptest::prelude::*;
use tributary_model::finding::{Finding, ToolClaim};
use tributary_model::id::FindingId;
use tributary_model::sighting::{Endpoint, Location, Package, Secret, Sighting};

use super::*;
use crate::assess::lent::Records;

fn cell_of(finding: &Finding) -> CellId {
    Place::from(&Records::of([finding]).lend()[0]).cell()
}

/// Under the names that the findings themselves give.
fn named(findings: &[Finding]) -> Vec<Group> {
    let records = Records::of(findings);
    let findings = records.lend();
    groups(&findings, &claimed_aliases(&findings))
}

fn unnamed(finding: &Finding) -> Group {
    groups(&Records::of([finding]).lend(), &Aliases::default()).remove(0)
}

fn finding(id: u8, asset: &str, sighting: Sighting) -> Finding {
    let mut finding = Finding { component: "shop".to_owned(), ..Finding::default() };
    finding.tracked.finding = FindingId([id; 16]);
    finding.tracked.asset = asset.to_owned();
    finding.tracked.counts = true;
    finding.tracked.first_seen = i64::from(id);
    let (tool, rule) = (format!("tool-{id}"), sighting.rule.clone());
    finding.tracked.claims = vec![ToolClaim { tool, rule, present: true, ..ToolClaim::default() }];
    finding.tracked.sighting = sighting;
    finding
}

fn vulnerability(rule: &str, purl: &str, aliases: &[&str]) -> Sighting {
    Sighting {
        class: FindingClass::Vulnerability,
        rule: rule.to_owned(),
        package: Some(Package { purl: purl.to_owned(), ..Package::default() }),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..Sighting::default()
    }
}

fn names(findings: &[Finding]) -> Vec<(String, usize)> {
    let mut names: Vec<(String, usize)> =
        named(findings).into_iter().map(|group| (group.name, group.members.len())).collect();
    names.sort();
    names
}

#[test]
fn lockfile_image_and_alert_of_one_vulnerability_are_one_risk() {
    let findings = [
        finding(1, "repo:h/o/shop#main", vulnerability("CVE-2021-44228", "pkg:maven/a/b", &[])),
        finding(2, "image:sha256:aa", vulnerability("GHSA-jfh8", "pkg:maven/a/b", &["CVE-2021-44228"])),
        finding(3, "repo:h/o/shop#main", vulnerability("GHSA-jfh8", "pkg:maven/a/b", &[])),
    ];
    assert!(findings.iter().all(|finding| cell_of(finding) == cell_of(&findings[0])));
    assert_eq!(names(&findings), [("CVE-2021-44228".to_owned(), 3)]);
}

#[test]
fn binary_packages_of_one_source_are_one_package() {
    let binary = |id, purl: &str| {
        let mut sighting = vulnerability("CVE-1", purl, &[]);
        sighting.package.as_mut().unwrap().source_purl = "pkg:deb/debian/krb5".to_owned();
        finding(id, "image:sha256:aa", sighting)
    };
    assert_eq!(cell_of(&binary(1, "pkg:deb/debian/libkrb5-3")), cell_of(&binary(2, "pkg:deb/debian/libk5crypto3")));
}

#[test]
fn f31_a_bundle_stands_alone_and_its_cves_stay_apart() {
    let findings = [
        finding(1, "image:sha256:aa", vulnerability("CVE-2023-1", "pkg:golang/x/net", &["GHSA-aaaa"])),
        finding(2, "image:sha256:aa", vulnerability("CVE-2023-2", "pkg:golang/x/net", &["GHSA-bbbb"])),
        finding(3, "image:sha256:aa", vulnerability("GO-2023-9", "pkg:golang/x/net", &["CVE-2023-1", "CVE-2023-2"])),
    ];
    let expected = [("CVE-2023-1", 1), ("CVE-2023-2", 1), ("GO-2023-9", 1)];
    assert_eq!(names(&findings), expected.map(|(name, count)| (name.to_owned(), count)));
    let groups = named(&findings);
    let bundle = groups.iter().find(|group| group.name == "GO-2023-9").unwrap();
    assert_eq!(bundle.bundled, ["CVE-2023-1", "CVE-2023-2"]);
}

#[test]
fn a_distribution_advisory_narrowed_to_one_cve_is_that_cve() {
    let findings = [
        finding(1, "image:sha256:aa", vulnerability("RHSA-2024:1", "pkg:rpm/redhat/curl", &["CVE-2024-1"])),
        finding(2, "image:sha256:aa", vulnerability("CVE-2024-1", "pkg:rpm/redhat/curl", &[])),
        finding(3, "image:sha256:aa", vulnerability("CVE-2024-2", "pkg:rpm/redhat/curl", &["RHSA-2024:1"])),
    ];
    assert_eq!(names(&findings), [("CVE-2024-1".to_owned(), 2), ("CVE-2024-2".to_owned(), 1)]);
}

#[test]
fn malware_under_the_class_of_a_vulnerability_is_malware() {
    let one = finding(1, "repo:h/o/shop#main", vulnerability("MAL-2026-1", "pkg:npm/x", &[]));
    assert_eq!(unnamed(&one).class, FindingClass::Malware);
}

#[test]
fn secrets_are_keyed_by_their_hash_wherever_they_lie() {
    let secret = |hmac: &str, path: &str| Sighting {
        class: FindingClass::Secret,
        secret: Some(Secret { hmac: hmac.to_owned(), family: "aws".to_owned(), ..Secret::default() }),
        location: Some(Location { path: path.to_owned(), ..Location::default() }),
        ..Sighting::default()
    };
    let a = finding(1, "repo:h/o/a#main", secret("aa", "x"));
    let moved = finding(2, "repo:h/o/b#main", secret("aa", "y"));
    let other = finding(3, "repo:h/o/a#main", secret("bb", "x"));
    let masked = [finding(4, "repo:h/o/a#main", secret("", "x")), finding(5, "repo:h/o/a#main", secret("", "x"))];
    assert_eq!(cell_of(&a), cell_of(&moved));
    assert_ne!(cell_of(&a), cell_of(&other));
    assert_ne!(cell_of(&masked[0]), cell_of(&masked[1]));
}

#[test]
fn controls_and_endpoints_are_keyed_by_what_identifies_them() {
    let control = |control: &str, rule: &str| Sighting {
        class: FindingClass::Misconfiguration,
        rule: rule.to_owned(),
        control: control.to_owned(),
        resource: "arn:aws:s3:::b".to_owned(),
        ..Sighting::default()
    };
    let mapped = finding(1, "cloud:aws/1", control("s3-public", "CKV_1"));
    assert_eq!(cell_of(&mapped), cell_of(&finding(2, "cloud:aws/1", control("s3-public", "prowler_1"))));
    assert_ne!(cell_of(&mapped), cell_of(&finding(3, "cloud:aws/1", control("", "prowler_1"))));

    let web = |parameter: &str| Sighting {
        class: FindingClass::Web,
        rule: "40018".to_owned(),
        cwes: vec![89],
        endpoint: Some(Endpoint { parameter: parameter.to_owned(), ..Endpoint::default() }),
        ..Sighting::default()
    };
    assert_ne!(cell_of(&finding(1, "web:https://a", web("q"))), cell_of(&finding(2, "web:https://a", web("r"))));
}

#[test]
fn two_headers_that_share_a_cwe_are_two_risks() {
    let observed = |rule: &str, path: &str| Sighting {
        class: FindingClass::Web,
        rule: rule.to_owned(),
        cwes: vec![693],
        endpoint: Some(Endpoint { path_template: path.to_owned(), ..Endpoint::default() }),
        ..Sighting::default()
    };
    let site = Endpoint::WHOLE_SITE;
    let pair =
        |path| [finding(1, "web:https://a", observed("1", path)), finding(2, "web:https://a", observed("2", path))];
    let [first, second] = pair(site);
    assert_ne!(cell_of(&first), cell_of(&second));
    assert_eq!(unnamed(&first).name, "1");
    let [first, second] = pair("/cart");
    assert_eq!(cell_of(&first), cell_of(&second), "on a route the CWE says what is wrong, whoever says it");
    assert_eq!(unnamed(&first).name, "CWE-693");
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let ids = prop::sample::select(vec!["CVE-1", "CVE-2", "GHSA-a", "GHSA-b", "PYSEC-1", "DSA-1", "GO-1"]);
    (any::<u8>(), ids.clone(), prop::collection::vec(ids, 0..3))
        .prop_map(|(id, rule, aliases)| finding(id, "image:sha256:aa", vulnerability(rule, "pkg:npm/x", &aliases)))
}

/// Groups as sets of findings.
fn view(findings: &[Finding]) -> Vec<(RiskId, String, Vec<FindingId>)> {
    let mut view: Vec<(RiskId, String, Vec<FindingId>)> = named(findings)
        .into_iter()
        .map(|group| {
            let mut ids: Vec<FindingId> = group.members.iter().map(|at| findings[*at].tracked.finding).collect();
            ids.sort_unstable();
            (group.risk, group.name, ids)
        })
        .collect();
    view.sort();
    view
}

proptest! {
    #[test]
    fn every_finding_is_in_one_group_and_order_does_not_matter(
        findings in prop::collection::vec(any_finding(), 1..8),
        turn in any::<prop::sample::Index>(),
    ) {
        let mut turned = findings.clone();
        turned.rotate_left(turn.index(findings.len()));
        prop_assert_eq!(view(&findings), view(&turned));
        let total: usize = view(&findings).iter().map(|(_, _, members)| members.len()).sum();
        prop_assert_eq!(total, findings.len());
    }
}
