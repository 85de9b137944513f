//! A zombie on a real broker: a process that is stopped past its session, whose partitions move, and that goes on then.
//! It writes nothing, not even when only a timer woke it. Its own main, because it starts itself again as the zombie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a failure here is a failed test, and says where

mod broker;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tributary_model::Topic;
use tributary_stream::log::{Budget, Checkpoint, Log, LogError, Polled, Start, Subscription, Transaction, Worker};
use tributary_stream::{KafkaLog, KafkaSettings, Message, Output, Position};

/// The zombie's settings, and what wakes it.
const ZOMBIE: &str = "TRIBUTARY_TEST_ZOMBIE";
const WAKES: [&str; 2] = ["records", "timer"];
const INPUT: Topic = Topic::Observations;
const OUTPUT: Topic = Topic::Changes;
const RECORDS: usize = 40;
/// Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    if let Ok(zombie) = std::env::var(ZOMBIE) {
        let words: Vec<&str> = zombie.split(' ').collect();
        let [wake, address, prefix] = words[..] else { panic!("{zombie}") };
        return be_stopped(wake, connect(address, prefix, "zombie").as_ref());
    }
    for wake in WAKES {
        outlive(wake);
    }
    println!("{} zombies, and none wrote anything", WAKES.len());
}

fn connect(address: &str, prefix: &str, instance: &str) -> Arc<dyn Log> {
    let settings = KafkaSettings { session_timeout_ms: 3_000, ..broker::settings_at(address, prefix, instance) };
    Arc::new(KafkaLog::connect(settings, &broker::SUITE).unwrap())
}

/// The zombie: consumes everything, commits nothing, says so, and waits for a word, before which it is stopped.
fn be_stopped(wake: &str, log: &dyn Log) {
    let (mut worker, consumed) = consume(log);
    println!("consumed {}", consumed.len());
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let next = |partition| consumed.iter().filter(|message| message.partition == partition).count() as u64;
    let checkpoints = (0..4).map(|partition| {
        // What a timer wakes has consumed nothing, and names the positions that stand.
        checkpoint(partition, if wake == "timer" { 0 } else { next(partition) })
    });
    let transaction = Transaction { outputs: vec![record(OUTPUT, "zombie", 0)], checkpoints: checkpoints.collect() };
    match worker.commit(transaction) {
        Ok(()) => println!("committed"),
        Err(LogError::Fatal { what, .. }) => println!("fatal {what}"),
        Err(LogError::Retry { what, .. }) => println!("retry {what}"),
        Err(LogError::Abort { what, .. }) => println!("abort {what}"),
    }
    // And it is told that the partitions are gone, or that it is of no more use.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match worker.poll(budget()) {
            Ok(Polled::Revoked(partitions)) => return println!("revoked {}", partitions.len()),
            Ok(_) => {}
            Err(error) => return println!("error {error}"),
        }
    }
}

/// The other side: takes over what the stopped one had, lets it go on, and looks at what it wrote.
fn outlive(wake: &str) {
    let (address, prefix) = (broker::address(), broker::fresh_prefix());
    broker::make_topics(&broker::settings(&prefix, "owner"));
    let log = connect(address, &prefix, "owner");
    log.producer().unwrap().append((0..RECORDS).map(|n| record(INPUT, "in", n)).collect()).unwrap();
    let mut zombie = Command::new(std::env::current_exe().unwrap())
        .env(ZOMBIE, format!("{wake} {address} {prefix}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(zombie.stdout.take().unwrap());
    assert_eq!(line(&mut said), format!("consumed {RECORDS}"));
    signal(&zombie, Signal::STOP);

    let (mut owner, consumed) = consume(log.as_ref());
    let ends = (0..4).map(|partition| {
        checkpoint(partition, consumed.iter().filter(|message| message.partition == partition).count() as u64)
    });
    let transaction = Transaction { outputs: vec![record(OUTPUT, "owner", 0)], checkpoints: ends.collect() };
    owner.commit(transaction).unwrap();
    let standing = log.committed("g").unwrap();

    // The word is there before it goes on: it commits at once, while its client still finds out.
    zombie.stdin.take().unwrap().write_all(b"go\n").unwrap();
    signal(&zombie, Signal::CONT);
    let (outcome, then) = (line(&mut said), line(&mut said));
    println!("woken by {wake}: {outcome}; then {then}");
    assert!(outcome.starts_with("abort") || outcome.starts_with("fatal"), "{outcome}");
    assert!(then.starts_with("revoked") || then.starts_with("error"), "{then}");
    assert!(zombie.wait().unwrap().success());
    assert_eq!(written(log.as_ref()), ["owner-0"]);
    assert_eq!(log.committed("g").unwrap(), standing, "the owner's positions stand");
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn line(from: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn budget() -> Budget {
    Budget { records: 100, bytes: 1 << 20, wait: Duration::from_millis(200) }
}

/// A worker that has all partitions, and everything that is to be consumed.
fn consume(log: &dyn Log) -> (Box<dyn Worker>, Vec<Message>) {
    let subscription = Subscription { group: "g".to_owned(), topics: vec![INPUT], slot: 0, slots: 1 };
    let mut worker = log.worker(&subscription).unwrap();
    let mut consumed = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while consumed.len() < RECORDS {
        match worker.poll(budget()).unwrap() {
            Polled::Assigned(partitions) => worker.start(&partitions).unwrap(),
            Polled::Revoked(_) => consumed.clear(),
            Polled::Batch(batch) => consumed.extend(batch),
        }
        assert!(Instant::now() < deadline, "{} of {RECORDS} records came", consumed.len());
    }
    (worker, consumed)
}

fn checkpoint(partition: u32, next: u64) -> Checkpoint {
    Checkpoint { position: Position { topic: INPUT, partition, next }, note: Bytes::new() }
}

fn record(topic: Topic, key: &str, n: usize) -> Output {
    let key = format!("{key}-{n}");
    Output { topic, partition_key: key.clone(), value: Some(key.clone().into()), key: key.into(), headers: Vec::new() }
}

fn written(log: &dyn Log) -> Vec<String> {
    let partitions: Vec<_> = (0..4).map(|partition| (OUTPUT, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning).unwrap();
    let mut all = Vec::new();
    loop {
        let read = reader.read(budget()).unwrap();
        all.extend(read.messages.iter().map(|message| message.key_str().to_owned()));
        if read.at_end {
            return all;
        }
    }
}
