//! The four keyed stages between canonical events and tickets: pure steps over state that one worker owns.
//! Read in the order of the flow: relate (who is who), track (what was seen), assess (what first), remedy (whom to ask).

// A reject is what the stage contract returns; it is rare, and boxing it would only move the bytes.
#![allow(clippy::result_large_err)]

pub mod assess;
pub mod graph;
mod marks;
mod refuse;
pub mod relate;
pub mod remedy;
mod saved;
mod timers;
pub mod track;

pub(crate) use marks::Marks;
pub(crate) use refuse::{decode, malformed, refuse};
pub(crate) use timers::Timers;
