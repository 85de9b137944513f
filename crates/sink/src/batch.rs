//! A batch of messages into the rows of its tables: of each key only the newest version, which is all that a table keeps.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use tributary_model::reject::Reject;
use tributary_model::time::Millis;
use tributary_model::{CodecError, Topic};
use tributary_stream::Message;

use crate::rows::{Rows, Source};

/// When a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages. Half of this halves the engine's throughput (10k-row batches: measured); twice doubles what a retry repeats.
    pub rows: usize,
    /// Bytes of their values. Bounds memory when they are large.
    pub bytes: usize,
    /// How long messages are gathered. Bounds how late an analyst sees them; less makes parts too small to merge in time.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 50_000, bytes: 32 << 20, age: Duration::from_millis(250) }
    }
}

/// Topics of which each key's newest record replaces the others in its table.
const CURRENT_STATE: [Topic; 5] = [Topic::Risks, Topic::Findings, Topic::Context, Topic::Intel, Topic::Tickets];

/// Messages on their way into their tables. Rows of the large tables are made one at a time while they are written: a batch
/// of them would be several times the size of its messages.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    messages: &'a [Message],
    /// Places of what goes into `risks`, newest version of each key.
    pub risks: Vec<usize>,
    /// The same for `findings`.
    pub findings: Vec<usize>,
    /// The same for `tickets`.
    pub tickets: Vec<usize>,
    /// All of `risk_changes`.
    pub risk_changes: Vec<usize>,
    /// Rows of the small tables.
    pub rows: Rows<'a>,
    /// One for each message of the small tables that cannot be read: the partition moves on (F19).
    pub rejects: Vec<Reject>,
}

impl<'a> Batch<'a> {
    /// Sorts messages by table.
    #[must_use]
    pub fn new(messages: &'a [Message], now: Millis) -> Self {
        let mut batch = Self { messages, ..Self::default() };
        let mut newest: HashSet<(Topic, &[u8]), foldhash::fast::RandomState> = HashSet::default();
        // From the newest to the oldest.
        for (place, message) in messages.iter().enumerate().rev() {
            if CURRENT_STATE.contains(&message.topic) && !newest.insert((message.topic, &message.key)) {
                continue;
            }
            match message.topic {
                Topic::Risks => batch.risks.push(place),
                Topic::Findings => batch.findings.push(place),
                Topic::Tickets => batch.tickets.push(place),
                Topic::Changes => batch.risk_changes.push(place),
                _ => {
                    if let Err(error) = batch.rows.absorb(message) {
                        batch.rejects.push(reject(message, &error, now));
                    }
                }
            }
        }
        leave_newest(&mut batch.rows);
        batch
    }

    /// The rows of some places, made as they are asked for; none for tombstones, which follow a valued end record. A message
    /// that cannot be read becomes a reject, and the one before it under the same key is written.
    pub fn read<'b, R: 'b>(
        &'b self,
        places: &'b [usize],
        read: impl Fn(&'a [u8], Source) -> Result<R, CodecError> + 'b,
        rejects: &'b RefCell<Vec<Reject>>,
        now: Millis,
    ) -> impl Iterator<Item = R> + 'b {
        places.iter().filter_map(move |place| {
            let newest = &self.messages[*place];
            let is_same = |message: &&Message| message.topic == newest.topic && message.key == newest.key;
            let is_current = CURRENT_STATE.contains(&newest.topic);
            let before = self.messages[..*place].iter().rev().filter(move |_| is_current).filter(is_same);
            for message in std::iter::once(newest).chain(before) {
                match read(message.value.as_deref()?, Source::of(message)) {
                    Ok(row) => return Some(row),
                    Err(error) => rejects.borrow_mut().push(reject(message, &error, now)),
                }
            }
            None
        })
    }
}

fn reject(message: &Message, error: &CodecError, now: Millis) -> Reject {
    Reject {
        origin: message.origin(),
        stage: "sink".to_owned(),
        code: "malformed".to_owned(),
        reason: format!("{error}; the record was skipped, the table lacks it"),
        size_bytes: message.value.as_ref().map_or(0, |value| value.len() as i64),
        rejected_at: now,
        ..Reject::default()
    }
}

