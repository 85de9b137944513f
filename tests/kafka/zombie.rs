//! A real `correlate` that is stopped past its session, while its partitions move, and then goes on: it writes nothing.

use std::collections::BTreeSet;

use rustix::process::Signal;
use tributary_model::Topic;

use crate::check::{histories_are_whole, latest, read, risks_are};
use crate::fleet::{Fleet, wait_until};
use crate::input::sample;

/// What `correlate` writes.
const WRITTEN: [Topic; 12] = [
    Topic::Assertions,
    Topic::Context,
    Topic::Intel,
    Topic::Tracked,
    Topic::Scans,
    Topic::Assets,
    Topic::Findings,
    Topic::Risks,
    Topic::Changes,
    Topic::Remedies,
    Topic::Tickets,
    Topic::Rejects,
];

#[test]
fn a_correlate_that_was_stopped_past_its_session_writes_nothing() {
    let input = sample();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    let half = input.records.len() / 2;
    input.records[..half].iter().for_each(|record| fleet.post(record));
    // In the middle of its work.
    wait_until("it works", || !latest(&log, Topic::Findings).is_empty());
    fleet.signal("correlate-0", Signal::STOP);
    fleet.start("correlate-1");
    input.records[half..].iter().for_each(|record| fleet.post(record));
    // The new one gets the partitions once the session of the stopped one is over, and does everything.
    risks_are(&mut fleet, &log, &input.expected);
    let written = |topic: &Topic| -> BTreeSet<(u32, u64)> {
        read(&log, *topic).iter().map(|message| (message.partition, message.offset)).collect()
    };
    let before: Vec<_> = WRITTEN.iter().map(written).collect();
    fleet.signal("correlate-0", Signal::CONT);
    // It ends, or joins again as a member like any other; either way it comes to rest with nothing left to say.
    wait_until("it knows its place", || {
        fleet.tend();
        fleet.is_ready("correlate-0")
    });
    risks_are(&mut fleet, &log, &input.expected);
    for (topic, before) in WRITTEN.iter().zip(before) {
        let news: Vec<_> = written(topic).difference(&before).copied().collect();
        assert!(news.is_empty(), "{topic}: {news:?}");
    }
    histories_are_whole(&log);
}
