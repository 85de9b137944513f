//! Kill -9 in the middle of commits: what was acknowledged is there, and no transaction is there in part.
//! Its own main, because it starts itself again as the writer that is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a failure here is a failed test, and says where

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tributary_model::Topic;
use tributary_stream::clock::ManualClock;
use tributary_stream::log::{Budget, Checkpoint, Log, Start, Subscription, Transaction};
use tributary_stream::{EmbeddedLog, EmbeddedSettings, Message, Output, Position};

const DIRECTORY: &str = "TRIBUTARY_TEST_CRASH_DIRECTORY";
const INPUT: Topic = Topic::Observations;
/// Records per topic and transaction.
const SIZE: usize = 40;
/// Transactions between two cleanings: some writers die in the middle of one.
const CLEAN_EVERY: u64 = 5;
/// After how many acknowledgements each writer is killed.
const KILLS: [usize; 5] = [1, 7, 30, 64, 200];

fn main() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return write(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    for kill_after in KILLS {
        let acknowledged = kill_a_writer(directory.path(), kill_after);
        check(directory.path(), acknowledged);
    }
    println!("{} writers killed, nothing lost, nothing half", KILLS.len());
}

fn open(directory: &Path) -> EmbeddedLog {
    let settings = EmbeddedSettings { partitions: Some(4), ..EmbeddedSettings::default() };
    EmbeddedLog::open(directory, settings, Arc::new(ManualClock::at(0))).unwrap()
}

/// The child: commits transaction after transaction and prints the number of each that was acknowledged.
fn write(directory: &Path) {
    let log = open(directory);
    let subscription = Subscription { group: "g".to_owned(), topics: vec![INPUT], slot: 0, slots: 1 };
    let mut worker = log.worker(&subscription).unwrap();
    let begin = log.committed("g").unwrap().first().map_or(0, |checkpoint| checkpoint.position.next);
    for number in begin + 1.. {
        let outputs = (0..SIZE).flat_map(|n| [Topic::Changes, Topic::Risks].map(|topic| record(topic, n, number)));
        let position = Position { topic: INPUT, partition: 0, next: number };
        let checkpoints = vec![Checkpoint { position, note: Bytes::new() }];
        worker.commit(Transaction { outputs: outputs.collect(), checkpoints }).unwrap();
        println!("{number}");
        if number % CLEAN_EVERY == 0 {
            log.expire().unwrap();
        }
    }
}

fn record(topic: Topic, n: usize, number: u64) -> Output {
    let key = format!("k{n}");
    let value = Some(Bytes::from(number.to_string()));
    Output { topic, partition_key: key.clone(), key: Bytes::from(key), value, headers: Vec::new() }
}

/// Answers the last transaction that was acknowledged.
fn kill_a_writer(directory: &Path, kill_after: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut numbers = lines.filter_map(|line| line.parse().ok());
    let seen = numbers.by_ref().take(kill_after).last();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still printed before it died was acknowledged too.
    numbers.last().or(seen).expect("the child writes until it is killed")
}

fn check(directory: &Path, acknowledged: u64) {
    let log = open(directory);
    let committed = log.committed("g").unwrap()[0].position.next;
    assert!(committed == acknowledged || committed == acknowledged + 1, "{committed} after {acknowledged}");
    let changes = read(&log, Topic::Changes);
    assert_eq!(changes.len() as u64, committed * SIZE as u64, "as many records as positions say");
    for number in 1..=committed {
        assert_eq!(count(&changes, number), SIZE, "transaction {number} is whole");
    }
    let risks = read(&log, Topic::Risks);
    assert!(risks.len() <= (CLEAN_EVERY as usize + 2) * SIZE, "{}: cleaned meanwhile", risks.len());
    assert_eq!(count(&risks, committed), SIZE, "the latest of every key");
    log.expire().unwrap();
    let risks = read(&log, Topic::Risks);
    assert_eq!((risks.len(), count(&risks, committed)), (SIZE, SIZE), "the latest of every key, and only that");
}

fn count(messages: &[Message], number: u64) -> usize {
    let text = number.to_string();
    messages.iter().filter(|message| message.value.as_deref() == Some(text.as_bytes())).count()
}

fn read(log: &EmbeddedLog, topic: Topic) -> Vec<Message> {
    let partitions: Vec<_> = (0..4).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let mut all = Vec::new();
    loop {
        let read = reader.read(Budget { records: 1000, bytes: 1 << 20, wait: Duration::ZERO }).unwrap();
        all.extend(read.messages);
        if read.at_end {
            return all;
        }
    }
}
