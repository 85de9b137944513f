//! What goes wrong elsewhere, as named scenarios.

use tributary_model::finding::{FindingState, RuntimeVerdict};
use tributary_model::risk::{ChangeKind, Exposure};
use tributary_model::severity::{Band, Severity};
use tributary_model::sighting::Endpoint;

use super::*;

#[test]
fn lockfile_image_and_process_are_one_risk_with_three_pieces_of_evidence() {
    let mut harness = Harness::new();
    deploy(&mut harness, IMAGE);
    harness.know("component:shop", catalogue(1, "team-shop"));
    harness.know("vuln:CVE-2021-44228", kev());
    let log4j = || vulnerability("CVE-2021-44228", "pkg:maven/org.apache.logging.log4j/log4j-core@1.0.0");
    let mut ghsa = vulnerability("GHSA-jfh8-c2jp-5v3q", "pkg:maven/org.apache.logging.log4j/log4j-core@1.0.0");
    ghsa.aliases = vec!["CVE-2021-44228".to_owned()];
    let mut running = finding(3, IMAGE, "grype", ghsa);
    running.tracked.runtime = RuntimeVerdict::Loaded;
    harness.send(&[finding(1, REPO, "trivy", log4j()), finding(2, IMAGE, "trivy", log4j()), running]);
    let open = harness.open();
    assert_eq!(open.len(), 1);
    let risk = &open["CVE-2021-44228"];
    assert_eq!((risk.evidence_total, risk.tools.as_slice()), (3, ["grype".to_owned(), "trivy".to_owned()].as_slice()));
    assert_eq!(risk.vulnerability_ids, ["CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q"]);
    assert_eq!((risk.band, risk.kev, risk.deployed), (Band::Immediate, Some(true), Some(true)));
    assert_eq!((risk.exposure, risk.environments.as_slice()), (Exposure::Open, ["production".to_owned()].as_slice()));
    assert_eq!(risk.owner.team, "team-shop");
    assert_eq!(risk.first_seen, T0 - 3 * DAY);
    assert_eq!(risk.due_at, Some(T0));
    assert_eq!((risk.fix.kind.as_str(), risk.fix.scope.as_str()), ("upgrade", "github.com/acme/shop//"));
    harness.check_invariants();
}

#[test]
fn f9_a_late_alias_merges_and_a_revoked_one_splits() {
    let mut harness = Harness::new();
    let old = finding(9, REPO, "dep-scan", vulnerability("GHSA-3ww4-gg4f-jr7f", "pkg:pypi/cryptography@1.0"));
    harness.send(&[old, finding(1, REPO, "trivy", vulnerability("CVE-2023-50782", "pkg:pypi/cryptography@1.0"))]);
    assert_eq!(harness.open().len(), 2);
    let apart = harness.open();

    harness.know("vuln:GHSA-3ww4-gg4f-jr7f", vec![alias("CVE-2023-50782")]);
    let step = harness.settle();
    let open = harness.open();
    assert_eq!(open.keys().collect::<Vec<_>>(), ["CVE-2023-50782"]);
    let merged = &open["CVE-2023-50782"];
    assert_eq!(merged.risk, apart["CVE-2023-50782"].risk);
    assert_eq!((merged.first_seen, merged.clock_start, merged.evidence_total), (T0 - 9 * DAY, T0 - 9 * DAY, 2));
    let told: Vec<(ChangeKind, Option<RiskId>)> = changes(&step).into_iter().map(|one| (one.kind, one.other)).collect();
    assert!(told.contains(&(ChangeKind::Merged, Some(merged.risk))), "{told:?}");
    assert!(told.contains(&(ChangeKind::Merged, Some(apart["GHSA-3ww4-gg4f-jr7f"].risk))), "{told:?}");
    harness.check_invariants();

    harness.know("vuln:GHSA-3ww4-gg4f-jr7f", Vec::new());
    let step = harness.settle();
    let open = harness.open();
    assert_eq!(open.len(), 2);
    assert_eq!(open["CVE-2023-50782"].first_seen, T0 - DAY);
    assert_eq!(open["GHSA-3ww4-gg4f-jr7f"].first_seen, T0 - 9 * DAY);
    assert!(changes(&step).iter().any(|one| one.kind == ChangeKind::Reopened), "{step:?}");
    harness.check_invariants();
}