/// Leaves the newest version of each row whose key is not its message's: the lines of a scan, and an inventory that came twice.
fn leave_newest(rows: &mut Rows<'_>) {
    rows.scan_runs.sort_unstable_by(|a, b| {
        (&a.asset, &a.scope, &a.scan_id, b.version).cmp(&(&b.asset, &b.scope, &b.scan_id, a.version))
    });
    rows.scan_runs.dedup_by(|later, earlier| {
        (&later.asset, &later.scope, &later.scan_id) == (&earlier.asset, &earlier.scope, &earlier.scan_id)
    });
    rows.sbom_components.sort_unstable_by(|a, b| {
        (a.asset, a.purl, a.version_, b.version).cmp(&(b.asset, b.purl, b.version_, a.version))
    });
    rows.sbom_components.dedup_by(|later, earlier| {
        (later.asset, later.purl, later.version_) == (earlier.asset, earlier.purl, earlier.version_)
    });
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_model::AvroRecord;
    use tributary_model::risk::Risk;

    use super::*;
    use crate::rows::RiskRow;

    fn risk(key: &'static str, offset: u64, revision: i64) -> Message {
        let risk = Risk { component: "c".into(), generation: 7, revision, title: key.into(), ..Risk::default() };
        Message {
            topic: Topic::Risks,
            partition: 3,
            offset,
            key: Bytes::from_static(key.as_bytes()),
            value: Some(Bytes::from(risk.encode().unwrap())),
            headers: Vec::new(),
            timestamp: 0,
        }
    }

    fn revisions(batch: &Batch<'_>) -> (Vec<i64>, Vec<Reject>) {
        let rejects = RefCell::default();
        let rows: Vec<RiskRow<'_>> = batch.read(&batch.risks, RiskRow::read, &rejects, 5).collect();
        (rows.iter().map(|row| row.revision).collect(), rejects.into_inner())
    }

    #[test]
    fn only_the_newest_version_of_a_key_is_written() {
        let mut gone = risk("gone", 4, 4);
        gone.value = None;
        let messages = [risk("r", 1, 1), risk("r", 2, 2), risk("r", 3, 3), gone];
        assert_eq!(revisions(&Batch::new(&messages, 10)), (vec![3], vec![]));
    }

    #[test]
    fn an_inventory_that_came_twice_is_written_once() {
        use tributary_model::observation::{InventoryItem, Observation};
        let inventory = |offset, observed_at| {
            let item = InventoryItem { purl: "pkg:npm/a".into(), version: "1".into(), ..InventoryItem::default() };
            let seen = Observation { asset: "a".into(), observed_at, inventory: vec![item], ..Observation::default() };
            let value = Some(Bytes::from(seen.encode().unwrap()));
            Message { topic: Topic::Observations, offset, value, ..risk("a", 0, 0) }
        };
        let messages = [inventory(1, 70), inventory(2, 60)];
        let batch = Batch::new(&messages, 10);
        assert_eq!(batch.rows.sbom_components.iter().map(|row| row.version).collect::<Vec<_>>(), [70]);
    }

    #[test]
    fn what_cannot_be_read_is_a_reject_with_coordinates_and_hides_nothing() {
        let mut broken = risk("r", 9, 2);
        broken.value = Some(Bytes::from_static(b"garbage that is not avro"));
        let scan = Message { topic: Topic::Scans, ..broken.clone() };
        let messages = [risk("r", 8, 1), risk("other", 7, 6), broken, scan];
        let batch = Batch::new(&messages, 5);
        let at = |reject: &Reject| (reject.origin.topic.clone(), reject.origin.partition, reject.origin.offset);
        let (mut rows, rejects) = revisions(&batch);
        rows.sort_unstable();
        assert_eq!((rows, at(&rejects[0]), rejects.len()), (vec![1, 6], ("risks".to_owned(), 3, 9), 1));
        assert_eq!(batch.rejects.iter().map(at).collect::<Vec<_>>(), [("scans".to_owned(), 3, 9)]);
    }
}
