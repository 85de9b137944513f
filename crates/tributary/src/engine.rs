//! The analysts' side of `up` and `demo`: the bundled ClickHouse engine, its migrations, and the sink in front of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Handle;
use tributary_chdb::supervisor::own_path;
use tributary_chdb::{
    Account, EngineConfig, EngineHandle, Health as EngineHealth, Supervisor, default_cache_home, locate_library,
};
use tributary_sink::batch::Limits;
use tributary_sink::insert::{self, ClickHouseConfig};
use tributary_sink::migrate;
use tributary_sink::worker::{Sink, SinkState};
use tributary_stream::Clock;
use tributary_stream::log::{Log, Waker};

use crate::config::ClickHouse;
use crate::keys;
use crate::status::{Engine, Health};

/// How long the engine may take to start: cold caches and a large data directory included.
const START_WAIT: Duration = Duration::from_secs(120);

/// The library, where it is installed; `None` with the reason where it is not.
pub fn library(config: &ClickHouse) -> Result<PathBuf, String> {
    let configured = (!config.engine.as_os_str().is_empty()).then_some(config.engine.as_path());
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = default_cache_home(path("XDG_CACHE_HOME"), path("HOME"));
    locate_library(configured, path("TRIBUTARY_ENGINE_DIR").as_deref(), &cache).map_err(|error| error.to_string())
}

/// ClickHouse and the sink, running.
pub struct Analytics {
    engine: Option<EngineHandle>,
    stop: Arc<AtomicBool>,
    sink: Option<JoinHandle<()>>,
    watcher: Option<JoinHandle<()>>,
    /// How the sink is.
    pub state: Arc<SinkState>,
    /// Where analysts ask.
    pub url: String,
}

/// What the sink needs.
pub struct Source {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// Told how the engine is.
    pub health: Health,
    /// Runtime of the client.
    pub runtime: Handle,
}

impl Analytics {
    /// Starts the bundled engine under `data` and, once it serves and is migrated, the sink.
    pub fn bundled(config: &ClickHouse, library: PathBuf, data: &Path, source: Source) -> anyhow::Result<Self> {
        let listen: SocketAddr = config.listen.parse().context("clickhouse.listen")?;
        let password = keys::random_password()?;
        let writer = Account::new("tributary", password.clone());
        let reader = Account::new("analyst", config.analyst_password.clone());
        let mut engine = EngineConfig::new(data.join("clickhouse"), library, listen, writer, reader);
        engine.limits.memory_bytes = u64::from(config.memory_max_mib) << 20;
        engine.limits.query_memory_bytes = engine.limits.memory_bytes / 2;
        let program = own_path()?;
        let engine = Supervisor::start(engine, move || {
            let mut command = Command::new(&program);
            command.arg("engine-child");
            command
        })
        .with_context(|| {
            format!("cannot start the ClickHouse engine at {listen}; for another address: TRIBUTARY__CLICKHOUSE__LISTEN=127.0.0.1:0")
        })?;
        let url = engine.url();
        let client =
            ClickHouseConfig { url: url.clone(), database: String::new(), user: "tributary".to_owned(), password };
        let stop = Arc::new(AtomicBool::new(false));
        source.health.set_engine(Engine::Waiting, &url);
        let state = Arc::<SinkState>::default();
        let watcher = watch(&engine, &source, &state, &stop)?;
        let sink = start_sink(client, source, Arc::clone(&stop), Arc::clone(&state))?;
        Ok(Self { engine: Some(engine), stop, sink: Some(sink), watcher: Some(watcher), state, url })
    }

    /// Uses an external ClickHouse.
    pub fn external(config: &ClickHouse, source: Source) -> anyhow::Result<Self> {
        let client = ClickHouseConfig {
            url: config.url.clone(),
            database: config.database.clone(),
            user: config.user.clone(),
            password: config.password.clone(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        source.health.set_engine(Engine::Waiting, &config.url);
        let state = Arc::<SinkState>::default();
        let watcher = watch_external(&client, &source, &state, &stop)?;
        let sink = start_sink(client, source, Arc::clone(&stop), Arc::clone(&state))?;
        let url = config.url.clone();
        Ok(Self { engine: None, stop, sink: Some(sink), watcher: Some(watcher), state, url })
    }

    /// Lets the sink finish its batch, then stops the engine.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in [self.sink.take(), self.watcher.take()].into_iter().flatten() {
            // A panic was reported by the panic hook; nothing it held was committed.
            drop(thread.join());
        }
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
    }
}

