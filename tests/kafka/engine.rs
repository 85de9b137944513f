//! A ClickHouse of its own for one test, which can go away and come back.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tributary_chdb::{Account, EngineConfig, EngineHandle, Supervisor, default_cache_home, locate_library};

use crate::up::agent;

const WRITER: (&str, &str) = ("sink", "s3cret");

/// The engine; dropped, it stops and leaves nothing behind.
pub struct Engine {
    handle: Option<EngineHandle>,
    address: SocketAddr,
    directory: TempDir,
    query_memory_bytes: u64,
}

impl Engine {
    pub fn start() -> Self {
        Self::with_query_memory(512 << 20)
    }

    /// One of which a statement may take so much memory.
    pub fn with_query_memory(query_memory_bytes: u64) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let mut engine = Self { handle: None, address, directory, query_memory_bytes };
        engine.come_back();
        engine
    }

    /// Stops it; its address answers no more.
    pub fn go_away(&mut self) {
        self.handle.take().expect("it runs").stop();
    }

    /// Starts it on what it has, at the address it had.
    pub fn come_back(&mut self) {
        let path = |name| std::env::var_os(name).map(std::path::PathBuf::from);
        let cache = default_cache_home(path("XDG_CACHE_HOME"), path("HOME"));
        let library = locate_library(None, path("TRIBUTARY_ENGINE_DIR").as_deref(), &cache).expect("make engine");
        let accounts = (Account::new(WRITER.0, WRITER.1), Account::new("analyst", ""));
        let mut config = EngineConfig::new(self.directory.path(), library, self.address, accounts.0, accounts.1);
        config.limits.memory_bytes = 1 << 30;
        config.limits.query_memory_bytes = self.query_memory_bytes;
        let child = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
            command.arg("engine-child");
            command
        };
        let handle = Supervisor::start(config, child).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(handle.ready(Duration::from_secs(120))).unwrap();
        self.address = handle.address();
        self.handle = Some(handle);
    }

    /// What a sink is configured with.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("TRIBUTARY__CLICKHOUSE__URL", format!("http://{}", self.address)),
            ("TRIBUTARY__CLICKHOUSE__USER", WRITER.0.to_owned()),
            ("TRIBUTARY__CLICKHOUSE__PASSWORD", WRITER.1.to_owned()),
        ]
    }

    /// Asks; an exception fails the test.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let request = agent().post(format!("http://{}", self.address)).header("X-ClickHouse-User", WRITER.0);
        let response = request.header("X-ClickHouse-Key", WRITER.1).send(sql.as_bytes()).unwrap();
        let status = response.status();
        let text = response.into_body().read_to_string().unwrap();
        assert!(status.is_success(), "{sql}: {text}");
        text.trim().to_owned()
    }

    #[track_caller]
    pub fn count(&self, sql: &str) -> usize {
        self.sql(sql).parse().unwrap()
    }
}
