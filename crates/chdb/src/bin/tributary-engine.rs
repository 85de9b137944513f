//! The engine alone, for the tests of this crate and for a look at it by hand: `tributary-engine serve DIR [ADDRESS]`.
//! The real binary has the same two subcommands among its own.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use tributary_chdb::supervisor::own_path;
use tributary_chdb::{Account, EngineConfig, Supervisor, child, default_cache_home, locate_library};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let mut arguments = std::env::args().skip(1);
    let result = match (arguments.next().as_deref(), arguments.next()) {
        (Some("child"), None) => child::run().map_err(|error| error.to_string()),
        (Some("serve"), Some(dir)) => serve(dir.into(), &arguments.next().unwrap_or_else(|| "127.0.0.1:8123".into())),
        _ => Err("usage: tributary-engine serve DIR [ADDRESS]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves DIR for `sink` and `analyst` without passwords, until interrupted.
fn serve(dir: PathBuf, listen: &str) -> Result<(), String> {
    let accounts = (Account::new("sink", ""), Account::new("analyst", ""));
    let listen = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = default_cache_home(path("XDG_CACHE_HOME"), path("HOME"));
    let library =
        locate_library(None, path("TRIBUTARY_ENGINE_DIR").as_deref(), &cache).map_err(|error| error.to_string())?;
    let config = EngineConfig::new(dir, library, listen, accounts.0, accounts.1);
    let program = own_path().map_err(|error| error.to_string())?;
    let prototype = move || {
        let mut command = Command::new(&program);
        command.arg("child");
        command
    };
    let engine = Supervisor::start(config, prototype).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        engine.ready(Duration::from_secs(120)).await.map_err(|error| error.to_string())?;
        tracing::info!(url = engine.url(), "ready");
        tokio::signal::ctrl_c().await.map_err(|error| error.to_string())
    })?;
    engine.stop();
    Ok(())
}
