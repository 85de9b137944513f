//! Context: components, what counts, what runs.

use super::*;

fn deploy(harness: &mut Harness, image: &str) {
    harness.context("workload:c/n/deployment/pay", &[(Attribute::RunsImage, image, "\"pay\"")]);
}

#[test]
fn f7_a_replaced_digest_that_runs_nowhere_is_superseded() {
    let mut harness = harness();
    deploy(&mut harness, IMAGE);
    harness.step(&[scan(IMAGE, "trivy", 10, vulnerabilities(0..2))]);
    assert!(harness.findings().iter().all(|finding| finding.counts));
    deploy(&mut harness, "image:sha256:bb");
    harness.restart();
    harness.settle();
    assert_eq!(harness.states(), states([(FindingState::Superseded, 2)]));
    assert!(harness.findings().iter().all(|finding| !finding.counts));
    deploy(&mut harness, IMAGE);
    harness.settle();
    assert_eq!(harness.states(), states([(FindingState::Active, 2)]), "rolled back");
}

#[test]
fn an_image_that_never_ran_is_not_superseded() {
    let mut harness = harness();
    harness.step(&[scan(IMAGE, "trivy", 10, vec![vulnerability(1)])]);
    deploy(&mut harness, "image:sha256:bb");
    harness.settle();
    let finding = harness.finding();
    assert_eq!((finding.state, finding.counts), (FindingState::Active, true));
    assert_eq!((finding.components, finding.attributed_by.as_str()), (vec![IMAGE.to_owned()], "unclaimed"));
}

#[test]
fn f26_a_moved_finding_leaves_a_forwarding_address() {
    let mut harness = harness();
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1)])]);
    let scanned = |harness: &Harness| harness.run("scan-0010").components;
    assert_eq!(scanned(&harness), ["github.com/acme/shop"]);
    harness.context("component:shop", &[(Attribute::Source, "github.com/acme/shop", "\"\"")]);
    let out = harness.settle();
    assert_eq!(out, BTreeMap::from([("tracked", 1), ("findings", 2), ("scans", 1)]));
    assert_eq!(scanned(&harness), ["shop"]);
    let findings: Vec<Finding> = harness.of(Topic::Findings);
    let view: Vec<_> = findings.iter().map(|f| (f.component.as_str(), f.end, f.moved_to.as_str())).collect();
    assert_eq!(view, [("github.com/acme/shop", FindingEnd::Moved, "shop"), ("shop", FindingEnd::None, "")]);
    assert_eq!(harness.finding().first_seen, 10);
    harness.now += 7 * DAY;
    harness.restart();
    assert_eq!(
        harness.settle(),
        BTreeMap::from([("tracked", 1), ("findings", 0)]),
        "the tombstone, and the finding without it"
    );
    let findings: Vec<Finding> = harness.of(Topic::Findings);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].component, "shop");
}

#[test]
fn context_that_changes_no_view_changes_no_finding() {
    let mut harness = harness();
    harness.context("component:shop", &[(Attribute::Source, "github.com/acme/shop", "\"\"")]);
    harness.step(&[scan(REPO, "npm", 10, vulnerabilities(0..3))]);
    let owned = [(Attribute::Owner, "", "\"team\""), (Attribute::Source, "github.com/acme/shop", "\"\"")];
    harness.context("component:shop", &owned);
    harness.context("component:other", &[(Attribute::Source, "github.com/acme/other", "\"\"")]);
    assert!(harness.settle().is_empty());
}

#[test]
fn a_path_decides_in_a_monorepo() {
    let mut harness = harness();
    harness.context("component:web", &[(Attribute::Source, "github.com/acme/shop//web", "\"\"")]);
    harness.step(&[scan(REPO, "npm", 10, vec![vulnerability(1), secret()])]);
    let by_class: BTreeMap<&str, Vec<String>> =
        harness.findings().into_iter().map(|f| (f.sighting.class.name(), f.components)).collect();
    assert_eq!(by_class["vulnerability"], ["web"], "by its manifest");
    assert_eq!(by_class["secret"], ["github.com/acme/shop"], "by its file");
}

