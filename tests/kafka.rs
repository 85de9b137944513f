//! The pipeline as three separate services on a real Kafka with a real ClickHouse, and everything that happens to services:
//! they are killed, added, removed, stopped and woken; brokers and the database go away; topics hold what should not be there.
//! However it went, the outcome is that of one undisturbed process on the embedded log (I3, I4).
//!
//! `TRIBUTARY_TEST_KAFKA_FINDINGS` is the size of the synthetic estate that goes through them (`make test-kafka-full`).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a failure here is a failed test

#[path = "../crates/stream/tests/broker/mod.rs"]
mod broker;
#[path = "service/oracle.rs"]
mod oracle;
#[path = "service/up.rs"]
mod up;

#[path = "kafka/breaker.rs"]
mod breaker;
#[path = "kafka/check.rs"]
mod check;
#[path = "kafka/compaction.rs"]
mod compaction;
#[path = "kafka/consumer.rs"]
mod consumer;
#[path = "kafka/delivery.rs"]
mod delivery;
#[path = "kafka/disturbed.rs"]
mod disturbed;
#[path = "kafka/engine.rs"]
mod engine;
#[path = "kafka/fleet.rs"]
mod fleet;
#[path = "kafka/input.rs"]
mod input;
#[path = "kafka/lanes.rs"]
mod lanes;
#[path = "kafka/memory.rs"]
mod memory;
#[path = "kafka/poison.rs"]
mod poison;
#[path = "kafka/registry.rs"]
mod registry;
#[path = "kafka/replay.rs"]
mod replay;
#[path = "kafka/security.rs"]
mod security;
#[path = "kafka/snapshots.rs"]
mod snapshots;
#[path = "kafka/versions.rs"]
mod versions;
#[path = "kafka/zombie.rs"]
mod zombie;
