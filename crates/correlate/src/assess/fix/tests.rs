//! Where a fix is made, and which version is enough.

use tributary_model::finding::{Finding, ToolClaim};
use tributary_model::risk::Owner;
use tributary_model::sighting::{Location, Package, Secret, Sighting};

use super::*;
use crate::assess::alias::Aliases;
use crate::assess::lent::Records;
use crate::assess::surroundings::Base;

fn vulnerable(asset: &str, package: Package, fixed: &[(&str, &[&str])]) -> Finding {
    let mut finding = Finding { component: "shop".to_owned(), ..Finding::default() };
    finding.tracked.asset = asset.to_owned();
    finding.tracked.counts = true;
    finding.tracked.sighting = Sighting {
        class: FindingClass::Vulnerability,
        rule: "CVE-1".to_owned(),
        package: Some(package),
        ..Sighting::default()
    };
    finding.tracked.claims = fixed
        .iter()
        .map(|(tool, versions)| ToolClaim {
            tool: (*tool).to_owned(),
            present: true,
            fixed_versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            ..ToolClaim::default()
        })
        .collect();
    finding
}

fn package(purl: &str, version: &str, directory: &str) -> Package {
    let parsed = tributary_model::package::parse(purl).unwrap_or_default();
    Package {
        purl: parsed.purl,
        name: parsed.name,
        is_os_package: tributary_model::package::is_os(&parsed.ecosystem),
        ecosystem: parsed.ecosystem,
        version: version.to_owned(),
        manifest_dir: directory.to_owned(),
        ..Package::default()
    }
}

fn check(findings: &[Finding], around: &Surroundings) -> Fix {
    let records = Records::of(findings);
    let findings = records.lend();
    let groups = group::groups(&findings, &Aliases::default());
    assert_eq!(groups.len(), 1);
    fix(&groups[0], "shop", &findings.iter().collect::<Vec<_>>(), around)
}

#[test]
fn a_manifest_wins_over_the_image_and_the_version_is_enough_for_every_tool() {
    let log4j = |directory| package("pkg:maven/org.apache.logging.log4j/log4j-core", "2.14.1", directory);
    let findings = [
        vulnerable("image:sha256:aa", log4j(""), &[("grype", &["2.15.0"])]),
        vulnerable("repo:h/o/shop#main", log4j("services/pay"), &[("trivy", &["2.3.1", "2.12.2", "2.16.0"])]),
    ];
    let fix = check(&findings, &Surroundings::default());
    assert_eq!((fix.kind.as_str(), fix.scope.as_str()), ("upgrade", "h/o/shop//services/pay"));
    assert_eq!(fix.target, "pkg:maven/org.apache.logging.log4j/log4j-core");
    assert_eq!(fix.version, "2.16.0");
    assert_eq!(fix.summary, "Upgrade org.apache.logging.log4j:log4j-core to 2.16.0 in services/pay");
}

#[test]
fn f32_an_os_package_in_an_image_is_fixed_in_its_base() {
    let krb5 = Package {
        source_purl: "pkg:deb/debian/krb5".to_owned(),
        ..package("pkg:deb/debian/libkrb5-3", "1.20.1-2", "")
    };
    let finding = [vulnerable("image:sha256:aa", krb5, &[("trivy", &["1.20.1-2+deb12u2"])])];
    let platform = Owner { team: "team-platform".to_owned(), ..Owner::default() };
    let base = Base { name: "r.example/base/debian".to_owned(), owner: platform.clone() };
    let around = Surroundings { bases: [("image:sha256:aa".to_owned(), base)].into(), ..Surroundings::default() };
    let in_base = check(&finding, &around);
    assert_eq!((in_base.kind.as_str(), in_base.target.as_str()), ("base_image", "r.example/base/debian"));
    assert_eq!((in_base.scope.as_str(), &in_base.owner), ("", &platform));
    assert_eq!(in_base.version, "1.20.1-2+deb12u2");
    let without = check(&finding, &Surroundings::default());
    assert_eq!((without.kind.as_str(), without.scope.as_str()), ("upgrade", "component:shop"));
    assert_eq!(without.target, "pkg:deb/debian/krb5");
}

#[test]
fn without_a_fixed_version_the_summary_says_so() {
    let ws = vulnerable("image:sha256:aa", package("pkg:npm/ws", "8.0.0", ""), &[]);
    let fix = check(&[ws], &Surroundings::default());
    assert_eq!(fix.version, "");
    assert_eq!(fix.summary, "No fixed version of ws is known: mitigate, or replace it");
}

#[test]
fn one_leaked_key_is_one_rotation_in_any_repository() {
    let leaked = |asset: &str| {
        let mut finding = Finding::default();
        finding.tracked.asset = asset.to_owned();
        let secret = Secret { hmac: "ab".repeat(32), family: "aws-access-key".to_owned(), ..Secret::default() };
        let location = Location { path: "deploy.sh".to_owned(), ..Location::default() };
        finding.tracked.sighting = Sighting {
            class: FindingClass::Secret,
            secret: Some(secret),
            location: Some(location),
            ..Sighting::default()
        };
        finding
    };
    let one = check(&[leaked("repo:h/o/a#main")], &Surroundings::default());
    let other = check(&[leaked("repo:h/o/b#main")], &Surroundings::default());
    assert_eq!((one.kind.as_str(), one.scope.as_str()), ("rotate_secret", ""));
    assert_eq!(one, other);
    let mut masked = leaked("repo:h/o/a#main");
    masked.tracked.sighting.secret.as_mut().unwrap().hmac.clear();
    assert_eq!(check(&[masked], &Surroundings::default()).scope, "h/o/a");
}
