//! Records that another release wrote, as this one would have written them.

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::schema_compatibility::SchemaCompatibility;

use super::topics::{OfTopic, with_record};
use super::{AvroRecord, CodecError, HEADER_BYTES, MARKER, RecordSchema};
use crate::Topic;

/// The schema that a record was written with, as somebody else gave it.
pub struct WriterSchema {
    /// Its fingerprint, as in a single-object header.
    pub fingerprint: u64,
    fast: serde_avro_fast::Schema,
}

impl WriterSchema {
    /// Parses a schema in JSON; an error in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fingerprint = fingerprint(&Schema::parse_str(text).map_err(|error| error.to_string())?);
        let fast = text.parse::<serde_avro_fast::Schema>().map_err(|error| error.to_string())?;
        Ok(Self { fingerprint, fast })
    }
}

impl RecordSchema {
    /// What keeps one release from reading the other's records, in either direction, if anything does.
    pub fn check_exchange(&self, other: &str) -> Result<(), String> {
        let own = Schema::parse_str(self.text).map_err(|error| error.to_string())?;
        let other = Schema::parse_str(other).map_err(|error| error.to_string())?;
        SchemaCompatibility::can_read(&other, &own)
            .map_err(|error| format!("this build could not read records of it: {error}"))?;
        SchemaCompatibility::can_read(&own, &other)
            .map_err(|error| format!("whoever knows only it could not read records of this build: {error}"))
    }
}

pub(super) fn fingerprint(schema: &Schema) -> u64 {
    let digest = schema.fingerprint::<Rabin>();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.bytes[..8]);
    u64::from_le_bytes(bytes)
}

/// Fingerprint and body of a record in single-object encoding.
#[must_use]
pub fn split(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).filter(|(header, _)| header[..2] == MARKER)?;
    let mut fingerprint = [0; 8];
    fingerprint.copy_from_slice(&header[2..]);
    Some((u64::from_le_bytes(fingerprint), body))
}

/// The other way.
#[must_use]
pub fn with_header(fingerprint: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&fingerprint.to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// A body of a topic, written with another schema, as this build writes it, header included. Resolved by the names of fields, as
/// Avro's specification resolves schemas; what cannot be resolved is an error. `None` for topics that carry no Avro.
#[must_use]
pub fn transcode(topic: Topic, writer: &WriterSchema, body: &[u8]) -> Option<Result<Vec<u8>, CodecError>> {
    struct Transcode<'a>(&'a WriterSchema, &'a [u8]);
    impl OfTopic for Transcode<'_> {
        type Out = Result<Vec<u8>, CodecError>;
        fn of<T: AvroRecord>(self) -> Self::Out {
            let mut left = self.1;
            let read = serde_avro_fast::from_datum_reader::<_, T>(&mut left, &self.0.fast);
            let record = read.map_err(|error| CodecError::Body(T::NAME, error.to_string()))?;
            if !left.is_empty() {
                return Err(CodecError::Body(T::NAME, format!("{} bytes behind its end", left.len())));
            }
            record.encode()
        }
    }
    with_record(topic, Transcode(writer, body))
}
