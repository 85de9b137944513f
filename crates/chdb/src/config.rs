//! The settings of the engine and its endpoint: one serialisable struct of knobs, checked without I/O.
//! It travels from the supervisor to the child over a private socket, never through arguments or the environment.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that the engine process needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Directory of the tables. Created if absent; one engine process at a time, by a lock in it.
    pub data_dir: PathBuf,
    /// Path of `libchdb.so`, see [`crate::locate_library`].
    pub library: PathBuf,
    /// Address of the HTTP endpoint. Port 0 picks a free one, which stays the same over restarts of the child.
    pub listen: SocketAddr,
    /// The account that writes: the sink and the migrations.
    pub writer: Account,
    /// The account that may only ask: analysts and dashboards.
    pub reader: Account,
    /// Memory, threads and sizes.
    #[serde(default)]
    pub limits: Limits,
}

/// A user name and its password.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// User name as sent by clients.
    pub user: String,
    /// Password; an empty one is allowed only on a loopback address.
    pub password: Secret,
}

impl Account {
    /// An account with this name and password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: Secret(password.into()) }
    }
}

/// A password. Its `Debug` form hides it, so that no log line can leak it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The password itself, for comparison only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// What the engine process may use. The engine's own defaults are for a server: nine tenths of the memory, a mark
/// cache of 5 GiB, ten thousand threads.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of memory for the whole engine. Below 512 MiB merges of wide tables fail.
    pub memory_bytes: u64,
    /// Bytes of memory for one query. Half of the above keeps one analyst from starving the sink.
    pub query_memory_bytes: u64,
    /// Threads that one query may use; 0 lets the engine take one per core.
    pub query_threads: u32,
    /// Threads of the engine, background merges included. Below 64 the engine deadlocks on start.
    pub pool_threads: u32,
    /// Bytes of the mark cache (positions inside compressed columns).
    pub mark_cache_bytes: u64,
    /// Statements that run at once, inserts not counted. More share the same cores, and multiply the memory.
    pub queries: usize,
    /// Inserts that run at once, kept apart so that no query can delay the sink.
    pub inserts: usize,
    /// Seconds that a statement waits for its turn before it is refused as "too many simultaneous queries".
    pub queue_seconds: u64,
    /// Seconds after which a query of the reader is stopped.
    pub reader_seconds: u64,
    /// Bytes of one request body, after decompression. It is held in memory until the insert is done.
    pub body_bytes: u64,
    /// Bytes of one SQL text.
    pub sql_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            query_memory_bytes: 1 << 30,
            query_threads: 0,
            pool_threads: 256,
            mark_cache_bytes: 128 << 20,
            queries: 8,
            inserts: 2,
            queue_seconds: 30,
            reader_seconds: 120,
            body_bytes: 512 << 20,
            sql_bytes: 1 << 20,
        }
    }
}

impl EngineConfig {
    /// A configuration with the default limits.
    pub fn new(
        data_dir: impl Into<PathBuf>,
        library: PathBuf,
        listen: SocketAddr,
        writer: Account,
        reader: Account,
    ) -> Self {
        Self { data_dir: data_dir.into(), library, listen, writer, reader, limits: Limits::default() }
    }

    /// What is wrong with these settings, in words for the person who wrote them; `Ok` if nothing is.
    pub fn validate(&self) -> Result<(), String> {
        let limits = &self.limits;
        let accounts = [("writer", &self.writer), ("reader", &self.reader)];
        for (name, account) in accounts {
            if account.user.is_empty() {
                return Err(format!("{name}.user is empty"));
            }
            if account.password.expose().is_empty() && !self.listen.ip().is_loopback() {
                return Err(format!("{name}.password is empty, which is allowed on a loopback address only"));
            }
        }
        if self.writer.user == self.reader.user {
            return Err("writer.user and reader.user must differ: the name decides what may be done".into());
        }
        let floors = [
            ("limits.memory_bytes", limits.memory_bytes, 512 << 20),
            ("limits.query_memory_bytes", limits.query_memory_bytes, 16 << 20),
            ("limits.pool_threads", u64::from(limits.pool_threads), 64),
            ("limits.mark_cache_bytes", limits.mark_cache_bytes, 1 << 20),
            ("limits.queries", limits.queries as u64, 1),
            ("limits.inserts", limits.inserts as u64, 1),
            ("limits.queue_seconds", limits.queue_seconds, 1),
            ("limits.reader_seconds", limits.reader_seconds, 1),
            ("limits.body_bytes", limits.body_bytes, 1 << 20),
            ("limits.sql_bytes", limits.sql_bytes as u64, 1 << 10),
        ];
        match floors.iter().find(|(_, value, floor)| value < floor) {
            Some((name, value, floor)) => Err(format!("{name} is {value}, the least is {floor}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> EngineConfig {
        let listen = listen.parse().unwrap();
        EngineConfig::new("/data", "/lib".into(), listen, Account::new("sink", ""), Account::new("analyst", ""))
    }

    #[test]
    fn an_empty_password_is_for_loopback_only() {
        assert_eq!(config("127.0.0.1:0").validate(), Ok(()));
        assert!(config("0.0.0.0:8123").validate().unwrap_err().contains("loopback"));
    }

    #[test]
    fn equal_names_and_tiny_limits_are_refused() {
        let mut same = config("127.0.0.1:0");
        same.reader.user = "sink".into();
        assert!(same.validate().unwrap_err().contains("differ"));
        let mut tiny = config("127.0.0.1:0");
        tiny.limits.memory_bytes = 1;
        assert!(tiny.validate().unwrap_err().contains("memory_bytes"));
    }

    #[test]
    fn a_password_is_never_printed() {
        let account = Account::new("sink", "hunter2");
        assert!(!format!("{account:?}").contains("hunter2"));
    }
}
