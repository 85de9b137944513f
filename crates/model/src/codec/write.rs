//! A record's Avro body straight from its type. The schemas are derived from the types (a test compares them), so fields in
//! their declared order **are** the body, and no name has to be looked up: the stages write and read every record of the
//! pipeline several times, and names were most of what that cost.
//!
//! Shapes that no record has (maps, tuples, bytes, variants with content) are errors.

use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct};

/// Why a record cannot be written or read.
#[derive(Debug)]
pub(super) struct Error(pub(super) String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Appends the body of a record.
pub(super) fn write<T: Serialize>(record: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    record.serialize(&mut Body { out })
}

struct Body<'o> {
    out: &'o mut Vec<u8>,
}

impl Body<'_> {
    /// Zigzag, then seven bits a byte, lowest first (Avro specification, "int and long").
    fn number(&mut self, value: i64) {
        let mut left = ((value << 1) ^ (value >> 63)) as u64;
        while left >= 0x80 {
            self.out.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.out.push(left as u8);
    }
}

fn unsupported(what: &str) -> Error {
    Error(format!("no record has {what}"))
}

impl<'b, 'o> ser::Serializer for &'b mut Body<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'b, 'o>;
    type SerializeStruct = Fields<'b, 'o>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn is_human_readable(&self) -> bool {
        true // ids are text
    }
    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.push(u8::from(value));
        Ok(())
    }
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.number(value);
        Ok(())
    }
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.serialize_i64(i64::try_from(value).map_err(ser::Error::custom)?)
    }
    fn serialize_f32(self, _: f32) -> Result<(), Error> {
        Err(unsupported("a short fraction"))
    }
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }
    fn serialize_char(self, _: char) -> Result<(), Error> {
        Err(unsupported("a single character"))
    }
    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.number(text.len() as i64);
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(unsupported("bytes"))
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.number(0); // every union of the schemas is [null, T]
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.number(1);
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        Err(unsupported("a unit"))
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Err(unsupported("a unit"))
    }
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Error> {
        self.serialize_u32(index)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(unsupported("a variant with content"))
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'b, 'o>, Error> {
        let len = len.ok_or_else(|| unsupported("a list of unknown length"))?;
        if len > 0 {
            self.number(len as i64);
        }
        Ok(Items(self))
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unsupported("a tuple"))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unsupported("a tuple"))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unsupported("a variant with content"))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(unsupported("a map"))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'b, 'o>, Error> {
        Ok(Fields(self))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unsupported("a variant with content"))
    }
}

/// A list: one block with its length in front, then the empty block.
struct Items<'b, 'o>(&'b mut Body<'o>);

impl SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = Error;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        item.serialize(&mut *self.0)
    }
    fn end(self) -> Result<(), Error> {
        self.0.number(0);
        Ok(())
    }
}

/// A record: its fields, one after the other.
struct Fields<'b, 'o>(&'b mut Body<'o>);

impl SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.0)
    }
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}
