//! The whole pipeline on a log that is never kinder than Kafka, by seeds: what must hold, holds whatever goes wrong.
//! A failure prints its seed; `TRIBUTARY_SIM_SEED=… cargo test -p tributary-tests --test simulation` repeats it.
//!
//! After **every step** (`watch.rs`), of everything committed so far, also while the whole input is sent once more and while
//! everything ages: only what cannot be read is rejected, and once (I1); no stage repeats its last word about a key (I2);
//! changes, tickets and scans go on from where they were, by one, and no overtaken scan is applied (I4); no finding is in two
//! open risks of a component (I5); every risk is the head of its chain (I6); one thing has one id for ever (I7); nothing
//! outlives what it hangs on, and records are bounded (I8); first sightings and clocks never move later, and a finding is in
//! the components that TRACK says (I9).
//!
//! **At rest** (`predicates.rs`), because a stage may lag behind its inputs before: every poison is rejected (I1); every scan
//! has its line (I4); every counting finding is in a risk (I5); the outcome is that of a calm run (I3, I7) and, after a
//! re-organisation, that of an estate which always was so (I9); every fix that is worth asking for is asked, and an open ticket
//! says what its members say; the whole input once more changes nothing (I2); what is fixed and old leaves every table (I8).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on should stop

#[path = "simulation/predicates.rs"]
mod predicates;
#[path = "simulation/river.rs"]
mod river;
#[path = "simulation/watch.rs"]
mod watch;
#[path = "simulation/workload.rs"]
mod workload;

use predicates::Verdict;
use river::Outcome;
use tributary_model::Topic;
use tributary_model::time::DAY;
use tributary_stream::sim::{Chaos, World};
use watch::Watch;
use workload::{POISON, Workload};

/// Enough that every pair of unkindnesses meets.
const SEEDS: u64 = 200;
/// Threads; a world itself is on one.
const THREADS: u64 = 2;

#[test]
fn the_invariants_hold_whatever_goes_wrong() {
    let chosen = std::env::var("TRIBUTARY_SIM_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seeds: Vec<u64> = chosen.map_or_else(|| (0..SEEDS).collect(), |seed| vec![seed]);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let share = |first: u64| seeds.iter().copied().filter(move |seed| seed % THREADS == first);
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || share(first).filter_map(failure).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a seed must not panic")).collect()
    });
    let first: Vec<&String> = failures.iter().take(3).collect();
    assert!(failures.is_empty(), "{} of {} seeds fail; the first are:\n{first:#?}", failures.len(), seeds.len());
}

fn failure(seed: u64) -> Option<String> {
    let rerun = format!("TRIBUTARY_SIM_SEED={seed} cargo test -p tributary-tests --test simulation");
    check(seed).err().map(|what| format!("seed {seed}: {what}\n  again: {rerun}"))
}

/// Everything about one seed.
fn check(seed: u64) -> Verdict {
    let workload = workload::workload(seed, false);
    let calm = Outcome::of(&river::calm(seed, &workload)?);
    let mut world = live(seed, &workload)?;
    let rough = Outcome::of(&world);

    predicates::i1(&world)?;
    predicates::i5_i6(&calm)?;
    predicates::i5_i6(&rough)?;
    predicates::i4(&rough, &calm, &workload)?;
    predicates::i7(&rough, &calm)?;
    predicates::asked(&calm)?;
    predicates::asked(&rough)?;
    predicates::i3(&rough, &calm)?;
    predicates::i9(&rough, &workload)?;
    let settled = Outcome::of(&river::calm(seed, &workload::workload(seed, true))?);
    predicates::i3(&calm, &settled).map_err(|what| format!("I9, against a run without the move: {what}"))?;
    replay(&mut world, &workload)?;
    age(&mut world, &workload)
}

/// The input of a seed through chaos, watched at every step, then and later.
fn live(seed: u64, workload: &Workload) -> Result<World, String> {
    let mut world = river::world(seed, Chaos::default());
    let mut watch = Watch::default();
    world.on_step(move |log, _| watch.step(log));
    river::rough(&mut world, seed, workload)?;
    Ok(world)
}

/// I2: the whole input once more changes nothing.
fn replay(world: &mut World, workload: &Workload) -> Verdict {
    let before = predicates::said(world);
    for batch in &workload.batches {
        let readable = batch.iter().filter(|record| record.value.as_deref() != Some(POISON));
        world.inject(readable.cloned().collect()).map_err(river::text)?;
        river::rest(world)?;
    }
    predicates::i2(&before, &predicates::said(world))
}

/// I8: what is fixed and old leaves every table, and its ticket with it.
fn age(world: &mut World, workload: &Workload) -> Verdict {
    world.inject(workload.all_fixed.clone()).map_err(river::text)?;
    river::rest(world)?;
    let left = Outcome::of(world).open().count();
    if left > 0 {
        return Err(format!("I8: everything is fixed, and {left} risks are open"));
    }
    for days in [8, 40, 100, 200, 400, 600] {
        world.clock().set(river::END + days * DAY);
        river::rest(world)?;
    }
    for topic in [Topic::Tracked, Topic::Findings, Topic::Risks, Topic::Remedies, Topic::Tickets, Topic::Scans] {
        let left = world.latest(topic).len();
        if left > 0 {
            return Err(format!("I8: {left} records are left on {topic}"));
        }
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_history_to_the_byte() {
    let history = |seed| live(seed, &workload::workload(seed, false)).unwrap().trace();
    assert_eq!(history(11), history(11));
    assert_ne!(history(11), history(12));
}
