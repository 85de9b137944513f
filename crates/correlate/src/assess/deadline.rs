//! How long each band gives, from the clock's start.

use tributary_model::severity::Band;
use tributary_model::time::{DAY, Millis};

/// Days that a band gives; none for `defer`.
#[must_use]
pub const fn days(band: Band) -> Option<i64> {
    match band {
        Band::Immediate => Some(3),
        Band::OutOfCycle => Some(14),
        Band::Scheduled => Some(60),
        Band::Defer => None,
    }
}

/// The deadline that a band gives from a start: a pure function, compared between runs.
#[must_use]
pub fn computed(start: Millis, band: Band) -> Option<Millis> {
    days(band).map(|days| start.saturating_add(days * DAY))
}
