//! SINK: topics → ClickHouse rows. Writes what the topics say, no more; rows carry natural keys and versions,
//! so a replay changes nothing that a query can see.

pub mod batch;
pub mod insert;
pub mod metrics;
pub mod migrate;
mod piece;
pub mod rows;
pub mod worker;

pub use clickhouse::Client;
