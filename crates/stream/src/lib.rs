//! The log and the loop: how stages read, write, commit, restore and keep time. Knows nothing of security.

pub mod broadcast;
pub mod clock;
pub mod embedded;
pub mod kafka;
pub mod log;
pub mod message;
mod metrics;
mod rejects;
pub mod sim;
pub mod snapshot;
pub mod stage;
pub mod stage_loop;
pub mod table;

pub use broadcast::BroadcastStore;
pub use clock::Clock;
pub use embedded::{EmbeddedLog, EmbeddedSettings};
pub use kafka::{KafkaLog, KafkaSettings};
pub use log::{Log, LogError};
pub use message::{Message, Output, Outputs, Position};
pub use snapshot::Snapshots;
pub use stage::Stage;
pub use stage_loop::{Pipeline, PipelineSettings, StageSpec};
pub use table::Table;