#[test]
fn f9_a_mirror_shows_where_to_look_and_joins_nothing_by_itself() {
    let mut harness = Harness::new();
    let purl = "pkg:pypi/cryptography@1.0";
    harness.send(&[
        finding(1, REPO, "trivy", vulnerability("CVE-2023-50782", purl)),
        finding(2, REPO, "pip-audit", vulnerability("PYSEC-1", purl)),
    ]);
    let mirror = |of: &str| said(Attribute::Alias, of, &"mirror");
    harness.know("vuln:CVE-2023-50782", vec![mirror("GHSA-a")]);
    harness.know("vuln:PYSEC-1", vec![mirror("GHSA-a")]);
    harness.settle();
    assert_eq!(harness.open().len(), 2, "the record itself says nothing, or nothing any more");
    harness.know("vuln:GHSA-a", vec![alias("CVE-2023-50782"), alias("PYSEC-1")]);
    harness.settle();
    assert_eq!(harness.open().into_keys().collect::<Vec<_>>(), ["CVE-2023-50782"]);
    harness.know("vuln:GHSA-a", Vec::new());
    harness.settle();
    assert_eq!(harness.open().len(), 2);
    harness.check_invariants();
}

#[test]
fn a_split_names_the_risk_that_it_came_from() {
    let mut harness = Harness::new();
    harness.know("vuln:GHSA-aaaa", vec![alias("CVE-2023-1")]);
    let findings = [
        finding(1, REPO, "trivy", vulnerability("CVE-2023-1", "pkg:npm/x@1.0.0")),
        finding(2, REPO, "osv", vulnerability("GHSA-aaaa", "pkg:npm/x@1.0.0")),
    ];
    harness.send(&findings);
    let whole = harness.open()["CVE-2023-1"].risk;
    harness.know("vuln:GHSA-aaaa", Vec::new());
    let step = harness.settle();
    let split = changes(&step).into_iter().find(|one| one.kind == ChangeKind::Split).unwrap();
    assert_eq!(split.other, Some(whole));
    harness.check_invariants();
}

#[test]
fn f31_an_advisory_that_names_two_cves_glues_nothing() {
    let mut harness = Harness::new();
    let bundle = [alias("CVE-2023-39325"), alias("CVE-2023-44487"), alias("GHSA-4374-p667-p6c8")];
    harness.know("vuln:GO-2023-2102", bundle.to_vec());
    harness.know("vuln:GHSA-4374-p667-p6c8", vec![alias("CVE-2023-39325")]);
    let net = "pkg:golang/golang.org/x/net@0.10.0";
    let findings = [
        finding(1, IMAGE, "trivy", vulnerability("CVE-2023-39325", net)),
        finding(2, IMAGE, "trivy", vulnerability("CVE-2023-44487", net)),
        finding(3, IMAGE, "grype", vulnerability("GHSA-4374-p667-p6c8", net)),
    ];
    harness.send(&findings);
    let open = harness.open();
    assert_eq!(open.keys().collect::<Vec<_>>(), ["CVE-2023-39325", "CVE-2023-44487"]);
    assert_eq!(open["CVE-2023-39325"].evidence_total, 2);
}

#[test]
fn f14_kev_and_deployment_are_felt_without_a_rescan() {
    let mut harness = Harness::new();
    harness.send(&[finding(1, IMAGE, "trivy", vulnerability("CVE-2024-1", "pkg:npm/next@1.0.0"))]);
    let first = harness.open()["CVE-2024-1"].clone();
    assert_eq!((first.band, first.kev, first.deployed), (Band::Scheduled, None, None));
    deploy(&mut harness, IMAGE);
    harness.settle();
    let deployed = harness.open()["CVE-2024-1"].clone();
    assert_eq!((deployed.band, deployed.exposure), (Band::Immediate, Exposure::Open));
    assert!(deployed.score > first.score);
    harness.know("vuln:CVE-2024-2", kev());
    harness.settle();
    assert_eq!(harness.open()["CVE-2024-1"].kev, Some(false), "a catalogue was read, and it is not in it");
    harness.know("vuln:CVE-2024-1", kev());
    harness.settle();
    let listed = harness.open()["CVE-2024-1"].clone();
    assert_eq!((listed.kev, listed.revision), (Some(true), 4));
    harness.check_invariants();
}

