//! Avro single-object encoding of the nouns, straight between bytes and structs: no intermediate value tree. Whole records by
//! position ([`write`], [`read`]); parts of records by the names of their fields, with `serde_avro_fast`.
//!
//! Layout: `C3 01`, the 64-bit CRC (Rabin) fingerprint of the writer's schema in little-endian order, the Avro body.
//! A record of another release is read where its schema can be had ([`transcode`]): fields a reader does not know are skipped,
//! fields a writer did not know take their serde default, so one version reads the other, both ways.

use std::cell::RefCell;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::EntityContext;
use crate::fact::{EntityAssertions, Fact};
use crate::finding::{Finding, TrackedFinding};
use crate::observation::Observation;
use crate::profile::AssetProfile;
use crate::reject::Reject;
use crate::remedy::RemedyMember;
use crate::risk::{Change, Risk};
use crate::scan::ScanRun;
use crate::versions::Versions;

mod read;
mod topics;
mod transcode;
mod write;

pub use topics::{OfTopic, schema_of, with_record};
pub use transcode::{WriterSchema, split, transcode, with_header};

const MARKER: [u8; 2] = [0xC3, 0x01];
const HEADER_BYTES: usize = 10;

/// Why bytes are not a record of the expected type. The caller's move is always the same: reject, with coordinates.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No single-object header.
    #[error("not an Avro single-object record: it does not start with C3 01")]
    NotAvro,
    /// The id of a schema stands where the marker belongs, and nobody could say which schema that is.
    #[error(
        "schema id {0} of a schema registry: none is configured here (kafka.schema_registry.url), or it does not know the id"
    )]
    UnknownId(u32),
    /// The writer's schema is not one this build has.
    #[error("unknown schema fingerprint {0:016x} for {1}: written by a newer version, or to the wrong topic")]
    UnknownSchema(u64, &'static str),
    /// The body does not follow the schema.
    #[error("the body does not follow the schema of {0}: {1}")]
    Body(&'static str, String),
}

/// A schema as shipped in `schemas/avro`, parsed once.
pub struct RecordSchema {
    /// Text of the `.avsc` file.
    pub text: &'static str,
    /// Fingerprint in its single-object header.
    pub fingerprint: u64,
    fast: serde_avro_fast::Schema,
}

impl RecordSchema {
    #[allow(clippy::expect_used)] // the texts are compiled in, and a test parses each
    fn parse(text: &'static str) -> Self {
        let schema = apache_avro::Schema::parse_str(text).expect("schemas/avro holds a valid schema");
        let fast = text.parse().expect("schemas/avro holds a valid schema");
        Self { text, fingerprint: transcode::fingerprint(&schema), fast }
    }
}

thread_local! {
    /// Where a record is written before it gets memory of its own, exactly as much as it needs: one that grows while it is written is
    /// copied several times, and what it has too much is kept as long as the record.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a thread keeps of it. 64 KiB: hardly a record is larger.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

/// A noun that travels as Avro. One per topic; see [`crate::Topic`].
pub trait AvroRecord: Serialize + DeserializeOwned {
    /// Name of the record and of its file in `schemas/avro`.
    const NAME: &'static str;

    /// The schema this build writes.
    fn schema() -> &'static RecordSchema;

    /// Appends header and body to `out`.
    fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let schema = Self::schema();
        out.extend_from_slice(&MARKER);
        out.extend_from_slice(&schema.fingerprint.to_le_bytes());
        write::write(self, out).map_err(|error| CodecError::Body(Self::NAME, error.to_string()))
    }

    /// Header and body.
    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            self.encode_into(scratch)?;
            let record = scratch.as_slice().to_vec();
            scratch.shrink_to(SCRATCH_BYTES_MAX);
            Ok(record)
        })
    }

    /// Reads a record back.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        read::read(body(bytes, Self::schema(), Self::NAME)?)
            .map_err(|error| CodecError::Body(Self::NAME, error.to_string()))
    }

    /// Reads a part of a record: fields that `T` does not name are skipped, and text may be borrowed. For readers that want a
    /// few fields of many records.
    fn decode_as<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
        let schema = Self::schema();
        serde_avro_fast::from_datum_slice(body(bytes, schema, Self::NAME)?, &schema.fast)
            .map_err(|error| CodecError::Body(Self::NAME, error.to_string()))
    }
}

/// What follows the header, if that names this schema.
fn body<'a>(bytes: &'a [u8], schema: &RecordSchema, name: &'static str) -> Result<&'a [u8], CodecError> {
    let Some((fingerprint, body)) = split(bytes) else {
        return Err(match bytes {
            [0, id @ ..] if id.len() >= 4 => CodecError::UnknownId(u32::from_be_bytes([id[0], id[1], id[2], id[3]])),
            _ => CodecError::NotAvro,
        });
    };
    if fingerprint == schema.fingerprint { Ok(body) } else { Err(CodecError::UnknownSchema(fingerprint, name)) }
}

/// Reads the record `R` into its borrowed form ([`crate::borrowed`]).
pub(crate) fn decode_borrowed<'a, R: AvroRecord, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    read::read(body(bytes, R::schema(), R::NAME)?).map_err(|error| CodecError::Body(R::NAME, error.to_string()))
}

macro_rules! avro_record {
    ($($type:ty => $file:literal),+ $(,)?) => {
        $(impl AvroRecord for $type {
            const NAME: &'static str = $file;
            fn schema() -> &'static RecordSchema {
                static SCHEMA: LazyLock<RecordSchema> = LazyLock::new(|| {
                    RecordSchema::parse(include_str!(concat!("../../../schemas/avro/", $file, ".avsc")))
                });
                &SCHEMA
            }
        })+

        /// Name and text of every schema.
        #[must_use]
        pub fn schemas() -> Vec<(&'static str, &'static RecordSchema)> {
            vec![$(($file, <$type>::schema())),+]
        }

        #[cfg(test)]
        pub(crate) fn derived() -> Vec<(&'static str, apache_avro::Schema)> {
            vec![$(($file, <$type as apache_avro::AvroSchema>::get_schema())),+]
        }
    };
}

avro_record! {
    Fact => "fact",
    Observation => "observation",
    EntityAssertions => "assertions",
    EntityContext => "context",
    TrackedFinding => "tracked",
    ScanRun => "scan",
    AssetProfile => "asset",
    Finding => "finding",
    Risk => "risk",
    Change => "change",
    RemedyMember => "remedy",
    Reject => "reject",
    Versions => "versions",
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{body_of, samples, write_again};
