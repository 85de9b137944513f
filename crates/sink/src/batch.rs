//! Rows gathered per table and partition until there are enough of them, or they are old enough.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_model::reject::Reject;
use tributary_model::time::Millis;
use tributary_stream::Message;

use crate::rows::{self, Row};

/// When a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows. Half of this halves the engine's throughput (10k-row batches: measured); twice doubles what a retry repeats.
    pub rows: usize,
    /// Approximate bytes held. Bounds memory when rows are large.
    pub bytes: usize,
    /// Age of the oldest row. Bounds how late an analyst sees it; less makes parts too small to merge in time.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 50_000, bytes: 32 << 20, age: Duration::from_millis(250) }
    }
}

/// A table, and for current-state tables the one bucket that an insert touches (an insert is atomic only inside one partition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Table name.
    pub table: &'static str,
    /// Bucket; 0 for tables that are partitioned by month.
    pub bucket: u8,
}

/// Rows on their way to ClickHouse.
#[derive(Debug, Default)]
pub struct Batch {
    rows: BTreeMap<Target, Vec<Row>>,
    count: usize,
    bytes: usize,
    oldest: Option<Millis>,
}

impl Batch {
    /// Adds the rows of a message. A message that cannot be read becomes a reject; the partition moves on (F19).
    #[allow(clippy::result_large_err)] // a reject is rare, and boxing it would only move the bytes
    pub fn absorb(&mut self, message: &Message, now: Millis) -> Result<(), Reject> {
        let rows = rows::rows_of(message).map_err(|error| Reject {
            origin: message.origin(),
            stage: "sink".to_owned(),
            code: "malformed".to_owned(),
            reason: format!("{error}; the record was skipped, the table lacks it"),
            size_bytes: message.value.as_ref().map_or(0, |value| value.len() as i64),
            rejected_at: now,
            ..Reject::default()
        })?;
        if rows.is_empty() {
            return Ok(());
        }
        self.oldest.get_or_insert(now);
        self.count += rows.len();
        self.bytes += message.value.as_ref().map_or(64, |value| value.len() * 2);
        for row in rows {
            self.rows.entry(target(&row)).or_default().push(row);
        }
        Ok(())
    }

    /// Whether it is time to write.
    #[must_use]
    pub fn is_due(&self, limits: &Limits, now: Millis) -> bool {
        let age = self.oldest.map_or(0, |oldest| now.saturating_sub(oldest));
        self.count >= limits.rows || self.bytes >= limits.bytes || age >= limits.age.as_millis() as Millis
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many rows wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Takes the rows, by target in canonical order. Within a current-state table only the newest version of each key is
    /// left: the others would be merged away.
    #[must_use]
    pub fn take(&mut self) -> Vec<(Target, Vec<Row>)> {
        let rows = std::mem::take(&mut self.rows);
        *self = Self::default();
        rows.into_iter()
            .map(|(target, mut rows)| {
                keep_newest(&mut rows);
                (target, rows)
            })
            .collect()
    }
}

fn target(row: &Row) -> Target {
    let (table, bucket) = match row {
        Row::Risk(row) => ("risks", row.bucket),
        Row::Finding(row) => ("findings", row.bucket),
        Row::Component(row) => ("components", row.bucket),
        Row::Deployment(row) => ("deployments", row.bucket),
        Row::Intel(row) => ("intel", row.bucket),
        Row::Ticket(row) => ("tickets", row.bucket),
        Row::Scan(row) => ("scan_runs", row.bucket),
        Row::Sbom(row) => ("sbom_components", row.bucket),
        Row::Change(_) => ("risk_changes", 0),
        Row::Reject(_) => ("rejects", 0),
    };
    Target { table, bucket }
}

/// Sorts by key (pre-sorted batches insert faster) and drops all but the newest version of each key.
fn keep_newest(rows: &mut Vec<Row>) {
    rows.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| version(b).cmp(&version(a))));
    rows.dedup_by(|later, earlier| key(later) == key(earlier));
}

/// The ORDER BY key of the row's table.
fn key(row: &Row) -> (&str, &str, &str, i64, i64) {
    match row {
        Row::Risk(row) => (&row.component, &row.risk, "", 0, 0),
        Row::Finding(row) => (&row.component, &row.finding, "", 0, 0),
        Row::Component(row) => (&row.component, "", "", 0, 0),
        Row::Deployment(row) => (&row.workload, "", "", 0, 0),
        Row::Intel(row) => (&row.vulnerability, "", "", 0, 0),
        Row::Ticket(row) => (&row.ticket, "", "", 0, 0),
        Row::Scan(row) => (&row.asset, &row.scope, &row.scan_id, 0, 0),
        Row::Sbom(row) => (&row.asset, &row.purl, &row.version_, 0, 0),
        Row::Change(row) => (&row.component, &row.risk, "", row.generation, row.revision),
        Row::Reject(row) => (&row.topic, "", "", i64::from(row.partition), row.offset),
    }
}

fn version(row: &Row) -> u64 {
    match row {
        Row::Risk(row) => row.version,
        Row::Finding(row) => row.version,
        Row::Component(row) => row.version,
        Row::Deployment(row) => row.version,
        Row::Intel(row) => row.version,
        Row::Ticket(row) => row.version,
        Row::Scan(row) => row.version,
        Row::Sbom(row) => row.version,
        Row::Change(row) => row.version,
        Row::Reject(row) => row.version,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_model::risk::Risk;
    use tributary_model::{AvroRecord, Topic};

    use super::*;

    fn risk(offset: u64, revision: i64) -> Message {
        let risk = Risk { component: "c".into(), generation: 7, revision, ..Risk::default() };
        Message {
            topic: Topic::Risks,
            partition: 3,
            offset,
            key: Bytes::from_static(b"r"),
            value: Some(Bytes::from(risk.encode().unwrap())),
            headers: Vec::new(),
            timestamp: 0,
        }
    }

    #[test]
    fn only_the_newest_version_of_a_key_is_written() {
        let mut batch = Batch::default();
        for (offset, revision) in [(1, 1), (2, 3), (3, 2)] {
            batch.absorb(&risk(offset, revision), 10).unwrap();
        }
        let taken = batch.take();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].0, Target { table: "risks", bucket: 3 });
        let Row::Risk(row) = &taken[0].1[0] else { panic!("a risk") };
        assert_eq!((taken[0].1.len(), row.revision), (1, 3));
        assert!(batch.is_empty());
    }

    #[test]
    fn due_by_rows_or_age_never_when_empty() {
        let limits = Limits { rows: 2, bytes: 1 << 20, age: Duration::from_millis(100) };
        let mut batch = Batch::default();
        assert!(!batch.is_due(&limits, 1_000_000));
        batch.absorb(&risk(1, 1), 1_000).unwrap();
        assert!(!batch.is_due(&limits, 1_099));
        assert!(batch.is_due(&limits, 1_100));
        batch.absorb(&risk(2, 2), 1_000).unwrap();
        assert!(batch.is_due(&limits, 1_000));
    }

    #[test]
    fn what_cannot_be_read_is_a_reject_with_coordinates() {
        let mut message = risk(9, 1);
        message.value = Some(Bytes::from_static(b"garbage that is not avro"));
        let reject = Batch::default().absorb(&message, 5).unwrap_err();
        assert_eq!((reject.origin.topic.as_str(), reject.origin.partition, reject.origin.offset), ("risks", 3, 9));
    }
}