#[test]
fn f15_a_changed_criticality_needs_no_retest() {
    let mut harness = Harness::new();
    harness.know("component:shop", catalogue(3, "team-shop"));
    harness.send(&[finding(1, REPO, "codeql", weakness("java/sqli", 89, "src/Cart.java", 7))]);
    let before = harness.open()["CWE-89"].clone();
    harness.know("component:shop", catalogue(1, "team-shop"));
    let step = harness.settle();
    let after = harness.open()["CWE-89"].clone();
    assert_eq!((before.tier, after.tier), (3, 1));
    assert!(after.score > before.score);
    assert_eq!(changes(&step)[0].kind, ChangeKind::Reprioritised);
    assert_eq!(changes(&step)[0].cause.topic, "context");
}

#[test]
fn f36_the_same_kind_of_finding_spreads_over_bands_and_says_what_is_assumed() {
    let mut harness = Harness::new();
    let severities = [(1, Severity::Information), (2, Severity::Medium), (3, Severity::High)];
    for (id, severity) in severities {
        for (component, tier) in [("core", 1), ("tool", 3)] {
            harness.know(&format!("component:{component}"), catalogue(tier, "team"));
            let mut sighting = weakness("rule", 89, &format!("src/{id}.java"), 7);
            sighting.severity = severity;
            let mut one = finding(id, REPO, "codeql", sighting);
            one.component = component.to_owned();
            harness.apply(&one);
        }
    }
    harness.settle();
    let mut bands: Vec<Band> = harness.risks().values().map(|risk| risk.band).collect();
    bands.sort();
    assert_eq!(bands.iter().filter(|band| **band == Band::Defer).count(), 3);
    let mut scores: Vec<i32> = harness.risks().values().map(|risk| risk.score).collect();
    scores.sort_unstable();
    scores.dedup();
    assert_eq!(scores.len(), 6, "no two of six are equal");
    assert!(harness.risks().values().all(|risk| risk.contributions.iter().any(|one| one.assumed)));
}

#[test]
fn code_and_web_confirm_each_other_and_stay_two() {
    let mut harness = Harness::new();
    let code = finding(1, REPO, "codeql", weakness("java/sqli", 89, "src/main/java/shop/SailingRepository.java", 88));
    harness.send(&[code]);
    assert!(harness.open()["CWE-89"].confirmed_by.is_empty());
    let endpoint = Endpoint {
        method: "GET".to_owned(),
        path_template: "/api/sailings/search".to_owned(),
        parameter: "port".to_owned(),
    };
    let web = Sighting {
        class: FindingClass::Web,
        rule: "40018".to_owned(),
        cwes: vec![89],
        severity: Severity::High,
        endpoint: Some(endpoint),
        ..Sighting::default()
    };
    let mut attack = finding(2, "web:https://shop.example", "zap", web);
    harness.send(std::slice::from_ref(&attack));
    let by_class = |harness: &Harness| {
        let risks = harness.risks().into_values();
        risks.map(|risk| (risk.class, risk)).collect::<BTreeMap<FindingClass, Risk>>()
    };
    let both = by_class(&harness);
    let (code, web) = (&both[&FindingClass::Weakness], &both[&FindingClass::Web]);
    assert_eq!(
        (code.confirmed_by.as_slice(), web.confirmed_by.as_slice()),
        ([web.risk].as_slice(), [code.risk].as_slice())
    );
    assert!(code.decision[0].reason.contains("exploitation poc"), "{:?}", code.decision);
    attack.tracked.state = FindingState::Fixed;
    harness.send(&[attack]);
    let after = by_class(&harness);
    assert!(after[&FindingClass::Weakness].confirmed_by.is_empty());
    assert_eq!(after[&FindingClass::Web].state, RiskState::Resolved);
    harness.check_invariants();
}

#[test]
fn two_code_tools_on_the_same_lines_are_one_risk() {
    let mut harness = Harness::new();
    let findings = [
        finding(2, REPO, "codeql", weakness("java/sqli", 89, "src/Cart.java", 88)),
        finding(1, REPO, "semgrep", weakness("sql-injection", 564, "src/Cart.java", 88)),
        finding(3, REPO, "semgrep", weakness("xss", 79, "src/Cart.java", 88)),
    ];
    harness.send(&findings);
    let open = harness.open();
    assert_eq!(open.len(), 2);
    assert_eq!(open["CWE-89"].tools, ["codeql", "semgrep"]);
    harness.check_invariants();
}

