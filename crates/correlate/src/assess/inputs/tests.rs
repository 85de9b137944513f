//! Inputs and where they come from.

use tributary_model::finding::{Finding, ToolClaim};
use tributary_model::sighting::{Endpoint, Package, Sighting};

use super::*;
use crate::assess::lent::Records;
use crate::assess::surroundings::{Placement, Vulnerability};

fn finding(asset: &str, change: impl FnOnce(&mut Finding)) -> Finding {
    let mut finding = Finding { component: "shop".to_owned(), ..Finding::default() };
    finding.tracked.asset = asset.to_owned();
    finding.tracked.counts = true;
    finding.tracked.sighting = Sighting { package: Some(Package::default()), ..Sighting::default() };
    finding.tracked.claims = vec![ToolClaim { tool: "trivy".to_owned(), present: true, ..ToolClaim::default() }];
    change(&mut finding);
    finding
}

fn of(class: FindingClass, findings: &[Finding], around: &Surroundings, intel: &Intelligence) -> Inputs {
    let records = Records::of(findings);
    let findings = records.lend();
    let findings: Vec<_> = findings.iter().collect();
    let ids = ["CVE-1".to_owned()];
    gather(Evidence { class, ids: &ids, bundled: &[], findings: &findings, confirmed: false }, around, intel)
}

fn cve(findings: &[Finding], around: &Surroundings, intel: &Intelligence) -> Inputs {
    of(FindingClass::Vulnerability, findings, around, intel)
}

fn intel(change: impl FnOnce(&mut Vulnerability)) -> Intelligence {
    let mut vulnerability = Vulnerability::default();
    change(&mut vulnerability);
    Intelligence {
        kev_read: true,
        vulnerabilities: [("CVE-1".to_owned(), vulnerability)].into(),
        statements: Vec::new(),
    }
}

fn at(environment: &str, exposure: Exposure) -> Placement {
    Placement { environment: environment.to_owned(), exposure, source: "kubernetes:eu".to_owned(), observed_at: 5 }
}

#[test]
fn kev_is_yes_no_or_unknown() {
    let findings = [finding("image:sha256:aa", |_| {})];
    let listed = intel(|known| known.kev = Some(Known::said(("2021-12-10".to_owned(), true), "cisa-kev", 9)));
    let inputs = cve(&findings, &Surroundings::default(), &listed);
    assert_eq!(inputs.kev, Known::said(Some(true), "cisa-kev", 9));
    assert_eq!(inputs.kev_detail, "since 2021-12-10, used by ransomware");
    assert_eq!(inputs.exploitation.value, Exploitation::Active);
    assert_eq!(cve(&findings, &Surroundings::default(), &intel(|_| {})).kev.value, Some(false));
    assert_eq!(cve(&findings, &Surroundings::default(), &Intelligence::default()).kev, Known::assumed(None));
}

#[test]
fn cisa_before_the_vector_before_the_severity() {
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let scored = [finding("image:sha256:aa", |finding| {
        finding.tracked.claims[0].cvss_vector = vector.to_owned();
        finding.tracked.claims[0].cvss_score = Some(9.8);
    })];
    let around = Surroundings::default();
    let by_vector = cve(&scored, &around, &intel(|_| {}));
    assert_eq!((by_vector.automatable.value, by_vector.total.value), (true, true));
    assert_eq!(by_vector.automatable.source, "cvss:trivy");
    assert_eq!(by_vector.cvss_tenths.as_ref().map(|cvss| cvss.value), Some(98));
    let words = ["poc".to_owned(), "no".to_owned(), "partial".to_owned()];
    let by_cisa = cve(&scored, &around, &intel(|known| known.ssvc = Some(Known::said(words, "cisa", 3))));
    assert_eq!((by_cisa.automatable.value, by_cisa.total.value), (false, false));
    assert_eq!(by_cisa.exploitation.value, Exploitation::Poc);
    assert_eq!(by_cisa.total.source, "cisa-ssvc");
    let by_nothing = cve(&[finding("image:sha256:aa", |_| {})], &around, &intel(|_| {}));
    assert!(by_nothing.automatable.assumed && by_nothing.total.assumed && by_nothing.cvss_tenths.is_none());
    let weakness = [finding("repo:h/o/r#main", |finding| finding.tracked.claims[0].severity = Severity::High)];
    let weakness = of(FindingClass::Weakness, &weakness, &around, &Intelligence::default());
    assert_eq!(weakness.total, Known::said(true, "severity", 0));
}

