//! What INGEST counts: one function per business event, so that labels cannot diverge.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tributary_model::record::RawClass;

/// The intake acknowledged a record.
pub fn accepted(class: RawClass, bytes: usize) {
    counter!("tributary_intake_records_total", "class" => class.name()).increment(1);
    counter!("tributary_intake_bytes_total", "class" => class.name()).increment(bytes as u64);
}

/// The intake refused a request.
pub fn refused(status: u16) {
    counter!("tributary_intake_refused_total", "status" => status.to_string()).increment(1);
}

/// Bytes of requests that are being handled.
pub fn in_flight(bytes: usize) {
    gauge!("tributary_intake_in_flight_bytes").set(bytes as f64);
}

/// The worker committed a batch.
pub fn committed(records: usize, bytes_in: usize, events: usize, took: Duration) {
    counter!("tributary_ingest_records_total").increment(records as u64);
    counter!("tributary_ingest_bytes_total").increment(bytes_in as u64);
    counter!("tributary_ingest_events_total").increment(events as u64);
    histogram!("tributary_ingest_commit_seconds").record(took.as_secs_f64());
    histogram!("tributary_ingest_batch_records").record(records as f64);
}

/// A record became a reject.
pub fn rejected(class: RawClass, code: &str) {
    counter!("tributary_ingest_rejects_total", "class" => class.name(), "code" => code.to_owned()).increment(1);
}

/// Partitions of a lane that the circuit breaker holds.
pub fn paused(lane: &'static str, partitions: usize) {
    gauge!("tributary_ingest_paused_partitions", "lane" => lane).set(partitions as f64);
}

/// Whether bulk waits for interactive work.
pub fn bulk_waits(waits: bool) {
    gauge!("tributary_ingest_bulk_waits").set(f64::from(u8::from(waits)));
}

/// The circuit breaker paused a partition.
pub fn tripped(topic: tributary_model::Topic) {
    counter!("tributary_ingest_pauses_total", "topic" => topic.name()).increment(1);
}
