use std::collections::BTreeMap;

use tributary_model::AvroRecord;
use tributary_model::reject::Reject;

use super::*;
use crate::stage_loop::tests::toy::{Counter, add, context, counts, spec};
use tributary_model::Topic;

fn settings(seed: u64) -> WorldSettings {
    WorldSettings {
        seed,
        partitions: 3,
        processes: 2,
        now: 1_000_000,
        chaos: Chaos::default(),
        snapshots: seed % 2 == 1,
    }
}

/// A history: adds, poison, contexts and chaos; answers what must be counted.
fn live(world: &mut World, seed: u64) -> BTreeMap<String, i64> {
    let mut rng = Rng::new(!seed);
    let (mut sums, mut factors) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
    for _ in 0..12 {
        let mut records = Vec::new();
        for _ in 0..rng.below(8) {
            let key = format!("k{}", rng.below(6));
            match rng.below(12) {
                0 => records.push(add(&key, Counter::POISON)),
                1 => {
                    let factor = 1 + rng.below(5) as i64;
                    factors.insert(key.clone(), factor);
                    records.push(context(&format!("repo:{key}"), &factor.to_string()));
                }
                _ => {
                    *sums.entry(key.clone()).or_default() += 3;
                    records.push(add(&key, 3));
                }
            }
        }
        world.inject(records).unwrap();
        world.run(60).unwrap();
    }
    sums.into_iter().map(|(key, sum)| (key.clone(), sum * factors.get(&key).copied().unwrap_or(1))).collect()
}

#[test]
fn whatever_happens_every_input_is_counted_once() {
    for seed in 0..150 {
        let mut world = World::new(settings(seed), vec![spec()]);
        let expected = live(&mut world, seed);
        world.quiesce(20_000).unwrap_or_else(|error| panic!("{error}\n{}", world.trace()));
        let counted = counts(&world.records(Topic::Risks));
        assert_eq!(counted, expected, "seed {seed}\n{}", world.trace());
        let poisons = world.records(Topic::Observations);
        let poisons = poisons.iter().filter(|message| message.value.as_deref() == Some(b"-666".as_slice())).count();
        let rejects = world.records(Topic::Rejects);
        let rejects = rejects.iter().filter(|m| Reject::decode(m.value.as_ref().unwrap()).unwrap().code == "poison");
        assert_eq!(rejects.count(), poisons, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_history_to_the_byte() {
    let history = |seed| {
        let mut world = World::new(settings(seed), vec![spec()]);
        live(&mut world, seed);
        world.quiesce(20_000).unwrap();
        world.trace()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

#[test]
fn chaos_really_happens() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for seed in 0..20 {
        let mut world = World::new(settings(seed), vec![spec()]);
        live(&mut world, seed);
        for line in world.trace().lines() {
            for word in [
                "Arm(Abort)",
                "Arm(CrashBefore)",
                "Arm(CrashAfter)",
                "Crash {",
                "Zombie",
                "Move",
                "Jump",
                "Reveal",
                "Compact",
                "Some(Aborted)",
                "Some(Restoring)",
                "turn: None",
            ] {
                *seen.entry(word).or_default() += usize::from(line.contains(word));
            }
        }
    }
    assert!(seen.values().all(|count| *count > 5), "{seen:?}");
}

#[test]
fn a_broken_predicate_names_the_seed_and_the_step() {
    let mut world = World::new(settings(3), vec![spec()]);
    world.on_step(
        |log, _| if log.records(Topic::Risks).is_empty() { Ok(()) } else { Err("a risk appeared".to_owned()) },
    );
    world.inject(vec![add("k1", 1)]).unwrap();
    let error = world.run(5_000).unwrap_err().to_string();
    assert!(error.starts_with("seed 3, step ") && error.ends_with(": a risk appeared"), "{error}");
}
