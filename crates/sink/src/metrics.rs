//! Metrics of the sink: one function per event, so that names and labels cannot diverge.

use std::time::Duration;

/// A batch was written.
pub fn inserted(table: &'static str, rows: usize, took: Duration) {
    metrics::counter!("tributary_sink_rows_total", "table" => table).increment(rows as u64);
    metrics::histogram!("tributary_sink_insert_seconds", "table" => table).record(took.as_secs_f64());
}

/// A batch has to wait.
pub fn retried() {
    metrics::counter!("tributary_sink_retries_total").increment(1);
}

/// A statement was too large for ClickHouse; its rows go in smaller pieces.
pub fn parted() {
    metrics::counter!("tributary_sink_parted_total").increment(1);
}

/// A message could not be read.
pub fn rejected(code: &str) {
    metrics::counter!("tributary_sink_rejects_total", "code" => code.to_owned()).increment(1);
}

/// Positions are committed: everything before them is in ClickHouse.
pub fn committed(messages: usize, took: Duration) {
    metrics::counter!("tributary_sink_records_total").increment(messages as u64);
    metrics::histogram!("tributary_sink_commit_seconds").record(took.as_secs_f64());
}