#[test]
fn an_image_says_where_it_runs_and_a_lockfile_inherits_only_the_exposure() {
    let around = Surroundings {
        images: [
            ("image:sha256:aa".to_owned(), vec![at("production", Exposure::Open), at("staging", Exposure::Controlled)]),
            ("image:sha256:bb".to_owned(), Vec::new()),
        ]
        .into(),
        component: vec![at("production", Exposure::Open)],
        deployments_known: true,
        ..Surroundings::default()
    };
    let running = cve(&[finding("image:sha256:aa", |_| {})], &around, &Intelligence::default());
    assert_eq!((running.exposure.value, running.deployed), (Exposure::Open, Some(true)));
    assert_eq!(running.environments, ["production", "staging"]);
    let idle = cve(&[finding("image:sha256:bb", |_| {})], &around, &Intelligence::default());
    assert_eq!((idle.exposure.value, idle.deployed, idle.environments.len()), (Exposure::Open, Some(false), 0));
    let locked = cve(&[finding("repo:h/o/r#main", |_| {})], &around, &Intelligence::default());
    assert_eq!((locked.exposure.value, locked.deployed), (Exposure::Open, None));
    let code = of(FindingClass::Weakness, &[finding("repo:h/o/r#main", |_| {})], &around, &Intelligence::default());
    assert_eq!((code.deployed, code.environments.len()), (Some(true), 1));
}

#[test]
fn what_runs_nowhere_is_not_deployed_only_when_deployments_are_known() {
    let findings = [finding("image:sha256:aa", |_| {}), finding("repo:h/o/r#main", |_| {})];
    let blind = cve(&findings, &Surroundings::default(), &Intelligence::default());
    assert_eq!((blind.deployed, blind.exposure.clone()), (None, Known::assumed(Exposure::Unknown)));
    let seeing = Surroundings { deployments_known: true, ..Surroundings::default() };
    let inputs = cve(&findings, &seeing, &Intelligence::default());
    assert_eq!((inputs.deployed, inputs.exposure.value), (Some(false), Exposure::Unknown));
}

#[test]
fn development_scope_and_idle_packages_need_every_piece_of_evidence() {
    let development = finding("repo:h/o/r#main", |finding| {
        finding.tracked.sighting.package.as_mut().unwrap().scope = DependencyScope::Development;
    });
    let in_image = finding("image:sha256:aa", |finding| {
        finding.tracked.sighting.package.as_mut().unwrap().scope = DependencyScope::Development;
    });
    let around = Surroundings::default();
    assert!(cve(std::slice::from_ref(&development), &around, &Intelligence::default()).development_only);
    assert!(!cve(&[development, in_image], &around, &Intelligence::default()).development_only);
    let idle = |verdict| {
        finding("image:sha256:aa", |finding| {
            finding.tracked.sighting.package.as_mut().unwrap().is_os_package = true;
            finding.tracked.runtime = verdict;
        })
    };
    let is_idle = |findings: &[Finding]| cve(findings, &around, &Intelligence::default()).idle_os_package;
    assert!(is_idle(&[idle(RuntimeVerdict::NotSeen)]));
    assert!(!is_idle(&[idle(RuntimeVerdict::NotSeen), idle(RuntimeVerdict::Unknown)]));
    assert!(!is_idle(&[idle(RuntimeVerdict::Loaded)]));
}

#[test]
fn the_digest_ignores_when_a_word_was_repeated_and_the_epss_of_the_day() {
    let findings = [finding("image:sha256:aa", |_| {})];
    let digest = |at: i64, epss: u32| {
        let tier = Some(Known::said(2, "backstage", at));
        let around = Surroundings { tier, ..Surroundings::default() };
        cve(&findings, &around, &intel(|known| known.epss_ppm = Some(epss))).digest()
    };
    assert_eq!(digest(1, 970_000), digest(2, 974_000));
    assert_ne!(digest(1, 970_000), digest(1, 400_000));
}

#[test]
fn a_revoked_secret_is_not_live() {
    let live = |revoked| {
        let findings = [finding("repo:h/o/r#main", |finding| {
            let secret = tributary_model::sighting::Secret { verified: true, revoked, ..Default::default() };
            finding.tracked.sighting.secret = Some(secret);
        })];
        of(FindingClass::Secret, &findings, &Surroundings::default(), &Intelligence::default()).verified
    };
    assert!(live(false) && !live(true));
}

#[test]
fn an_attack_is_a_proof_of_concept_and_a_look_is_not() {
    let at = |path: &str| {
        [finding("web:https://shop.example", |finding| {
            let endpoint = Endpoint { path_template: path.to_owned(), ..Endpoint::default() };
            finding.tracked.sighting = Sighting { endpoint: Some(endpoint), ..Sighting::default() };
        })]
    };
    let web = |path| of(FindingClass::Web, &at(path), &Surroundings::default(), &Intelligence::default()).exploitation;
    assert_eq!(web("/orders/{}"), Known::said(Exploitation::Poc, "web scan", 0));
    assert_eq!(web(Endpoint::WHOLE_SITE), Known::assumed(Exploitation::None));
}
