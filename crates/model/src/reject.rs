//! What could not be taken in, where it was, and what a person can do about it.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Where an input came from: the coordinates of a record on the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Origin {
    /// Topic name without prefix.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: i64,
}

/// One input that yielded no event (I1). Key on the log: `topic/partition/offset`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Reject {
    /// The record that was rejected.
    pub origin: Origin,
    /// The stage that rejected it.
    pub stage: String,
    /// Short machine-readable reason: `truncated`, `too_deep`, `unknown_format`, `no_asset`, `not_granted` …
    pub code: String,
    /// One sentence a person can act on; names the fix. Never contains input text that may be a secret.
    pub reason: String,
    /// Where in the input: `line 3 column 14`, `$.runs[0].results[7]`; empty when it is the whole.
    pub at: String,
    /// The format that was detected or declared; empty when none was.
    pub format: String,
    /// The class of source; empty for rejects of inner topics.
    pub class: String,
    /// CloudEvents source; empty when the producer gave none.
    pub source: String,
    /// At most 256 bytes of the input with secrets redacted; empty when redaction cannot be sure.
    pub excerpt: String,
    /// Size of the input, bytes.
    pub size_bytes: i64,
    /// Processing time.
    pub rejected_at: Millis,
}
