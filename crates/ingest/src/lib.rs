//! INGEST: bytes → detect → normalize → canonical events. Event or reject, never nothing.

pub mod breaker;
pub mod check;
pub mod depth;
pub mod detect;
pub mod event;
pub mod format;
pub mod grant;
pub mod intake;
pub mod lane;
pub mod metrics;
pub mod normalize;
pub mod pipeline;
pub mod plain;
pub mod raw;
pub mod report;
pub mod scrub;
pub mod secret;
pub mod snapshot;
pub mod time;
pub mod worker;
