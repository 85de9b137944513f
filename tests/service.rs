//! A real `tributary up` as its users meet it: killed with -9, and asked from the command line.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on should stop

#[path = "service/command_line.rs"]
mod command_line;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/up.rs"]
mod up;
