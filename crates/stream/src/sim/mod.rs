//! Simulation: a log in memory that is never kinder than Kafka, and a world that turns real stages on it by the dice.
//! One seed, one history: [`World::trace`] is byte-identical on every machine.
//!
//! A test makes a [`World`], injects records, calls [`World::run`] (chaos), then [`World::quiesce`] (everything heals and is
//! processed), and reads the topics. A failure prints the seed; the same seed repeats it.

mod log;
mod rng;
mod state;
mod world;

pub use log::SimLog;
pub use rng::Rng;
pub use state::Fault;
pub use world::{Action, Chaos, World, WorldError, WorldSettings};

#[cfg(test)]
mod tests;
