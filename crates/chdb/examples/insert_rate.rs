//! How many rows per second the endpoint takes from the `clickhouse` crate: RowBinary, LZ4, batches of 100,000.
//! `cargo run --release -p tributary-chdb --example insert_rate -- target/release/tributary-engine`

use clickhouse::{Client, Row};
use serde::Serialize;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tributary_chdb::{Account, EngineConfig, Supervisor, default_cache_home, locate_library};

const BATCH: u64 = 100_000;
const BATCHES: u64 = 10;

#[derive(Row, Serialize)]
struct Finding {
    component: u64,
    id: u64,
    version: u64,
    title: String,
    evidence: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let program = std::env::args().nth(1).ok_or("usage: insert_rate PATH-OF-tributary-engine")?;
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = default_cache_home(path("XDG_CACHE_HOME"), path("HOME"));
    let library = locate_library(None, path("TRIBUTARY_ENGINE_DIR").as_deref(), &cache)?;
    let dir = tempfile::tempdir()?;
    let accounts = (Account::new("sink", ""), Account::new("analyst", ""));
    let config = EngineConfig::new(dir.path(), library, ([127, 0, 0, 1], 0).into(), accounts.0, accounts.1);
    let engine = Supervisor::start(config, move || {
        let mut command = Command::new(&program);
        command.arg("child");
        command
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let elapsed = runtime.block_on(async {
        engine.ready(Duration::from_secs(60)).await?;
        insert(&Client::default().with_url(engine.url()).with_user("sink")).await
    })?;
    engine.stop();
    let rows = BATCH * BATCHES;
    let rate = rows as f64 / elapsed.as_secs_f64();
    writeln!(std::io::stdout(), "{rows} rows in {:.2} s: {rate:.0} rows/s", elapsed.as_secs_f64())?;
    Ok(())
}

async fn insert(client: &Client) -> Result<Duration, Box<dyn Error>> {
    let columns = "component UInt64, id UInt64, version UInt64, title String, evidence String";
    let engine = "ReplacingMergeTree(version) PARTITION BY component % 8 ORDER BY (component, id)";
    client.query(&format!("CREATE TABLE findings ({columns}) ENGINE = {engine}")).execute().await?;
    let started = Instant::now();
    for batch in 0..BATCHES {
        let mut insert = client.insert::<Finding>("findings").await?;
        for id in 0..BATCH {
            let evidence = format!("lockfile package-lock.json of commit {id:040x}, image sha256:{:064x}", id * 31);
            let row = Finding { component: batch % 8, id, version: batch, title: format!("CVE-2026-{id}"), evidence };
            insert.write(&row).await?;
        }
        insert.end().await?;
    }
    Ok(started.elapsed())
}
