//! RELATE as its neighbours see it: facts in, context out.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use tributary_model::context::EntityContext;
use tributary_model::fact::{Attribute, Fact};
use tributary_model::reject::Origin;
use tributary_model::time::{DAY, Millis};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::message::{Message, Output, Outputs};
use tributary_stream::stage::Stage;

use super::Relate;
use crate::saved::tests::revived;

/// One partition with the topics it writes, as a compacted log would hold them.
#[derive(Default)]
struct Harness {
    stage: Relate,
    context: BTreeMap<String, EntityContext>,
    assertions: BTreeMap<String, Bytes>,
    emitted: usize,
}

impl Harness {
    /// One transaction; returns the number of context records that came out.
    fn step(&mut self, facts: &[Fact], now: Millis) -> usize {
        for fact in facts {
            self.stage.apply(&message(fact), now).unwrap();
        }
        self.settle(now)
    }

    fn settle(&mut self, now: Millis) -> usize {
        self.stage.wake(now);
        let mut out = Outputs::default();
        self.stage.settle(now, &mut out).unwrap();
        self.stage.commit();
        out.into_records().into_iter().filter(|output| self.store(output)).count()
    }

    fn store(&mut self, output: &Output) -> bool {
        let key = String::from_utf8(output.key.to_vec()).unwrap();
        assert_eq!(key, output.partition_key);
        self.emitted += 1;
        match (output.topic, &output.value) {
            (Topic::Assertions, Some(value)) => {
                self.assertions.insert(key, value.clone());
            }
            (Topic::Assertions, None) => {
                self.assertions.remove(&key).expect("a tombstone only for what exists");
            }
            (_, Some(value)) => {
                self.context.insert(key, EntityContext::decode(value).unwrap());
            }
            (_, None) => {
                self.context.remove(&key).expect("a tombstone only for what exists");
            }
        }
        output.topic != Topic::Assertions
    }

    fn restored(&self, now: Millis) -> Harness {
        let mut stage = Relate::new();
        for (key, value) in &self.assertions {
            stage.load(&raw(Topic::Assertions, key, Some(value.clone()))).unwrap();
        }
        // What a snapshot brings back is what the log does.
        let mut stage = revived(&stage, Relate::new());
        stage.restored(now);
        Harness { stage, context: self.context.clone(), assertions: self.assertions.clone(), emitted: 0 }
    }

