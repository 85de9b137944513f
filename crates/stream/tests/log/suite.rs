//! The properties. Each takes a fresh factory, asserts through the traits only, and never sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::topic::partition_of;
use tributary_stream::log::{Budget, Checkpoint, Log, Polled, Start, Subscription, Transaction, Worker};
use tributary_stream::{LogError, Message, Output, Position};

use crate::LogFactory;
use crate::steps::{
    IN, OUT, PATIENCE, append, assigned, budget, checkpoints, commit, drain, is_drained, latest, numbered,
    one_for_every_partition, patient, read, read_from, record, sorted_values, started, tombstone, values,
    wait_without_lag, worker,
};

pub(crate) fn a_transaction_happens_entirely_or_not_at_all(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 5, 20));
    let mut old = started(&log, "g");
    let consumed = drain(old.as_mut(), 20);
    // The slot is taken: the old worker's transaction is refused, outputs and positions alike.
    let mut new = started(&log, "g");
    assert!(commit(old.as_mut(), numbered(OUT, 5, 20), &consumed).is_err());
    assert!(read(&log, OUT).is_empty() && log.committed("g").unwrap().is_empty());
    let consumed = drain(new.as_mut(), 20);
    commit(new.as_mut(), vec![record(OUT, "a", "1"), record(Topic::Changes, "b", "2")], &consumed).unwrap();
    assert_eq!((read(&log, OUT).len(), read(&log, Topic::Changes).len()), (1, 1));
    let committed: u64 = log.committed("g").unwrap().iter().map(|checkpoint| checkpoint.position.next).sum();
    assert_eq!(committed, 20);
}

pub(crate) fn records_of_a_partition_come_in_order(factory: impl LogFactory) {
    let log = factory.log();
    for batch in numbered(IN, 9, 300).chunks(11) {
        append(&log, batch.to_vec());
    }
    let messages = drain(started(&log, "g").as_mut(), 300);
    let mut last: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    for (message, value) in messages.iter().zip(values(&messages)) {
        assert_eq!(message.partition, partition_of(message.key_str(), 4));
        assert_eq!(message.headers, [("n".to_owned(), value.clone())]);
        let now = (message.offset, value.parse().unwrap());
        let before = last.insert(message.partition, now);
        assert!(before.is_none_or(|before| before.0 < now.0 && before.1 < now.1), "{before:?} then {now:?}");
    }
}

pub(crate) fn an_abort_is_followed_by_the_same_records_again(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 5, 30));
    let mut worker = started(&log, "g");
    let Polled::Batch(first) = worker.poll(patient(10)).unwrap() else { panic!() };
    assert!((1..=10).contains(&first.len()));
    commit(worker.as_mut(), Vec::new(), &first).unwrap();
    let left = 30 - first.len();
    let rest = drain(worker.as_mut(), left);
    worker.rewind().unwrap();
    let again = drain(worker.as_mut(), left);
    assert_eq!(sorted_values(&again), sorted_values(&rest));
    // A new handle gets them too: positions are the log's, not the handle's.
    assert_eq!(sorted_values(&drain(started(&log, "g").as_mut(), left)), sorted_values(&rest));
}

pub(crate) fn what_gathers_comes_once_and_does_not_wait_for_more_for_ever(factory: impl LogFactory) {
    let log = factory.log();
    let mut worker = started(&log, "g");
    append(&log, numbered(IN, 9, 20));
    let begun = Instant::now();
    worker.gather(budget(100), 60 * PATIENCE);
    let messages = drain(worker.as_mut(), 20);
    assert!(begun.elapsed() < PATIENCE);
    commit(worker.as_mut(), Vec::new(), &messages).unwrap();
    assert!(is_drained(&log, worker.as_mut()));
}

