//! The engine process: killed, it comes back with its rows; a slow query delays nobody; a client that leaves takes
//! its query along; a stop is clean.

#![allow(clippy::unwrap_used)] // test code, which clippy does not see in functions without #[test]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{ANALYST, Engine, SINK, eventually, run, runtime};
use tributary_chdb::Health;

const SLOW: &str = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1";

fn slow_queries(engine: &Engine) -> String {
    engine.sql("SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000000)%' AND query NOT LIKE '%processes%'")
}

#[test]
fn a_killed_engine_comes_back_with_every_row() {
    let engine = Engine::start();
    engine.sql("CREATE DATABASE kept");
    engine.sql("CREATE TABLE kept.rows (a UInt64) ENGINE = MergeTree ORDER BY a");
    for round in 0..3 {
        engine.sql("INSERT INTO kept.rows SELECT number FROM numbers(1000)");
        let mut health = engine.handle.health();
        let Health::Ready { pid } = *health.borrow_and_update() else { panic!("not ready") };
        let mut kill = Command::new("kill");
        kill.args(["-9", &pid.to_string()]);
        assert!(run(kill, b"", "apt-get install procps").status.success());
        runtime().block_on(async {
            let other = |health: &Health| matches!(health, Health::Ready { pid: now } if *now != pid);
            tokio::time::timeout(Duration::from_secs(60), health.wait_for(other)).await.unwrap().unwrap();
        });
        assert_eq!(engine.sql("SELECT count() FROM kept.rows"), format!("{}\n", (round + 1) * 1000));
    }
}

#[test]
fn a_slow_query_delays_neither_queries_nor_inserts() {
    let engine = Arc::new(Engine::start());
    engine.sql("CREATE TABLE quick (a UInt64) ENGINE = MergeTree ORDER BY a");
    let background = Arc::clone(&engine);
    let slow = std::thread::spawn(move || background.ask(SLOW));
    eventually("the slow query runs", || (slow_queries(&engine) == "1\n").then_some(()));
    for _ in 0..5 {
        assert_eq!(engine.ask("SELECT 1").text(), "1\n");
        let insert = engine.curl(SINK, &[("query", "INSERT INTO quick FORMAT CSV")], &[], b"1\n2\n");
        assert_eq!(insert.status, 200, "{}", insert.text());
    }
    assert_eq!(slow_queries(&engine), "1\n", "the quick ones had to wait for the slow one");
    engine.sql("KILL QUERY WHERE query LIKE '%numbers(1000000000000)%' ASYNC");
    assert_eq!(slow.join().unwrap().code(), Some(394));
}

#[test]
fn a_client_that_leaves_takes_its_query_along() {
    let engine = Engine::start();
    for sql in [SLOW, "SELECT number FROM numbers(1000000000000)"] {
        let mut curl = Command::new("curl");
        let user = format!("{}:{}", ANALYST.0, ANALYST.1);
        curl.args(["--silent", "--user", &user, "--data-binary", sql, "--output", "/dev/null", &engine.handle.url()]);
        let mut curl = curl.spawn().unwrap();
        eventually("the query runs", || (slow_queries(&engine) == "1\n").then_some(()));
        curl.kill().unwrap();
        curl.wait().unwrap();
        eventually("the query is gone", || (slow_queries(&engine) == "0\n").then_some(()));
    }
}

#[test]
fn too_many_queries_are_refused_and_inserts_are_not() {
    let engine = Arc::new(Engine::start_with(|config| {
        config.limits.queries = 1;
        config.limits.queue_seconds = 1;
    }));
    engine.sql("CREATE TABLE apart (a UInt64) ENGINE = MergeTree ORDER BY a");
    let background = Arc::clone(&engine);
    let slow =
        std::thread::spawn(move || background.curl(ANALYST, &[("max_execution_time", "8")], &[], SLOW.as_bytes()));
    let refused = eventually("a query is refused", || Some(engine.ask("SELECT 1")).filter(|reply| reply.status != 200));
    assert_eq!((refused.status, refused.code()), (503, Some(202)));
    let insert = engine.curl(SINK, &[("query", "INSERT INTO apart FORMAT CSV")], &[], b"1\n2\n");
    assert_eq!(insert.status, 200, "{}", insert.text());
    assert_eq!(slow.join().unwrap().code(), Some(159));
}

#[test]
fn a_stop_is_clean_and_quick_and_frees_the_data() {
    let dir = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let started = Instant::now();
    let engine = Engine::start_with(|config| config.data_dir = dir.path().to_owned());
    engine.sql("CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a");
    engine.sql("INSERT INTO kept VALUES (1)");
    let health = engine.handle.health();
    drop(engine);
    assert_eq!(*health.borrow(), Health::Stopped);
    let engine = Engine::start_with(|config| config.data_dir = dir.path().to_owned());
    assert_eq!(engine.sql("SELECT * FROM kept"), "1\n");
    drop(engine);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_stop_ends_slow_queries() {
    let engine = Engine::start();
    let user = format!("{}:{}", ANALYST.0, ANALYST.1);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--user", &user, "--data-binary", SLOW, "--output", "/dev/null", &engine.handle.url()]);
    let mut curl = curl.spawn().unwrap();
    eventually("the query runs", || (slow_queries(&engine) == "1\n").then_some(()));
    let stopping = Instant::now();
    drop(engine);
    assert!(stopping.elapsed() < Duration::from_secs(14), "it had to be killed: {:?}", stopping.elapsed());
    curl.wait().unwrap();
}

#[test]
fn a_dead_parent_takes_the_engine_along() {
    let dir = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_tributary-engine"));
    parent.arg("serve").arg(dir.path()).arg(&port).env("TRIBUTARY_ENGINE_DIR", support::library().parent().unwrap());
    let mut parent = parent.spawn().unwrap();
    let url = format!("http://{port}/");
    let ask = |sql: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--user", "sink:", "--data-binary", sql, &url]);
        let output = run(curl, b"", "apt-get install curl");
        output.status.success().then_some(output.stdout)
    };
    eventually("the engine answers", || ask("SELECT 1").filter(|answer| answer == b"1\n"));
    ask("CREATE TABLE orphan (a UInt8) ENGINE = MergeTree ORDER BY a").unwrap();
    ask("INSERT INTO orphan VALUES (1)").unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The data directory is locked for as long as the orphan lives.
    let engine = Engine::start_with(|config| config.data_dir = dir.path().to_owned());
    assert_eq!(engine.sql("SELECT a FROM orphan"), "1\n");
}
