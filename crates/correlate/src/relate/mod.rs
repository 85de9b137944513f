//! RELATE: who is who. Facts by entity become the context that every other stage reads.
//!
//! ```text
//! fact ─► claims::record ─► [claims of the entity] ─► decide::decide ─► context | intel
//!                                   │ assertions            ▲
//!                                   └─► lapse::next_due ────┘  (timer)
//! ```
//! State per entity is its claims and when they were last decided; the context is a pure function of both, so nothing
//! else has to be remembered to know whether a new context differs from the last one emitted.

mod claims;
mod decide;
mod lapse;
mod precedence;
mod saved;
mod stage;

pub use stage::Relate;

#[cfg(test)]
mod tests;