pub(crate) fn nothing_uncommitted_is_ever_read(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 5, 10));
    let mut worker = started(&log, "g");
    let consumed = drain(worker.as_mut(), 10);
    assert!(log.committed("g").unwrap().is_empty());
    let transaction = Transaction { outputs: numbered(OUT, 50, 50), checkpoints: checkpoints(&consumed) };
    assert!(read(&log, OUT).is_empty());
    assert!(log.ends(&[OUT]).unwrap().iter().all(|end| end.next == 0));
    worker.commit(transaction).unwrap();
    assert_eq!(read(&log, OUT).len(), 50);
}

pub(crate) fn the_latest_record_of_every_key_survives(mut factory: impl LogFactory) {
    let log = factory.log();
    for round in 0..40 {
        let records = (0..10).map(|key| record(OUT, &format!("k{}", (key * round) % 17), &format!("{round}.{key}")));
        append(&log, records.collect());
    }
    let before = latest(&read(&log, OUT));
    drop(log);
    factory.age(1);
    // Superseded records may still be in memory; stored they are not.
    factory.reopen();
    let messages = read(&factory.log(), OUT);
    assert_eq!(latest(&messages), before);
    assert_eq!(messages.len(), before.len(), "superseded records are gone");
    append(&factory.log(), vec![record(OUT, "k0", "last"), record(OUT, "k0", "very last")]);
    factory.age(0);
    factory.reopen();
    let messages = read(&factory.log(), OUT);
    assert_eq!(messages.len(), before.len());
    assert_eq!(latest(&messages)[&Bytes::from_static(b"k0")], Some(Bytes::from_static(b"very last")));
}

pub(crate) fn a_restore_equals_the_live_state(mut factory: impl LogFactory) {
    let mut live = BTreeMap::new();
    {
        let log = factory.log();
        append(&log, numbered(IN, 13, 200));
        let mut worker = started(&log, "g");
        let mut left = 200;
        while left > 0
            && let Polled::Batch(batch) = worker.poll(patient(17)).unwrap()
        {
            left -= batch.len();
            let mut outputs = Vec::new();
            for message in &batch {
                let total: u64 = live.get(&message.key).map_or(0, |total: &u64| *total);
                let total = total + values(std::slice::from_ref(message))[0].parse::<u64>().unwrap();
                live.insert(message.key.clone(), total);
                outputs.push(record(OUT, message.key_str(), &total.to_string()));
            }
            commit(worker.as_mut(), outputs, &batch).unwrap();
        }
    }
    for _ in 0..2 {
        factory.age(1);
        factory.reopen();
        let restored = latest(&read(&factory.log(), OUT));
        let restored: BTreeMap<Bytes, u64> = restored
            .into_iter()
            .map(|(key, value)| (key, std::str::from_utf8(&value.unwrap()).unwrap().parse().unwrap()))
            .collect();
        assert_eq!(restored, live);
    }
    assert!(is_drained(&factory.log(), started(&factory.log(), "g").as_mut()));
}

pub(crate) fn positions_and_notes_come_back(mut factory: impl LogFactory) {
    let expected = {
        let log = factory.log();
        append(&log, numbered(IN, 9, 50));
        let mut worker = started(&log, "g");
        let consumed = drain(worker.as_mut(), 50);
        commit(worker.as_mut(), Vec::new(), &consumed).unwrap();
        checkpoints(&consumed)
    };
    factory.reopen();
    let log = factory.log();
    let mut committed = log.committed("g").unwrap();
    committed.sort_by_key(|checkpoint| checkpoint.position);
    assert_eq!(committed, expected);
    assert!(log.committed("other").unwrap().is_empty() && log.committed("").unwrap().is_empty());
    let worker = worker(&log, "g", (0, 1));
    let first = expected[0].position.partition;
    assert_eq!(worker.committed(&[first]).unwrap(), expected[..1]);
}

