//! What a service does with its place in the group when it stops, and how ingest and sink work without transactions.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::check::{histories_are_whole, risks_are, rows_are_records};
use crate::engine::Engine;
use crate::fleet::{Fleet, wait_until};
use crate::input::sample;

/// Longer than it takes to deal partitions out, which the others notice with their next heartbeat, after a quarter of it: whoever
/// waits for its end is seen.
const SESSION: Duration = Duration::from_secs(40);

/// Partitions that a `correlate` serves in one of its stages.
fn served(fleet: &Fleet, name: &str) -> usize {
    let text = fleet.metrics(name);
    let is_running = |line: &&str| {
        line.starts_with("tributary_stage_partitions{stage=\"track\"") && line.contains("state=\"running\"")
    };
    text.lines().find(is_running).map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn whoever_leaves_on_stop_leaves_its_partitions_to_the_others_at_once() {
    let mut fleet = Fleet::new(None);
    fleet.settings.push(("TRIBUTARY__KAFKA__SESSION_TIMEOUT_MS", SESSION.as_millis().to_string()));
    fleet.settings.push(("TRIBUTARY__KAFKA__LEAVE_ON_STOP", "true".to_owned()));
    fleet.start("correlate-0");
    fleet.start("correlate-1");
    wait_until("both serve", || ["correlate-0", "correlate-1"].iter().all(|name| served(&fleet, name) == 2));
    let begun = Instant::now();
    fleet.stop("correlate-0");
    wait_until("the other one serves all", || served(&fleet, "correlate-1") == 4);
    // The last heartbeat of the one that was stopped is up to a quarter old.
    assert!(begun.elapsed() < SESSION * 5 / 8, "it waited for the session's end: {:?}", begun.elapsed());
    fleet.wait_ready();
}

#[test]
fn at_least_once_loses_nothing_and_what_comes_twice_counts_once() {
    let (engine, input) = (Engine::start(), sample());
    let mut fleet = Fleet::new(Some(&engine));
    let log = fleet.log();
    fleet.start("correlate-0");
    fleet.settings.push(("TRIBUTARY__KAFKA__DELIVERY", "at-least-once".to_owned()));
    fleet.start("ingest-0");
    fleet.start("sink-0");
    fleet.wait_ready();
    let fifth = input.records.len() / 5;
    for (index, record) in input.records.iter().enumerate() {
        // In the middle of what it does.
        if index > 0 && index.is_multiple_of(fifth) {
            for name in ["ingest-0", "sink-0"] {
                fleet.kill(name);
                fleet.start(name);
            }
        }
        fleet.post(record);
    }
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    rows_are_records(&engine, &log);
}

#[test]
fn stages_refuse_at_least_once_and_say_why() {
    let mut fleet = Fleet::new(None);
    fleet.settings.push(("TRIBUTARY__KAFKA__DELIVERY", "at-least-once".to_owned()));
    let mut command = fleet.command("correlate-0");
    let output = command.args(["correlate", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("needs transactions") && said.contains("kafka.delivery"), "{said}");
}
