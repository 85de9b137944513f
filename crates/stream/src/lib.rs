//! The log and the loop: how stages read, write, commit, restore and keep time. Knows nothing of security.

pub mod broadcast;
pub mod clock;
pub mod message;
pub mod stage;
pub mod table;

pub use broadcast::BroadcastStore;
pub use clock::Clock;
pub use message::{Message, Output, Outputs, Position};
pub use stage::Stage;
pub use table::Table;
