//! Every metric of this crate: one function per event, so that names and labels cannot diverge.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tributary_model::Topic;

/// A round of group commit is durable.
pub(crate) fn log_committed() {
    counter!("tributary_log_rounds_total").increment(1);
}

/// Records of a topic are durable.
pub(crate) fn log_appended(topic: Topic, records: usize, bytes: usize) {
    counter!("tributary_log_records_total", "topic" => topic.name()).increment(records as u64);
    counter!("tributary_log_bytes_total", "topic" => topic.name()).increment(bytes as u64);
}

/// A stage's transaction is durable.
pub(crate) fn transaction_committed(stage: &'static str, inputs: usize, outputs: usize, took: Duration) {
    counter!("tributary_stage_transactions_total", "stage" => stage).increment(1);
    counter!("tributary_stage_inputs_total", "stage" => stage).increment(inputs as u64);
    counter!("tributary_stage_outputs_total", "stage" => stage).increment(outputs as u64);
    histogram!("tributary_stage_transaction_seconds", "stage" => stage).record(took.as_secs_f64());
}

/// A stage's transaction did not happen and was rolled back.
pub(crate) fn transaction_aborted(stage: &'static str) {
    counter!("tributary_stage_aborts_total", "stage" => stage).increment(1);
}

/// A stage could not take an input.
pub(crate) fn input_rejected(stage: &'static str, code: &str) {
    counter!("tributary_stage_rejects_total", "stage" => stage, "code" => code.to_owned()).increment(1);
}

/// Partitions of a worker: restored and running, and still to be restored; and the records that the restore at the front has
/// loaded so far.
pub(crate) fn stage_partitions(stage: &'static str, slot: u32, running: usize, waiting: usize, loaded: usize) {
    let slot = slot.to_string();
    gauge!("tributary_stage_partitions", "stage" => stage, "slot" => slot.clone(), "state" => "running")
        .set(running as f64);
    gauge!("tributary_stage_partitions", "stage" => stage, "slot" => slot.clone(), "state" => "restoring")
        .set(waiting as f64);
    gauge!("tributary_stage_restoring_records", "stage" => stage, "slot" => slot).set(loaded as f64);
}

/// The changelogs of some partitions are loaded.
pub(crate) fn changelogs_loaded(stage: &'static str, records: usize, took: Duration) {
    counter!("tributary_stage_restored_records_total", "stage" => stage).increment(records as u64);
    histogram!("tributary_stage_load_seconds", "stage" => stage).record(took.as_secs_f64());
}

/// The same partitions are recomputed and take inputs; the time is from the beginning of their restore.
pub(crate) fn partitions_restored(stage: &'static str, took: Duration) {
    histogram!("tributary_stage_restore_seconds", "stage" => stage).record(took.as_secs_f64());
}

/// The snapshot of a partition is written.
pub(crate) fn snapshot_written(stage: &'static str, bytes: u64, took: Duration) {
    counter!("tributary_snapshots_written_total", "stage" => stage).increment(1);
    counter!("tributary_snapshots_written_bytes_total", "stage" => stage).increment(bytes);
    histogram!("tributary_snapshot_write_seconds", "stage" => stage).record(took.as_secs_f64());
}

/// Partitions of a worker whose snapshot lacks so much that it is due.
pub(crate) fn snapshots_due(stage: &'static str, slot: u32, due: usize) {
    gauge!("tributary_snapshots_due", "stage" => stage, "slot" => slot.to_string()).set(due as f64);
}

/// The snapshot of a partition could not be written.
pub(crate) fn snapshot_failed(stage: &'static str) {
    counter!("tributary_snapshots_failed_total", "stage" => stage).increment(1);
}

/// A partition was looked for among the snapshots: `taken`, `absent`, `foreign` or `damaged`; and so many records of its changelogs
/// need not be read.
pub(crate) fn snapshot_asked(stage: &'static str, outcome: &'static str, records: usize) {
    counter!("tributary_snapshots_asked_total", "stage" => stage, "outcome" => outcome).increment(1);
    counter!("tributary_snapshots_records_total", "stage" => stage).increment(records as u64);
}

/// What a stage holds in memory, per worker.
pub(crate) fn stage_size(stage: &'static str, slot: u32, what: &'static str, count: usize) {
    gauge!("tributary_stage_size", "stage" => stage, "slot" => slot.to_string(), "what" => what).set(count as f64);
}

/// Broadcast records are in the process-wide store.
pub(crate) fn broadcast_applied(records: usize, entities: usize) {
    counter!("tributary_broadcast_records_total").increment(records as u64);
    gauge!("tributary_broadcast_entities").set(entities as f64);
}

/// A schema registry was asked for the schema of an id: `found`, `unknown`, or `away`.
pub(crate) fn registry_asked(outcome: &'static str) {
    counter!("tributary_registry_questions_total", "outcome" => outcome).increment(1);
}
