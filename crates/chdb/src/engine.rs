//! The engine of this process: where its library is, how it is opened, and how many statements run at once.
//! One connection is kept for the engine's whole life; every statement gets a fresh one.

use crate::config::{EngineConfig, Limits};
use crate::error::EngineError;
use crate::exec::{self, Exception};
use crate::ffi::{Chdb, Connection};
use crate::sql::{Policy, Role};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The version of the library that `make engine` fetches; a part of its path in the cache.
pub const ENGINE_VERSION: &str = "26.5.3";

/// Finds `libchdb.so`: the explicit path, else `engine_dir` (the caller's `TRIBUTARY_ENGINE_DIR`), else
/// `cache_home/tributary/engine/<version>/`. The caller reads the environment, see [`default_cache_home`].
pub fn locate_library(
    explicit: Option<&Path>,
    engine_dir: Option<&Path>,
    cache_home: &Path,
) -> Result<PathBuf, EngineError> {
    let path = match (explicit, engine_dir) {
        (Some(path), _) => path.to_owned(),
        (None, Some(dir)) => dir.join("libchdb.so"),
        (None, None) => cache_home.join("tributary/engine").join(ENGINE_VERSION).join("libchdb.so"),
    };
    if path.is_file() { Ok(path) } else { Err(EngineError::Missing { path }) }
}

/// The cache directory of the user, from the values of `XDG_CACHE_HOME` and `HOME`.
pub fn default_cache_home(xdg_cache_home: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    let absolute = xdg_cache_home.filter(|path| path.is_absolute());
    absolute.unwrap_or_else(|| home.unwrap_or_else(|| PathBuf::from("/var/cache")).join(".cache"))
}

/// Loads the library into this process, without starting the engine.
pub(crate) fn load(library: &Path) -> Result<&'static Chdb, EngineError> {
    Chdb::load(library).map_err(|reason| EngineError::Unusable { path: library.to_owned(), reason })
}

/// Which of the two queues a statement waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Everything but inserts.
    Queries,
    /// Inserts of the sink, which no query may delay.
    Inserts,
}

/// The opened engine.
pub(crate) struct Engine {
    api: &'static Chdb,
    arguments: Vec<String>,
    limits: Limits,
    /// Keeps the engine running between statements; closed last, because closing it stops the engine.
    keeper: Mutex<Option<Connection>>,
    queries: Arc<Semaphore>,
    inserts: Arc<Semaphore>,
    writer_bodies: Arc<Semaphore>,
    reader_bodies: Arc<Semaphore>,
    pub(crate) policy: Policy,
    pub(crate) version: String,
    pub(crate) timezone: String,
}

impl Engine {
    /// Opens the tables under `store` with a loaded library; blocks until they are loaded.
    pub(crate) fn open(api: &'static Chdb, store: &Path, config: &EngineConfig) -> Result<Arc<Self>, EngineError> {
        let arguments = arguments(store, &config.limits);
        let refused = || EngineError::Open(format!("{} cannot be opened", store.display()));
        let mut keeper = api.connect(&arguments).ok_or_else(refused)?;
        let mut ask = |sql: &str| {
            let answer = keeper.query(sql, "TabSeparated", &[]).map_err(EngineError::Open)?;
            Ok::<String, EngineError>(String::from_utf8_lossy(&answer.data).trim_end().to_owned())
        };
        let version = ask("SELECT version()")?;
        let timezone = ask("SELECT timezone()")?;
        let unsafe_functions = ask("SELECT name FROM system.table_functions WHERE NOT allow_readonly")?;
        Ok(Arc::new(Self {
            api,
            arguments,
            limits: config.limits.clone(),
            keeper: Mutex::new(Some(keeper)),
            queries: Arc::new(Semaphore::new(config.limits.queries)),
            inserts: Arc::new(Semaphore::new(config.limits.inserts)),
            // One more than can run: the next body arrives while the last one is inserted.
            writer_bodies: Arc::new(Semaphore::new(config.limits.inserts + 1)),
            reader_bodies: Arc::new(Semaphore::new(config.limits.queries)),
            policy: Policy::new(unsafe_functions.lines().map(str::to_owned)),
            version,
            timezone,
        }))
    }

    /// A fresh connection: a session with the engine's default settings.
    pub(crate) fn connect(&self) -> Option<Connection> {
        self.api.connect(&self.arguments)
    }