fn runtime(at: Millis, uses: &[(&str, UseLevel)]) -> Observation {
    let uses =
        uses.iter().map(|(path, level)| RuntimeUse { path: (*path).into(), level: *level, ..RuntimeUse::default() });
    Observation {
        asset: IMAGE.into(),
        observed_at: at,
        tool: "tetragon".into(),
        runtime: uses.collect(),
        ..Observation::default()
    }
}

fn os_package(name: &str) -> Sighting {
    let package = Package {
        purl: format!("pkg:deb/debian/{name}"),
        name: name.into(),
        ecosystem: "deb".into(),
        is_os_package: true,
        ..Package::default()
    };
    Sighting {
        class: FindingClass::Vulnerability,
        rule: "CVE-2030-1".into(),
        package: Some(package),
        ..Sighting::default()
    }
}

fn verdicts(harness: &Harness) -> BTreeMap<String, RuntimeVerdict> {
    harness.findings().into_iter().map(|f| (f.sighting.package.unwrap().name, f.runtime)).collect()
}

#[test]
fn use_at_run_time_reaches_the_package_that_owns_the_file() {
    let mut harness = harness();
    harness.step(&[scan(IMAGE, "trivy", 10, vec![os_package("nginx"), os_package("perl"), os_package("tool")])]);
    assert_eq!(verdicts(&harness)["nginx"], RuntimeVerdict::Unknown);
    harness.step(&[runtime(20, &[("/usr/sbin/nginx", UseLevel::Executed)])]);
    assert_eq!(
        (verdicts(&harness)["nginx"], verdicts(&harness)["perl"]),
        (RuntimeVerdict::Executed, RuntimeVerdict::NotSeen)
    );
    let files = vec!["/opt/bin/helper".to_owned(), "/usr/share/doc/tool".to_owned()];
    let item = InventoryItem { purl: "pkg:deb/debian/tool".into(), files, ..InventoryItem::default() };
    let mut inventory = scan(IMAGE, "syft", 21, vec![]);
    inventory.inventory = vec![item];
    harness.step(&[
        inventory,
        runtime(22, &[("/opt/bin/helper", UseLevel::Loaded), ("/usr/share/doc/tool", UseLevel::Executed)]),
    ]);
    assert_eq!(verdicts(&harness)["tool"], RuntimeVerdict::Loaded);
    harness.step(&[runtime(23, &[("/usr/sbin/nginx", UseLevel::Loaded)])]);
    assert_eq!(verdicts(&harness)["nginx"], RuntimeVerdict::Executed, "used once is used");
}

#[test]
fn use_is_remembered_for_findings_that_come_later_and_across_restarts() {
    let mut harness = harness();
    harness.step(&[runtime(5, &[("/usr/sbin/nginx", UseLevel::Executed)])]);
    harness.restart();
    harness.settle();
    harness.step(&[scan(IMAGE, "trivy", 10, vec![os_package("nginx"), os_package("perl")])]);
    assert_eq!(
        (verdicts(&harness)["nginx"], verdicts(&harness)["perl"]),
        (RuntimeVerdict::Executed, RuntimeVerdict::NotSeen)
    );
    assert!(harness.step(&[runtime(20, &[("/usr/sbin/nginx", UseLevel::Executed)])]).is_empty());
}

#[test]
fn a_path_may_be_anything() {
    let mut harness = harness();
    harness.step(&[scan(IMAGE, "trivy", 10, vec![os_package("nginx")])]);
    harness.step(&[runtime(20, &[("", UseLevel::Executed), ("/é/ü.so", UseLevel::Loaded), ("///", UseLevel::Loaded)])]);
    assert_eq!(verdicts(&harness)["nginx"], RuntimeVerdict::NotSeen);
}
