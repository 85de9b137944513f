//! Avro single-object encoding of the nouns, straight between bytes and structs: no intermediate value tree. Whole records by
//! position ([`write`], [`read`]); parts of records by the names of their fields, with `serde_avro_fast`.
//!
//! Layout: `C3 01`, the 64-bit CRC (Rabin) fingerprint of the writer's schema in little-endian order, the Avro body.
//! Decoding looks the writer's schema up by fingerprint; fields a reader does not know are skipped, fields a writer did
//! not know take their serde default: so one version reads the other, both ways.

use std::sync::LazyLock;

use apache_avro::rabin::Rabin;
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
mod write;

const MARKER: [u8; 2] = [0xC3, 0x01];
const HEADER_BYTES: usize = 10;

/// Why bytes are not a record of the expected type. The caller's move is always the same: reject, with coordinates.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No single-object header.
    #[error("not an Avro single-object record: it does not start with C3 01")]
    NotAvro,
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
        let fingerprint = schema.fingerprint::<Rabin>();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&fingerprint.bytes[..8]);
        let fast = text.parse().expect("schemas/avro holds a valid schema");
        Self { text, fingerprint: u64::from_le_bytes(bytes), fast }
    }
}

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
        let mut out = Vec::with_capacity(256);
        self.encode_into(&mut out)?;
        Ok(out)
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
    let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES).filter(|(header, _)| header[..2] == MARKER) else {
        return Err(CodecError::NotAvro);
    };
    let mut fingerprint = [0; 8];
    fingerprint.copy_from_slice(&header[2..]);
    let fingerprint = u64::from_le_bytes(fingerprint);
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