    /// Waits for a turn to run a statement.
    pub(crate) async fn turn(&self, lane: Lane) -> Result<OwnedSemaphorePermit, Exception> {
        let (semaphore, count) = match lane {
            Lane::Queries => (&self.queries, self.limits.queries),
            Lane::Inserts => (&self.inserts, self.limits.inserts),
        };
        let wait = Duration::from_secs(self.limits.queue_seconds);
        match tokio::time::timeout(wait, Arc::clone(semaphore).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Exception::new(210, "NETWORK_ERROR", "the engine is stopping")),
            Err(_) => {
                let message = format!("Too many simultaneous queries. Maximum: {count}");
                Err(Exception::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message))
            }
        }
    }

    /// The settings of every session, before those of its request.
    pub(crate) fn base_settings(&self, role: Role) -> Vec<(String, String)> {
        let limits = &self.limits;
        let mut settings = vec![
            ("max_memory_usage", limits.query_memory_bytes.to_string()),
            ("max_threads", limits.query_threads.to_string()),
            // The library turns both on: the first tells about the process's memory, the second takes any expression
            // for a SELECT.
            ("allow_introspection_functions", "0".to_owned()),
            ("implicit_select", "0".to_owned()),
        ];
        if role == Role::Reader {
            settings.push(("max_execution_time", limits.reader_seconds.to_string()));
        }
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Resolves when no statement runs, and keeps it so.
    async fn idle(&self) {
        for (semaphore, count) in [(&self.queries, self.limits.queries), (&self.inserts, self.limits.inserts)] {
            if let Ok(all) = semaphore.acquire_many(count as u32).await {
                all.forget();
                semaphore.close();
            }
        }
    }

    /// Waits for leave to read a body into memory: bodies are bounded in number as well as in size.
    pub(crate) async fn body_slot(&self, role: Role) -> Result<OwnedSemaphorePermit, Exception> {
        let slots = if role == Role::Writer { &self.writer_bodies } else { &self.reader_bodies };
        let stopping = |_| Exception::new(210, "NETWORK_ERROR", "the engine is stopping");
        Arc::clone(slots).acquire_owned().await.map_err(stopping)
    }

    /// The limits it was opened with.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits for the running statements, stops those that take longer, and closes the engine. Leaving the process
    /// without this hung for minutes and then crashed.
    pub(crate) async fn close(self: &Arc<Self>, grace: Duration) {
        if tokio::time::timeout(grace / 3, self.idle()).await.is_err() {
            let engine = Arc::clone(self);
            let killed = tokio::task::spawn_blocking(move || exec::kill_all(&engine)).await;
            if killed.is_err() || tokio::time::timeout(grace / 3, self.idle()).await.is_err() {
                tracing::warn!("statements are still running; the engine is left as it is");
                return;
            }
        }
        if let Ok(mut keeper) = self.keeper.lock() {
            keeper.take();
        }
    }
}

fn arguments(store: &Path, limits: &Limits) -> Vec<String> {
    let pairs = [
        ("max_server_memory_usage", limits.memory_bytes),
        ("mark_cache_size", limits.mark_cache_bytes),
        ("index_mark_cache_size", limits.mark_cache_bytes / 4),
        ("primary_index_cache_size", limits.mark_cache_bytes),
        ("uncompressed_cache_size", 0),
        ("max_thread_pool_size", u64::from(limits.pool_threads)),
        ("max_thread_pool_free_size", 16),
        ("background_schedule_pool_size", 8),
    ];
    let path = std::iter::once(format!("--path={}", store.display()));
    path.chain(pairs.iter().map(|(name, value)| format!("--{name}={value}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_library_names_the_command() {
        let error = locate_library(None, None, Path::new("/nowhere")).unwrap_err().to_string();
        assert!(
            error.contains("/nowhere/tributary/engine/26.5.3/libchdb.so") && error.contains("make engine"),
            "{error}"
        );
    }

    #[test]
    fn the_cache_follows_the_xdg_rules() {
        let home = Some(PathBuf::from("/home/a"));
        assert_eq!(default_cache_home(None, home.clone()), Path::new("/home/a/.cache"));
        assert_eq!(default_cache_home(Some("/c".into()), home.clone()), Path::new("/c"));
        assert_eq!(default_cache_home(Some("relative".into()), home), Path::new("/home/a/.cache"));
    }
}