/// Keeps `status` told whether the engine serves: before it is migrated it answers, and there is nothing to ask for.
fn watch(
    engine: &EngineHandle,
    source: &Source,
    state: &Arc<SinkState>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<JoinHandle<()>> {
    let (mut health, status, url) = (engine.health(), source.health.clone(), engine.url());
    let (runtime, state, stop) = (source.runtime.clone(), Arc::clone(state), Arc::clone(stop));
    let work = move || {
        while !stop.load(Ordering::Relaxed) {
            let serves = matches!(*health.borrow_and_update(), EngineHealth::Ready { .. }) && state.has_joined();
            status.set_engine(if serves { Engine::Serving } else { Engine::Waiting }, &url);
            let _ =
                runtime.block_on(async { tokio::time::timeout(Duration::from_millis(300), health.changed()).await });
        }
    };
    std::thread::Builder::new().name("engine-watch".to_owned()).spawn(work).context("cannot start a thread")
}

/// How often an external ClickHouse is asked whether it answers.
const PING_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const PING_WAIT: Duration = Duration::from_secs(5);

/// The same for an external one: it serves when it answers, and takes the rows that there are.
fn watch_external(
    config: &ClickHouseConfig,
    source: &Source,
    state: &Arc<SinkState>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<JoinHandle<()>> {
    let (client, status, runtime) = (insert::client(config), source.health.clone(), source.runtime.clone());
    let (url, state, stop) = (config.url.clone(), Arc::clone(state), Arc::clone(stop));
    let work = move || {
        let bell = Waker::default();
        while !stop.load(Ordering::Relaxed) {
            let ping = client.query("SELECT 1").fetch_one::<u8>();
            let answer = runtime.block_on(async { tokio::time::timeout(PING_WAIT, ping).await });
            let serves = matches!(answer, Ok(Ok(_))) && state.has_joined() && !state.is_waiting();
            status.set_engine(if serves { Engine::Serving } else { Engine::Waiting }, &url);
            // Looked at more often: a stop should not wait.
            for _ in 0..10 {
                if !stop.load(Ordering::Relaxed) {
                    bell.wait(PING_EVERY / 10);
                }
            }
        }
    };
    std::thread::Builder::new().name("engine-watch".to_owned()).spawn(work).context("cannot start a thread")
}

fn start_sink(
    config: ClickHouseConfig,
    source: Source,
    stop: Arc<AtomicBool>,
    state: Arc<SinkState>,
) -> anyhow::Result<JoinHandle<()>> {
    let work = move || {
        let client = insert::client(&config);
        if !migrate_when_up(&client, &source, &stop) {
            return;
        }
        let Source { log, clock, health, runtime } = source;
        let sink = Sink { log, client, limits: Limits::default(), clock, runtime, stop, state };
        if let Err(error) = sink.run() {
            health.fail(error.to_string());
        }
    };
    std::thread::Builder::new().name("sink".to_owned()).spawn(work).context("cannot start the sink's thread")
}

/// Migrates as soon as ClickHouse answers; false when it was told to stop, or the migration is refused.
fn migrate_when_up(client: &tributary_sink::Client, source: &Source, stop: &AtomicBool) -> bool {
    let (pause, mut waited) = (Duration::from_millis(100), Duration::ZERO);
    let bell = Waker::default();
    while !stop.load(Ordering::Relaxed) {
        match source.runtime.block_on(migrate::migrate(client, false)) {
            Ok(names) => {
                if !names.is_empty() {
                    tracing::info!(?names, "migrations applied");
                }
                return true;
            }
            Err(error @ (migrate::MigrateError::Unreachable(_) | migrate::MigrateError::Locked { .. })) => {
                let reason = error.to_string();
                bell.wait(pause);
                waited += pause;
                if waited >= START_WAIT {
                    tracing::warn!(reason, "ClickHouse is still not migrated; rows wait");
                    waited = Duration::ZERO;
                }
            }
            Err(error) => {
                source.health.fail(error.to_string());
                return false;
            }
        }
    }
    false
}
