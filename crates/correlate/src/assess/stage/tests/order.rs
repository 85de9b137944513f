//! I3: whatever the interleaving of findings, context and intelligence, the open risks are the same.

use proptest::prelude::*;
use tributary_model::finding::{FindingState, RuntimeVerdict};
use tributary_model::sighting::{Endpoint, Secret};

use super::*;

/// One thing that arrives. Of one key only ever one value, so that any order is a legal one.
#[derive(Debug, Clone)]
enum Event {
    Finding(Box<Finding>),
    Known(String, Vec<ContextAttribute>),
    Settle,
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let advisory = prop::sample::select(vec!["CVE-2024-1", "CVE-2024-2", "GHSA-a", "GHSA-b", "PYSEC-1", "DSA-1"]);
    let aliases = prop::collection::vec(advisory.clone(), 0..2);
    let purl = prop::sample::select(vec!["pkg:npm/a@1.0.0", "pkg:deb/debian/b@1.0"]);
    let place = (
        prop::sample::select(vec![89_u32, 564, 79]),
        prop::sample::select(vec!["src/Cart.java", "src/Pay.java"]),
        1..4_u32,
    );
    prop_oneof![
        4 => (advisory, aliases, purl).prop_map(|(rule, aliases, purl)| {
            let aliases = aliases.into_iter().map(str::to_owned).collect();
            Sighting { aliases, ..vulnerability(rule, purl) }
        }),
        2 => place.prop_map(|(cwe, path, line)| weakness("rule", cwe, path, line)),
        1 => prop::sample::select(vec!["/carts/{}", "/pay"]).prop_map(|path| Sighting {
            class: FindingClass::Web,
            rule: "zap".to_owned(),
            cwes: vec![89],
            endpoint: Some(Endpoint { method: "GET".to_owned(), path_template: path.to_owned(), ..Endpoint::default() }),
            ..Sighting::default()
        }),
        1 => "[ab]{2}".prop_map(|hmac| Sighting {
            class: FindingClass::Secret,
            secret: Some(Secret { hmac, family: "aws".to_owned(), ..Secret::default() }),
            ..Sighting::default()
        }),
    ]
}

fn findings() -> impl Strategy<Value = Vec<Event>> {
    let asset = prop::sample::select(vec![REPO, IMAGE, "repo:github.com/acme/shop#release/1"]);
    let tool = prop::sample::select(vec!["trivy", "grype", "codeql", "semgrep"]);
    let state = prop::sample::select(vec![
        FindingState::Active,
        FindingState::Active,
        FindingState::Stale,
        FindingState::Fixed,
    ]);
    let runtime = prop::sample::select(vec![RuntimeVerdict::Unknown, RuntimeVerdict::NotSeen, RuntimeVerdict::Loaded]);
    let one = (asset, tool, state, runtime, sighting(), any::<bool>());
    prop::collection::vec(one, 1..10).prop_map(|all| {
        let numbered = (1_u8..).zip(all);
        let finding = |(id, (asset, tool, state, runtime, sighting, counts)): (u8, _)| {
            let mut one: Finding = finding(id, asset, tool, sighting);
            one.tracked.state = state;
            one.tracked.runtime = runtime;
            one.tracked.counts = counts || id % 3 != 0;
            Event::Finding(Box::new(one))
        };
        numbered.map(finding).collect()
    })
}

fn surroundings() -> Vec<Event> {
    let labels: value::Labels = [("app".to_owned(), "shop".to_owned())].into();
    let exposed = value::Exposed { internet: true, ..value::Exposed::default() };
    let epss = value::Epss { score_ppm: 730_000, ..value::Epss::default() };
    let vex = value::Vex { status: "fixed".to_owned(), version: "1.0.0".to_owned(), ..value::Vex::default() };
    let known = |entity: &str, attributes: Vec<ContextAttribute>| Event::Known(entity.to_owned(), attributes);
    vec![
        known("component:shop", catalogue(1, "team-shop")),
        known("vuln:GHSA-a", vec![alias("CVE-2024-1")]),
        known("vuln:PYSEC-1", vec![alias("GHSA-b")]),
        known("vuln:CVE-2024-2", kev()),
        known("vuln:CVE-2024-1", vec![said(Attribute::Epss, "", &epss)]),
        known("product:pkg:npm/a", vec![said(Attribute::Vex, "PYSEC-1", &vex)]),
        known(
            "service:eu/shop/shop",
            vec![said(Attribute::ExposedBy, "ingress", &exposed), said(Attribute::Selector, "", &labels)],
        ),
        known(
            "workload:eu/shop/deployment/shop",
            vec![
                said(Attribute::RunsImage, IMAGE, &"shop"),
                said(Attribute::Environment, "", &"production"),
                said(Attribute::PodLabels, "", &labels),
                said(Attribute::WorkloadComponent, "", &"shop"),
            ],
        ),
        known(
            IMAGE,
            vec![said(Attribute::BaseImage, "", &value::BaseImage { name: "debian".to_owned(), ..Default::default() })],
        ),
        known(
            "repo:github.com/acme/shop",
            vec![said(
                Attribute::CodeOwners,
                "",
                &vec![value::CodeOwnersRule {
                    pattern: "/src/Pay.java".to_owned(),
                    owners: vec!["@acme/team-pay".to_owned()],
                }],
            )],
        ),
    ]
}

fn run(events: &[Event]) -> Harness {
    let mut harness = Harness::new();
    for event in events {
        match event {
            Event::Finding(finding) => harness.apply(finding),
            Event::Known(entity, attributes) => harness.know(entity, attributes.clone()),
            Event::Settle => {
                harness.settle();
            }
        }
    }
    harness.settle();
    harness.check_invariants();
    harness
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn i3_any_interleaving_comes_to_the_same_open_risks(
        (canonical, shuffled, settles) in findings().prop_flat_map(|findings| {
            let mut all = findings;
            all.extend(surroundings());
            let count = all.len();
            (Just(all.clone()), Just(all).prop_shuffle(), prop::collection::vec(0..count, 0..6))
        })
    ) {
        let mut shuffled = shuffled;
        for at in settles {
            shuffled.insert(at, Event::Settle);
        }
        let view = |harness: &Harness| {
            let open = harness.risks().into_values().filter(|risk| risk.state != RiskState::Resolved);
            open.map(|risk| (risk.risk, invariants::i3_view(&risk))).collect::<Vec<_>>()
        };
        let together = run(&canonical);
        let apart = run(&shuffled);
        prop_assert_eq!(view(&together), view(&apart));
        // And a restart finds nothing to say.
        let mut apart = apart;
        prop_assert_eq!(apart.restart().len(), 0);
    }
}
