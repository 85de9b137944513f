//! ClickHouse on one machine: a ClickHouse-compatible HTTP endpoint over the engine as a library (`libchdb.so`).
//! The engine runs in a supervised child process, so that its crash or its memory never take the pipeline with it.
//!
//! ```text
//!  Supervisor (parent process)                       child::run (child process)
//!    listener ──── inherited as stdout ───────────►  http::serve ──► engine::Engine ──► libchdb.so
//!    settings, passwords ─ inherited socket, stdin ─►     │               one connection per request
//!    health  ◄──── "ready", end of file ───────────       └─ at most `queries` + `inserts` at once
//! ```
//!
//! - [`supervisor`]: starts the child, restarts it, tells its health. [`child`]: what the child runs.
//! - [`engine`] and `ffi`: the library. `sql`: what a statement is and may do. `http`: the protocol.

pub mod child;
pub mod config;
pub mod engine;
pub mod error;
mod exec;
mod ffi;
mod http;
mod sandbox;
mod sql;
pub mod supervisor;

pub use config::{Account, EngineConfig, Limits, Secret};
pub use engine::{default_cache_home, locate_library};
pub use error::{ChildError, EngineError, SupervisorError};
pub use supervisor::{EngineHandle, Health, Supervisor};
