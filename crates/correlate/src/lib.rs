//! The four keyed stages between canonical events and tickets: pure steps over state that one worker owns.
//! Read in the order of the flow: relate (who is who), track (what was seen), assess (what first), remedy (whom to ask).

pub mod assess;
pub mod graph;
pub mod relate;
pub mod remedy;
pub mod track;
