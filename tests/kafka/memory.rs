//! A ClickHouse with little memory: a statement that is too large for it would be too large for ever.

use tributary_model::Topic;

use crate::check::latest;
use crate::engine::Engine;
use crate::fleet::{Fleet, wait_until};
use crate::input::synthetic;

/// So many findings make a batch of several thousand wide rows.
const FINDINGS: u32 = 12_000;
/// Too little for that batch, and enough for a part of it.
const QUERY_MEMORY_BYTES: u64 = 16 << 20;

#[test]
fn rows_that_are_too_many_for_one_statement_go_in_pieces() {
    let engine = Engine::with_query_memory(QUERY_MEMORY_BYTES);
    let mut fleet = Fleet::new(Some(&engine));
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    for record in &synthetic(FINDINGS) {
        fleet.post(record);
    }
    // All at once for the sink.
    wait_until("tickets are there", || !latest(&log, Topic::Tickets).is_empty());
    fleet.start("sink-0");
    fleet.wait_done(&log);
    assert!(
        fleet.metric("sink-0", "tributary_sink_parted_total", "") > 0.0,
        "the engine took everything at once: this tests nothing"
    );
    for (table, topic) in [("findings", Topic::Findings), ("risks", Topic::Risks), ("tickets", Topic::Tickets)] {
        assert_eq!(engine.count(&format!("SELECT count() FROM {table} FINAL")), latest(&log, topic).len(), "{table}");
    }
    assert!(fleet.is_ready("sink-0"));
}
