//! INGEST: bytes → detect → normalize → canonical events. Event or reject, never nothing.

pub mod detect;
pub mod event;
pub mod format;
pub mod normalize;
pub mod report;
pub mod time;
