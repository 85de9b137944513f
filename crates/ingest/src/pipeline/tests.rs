//! Cutting, scans, grants and totality, on events and bodies invented here.

use proptest::prelude::*;
use tributary_model::AvroRecord;
use tributary_model::fact::Attribute;
use tributary_model::scan::ScanCompleted;
use tributary_model::sighting::{FindingClass, Package, Sighting, ToolStatus};

mod bodies;

use super::*;
use crate::event::{InventoryReport, RuntimeReport};
use crate::grant::{GrantConfig, Unlisted};
use crate::report::Report;
use crate::secret::HmacHasher;

const ASSET: &str = "repo:github.com/acme/shop#main";

fn record(body: &[u8], ext: Extensions) -> RawRecord {
    let origin = Origin { topic: "raw.scanner".into(), partition: 3, offset: 41 };
    RawRecord {
        body: Bytes::copy_from_slice(body),
        ext: Extensions { received_at: 1000, ..ext },
        class: RawClass::Scanner,
        origin,
    }
}

fn sighting(rule: &str) -> Sighting {
    Sighting { rule: rule.into(), title: format!("title of {rule}"), ..Sighting::default() }
}

fn report(sightings: Vec<Sighting>) -> Report {
    Report {
        asset: ASSET.into(),
        tool: "trivy".into(),
        classes: vec![FindingClass::Vulnerability],
        sightings,
        ..Report::default()
    }
}

/// The canonical records of events, under a grant where one is given.
fn run_as(ext: Extensions, events: Events, grants: &Grants) -> Result<Vec<Canonical>, Rejection> {
    let record = record(b"body", ext);
    let rights = grants.of(&record.ext, record.class);
    records_of(&record, Format::Trivy, b"body", events, &rights)
}

fn run(ext: Extensions, reports: Vec<Report>) -> Vec<Observation> {
    let events = Events { reports, ..Events::default() };
    observations(run_as(ext, events, &Grants::everything()).unwrap())
}

fn observations(records: Vec<Canonical>) -> Vec<Observation> {
    let observation = |record| match record {
        Canonical::Observation(observation) => Some(*observation),
        _ => None,
    };
    records.into_iter().filter_map(observation).collect()
}

fn only(mut observations: Vec<Observation>) -> (Observation, ScanCompleted) {
    assert_eq!(observations.len(), 1);
    let observation = observations.remove(0);
    let completed = observation.completed.clone().unwrap();
    (observation, completed)
}

#[test]
fn a_small_report_is_one_message_with_its_end() {
    let ext = Extensions { source: Some("ci://u:p@acme/shop".into()), ..Extensions::default() };
    let (observation, end) = only(run(ext, vec![report(vec![sighting("CVE-2026-1"), sighting("CVE-2026-2")])]));
    assert_eq!((observation.part, end.parts, end.sightings, end.complete), (0, 1, 2, true));
    assert_eq!((observation.asset.as_str(), observation.format.as_str()), (ASSET, "trivy"));
    assert_eq!(observation.source, "ci://[redacted]@acme/shop");
    assert_eq!(observation.scan.unwrap().started_at, 1000, "no better time than that of receipt");
}

#[test]
fn an_empty_scan_is_told_too() {
    let (observation, end) = only(run(Extensions::default(), vec![report(Vec::new())]));
    assert!(observation.sightings.is_empty());
    assert_eq!((end.parts, end.sightings, end.complete), (1, 0, true));
    assert_eq!(end.classes, [FindingClass::Vulnerability]);
}

#[test]
fn who_says_that_a_scan_is_complete() {
    let complete = |said: Option<bool>, format: Option<bool>, branch: &str| {
        let ext = Extensions { complete: said, branch: Some(branch.into()), ..Extensions::default() };
        only(run(ext, vec![Report { complete: format, ..report(Vec::new()) }])).1.complete
    };
    assert!(complete(None, None, "main"));
    assert!(!complete(None, Some(false), "main"), "the format knows that it failed");
    assert!(complete(Some(true), Some(false), "main"), "the producer's word beats the format's");
    assert!(!complete(Some(false), Some(true), "main"));
    for branch in ["refs/pull/12/merge", "pull/12/head", "12/merge", "merge-requests/4/head"] {
        assert!(!complete(None, None, branch), "{branch}");
        assert!(complete(Some(true), None, branch), "{branch}");
    }
    for branch in ["pull-up-bar", "v12/merge", "feature/merge"] {
        assert!(complete(None, None, branch), "{branch}");
    }
}

