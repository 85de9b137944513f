//! Puts a record on the log: as it is, compressed, or normalised when it is too large for a message.

use std::sync::Arc;

use bytes::Bytes;
use tributary_model::record::{Extensions, RawClass};
use tributary_model::reject::Origin;
use tributary_stream::log::LogError;
use tributary_stream::{Output, Outputs};

use super::Intake;
use super::answer::Refusal;
use super::body::Received;
use crate::pipeline::{self, RawRecord};
use crate::raw;

/// Fast, and reports compress tenfold at any level.
const ZSTD_LEVEL: i32 = 3;

/// Appends the record, durably.
pub(super) async fn append(
    intake: &Arc<Intake>,
    class: RawClass,
    ext: Extensions,
    id: &str,
    received: Received,
) -> Result<(), Refusal> {
    let intake = Arc::clone(intake);
    let id = id.to_owned();
    let work = move || {
        let body = received.bytes.clone();
        let outputs = records(&intake, class, ext, &id, body);
        // The reservation ends when the log has the record.
        let result = intake.log.append(outputs).map(drop);
        drop(received);
        result
    };
    let result = tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::internal())?;
    result.map_err(|error| {
        tracing::warn!(%error, "a record was not appended");
        match error {
            LogError::Retry { .. } => Refusal::new(
                503,
                "log_busy",
                "the log does not take records now",
                "send it again after the seconds in Retry-After",
            ),
            _ => Refusal::new(
                503,
                "log_unavailable",
                "the log is not available",
                "send it again after the seconds in Retry-After",
            ),
        }
    })
}

/// The records of a body: one raw record, or the canonical ones where no raw record could be large enough.
fn records(intake: &Intake, class: RawClass, ext: Extensions, id: &str, body: Bytes) -> Vec<Output> {
    let fits = |bytes: usize| intake.settings.record_bytes_max.is_none_or(|bytes_max| bytes <= bytes_max);
    if fits(body.len()) {
        return vec![raw::output(class, &ext, Some(id), body)];
    }
    // A compressed record can be replayed; canonical ones cannot.
    match zstd::bulk::compress(&body, ZSTD_LEVEL) {
        Ok(compressed) if fits(compressed.len()) => vec![raw::output(class, &ext, Some(id), Bytes::from(compressed))],
        _ => canonical(intake, class, ext, id, body),
    }
}

/// The canonical records of a body, under coordinates of their own: there is no raw record.
fn canonical(intake: &Intake, class: RawClass, ext: Extensions, id: &str, body: Bytes) -> Vec<Output> {
    let hash = blake3::hash(id.as_bytes());
    let mut number = [0; 8];
    number.copy_from_slice(&hash.as_bytes()[..8]);
    let offset = i64::from_le_bytes(number) & i64::MAX;
    let origin = Origin { topic: format!("intake.{}", class.name()), partition: 0, offset };
    let record = RawRecord { body, ext, class, origin };
    let outputs: Outputs = pipeline::outputs(&record, &intake.context());
    outputs.into_records()
}