pub(crate) fn everything_is_there_after_a_reopen(mut factory: impl LogFactory) {
    let (before, ends) = {
        let log = factory.log();
        append(&log, numbered(IN, 9, 120));
        append(&log, vec![tombstone(OUT, "gone"), record(OUT, "there", "é")]);
        ((read(&log, IN), read(&log, OUT)), log.ends(&[IN, OUT]).unwrap())
    };
    factory.reopen();
    let log = factory.log();
    // Between partitions there is no order.
    let sorted = |mut messages: Vec<Message>| {
        messages.sort_by_key(|message| (message.partition, message.offset));
        messages
    };
    assert!(sorted(read(&log, IN)) == sorted(before.0), "other records");
    assert!(sorted(read(&log, OUT)) == sorted(before.1), "other records");
    assert_eq!(log.ends(&[IN, OUT]).unwrap(), ends);
    let next = append(&log, vec![record(IN, "k0", "new")]);
    let end = ends.iter().find(|end| (end.topic, end.partition) == (IN, next[0].partition)).unwrap();
    assert_eq!(next[0].next, end.next + 1, "offsets go on");
}

pub(crate) fn a_zombie_cannot_commit(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 5, 10));
    let mut zombie = started(&log, "g");
    let consumed = drain(zombie.as_mut(), 10);
    let mut owner = started(&log, "g");
    let position = |next| Position { topic: IN, partition: 0, next };
    let unchanged = vec![Checkpoint { position: position(0), note: Bytes::new() }];
    // Also a transaction that a timer caused, which consumed nothing, names its position and is refused.
    let by_timer = Transaction { outputs: vec![record(OUT, "z", "zombie")], checkpoints: unchanged };
    assert!(matches!(zombie.commit(by_timer), Err(LogError::Fatal { .. } | LogError::Abort { .. })));
    assert!(commit(zombie.as_mut(), vec![record(OUT, "z", "zombie")], &consumed).is_err());
    let consumed = drain(owner.as_mut(), 10);
    commit(owner.as_mut(), vec![record(OUT, "z", "owner")], &consumed).unwrap();
    assert_eq!(values(&read(&log, OUT)), ["owner"]);
    // Another group is another matter.
    let mut other = started(&log, "h");
    let consumed = drain(other.as_mut(), 10);
    commit(other.as_mut(), Vec::new(), &consumed).unwrap();
}

pub(crate) fn a_tombstone_is_readable_for_seven_days_and_then_gone(mut factory: impl LogFactory) {
    append(&factory.log(), vec![record(OUT, "a", "1"), record(OUT, "b", "1"), record(OUT, "c", "1")]);
    append(&factory.log(), vec![tombstone(OUT, "a"), tombstone(OUT, "b")]);
    factory.age(6);
    let left = latest(&read(&factory.log(), OUT));
    assert_eq!(left.len(), 3);
    assert_eq!(left[&Bytes::from_static(b"a")], None);
    // Written again, the key lives; its old tombstone must not take it away.
    append(&factory.log(), vec![record(OUT, "b", "2")]);
    factory.age(2);
    factory.reopen();
    let left = latest(&read(&factory.log(), OUT));
    assert!(!left.contains_key(&Bytes::from_static(b"a")), "{left:?}");
    assert_eq!(left[&Bytes::from_static(b"b")], Some(Bytes::from_static(b"2")));
    assert_eq!(left[&Bytes::from_static(b"c")], Some(Bytes::from_static(b"1")));
    let end = append(&factory.log(), vec![record(OUT, "a", "again")]);
    assert!(end[0].next > 2, "offsets never go back: {end:?}");
}

pub(crate) fn sixteen_mebibytes_are_one_record(mut factory: impl LogFactory) {
    let large = Bytes::from((0..16_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
    let output = Output { value: Some(large.clone()), ..record(Topic::RawScanner, "k", "") };
    append(&factory.log(), vec![record(Topic::RawScanner, "k", "small"), output, record(Topic::RawScanner, "k", "s")]);
    factory.reopen();
    let messages = read(&factory.log(), Topic::RawScanner);
    assert_eq!(messages.len(), 3);
    assert!(messages[1].value.as_ref() == Some(&large), "the value came back changed");
}

pub(crate) fn an_empty_commit_changes_nothing(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 5, 10));
    let mut worker = started(&log, "g");
    worker.commit(Transaction::default()).unwrap();
    assert!(log.committed("g").unwrap().is_empty());
    assert!(append(&log, Vec::new()).is_empty());
    drain(worker.as_mut(), 10);
}

