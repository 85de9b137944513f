//! REMEDY: what would fix the most, and whom to ask.
//!
//! ```text
//! remedy member ─► [members of a remedy] ─► ticket::ticket ─► differs? ─► tickets (CloudEvents)
//!                                               ▲ the last ticket told ─────┘
//! ```
//! One remedy is one change that closes every risk under it, so it is one ticket: its key is the remedy's id, and its
//! revisions follow the group.

mod date;
pub mod event;
mod saved;
mod stage;
pub mod ticket;

pub use stage::Remedy;
