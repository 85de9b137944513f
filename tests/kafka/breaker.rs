//! Nearly everything on one raw partition is bad: it is paused, the others go on, and nothing of it is lost.

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::topic::partition_of;
use tributary_stream::log::Log;
use tributary_stream::{KafkaLog, Output};

use crate::check::{histories_are_whole, rejects, risks_are};
use crate::fleet::{Fleet, wait_until};
use crate::input::sample;

/// As many as `ingest` looks at before it pauses a partition.
const RUBBISH: usize = 100;
const PARTITION: u32 = 0;

fn rubbish() -> Vec<Output> {
    let key = (0..1000).map(|n| format!("rubbish-{n}")).find(|key| partition_of(key, 4) == PARTITION).unwrap();
    let record = Output {
        topic: Topic::RawScanner,
        partition_key: key.clone(),
        key: Bytes::from(key),
        value: Some(Bytes::from_static(b"no report of anything")),
        headers: Vec::new(),
    };
    vec![record; RUBBISH]
}

/// How far `ingest` is behind on raw.scanner: on the paused partition, and on the others.
fn behind(log: &KafkaLog) -> (u64, u64) {
    let lags = log.lag("ingest", &[Topic::RawScanner]).unwrap();
    let of =
        |paused: bool| lags.iter().filter(|lag| (lag.partition == PARTITION) == paused).map(|lag| lag.behind).sum();
    (of(true), of(false))
}

#[test]
fn a_partition_of_rubbish_is_paused_and_the_others_go_on() {
    let input = sample();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    log.producer().unwrap().append(rubbish()).unwrap();
    wait_until("ingest says what is paused", || {
        let (ready, why) = fleet.readiness("ingest-0");
        !ready && why.contains("raw.scanner/0 is paused")
    });
    input.records.iter().for_each(|record| fleet.post(record));
    wait_until("the other partitions go on", || behind(&log).1 == 0);
    let (waiting, _) = behind(&log);
    assert!(waiting > 0, "what is on the paused partition stays on the log");
    assert!(fleet.is_ready("correlate-0"), "nobody else is concerned");
    // It is tried again by itself, and what it finds is good.
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    fleet.wait_ready();
    let of_rubbish = rejects(&log).into_iter().filter(|reject| reject.size_bytes == 21 && reject.stage == "ingest");
    assert_eq!(of_rubbish.count(), RUBBISH, "each is one reject");
    assert_eq!(fleet.ended, 0);
}