#[test]
fn scan_ids_and_scopes() {
    let scan = |ext: &Extensions, report: Report| only(run(ext.clone(), vec![report])).0.scan.unwrap();
    let plain = scan(&Extensions::default(), report(Vec::new()));
    assert_eq!(plain.scope, "trivy");
    let later = Extensions { received_at: 5, ..Extensions::default() };
    assert_eq!(scan(&later, report(Vec::new())).scan_id, plain.scan_id, "posted twice, one scan (F2)");
    let commit = Extensions { commit: Some("c2".into()), ..Extensions::default() };
    assert_ne!(scan(&commit, report(Vec::new())).scan_id, plain.scan_id, "two commits, two scans");
    let own = Report { scan_id: Some("guid".into()), started_at: Some(7), ..report(Vec::new()) };
    assert_eq!((scan(&later, own.clone()).scan_id.as_str(), scan(&later, own.clone()).started_at), ("guid", 7));
    let given = Extensions {
        scan_id: Some("job|7".into()),
        scan_scope: Some("a;b".into()),
        time: Some(9),
        ..Extensions::default()
    };
    let named = scan(&given, Report { started_at: None, scope: vec!["severity=HIGH".into()], ..own });
    assert_eq!((named.scan_id.as_str(), named.started_at), ("job\\p7", 9));
    assert_eq!(named.scope, "trivy;severity=HIGH;scope=a\\;b");
    let long = scan(&later, Report { scope: vec!["x".repeat(5000)], ..report(Vec::new()) });
    assert!(long.scope.len() < 512 && long.scope.starts_with("trivy;"), "{}", long.scope);
}

#[test]
fn reports_of_one_asset_and_scope_are_one_scan_and_others_are_not() {
    let second = Report {
        started_at: Some(3),
        rules_enabled: vec!["b".into()],
        paths: vec!["src".into()],
        ..report(vec![sighting("2")])
    };
    let first =
        Report { started_at: Some(4), rules_enabled: vec!["b".into(), "a".into()], ..report(vec![sighting("1")]) };
    let (observation, end) = only(run(Extensions::default(), vec![first.clone(), second.clone()]));
    assert_eq!(end.rules_enabled, ["a", "b"]);
    assert!(end.paths.is_empty(), "one run looked everywhere");
    assert_eq!((observation.sightings.len(), observation.observed_at), (2, 3));
    let other = Report { asset: "image:sha256:00".into(), ..second.clone() };
    assert_eq!(run(Extensions::default(), vec![first.clone(), other]).len(), 2);
    let failed = Report { complete: Some(false), ..second };
    assert!(!only(run(Extensions::default(), vec![first, failed])).1.complete);
}

#[test]
fn rules_too_many_for_a_message_make_a_scan_that_withdraws_nothing() {
    let rules = |count: usize| (0..count).map(|n| format!("rule-{n:090}")).collect::<Vec<_>>();
    let end = |count| {
        let parts = run(
            Extensions::default(),
            vec![Report { rules_enabled: rules(count), ..report(vec![sighting("x"); 500]) }],
        );
        assert!(parts.iter().all(|part| part.encode().unwrap().len() <= BATCH_BYTES_MAX));
        let end = parts.last().unwrap().completed.clone().unwrap();
        assert_eq!(end.parts as usize, parts.len());
        end
    };
    assert_eq!((end(2000).complete, end(2000).rules_enabled.len()), (true, 2000));
    assert_eq!((end(4000).complete, end(4000).rules_enabled.len()), (false, 0));
}

#[test]
fn alerts_and_use_at_run_time_belong_to_no_scan() {
    let alert = Report { is_alert: true, ..report(vec![sighting("x")]) };
    let sent = run(Extensions { time: Some(8), ..Extensions::default() }, vec![alert]);
    assert!(sent[0].scan.is_none() && sent[0].completed.is_none() && sent[0].observed_at == 8);
    let usage = |path: String| tributary_model::observation::RuntimeUse { path, ..Default::default() };
    let uses = (0..20_000).map(|n| usage(format!("/usr/lib/{n}.so"))).collect();
    let runtime = vec![RuntimeReport { asset: ASSET.into(), tool: "tetragon".into(), observed_at: 5, uses }];
    let events = Events { runtime, ..Events::default() };
    let sent = observations(run_as(Extensions::default(), events, &Grants::everything()).unwrap());
    assert!(
        sent.len() > 1
            && sent.iter().all(|part| part.scan.is_none() && part.encode().unwrap().len() <= BATCH_BYTES_MAX)
    );
    assert_eq!(sent.iter().map(|part| part.runtime.len()).sum::<usize>(), 20_000);
}

#[test]
fn an_inventory_has_parts_and_no_class() {
    let items = (0..9000).map(|n| tributary_model::observation::InventoryItem {
        purl: format!("pkg:npm/{n:040}"),
        ..Default::default()
    });
    let inventory =
        InventoryReport { asset: ASSET.into(), tool: "syft".into(), observed_at: 5, items: items.collect() };
    let events = Events { inventories: vec![inventory], ..Events::default() };
    let parts = observations(run_as(Extensions::default(), events, &Grants::everything()).unwrap());
    assert!(parts.len() > 1);
    assert_eq!(parts.iter().map(|part| part.inventory.len()).sum::<usize>(), 9000);
    let end = parts.last().unwrap().completed.clone().unwrap();
    assert_eq!((end.parts as usize, end.classes.len(), end.sightings), (parts.len(), 0, 0));
}