pub(crate) fn positions_can_be_committed_without_outputs(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 5, 10));
    let mut worker = started(&log, "g");
    let consumed = drain(worker.as_mut(), 10);
    commit(worker.as_mut(), Vec::new(), &consumed).unwrap();
    assert!(is_drained(&log, started(&log, "g").as_mut()));
}

pub(crate) fn readers_start_where_they_are_told(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 1, 10));
    let place = (IN, partition_of("k0", 4));
    let at = Position { topic: IN, partition: place.1, next: 7 };
    assert_eq!(values(&read_from(&log, IN, &Start::At(vec![at]))), ["7", "8", "9"]);
    let mut tail = log.reader(&[place], &Start::End).unwrap();
    let nothing = tail.read(budget(5)).unwrap();
    assert!(nothing.messages.is_empty() && nothing.at_end);
    append(&log, vec![record(IN, "k0", "new")]);
    let read = tail.read(budget(5)).unwrap().messages;
    assert_eq!(values(&read), ["new"]);
    assert_eq!(tail.positions(), [Position { next: read[0].offset + 1, ..at }]);
}

pub(crate) fn budgets_bound_a_batch_but_never_starve(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, (0..50).map(|n| record(IN, &format!("k{n}"), &"x".repeat(1000))).collect());
    let mut worker = started(&log, "g");
    let small = Budget { records: 1000, bytes: 10_000, wait: PATIENCE };
    let Polled::Batch(batch) = worker.poll(small).unwrap() else { panic!() };
    assert!((1..=12).contains(&batch.len()), "{}", batch.len());
    let tiny = Budget { records: 10, bytes: 1, wait: PATIENCE };
    let mut seen = batch.len();
    while seen < 50
        && let Polled::Batch(batch) = worker.poll(tiny).unwrap()
    {
        assert!(batch.len() <= 10);
        seen += batch.len();
    }
    assert_eq!(seen, 50);
}

pub(crate) fn partitions_are_dealt_out_once(factory: impl LogFactory) {
    let log = factory.log();
    let mut workers: Vec<_> = (0..3).map(|slot| (worker(&log, "g", (slot, 3)), BTreeSet::new())).collect();
    let deadline = Instant::now() + PATIENCE;
    let dealt = |workers: &[(Box<dyn Worker>, BTreeSet<u32>)]| {
        let mut all: Vec<u32> = workers.iter().flat_map(|(_, own)| own.iter().copied()).collect();
        all.sort_unstable();
        all == [0, 1, 2, 3] && workers.iter().all(|(_, own)| !own.is_empty())
    };
    while !dealt(&workers) {
        for (worker, own) in &mut workers {
            match worker.poll(budget(1)).unwrap() {
                Polled::Assigned(partitions) => own.extend(partitions),
                Polled::Revoked(partitions) => own.retain(|partition| !partitions.contains(partition)),
                Polled::Batch(batch) => assert!(batch.is_empty()),
            }
        }
        assert!(Instant::now() < deadline, "{:?}", workers.iter().map(|(_, own)| own).collect::<Vec<_>>());
    }
    let wrong = Subscription { group: "g".to_owned(), topics: vec![IN], slot: 3, slots: 3 };
    assert!(log.worker(&wrong).is_err());
}

pub(crate) fn records_without_a_start_are_not_delivered(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, numbered(IN, 9, 40));
    let mut worker = worker(&log, "g", (0, 1));
    let partitions = assigned(worker.as_mut());
    assert_eq!(worker.poll(budget(7)).unwrap(), Polled::Batch(Vec::new()));
    worker.start(&partitions[..1]).unwrap();
    let mine = read(&log, IN).iter().filter(|message| message.partition == partitions[0]).count();
    let first = drain(worker.as_mut(), mine);
    assert!(first.iter().all(|message| message.partition == partitions[0]));
    worker.start(&partitions[1..]).unwrap();
    drain(worker.as_mut(), 40 - mine);
}

