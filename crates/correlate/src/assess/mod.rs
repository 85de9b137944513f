//! ASSESS: what a component's findings mean, and what comes first.
//!
//! ```text
//! finding ─► group::cell_of ─► [cell] ─► alias / cluster ─► group ─► inputs ─► decide ─► score ─► snapshot
//!                                ▲                                                                  │
//! context, intel ─► reading ─────┘                    previous record ─► transition ◄───────────────┘
//!                                                                          │
//!                                              risks · changes (chain) · remedies (member)
//! ```
//! Everything below `stage` is pure: a group's record is a function of its findings, of what context and intelligence
//! say, and of nothing else; [`transition`](transition::transition) alone knows what was before.

pub mod alias;
pub mod chain;
pub mod cluster;
pub mod confirm;
pub mod cwe;
pub mod deadline;
pub mod decide;
mod estate;
pub mod explain;
pub mod fix;
pub mod group;
pub mod inputs;
pub mod invariants;
#[cfg(test)]
mod lent;
pub mod member;
pub mod owner;
pub mod place;
mod reading;
pub mod score;
pub mod snapshot;
mod stage;
pub mod surroundings;
pub mod tables;
pub mod transition;
pub mod vector;
pub mod version;
pub mod vex;

/// A finding as it is judged: borrowed from its record, of which most is only compared.
pub type Finding<'a> = tributary_model::borrowed::Finding<'a, tributary_model::id::FindingId>;

pub use estate::Estate;
pub use stage::Assess;
