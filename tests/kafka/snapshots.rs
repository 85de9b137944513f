//! Restarts of `correlate` from its snapshots: what it comes to is what it would come to from the log.

use std::path::PathBuf;

use tributary_model::Topic;
use tributary_stream::log::Log;

use crate::check::{histories_are_whole, risks_are};
use crate::fleet::{Fleet, wait_until};
use crate::input::both;

const NAME: &str = "correlate-0";

/// A metric of `correlate`, over those of its labels that have this text.
fn metric(fleet: &Fleet, name: &str, label: &str) -> f64 {
    fleet.metric(NAME, name, label)
}

fn taken(fleet: &Fleet) -> f64 {
    metric(fleet, "tributary_snapshots_asked_total", "\"taken\"")
}

fn files(fleet: &Fleet) -> Vec<PathBuf> {
    let files = std::fs::read_dir(fleet.data().join("snapshots")).unwrap();
    files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "snapshot")).collect()
}

/// Starts it and waits until it does its work, which is when its restore is over.
fn start(fleet: &mut Fleet) {
    fleet.start(NAME);
    fleet.wait_ready();
}

#[test]
fn a_restart_from_snapshots_is_a_restart_from_the_log() {
    let input = both();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    start(&mut fleet);
    let (first, rest) = input.records.split_at(input.records.len() / 2);
    for record in first {
        fleet.post(record);
    }
    fleet.wait_done(&log);
    wait_until("snapshots are written in a moment of rest", || {
        metric(&fleet, "tributary_snapshots_written_total", "") > 0.0
            && metric(&fleet, "tributary_snapshots_due", "") == 0.0
    });
    // A crash, and what came while it was away: the snapshots, and the log from there.
    fleet.kill(NAME);
    for record in rest {
        fleet.post(record);
    }
    start(&mut fleet);
    let (records, of_them) = loaded(&fleet);
    assert!(taken(&fleet) > 0.0 && 0.0 < of_them && of_them <= records, "{of_them} of {records} from snapshots");
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);

    // In an orderly stop what is due is written: the next start has next to nothing to read, and nothing to say.
    fleet.stop(NAME);
    let before = log.ends(&[Topic::Risks, Topic::Tickets, Topic::Tracked, Topic::Assertions]).unwrap();
    start(&mut fleet);
    let (records, of_them) = loaded(&fleet);
    assert!(taken(&fleet) > 0.0 && of_them > records / 2.0, "{of_them} of {records} from snapshots");
    fleet.wait_done(&log);
    let after = log.ends(&[Topic::Risks, Topic::Tickets, Topic::Tracked, Topic::Assertions]).unwrap();
    assert_eq!(after, before, "nothing is told again");
    risks_are(&mut fleet, &log, &input.expected);

    // Damage is found, said, and the log read instead.
    fleet.kill(NAME);
    let damaged = files(&fleet);
    for file in &damaged {
        let mut content = std::fs::read(file).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(file, content).unwrap();
    }
    start(&mut fleet);
    assert_eq!(metric(&fleet, "tributary_snapshots_asked_total", "\"damaged\"") as usize, damaged.len());
    assert_eq!((taken(&fleet), loaded(&fleet).1), (0.0, 0.0));
    fleet.wait_done(&log);
    assert_eq!(log.ends(&[Topic::Risks]).unwrap(), before_of(&before, Topic::Risks), "nothing is told again");
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    fleet.stop(NAME);
}

/// Records of changelogs that the last restore loaded, and those of them that snapshots had.
fn loaded(fleet: &Fleet) -> (f64, f64) {
    let of = |name| metric(fleet, name, "");
    (of("tributary_stage_restored_records_total"), of("tributary_snapshots_records_total"))
}

fn before_of(before: &[tributary_stream::Position], topic: Topic) -> Vec<tributary_stream::Position> {
    before.iter().copied().filter(|end| end.topic == topic).collect()
}