pub(crate) fn lag_says_where_and_comes_to_nothing(factory: impl LogFactory) {
    let log = factory.log();
    let ends = append(&log, vec![record(IN, "k", "1"), record(IN, "k", "2"), record(IN, "k", "3")]);
    assert_eq!(read(&log, IN).len(), 3, "they are visible");
    let behind = |log: &Arc<dyn Log>| -> Vec<(u32, u64)> {
        let lags = log.lag("g", &[IN]).unwrap();
        assert_eq!(lags.len(), 4, "one a partition");
        let some = lags.iter().filter(|lag| lag.behind > 0);
        some.map(|lag| (lag.partition, lag.behind)).collect()
    };
    let [(partition, all)] = behind(&log)[..] else { panic!("{:?}", behind(&log)) };
    assert_eq!(partition, ends[0].partition);
    assert!(all >= 3, "{all}");
    let mut worker = started(&log, "g");
    let messages = drain(worker.as_mut(), 3);
    commit(worker.as_mut(), Vec::new(), &messages[..2]).unwrap();
    // A commit is answered before everybody sees it.
    let deadline = Instant::now() + PATIENCE;
    while behind(&log)[0].1 == all {
        assert!(Instant::now() < deadline, "{all}");
    }
    assert!((1..all).contains(&behind(&log)[0].1), "{:?} of {all}", behind(&log));
    commit(worker.as_mut(), Vec::new(), &messages[2..]).unwrap();
    let notes_before: Vec<_> = log.committed("g").unwrap().into_iter().map(|checkpoint| checkpoint.note).collect();
    wait_without_lag(&log, worker.as_mut(), "g");
    let notes = log.committed("g").unwrap().into_iter().map(|checkpoint| checkpoint.note);
    assert_eq!(notes.collect::<Vec<_>>(), notes_before, "the note stays");
    append(&log, vec![record(IN, "k", "4")]);
    // What is not visible yet is nobody's lag; a reader waits until it is.
    assert!(!read(&log, IN).is_empty());
    assert!(behind(&log)[0].1 >= 1);
    let messages = drain(worker.as_mut(), 1);
    assert!(behind(&log)[0].1 >= 1, "what came is not done");
    commit(worker.as_mut(), Vec::new(), &messages).unwrap();
    wait_without_lag(&log, worker.as_mut(), "g");
}

pub(crate) fn held_places_wait_and_come_again_from_what_is_committed(factory: impl LogFactory) {
    let log = factory.log();
    append(&log, one_for_every_partition("1"));
    let mut worker = started(&log, "g");
    let first = drain(worker.as_mut(), 4);
    commit(worker.as_mut(), Vec::new(), &first).unwrap();
    append(&log, one_for_every_partition("2"));
    // Delivered and not committed, as when it was paused in the middle of a batch.
    let second = drain(worker.as_mut(), 4);
    let others: Vec<Message> = second.iter().filter(|message| message.partition != 2).cloned().collect();
    commit(worker.as_mut(), Vec::new(), &others).unwrap();
    worker.hold(&[(IN, 2)].into()).unwrap();
    append(&log, one_for_every_partition("3"));
    let third = drain(worker.as_mut(), 3);
    assert!(
        third.iter().all(|message| message.partition != 2 && values(std::slice::from_ref(message)) == ["3"]),
        "{third:?}"
    );
    commit(worker.as_mut(), Vec::new(), &third).unwrap();
    worker.rewind().unwrap();
    assert_eq!(worker.poll(budget(7)).unwrap(), Polled::Batch(Vec::new()), "a rewind does not release it");
    worker.hold(&BTreeSet::new()).unwrap();
    let released = drain(worker.as_mut(), 2);
    assert!(released.iter().all(|message| message.partition == 2));
    assert_eq!(values(&released), ["2", "3"]);
    commit(worker.as_mut(), Vec::new(), &released).unwrap();
    assert!(is_drained(&log, worker.as_mut()));
}
