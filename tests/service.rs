//! A real Tributary as its users meet it: killed with -9, fed with rubbish, asked from the command line.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on should stop

#[path = "service/analyst.rs"]
mod analyst;

#[path = "service/bad_input.rs"]
mod bad_input;
#[path = "service/command_line.rs"]
mod command_line;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/oracle.rs"]
mod oracle;
#[path = "service/up.rs"]
mod up;
