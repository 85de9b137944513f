//! backstage

use crate::event::{Events, Input, Rejection, code};

/// Not written yet.
pub fn normalize(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}
