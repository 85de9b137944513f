//! TRACK: what was seen, on one asset. Sightings become findings with a history; scans become a ledger.
//!
//! ```text
//! observation ─► identity::ids ─► evidence::see ─► [finding] ─► settle::finish ─► tracked, findings
//!      │                                              ▲    ▲
//!      ├─► ledger (parts, order) ─► withdraw ─────────┘    │  counts, components, run-time verdict
//!      ├─► profile (use, inventory) ───────────────────────┤
//! context ─► graph ─► [asset view] ────────────────────────┘
//! ```
//! `apply` follows what tools say, one message after the other, so that where transactions are cut makes no difference;
//! `settle` adds what context and time say, once per finding, and emits the differences. A finding at rest is kept as
//! its encoded record with a small header: an unchanged sighting is a hash, a lookup and a comparison.

mod digest;
mod emit;
mod evidence;
mod held;
mod identity;
mod ledger;
mod members;
mod profile;
mod saved;
mod scans;
mod sightings;
mod splice;
mod stage;
mod usage;
mod withdraw;

pub use stage::Track;

#[cfg(test)]
mod tests;