#[test]
fn f27_stale_and_not_observed_count_and_only_fixed_resolves() {
    let mut harness = Harness::new();
    let mut one = finding(1, IMAGE, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"));
    for state in [FindingState::Active, FindingState::Stale, FindingState::NotObserved] {
        one.tracked.state = state;
        harness.send(std::slice::from_ref(&one));
        assert_eq!(harness.open()["CVE-2024-1"].evidence[0].state, state);
    }
    for state in [FindingState::Fixed, FindingState::Superseded] {
        one.tracked.state = state;
        harness.send(std::slice::from_ref(&one));
        assert!(harness.open().is_empty(), "{state:?}");
        one.tracked.state = FindingState::Active;
        harness.send(std::slice::from_ref(&one));
    }
    let risk = &harness.open()["CVE-2024-1"];
    assert_eq!((risk.reopened, risk.clock_start), (2, T0 - DAY));
    harness.check_invariants();
}

#[test]
fn f4_what_does_not_count_opens_nothing() {
    let mut harness = Harness::new();
    let mut branch =
        finding(1, "repo:github.com/acme/shop#feature", "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"));
    branch.tracked.counts = false;
    assert!(harness.send(&[branch]).is_empty());
}

#[test]
fn f26_a_move_to_another_component_keeps_the_clock_and_names_the_other_risk() {
    let mut harness = Harness::new();
    let mut here = finding(5, REPO, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"));
    let mut there = Finding { component: "store".to_owned(), ..here.clone() };
    harness.send(std::slice::from_ref(&here));
    here.end = FindingEnd::Moved;
    here.moved_to = "store".to_owned();
    there.tracked.attributed_by = "source-path".to_owned();
    let step = harness.send(&[here.clone(), there]);
    let moved = changes(&step).into_iter().find(|one| one.kind == ChangeKind::Moved).unwrap();
    let open = harness.open();
    assert_eq!((open.len(), open["CVE-2024-1"].component.as_str()), (1, "store"));
    assert_eq!(moved.other, Some(open["CVE-2024-1"].risk));
    assert_eq!(open["CVE-2024-1"].clock_start, T0 - 5 * DAY);
    harness.check_invariants();
    harness.tombstone(&here);
    assert!(harness.settle().is_empty());
}

#[test]
fn i3_what_a_finding_that_moved_away_said_leaves_with_it() {
    let mut harness = Harness::new();
    let stays = finding(1, IMAGE, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"));
    let named = Sighting { aliases: vec!["CVE-2024-1".to_owned()], ..vulnerability("GHSA-a", "pkg:npm/ws@1.0.0") };
    let mut moves = finding(9, REPO, "osv", named);
    harness.send(&[stays.clone(), moves.clone()]);
    assert_eq!(harness.open()["CVE-2024-1"].clock_start, T0 - 9 * DAY);
    moves.end = FindingEnd::Moved;
    moves.moved_to = "store".to_owned();
    harness.send(&[moves]);
    let after = harness.open()["CVE-2024-1"].clone();
    assert_eq!(
        (after.vulnerability_ids.as_slice(), after.clock_start),
        (["CVE-2024-1".to_owned()].as_slice(), T0 - DAY)
    );
    harness.check_invariants();
    let mut alone = Harness::new();
    alone.send(&[stays]);
    assert_eq!(invariants::i3_view(&after), invariants::i3_view(&alone.open()["CVE-2024-1"]));
}

#[test]
fn i8_a_risk_whose_fix_changes_leaves_nothing_under_the_old_one() {
    let mut harness = Harness::new();
    let one = finding(1, REPO, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"));
    harness.send(std::slice::from_ref(&one));
    let before = harness.members();
    let mut elsewhere = one;
    elsewhere.tracked.sighting.package.as_mut().unwrap().manifest_dir = "web".to_owned();
    harness.send(&[elsewhere]);
    let after = harness.members();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before.keys().next(), after.keys().next());
}

#[test]
fn f16_a_closed_risk_without_findings_goes_after_thirty_days() {
    let mut harness = Harness::new();
    let mut one = finding(1, IMAGE, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"));
    harness.send(std::slice::from_ref(&one));
    one.tracked.state = FindingState::Fixed;
    harness.send(std::slice::from_ref(&one));
    assert_eq!(harness.stage.next_timer(), None, "its finding is still there");
    harness.now += 5 * DAY;
    one.end = FindingEnd::Forgotten;
    harness.send(std::slice::from_ref(&one));
    harness.tombstone(&one);
    harness.settle();
    assert_eq!(harness.stage.next_timer(), Some(T0 + 30 * DAY));
    assert_eq!((harness.risks().len(), harness.members().len()), (1, 1));
    harness.now = T0 + 30 * DAY;
    let step = harness.settle();
    assert_eq!(step.iter().filter(|output| output.value.is_none()).count(), 2);
    assert_eq!((harness.risks().len(), harness.members().len()), (0, 0));
    assert!(harness.stage.sizes().iter().all(|(_, size)| *size == 0), "{:?}", harness.stage.sizes());
}

#[test]
fn vex_suppresses_by_digest_and_its_retraction_brings_the_risk_back() {
    let mut harness = Harness::new();
    harness.send(&[finding(1, IMAGE, "trivy", vulnerability("CVE-2024-1", "pkg:npm/ws@1.0.0"))]);
    let vex = value::Vex { status: "not_affected".to_owned(), author: "team".to_owned(), ..value::Vex::default() };
    let product = entity::product(IMAGE.strip_prefix("image:").unwrap());
    harness.know(&product, vec![said(Attribute::Vex, "CVE-2024-1", &vex)]);
    harness.settle();
    let suppressed = harness.open()["CVE-2024-1"].clone();
    assert_eq!(
        (suppressed.state, suppressed.suppressed_by.as_str()),
        (RiskState::Suppressed, "vex not_affected by team")
    );
    harness.know(&product, Vec::new());
    harness.settle();
    assert_eq!(harness.open()["CVE-2024-1"].state, RiskState::Open);
    let versionless = vec![said(Attribute::Vex, "CVE-2024-1", &vex)];
    harness.know("product:pkg:npm/ws", versionless);
    assert!(harness.settle().is_empty());
    let exact = value::Vex { version: "1.0.0".to_owned(), ..vex };
    harness.know("product:pkg:npm/ws", vec![said(Attribute::Vex, "CVE-2024-1", &exact)]);
    harness.settle();
    assert_eq!(harness.open()["CVE-2024-1"].state, RiskState::Suppressed);
    harness.check_invariants();
}

#[test]
fn f32_a_flaw_of_the_base_image_is_one_remedy_of_the_platform_team() {
    let mut harness = Harness::new();
    harness.know("component:platform", {
        let mut known = catalogue(2, "team-platform");
        known.push(said(Attribute::Source, "github.com/acme/base", &""));
        known.sort_by_key(|one| one.attribute);
        known
    });
    let base_digest = format!("sha256:{}", "b".repeat(64));
    let built = value::BuiltFrom { repo: "github.com/acme/base".to_owned(), ..value::BuiltFrom::default() };
    harness.know(&entity::image(&base_digest), vec![said(Attribute::BuiltFrom, "", &built)]);
    let base =
        value::BaseImage { name: "r.example/base".to_owned(), tag: "12".to_owned(), digest: base_digest.clone() };
    let mut findings = Vec::new();
    for at in 0..40_u8 {
        let image = format!("image:sha256:{at:064x}");
        harness.know(&image, vec![said(Attribute::BaseImage, "", &base)]);
        let mut one = finding(at, &image, "trivy", vulnerability("CVE-2024-9", "pkg:deb/debian/krb5@1.0"));
        one.component = format!("service-{at}");
        harness.know(&format!("component:service-{at}"), catalogue(2, &format!("team-{at}")));
        findings.push(one);
    }
    let mut own =
        finding(99, &entity::image(&base_digest), "trivy", vulnerability("CVE-2024-9", "pkg:deb/debian/krb5@1.0"));
    own.component = "platform".to_owned();
    findings.push(own);
    harness.send(&findings);
    let members = harness.members();
    assert_eq!(members.len(), 41);
    let first = members.values().next().unwrap().clone();
    assert_eq!((first.kind.as_str(), first.target.as_str()), ("base_image", "r.example/base"));
    assert!(members.values().all(|member| member.remedy == first.remedy && member.owner.team == "team-platform"));
    assert!(harness.risks().values().all(|risk| risk.component == "platform" || risk.owner.team.starts_with("team-")));
    harness.check_invariants();
}

#[test]
fn what_is_no_finding_is_refused_and_changes_nothing() {
    let mut harness = Harness::new();
    let message = harness.message(Topic::Findings, "shop|x", Some(Bytes::from_static(b"\xC3\x01garbage")));
    assert_eq!(harness.stage.apply(&message, T0).unwrap_err().code, "malformed");
    let nobody = Finding::default().encode().unwrap();
    let message = harness.message(Topic::Findings, "|x", Some(Bytes::from(nobody)));
    assert_eq!(harness.stage.apply(&message, T0).unwrap_err().code, "malformed");
    assert!(harness.settle().is_empty());
}