    /// `attribute[qualifier] = value (asserter)`, one a line, with `stale` where it is.
    fn shows(&self, entity: &str) -> String {
        let Some(context) = self.context.get(entity) else { return "-".to_owned() };
        let line = |a: &tributary_model::context::ContextAttribute| {
            let qualifier = if a.qualifier.is_empty() { String::new() } else { format!("[{}]", a.qualifier) };
            let stale = if a.stale { " stale" } else { "" };
            format!("{}{qualifier}={} {}{stale}", a.attribute.name(), a.value, a.asserter)
        };
        context.attributes.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

fn raw(topic: Topic, key: &str, value: Option<Bytes>) -> Message {
    let key = Bytes::from(key.to_owned());
    Message { topic, partition: 0, offset: 1, key, value, headers: Vec::new(), timestamp: 0 }
}

fn message(fact: &Fact) -> Message {
    raw(Topic::Facts, &fact.entity, Some(fact.encode().unwrap().into()))
}

fn fact(entity: &str, attribute: Attribute, value: &str, asserter: &str, observed_at: Millis) -> Fact {
    let (value, qualifier) = value.rsplit_once('@').map_or((value, ""), |(value, qualifier)| (value, qualifier));
    Fact {
        entity: entity.to_owned(),
        attribute,
        qualifier: qualifier.to_owned(),
        value: if value.is_empty() { String::new() } else { format!("\"{value}\"") },
        asserter: asserter.to_owned(),
        observed_at,
        expires_at: None,
        origin: Origin::default(),
    }
}

fn owner(value: &str, asserter: &str, observed_at: Millis) -> Fact {
    fact("component:pay", Attribute::Owner, value, asserter, observed_at)
}

fn runs(image: &str, observed_at: Millis) -> Fact {
    fact("workload:c/n/deployment/pay", Attribute::RunsImage, &format!("app@{image}"), "kubernetes:c", observed_at)
}

fn check(facts: &[Fact], expected: &str) {
    let mut together = Harness::default();
    together.step(facts, 100);
    assert_eq!(together.shows(&facts[0].entity), expected);
    let mut apart = Harness::default();
    for fact in facts {
        apart.step(std::slice::from_ref(fact), 100);
    }
    assert_eq!(apart.shows(&facts[0].entity), expected, "one transaction per fact");
    assert_eq!(apart.restored(100).settle(100), 0, "a restart emits nothing");
}

#[test]
fn the_last_word_of_one_asserter_wins_by_event_time() {
    check(&[owner("a", "backstage", 1), owner("b", "backstage", 2)], "owner=\"b\" backstage");
    check(&[owner("b", "backstage", 2), owner("a", "backstage", 1)], "owner=\"b\" backstage");
    check(&[owner("a", "backstage", 2), owner("b", "backstage", 2)], "owner=\"b\" backstage");
    check(&[owner("b", "backstage", 2), owner("a", "backstage", 2)], "owner=\"b\" backstage");
}

#[test]
fn between_asserters_the_table_decides_then_the_newest() {
    check(&[owner("k", "kubernetes:c", 9), owner("b", "backstage", 1)], "owner=\"b\" backstage");
    check(&[owner("b", "backstage", 9), owner("m", "manual", 1)], "owner=\"m\" manual");
    check(&[owner("x", "unheard-of", 1), owner("y", "never-heard-of", 2)], "owner=\"y\" never-heard-of");
    check(
        &[owner("b", "backstage", 3), owner("", "backstage", 4), owner("c", "codeowners", 1)],
        "owner=\"c\" codeowners",
    );
}

#[test]
fn a_late_fact_does_not_bring_back_what_was_retracted() {
    check(&[owner("a", "backstage", 1), owner("", "backstage", 3), owner("a", "backstage", 2)], "-");
    let mut harness = Harness::default();
    harness.step(&[owner("a", "backstage", 1), owner("", "backstage", 3)], 100);
    assert_eq!(harness.assertions.len(), 1, "the retraction is remembered");
    harness.settle(100 + 31 * DAY);
    assert!(harness.assertions.is_empty(), "and forgotten once nothing older can come");
    assert_eq!(harness.stage.sizes()[0], ("entities", 0));
}

#[test]
fn a_newer_snapshot_replaces_the_older_set() {
    check(
        &[runs("image:a", 1), runs("image:b", 1), runs("image:b", 2), runs("image:c", 2)],
        "runs_image[image:b]=\"app\" kubernetes:c; runs_image[image:c]=\"app\" kubernetes:c",
    );
    check(&[runs("image:b", 2), runs("image:a", 1)], "runs_image[image:b]=\"app\" kubernetes:c");
    let nothing = fact("workload:c/n/deployment/pay", Attribute::RunsImage, "", "kubernetes:c", 3);
    check(&[runs("image:a", 1), nothing], "-");
}

#[test]
fn ways_in_are_told_one_by_one() {
    let way = |name: &str, at| fact("service:c/n/pay", Attribute::ExposedBy, &format!("x@{name}"), "kubernetes:c", at);
    check(&[way("a", 1), way("b", 2)], "exposed_by[a]=\"x\" kubernetes:c; exposed_by[b]=\"x\" kubernetes:c");
}

#[test]
fn confirming_a_snapshot_says_nothing_new() {
    let mut harness = Harness::default();
    assert_eq!(harness.step(&[runs("image:a", 1), runs("image:b", 1)], 10), 1);
    assert_eq!(harness.step(&[runs("image:a", 2), runs("image:b", 2)], 20), 0);
    assert_eq!(harness.step(&[runs("image:a", 2), runs("image:b", 2)], 30), 0);
    assert_eq!(harness.emitted, 3, "one context, and the claims twice: a repeated snapshot leaves nothing");
}

#[test]
fn f27_a_lapsed_claim_is_stale_and_still_used() {
    let mut harness = Harness::default();
    let lapsing = |at, end| Fact { expires_at: Some(end), ..runs("image:a", at) };
    harness.step(&[lapsing(1, 50)], 10);
    assert_eq!(harness.stage.next_timer(), Some(50));
    assert_eq!(harness.settle(49), 0);
    assert_eq!(harness.settle(50), 1);
    assert_eq!(harness.shows("workload:c/n/deployment/pay"), "runs_image[image:a]=\"app\" kubernetes:c stale");
    assert_eq!(harness.restored(60).settle(60), 0, "a restart knows what was already shown as stale");
    assert_eq!(harness.step(&[lapsing(2, 200)], 70), 1);
    assert_eq!(harness.shows("workload:c/n/deployment/pay"), "runs_image[image:a]=\"app\" kubernetes:c");
    assert_eq!(harness.restored(300).settle(300), 1, "what lapsed while nobody ran is shown on start");
}

#[test]
fn a_live_claim_beats_a_lapsed_one_of_higher_rank() {
    let lapsed = Fact { expires_at: Some(50), ..owner("b", "backstage", 1) };
    check(&[lapsed, owner("k", "kubernetes:c", 1)], "owner=\"k\" kubernetes:c");
}

#[test]
fn vulnerabilities_go_to_intel() {
    let mut stage = Relate::new();
    stage.apply(&message(&fact("vuln:CVE-2030-1", Attribute::Summary, "x", "osv", 1)), 1).unwrap();
    let mut out = Outputs::default();
    stage.settle(1, &mut out).unwrap();
    let topics: Vec<Topic> = out.records().iter().map(|output| output.topic).collect();
    assert_eq!(topics, [Topic::Intel, Topic::Assertions]);
}

#[test]
fn a_full_entity_refuses_with_a_reason_and_does_not_change() {
    let mut harness = Harness::default();
    let huge = "x".repeat(300 * 1024);
    let source = |n: usize| fact("component:pay", Attribute::Source, &format!("{huge}@r{n}"), "backstage", 1);
    harness.step(&[source(1), source(2)], 1);
    let reject = harness.stage.apply(&message(&source(3)), 1).unwrap_err();
    assert_eq!((reject.code.as_str(), reject.stage.as_str()), ("entity_full", "relate"));
    assert_eq!(harness.settle(1), 0);
    assert_eq!(harness.step(&[owner("a", "backstage", 1)], 1), 1, "small facts still fit");
}

#[test]
fn what_is_not_a_fact_is_refused() {
    let mut stage = Relate::new();
    for value in [Some(Bytes::from_static(b"{}")), None] {
        assert_eq!(stage.apply(&raw(Topic::Facts, "x", value), 1).unwrap_err().code, "malformed");
    }
    assert_eq!(stage.sizes()[0].1, 0);
}

#[test]
fn rollback_forgets_the_transaction() {
    let mut harness = Harness::default();
    harness.step(&[Fact { expires_at: Some(50), ..owner("a", "backstage", 1) }], 10);
    let mut out = Outputs::default();
    harness.stage.apply(&message(&owner("", "backstage", 5)), 60).unwrap();
    harness.stage.wake(60);
    harness.stage.settle(60, &mut out).unwrap();
    harness.stage.rollback();
    assert_eq!((harness.stage.next_timer(), harness.settle(20)), (Some(50), 0), "as at the last commit");
    let mut again = Outputs::default();
    harness.stage.apply(&message(&owner("", "backstage", 5)), 60).unwrap();
    harness.stage.wake(60);
    harness.stage.settle(60, &mut again).unwrap();
    assert_eq!(again.records(), out.records(), "the same inputs give the same outputs");
}

#[test]
fn rollback_of_a_first_settle_keeps_what_the_restart_marked() {
    let mut harness = Harness::default();
    harness.step(&[Fact { expires_at: Some(50), ..owner("a", "backstage", 1) }], 10);
    let mut restarted = harness.restored(60);
    restarted.stage.settle(60, &mut Outputs::default()).unwrap();
    restarted.stage.rollback();
    assert_eq!(restarted.settle(60), 1);
}

proptest! {
    /// Whatever the order and the cut into transactions, the context at the end is the same.
    #[test]
    fn order_of_arrival_does_not_matter(
        facts in prop::collection::vec((0..2usize, 0..3usize, 0..3usize, 0..4i64, prop::option::of(0..3usize)), 1..12),
        shuffle in any::<prop::sample::Index>(),
        cut in 1..5usize,
    ) {
        let facts: Vec<Fact> = facts.into_iter().map(|(attribute, value, asserter, at, qualifier)| {
            let attribute = [Attribute::Owner, Attribute::OwnsAsset][attribute];
            let value = ["", "a", "b"][value];
            let qualifier = if attribute == Attribute::Owner { 0 } else { qualifier.unwrap_or(0) };
            fact("component:x", attribute, &format!("{value}@{qualifier}"), ["backstage", "manual", "zz"][asserter], at)
        }).collect();
        let mut forward = Harness::default();
        forward.step(&facts, 100);
        let mut other = facts.clone();
        other.rotate_left(shuffle.index(facts.len()));
        other.reverse();
        let mut backward = Harness::default();
        for part in other.chunks(cut) {
            backward.step(part, 100);
        }
        let view = |harness: &Harness| harness.shows("component:x");
        prop_assert_eq!(view(&forward), view(&backward));
    }
}