#[test]
fn the_asset_comes_from_the_producer_where_the_report_has_none() {
    let nameless = || vec![Report { asset: String::new(), ..report(vec![sighting("x")]) }];
    let named = |ext: Extensions| run(ext, nameless())[0].asset.clone();
    let repo = Extensions {
        repo: Some("git@github.com:acme/shop.git".into()),
        branch: Some("main".into()),
        ..Extensions::default()
    };
    assert_eq!(named(repo), ASSET);
    assert_eq!(named(Extensions { image: Some("acme/app:1".into()), ..Extensions::default() }), "image:acme/app:1");
    let events = Events { reports: nameless(), ..Events::default() };
    let rejection = run_as(Extensions::default(), events, &Grants::everything()).unwrap_err();
    assert_eq!(rejection.code, code::NO_ASSET);
    assert!(rejection.reason.contains("--repo") && rejection.reason.contains("--image"));
}

fn grants(verbs: &[Verb]) -> Grants {
    let grant = GrantConfig {
        name: "ci".into(),
        assets: vec!["repo:github.com/acme/shop".into()],
        classes: vec!["scanner".into()],
        verbs: verbs.to_vec(),
        token_sha256: None,
    };
    Grants::new(&[grant], Unlisted::Nothing).unwrap()
}

#[test]
fn a_forged_empty_scan_for_another_team_is_rejected() {
    let ci = Extensions { credential: Some("ci".into()), ..Extensions::default() };
    let run = |report: Report, verbs: &[Verb]| {
        run_as(ci.clone(), Events { reports: vec![report], ..Events::default() }, &grants(verbs)).map(observations)
    };
    let both = [Verb::Observe, Verb::Withdraw];
    assert!(only(run(report(Vec::new()), &both).unwrap()).1.complete);
    let forged =
        run(Report { asset: "repo:github.com/acme/pay#main".into(), ..report(Vec::new()) }, &both).unwrap_err();
    assert_eq!(forged.code, code::NOT_GRANTED);
    assert!(forged.reason.contains("repo:github.com/acme/pay#main"), "{forged}");
    assert!(!only(run(report(Vec::new()), &[Verb::Observe]).unwrap()).1.complete, "downgraded");
    let fixed = Sighting { status: ToolStatus::Fixed, ..sighting("x") };
    for is_alert in [true, false] {
        let report = Report { is_alert, ..report(vec![fixed.clone()]) };
        assert_eq!(run(report.clone(), &[Verb::Observe]).unwrap_err().code, code::NOT_GRANTED, "alert: {is_alert}");
        assert!(run(report, &both).is_ok());
    }
}

#[test]
fn one_claim_beyond_the_grant_rejects_the_whole_record() {
    let ci = Extensions { credential: Some("ci".into()), ..Extensions::default() };
    let fact = Fact {
        entity: "component:pay".into(),
        attribute: Attribute::Owner,
        qualifier: String::new(),
        value: "\"me\"".into(),
        asserter: "x".into(),
        observed_at: 1,
        expires_at: None,
        origin: Origin::default(),
    };
    let events = Events { facts: vec![fact], reports: vec![report(Vec::new())], ..Events::default() };
    assert_eq!(run_as(ci, events, &grants(&[Verb::Observe])).unwrap_err().code, code::NOT_GRANTED);
}

fn hasher() -> HmacHasher {
    HmacHasher::new(&[7; 32]).unwrap()
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let text = "[ -~é]{0,60}";
    (text, text, prop::collection::vec("[A-Z0-9-]{1,20}", 0..80), prop::option::of("[a-z/.é]{0,3000}"), 0..4000_usize)
        .prop_map(|(rule, title, aliases, file, length)| Sighting {
            rule,
            title: title.repeat(1 + length / 100),
            aliases,
            cwes: vec![79; length % 9],
            resource: "r".repeat(length),
            package: file.map(|file| Package {
                file,
                introduced_by: vec!["x".repeat(length); 30],
                ..Package::default()
            }),
            cvss_score: Some(length as f64),
            ..Sighting::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_are_the_report_in_order_and_small(some in prop::collection::vec(any_sighting(), 0..12), times in 1..40_usize) {
        let sightings: Vec<Sighting> = some.iter().cycle().take(some.len() * times).cloned().collect();
        let mut expected = sightings.clone();
        expected.iter_mut().for_each(crate::scrub::sighting);
        let parts = run(Extensions::default(), vec![report(sightings)]);
        let seen: Vec<Sighting> = parts.iter().flat_map(|part| part.sightings.clone()).collect();
        prop_assert!(seen == expected);
        let numbers: Vec<u32> = parts.iter().map(|part| part.part).collect();
        prop_assert_eq!(numbers, (0..parts.len() as u32).collect::<Vec<_>>());
        for part in &parts {
            prop_assert!(part.encode().unwrap().len() <= BATCH_BYTES_MAX);
            prop_assert_eq!(&part.scan, &parts[0].scan);
        }
        let (last, others) = parts.split_last().unwrap();
        prop_assert!(others.iter().all(|part| part.completed.is_none()));
        let end = last.completed.as_ref().unwrap();
        prop_assert_eq!((end.parts as usize, end.sightings as usize), (parts.len(), expected.len()));
    }
}
