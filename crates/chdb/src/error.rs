//! The errors of this crate, by what their reader does next.
//! Errors of a statement travel as ClickHouse exceptions inside the protocol, not through these.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The engine could not be loaded or opened.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Nobody fetched the library. Fetch it, or say where it is.
    #[error("the ClickHouse engine library is not at {}: run `make engine`, or set its path", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is there but is not a usable engine (other platform, other version, cut short).
    #[error("{} is not a usable engine library ({reason}): run `make engine` again", path.display())]
    Unusable {
        /// The file that was tried.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The engine refused to open its data directory.
    #[error("the engine could not open its data: {0}")]
    Open(String),
}

/// The child process could not do its work; it exits and the supervisor decides.
#[derive(Debug, Error)]
pub enum ChildError {
    /// It was not started by a supervisor, which hands over a control socket and a listener.
    #[error("this command is started by tributary itself, not by hand: {0}")]
    NotSupervised(String),
    /// Another engine process has the data directory and did not let go of it in time.
    #[error("{} is in use by another engine process", path.display())]
    DataInUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The library.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The operating system.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ChildError {
    /// For `map_err`: an I/O error while doing something.
    pub(crate) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// The supervisor could not start, or gave the first start up.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// The settings are wrong; correct them.
    #[error("engine settings: {0}")]
    Config(String),
    /// The library is absent or unusable; fetch it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address of the endpoint cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system refused something else.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The engine did not become ready; the child's own log says why.
    #[error("the engine did not become ready: {0}")]
    NotReady(String),
}
