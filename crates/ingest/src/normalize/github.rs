//! github

use crate::event::{Events, Input, Rejection, code};

/// Not written yet.
pub fn push(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}

/// Not written yet.
pub fn workflow_run(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}

/// Not written yet.
pub fn deployment_status(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}

/// Not written yet.
pub fn code_scanning_alert(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}

/// Not written yet.
pub fn dependabot_alert(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}

/// Not written yet.
pub fn secret_scanning_alert(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}

/// Not written yet.
pub fn registry_package(_: &Input<'_>) -> Result<Events, Rejection> {
    Err(Rejection::new(code::UNKNOWN_FORMAT, "not written yet"))
}
