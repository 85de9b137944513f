//! The estate through three services, undisturbed and disturbed in every way that services are.

use std::time::Duration;

use tributary_model::scan::{ScanRun, ScanState};
use tributary_model::{AvroRecord, Topic};

use crate::broker::Cluster;
use crate::check::{histories_are_whole, read, risks_are, rows_are_records};
use crate::engine::Engine;
use crate::fleet::{Fleet, pass, wait_until};
use crate::input::{both, disturbed};

#[test]
fn undisturbed() {
    let (engine, input) = (Engine::start(), both());
    let mut fleet = Fleet::new(Some(&engine));
    let log = fleet.log();
    for name in ["ingest-0", "correlate-0", "sink-0"] {
        fleet.start(name);
    }
    fleet.wait_ready();
    input.records.iter().for_each(|record| fleet.post(record));
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    rows_are_records(&engine, &log);
    status_says_so(&fleet);
    for name in fleet.names() {
        assert!(fleet.is_ready(&name), "{name}: {}", fleet.readiness(&name).1);
        fleet.stop(&name);
    }
}

/// `tributary status` over the three services, and the ledger of one scan.
fn status_says_so(fleet: &Fleet) {
    let urls: Vec<String> =
        fleet.names().iter().flat_map(|name| ["--service".to_owned(), fleet.url(name).to_owned()]).collect();
    let scan = read(&fleet.log(), Topic::Scans)
        .iter()
        .filter_map(|message| ScanRun::decode(message.value.as_deref()?).ok())
        .find(|run| run.state == ScanState::Applied)
        .expect("a scan was applied");
    let run = |options: &[&str]| {
        let output = fleet.command("ask").arg("status").args(&urls).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A group's lag is measured every other second.
    wait_until("status without lag", || run(&[]).contains("every group is up to date"));
    let text = run(&["--scan", &scan.scan_id]);
    assert!(text.starts_with("ready\n") && text.contains("largest component"), "{text}");
    let status: serde_json::Value = serde_json::from_str(&run(&["--json", "--scan", &scan.scan_id])).unwrap();
    let groups: std::collections::BTreeSet<&str> =
        status["lag"].as_array().unwrap().iter().map(|lag| lag["group"].as_str().unwrap()).collect();
    assert_eq!(groups, ["assess", "ingest", "ingest-bulk", "relate", "remedy", "sink", "track"].into());
    assert!(status["sizes"]["assess"]["largest_component"].as_u64() > Some(0), "{status:#}");
    assert!(status["sizes"]["track"]["largest_asset"].as_u64() > Some(0), "{status:#}");
    assert!(status["rejects"].as_array().unwrap().iter().any(|reject| reject["by"] == "ingest"), "{status:#}");
    let parts = status["services"].as_array().unwrap().iter().flat_map(|service| service["parts"].as_array().unwrap());
    let mut timed = 0;
    for part in parts {
        // Times are those of the last minute: whoever was done long before has none, and does nothing.
        match part["commit_ms_p99"].as_f64() {
            Some(millis) => {
                assert!(millis > 0.0, "{part:#}");
                timed += 1;
            }
            None => assert_eq!(part["records_per_s"], 0.0, "{part:#}"),
        }
        assert_eq!(part["partitions_restoring"], 0, "{part:#}");
    }
    assert!(timed > 0, "{status:#}");
    let line = status["scan"].as_array().unwrap().iter().find(|line| line["asset"] == scan.asset.as_str()).unwrap();
    for step in ["tracked", "assessed", "stored"] {
        assert_eq!(line[step], true, "{line:#}");
    }
    assert_eq!(line["expected"], line["received"], "{line:#}");
}

#[test]
fn one_three_two_correlates() {
    let input = both();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    let third = input.records.len() / 3;
    for (index, record) in input.records.iter().enumerate() {
        if index == third {
            // Of one process with more threads than another, too.
            fleet.settings.push(("TRIBUTARY__CORRELATE__WORKERS", "3".to_owned()));
            fleet.start("correlate-1");
            fleet.start("correlate-2");
        } else if index == 2 * third {
            fleet.stop("correlate-0");
        }
        fleet.post(record);
    }
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    fleet.wait_ready();
    for name in fleet.names() {
        fleet.stop(&name);
    }
}

/// Any of the three, 20 times, at random moments: most while records arrive, the rest while the backlog is worked off.
#[test]
fn killed_twenty_times() {
    const KILLS: usize = 20;
    const SEED: &str = "TRIBUTARY_TEST_SEED";
    let seed = std::env::var(SEED).map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
    println!("again with: {SEED}={seed}");
    let mut random = Random(seed);
    let (engine, input) = (Engine::start(), disturbed());
    let mut fleet = Fleet::new(Some(&engine));
    let log = fleet.log();
    let names = ["ingest-0", "correlate-0", "sink-0"];
    for name in names {
        fleet.start(name);
    }
    let posts = input.records.len();
    // Beyond the last record: kills in the time after it.
    let mut moments: Vec<usize> = (0..KILLS).map(|_| random.below(posts as u64 * 3 / 2) as usize).collect();
    moments.sort_unstable();
    let kill = |fleet: &mut Fleet, random: &mut Random| {
        let name = names[random.below(names.len() as u64) as usize];
        println!("kill {name}");
        fleet.kill(name);
        fleet.start(name);
    };
    for (index, record) in input.records.iter().enumerate() {
        while moments.first().is_some_and(|moment| *moment <= index) {
            moments.remove(0);
            kill(&mut fleet, &mut random);
        }
        fleet.post(record);
    }
    for _ in moments {
        pass(Duration::from_millis(random.below(1_500)));
        kill(&mut fleet, &mut random);
    }
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    rows_are_records(&engine, &log);
}

#[test]
fn a_broker_of_three_goes_away_and_comes_back() {
    let (mut cluster, input) = (Cluster::of_three(), disturbed());
    let mut fleet = Fleet::on(&cluster.address, 3, None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    let third = input.records.len() / 3;
    for (index, record) in input.records.iter().enumerate() {
        if index == third {
            cluster.stop(2);
        } else if index == 2 * third {
            cluster.start(2);
        }
        fleet.post(record);
    }
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    println!("services that ended by themselves: {}", fleet.ended);
}

#[test]
fn clickhouse_is_away_for_half_a_minute() {
    let (mut engine, input) = (Engine::start(), disturbed());
    let mut fleet = Fleet::new(Some(&engine));
    let log = fleet.log();
    for name in ["ingest-0", "correlate-0", "sink-0"] {
        fleet.start(name);
    }
    fleet.wait_ready();
    let half = input.records.len() / 2;
    input.records[..half].iter().for_each(|record| fleet.post(record));
    engine.go_away();
    input.records[half..].iter().for_each(|record| fleet.post(record));
    wait_until("the sink says that it waits", || {
        let (ready, why) = fleet.readiness("sink-0");
        !ready && why.contains("ClickHouse")
    });
    pass(Duration::from_secs(30));
    for name in ["ingest-0", "correlate-0"] {
        assert!(fleet.is_ready(name), "{name} is not concerned: {}", fleet.readiness(name).1);
    }
    engine.come_back();
    risks_are(&mut fleet, &log, &input.expected);
    rows_are_records(&engine, &log);
    wait_until("the sink is ready again", || fleet.is_ready("sink-0"));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A `sink` that was killed while it migrated leaves its lock: another one waits until that is dead, and goes on.
#[test]
fn a_migration_lock_of_the_dead_is_taken_over() {
    let engine = Engine::start();
    let mut fleet = Fleet::new(Some(&engine));
    engine
        .sql("CREATE TABLE tributary_migration_lock (since DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY since");
    engine.sql("INSERT INTO tributary_migration_lock SELECT now() - 55");
    fleet.start("sink-0");
    fleet.wait_ready();
    assert_eq!(engine.count("SELECT count() FROM system.tables WHERE name = 'tributary_migration_lock'"), 0);
    assert!(engine.count("SELECT count() FROM tributary_migrations FINAL") > 0);
    assert_eq!(fleet.ended, 0, "it waits instead of ending");
}
