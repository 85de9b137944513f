//! What is read from and written to the log.

use bytes::Bytes;
use tributary_model::reject::Origin;
use tributary_model::time::Millis;
use tributary_model::topic::Topic;
use tributary_model::{AvroRecord, CodecError};

/// A record of the log as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: u32,
    /// Offset. Ascending within a partition, not dense.
    pub offset: u64,
    /// Key.
    pub key: Bytes,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// Time of append, in milliseconds since the epoch.
    pub timestamp: Millis,
}

impl Message {
    /// Coordinates, for causes and rejects.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { topic: self.topic.name().to_owned(), partition: self.partition, offset: self.offset as i64 }
    }

    /// Bytes of key and value.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, Bytes::len)) as u64
    }

    /// The key as text; empty when it is not UTF-8.
    #[must_use]
    pub fn key_str(&self) -> &str {
        std::str::from_utf8(&self.key).unwrap_or_default()
    }
}

/// A partition of a topic and the next offset to read: one more than the last one processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: u32,
    /// Next offset to read.
    pub next: u64,
}

/// A record to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Topic.
    pub topic: Topic,
    /// Decides the partition ([`tributary_model::topic::partition_of`]).
    pub partition_key: String,
    /// Key.
    pub key: Bytes,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
}

impl Output {
    /// What it takes on a log beside the log's own framing, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, text)| name.len() + text.len() + 16).sum();
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + headers
    }
}

/// What a step emits, in order. Appended and committed together with positions, or not at all.
#[derive(Debug, Default)]
pub struct Outputs {
    records: Vec<Output>,
    bytes: usize,
}

impl Outputs {
    /// Appends an Avro record.
    pub fn put<T: AvroRecord>(
        &mut self,
        topic: Topic,
        partition_key: &str,
        key: impl Into<Bytes>,
        value: &T,
    ) -> Result<(), CodecError> {
        let value = Bytes::from(value.encode()?);
        self.push(Output {
            topic,
            partition_key: partition_key.to_owned(),
            key: key.into(),
            value: Some(value),
            headers: Vec::new(),
        });
        Ok(())
    }

    /// Appends a tombstone.
    pub fn delete(&mut self, topic: Topic, partition_key: &str, key: impl Into<Bytes>) {
        self.push(Output {
            topic,
            partition_key: partition_key.to_owned(),
            key: key.into(),
            value: None,
            headers: Vec::new(),
        });
    }

    /// Appends a record.
    pub fn push(&mut self, output: Output) {
        self.bytes += output.key.len() + output.value.as_ref().map_or(0, Bytes::len) + 64;
        self.records.push(output);
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Approximate size on the log, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> &[Output] {
        &self.records
    }

    /// Takes the records out.
    #[must_use]
    pub fn into_records(self) -> Vec<Output> {
        self.records
    }
}
