//! The other way of [`super::write`]: a body that was written with the schema of this very build, straight into its type.

use serde::de::value::U32Deserializer;
use serde::de::{self, Deserialize, DeserializeSeed, EnumAccess, IntoDeserializer, SeqAccess, VariantAccess, Visitor};

use super::write::Error;

/// Reads a body; all of it.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let mut body = Body { left: body };
    let record = T::deserialize(&mut body)?;
    if body.left.is_empty() { Ok(record) } else { Err(Error(format!("{} bytes behind its end", body.left.len()))) }
}

struct Body<'a> {
    left: &'a [u8],
}

impl<'a> Body<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let (taken, left) = self.left.split_at_checked(bytes).ok_or_else(|| Error("it ends too early".to_owned()))?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (first, left) = self.left.split_first().ok_or_else(|| Error("it ends too early".to_owned()))?;
        self.left = left;
        Ok(*first)
    }

    fn number(&mut self) -> Result<i64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(Error("a number of more than 64 bits".to_owned()))
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let len = usize::try_from(self.number()?).map_err(|_| Error("a text of negative length".to_owned()))?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Error("a text that is not UTF-8".to_owned()))
    }
}

macro_rules! numbers {
    ($($method:ident),+) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_i64(self.number()?)
        })+
    };
}

macro_rules! no {
    ($($method:ident($($argument:ty),*): $what:literal),+ $(,)?) => {
        $(fn $method<V: Visitor<'a>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Error> {
            Err(Error(concat!("no record has ", $what).to_owned()))
        })+
    };
}

impl<'a> de::Deserializer<'a> for &mut Body<'a> {
    type Error = Error;

    numbers!(
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_i64,
        deserialize_u8,
        deserialize_u16,
        deserialize_u32,
        deserialize_u64
    );

    no! {
        deserialize_any(): "a field without a type",
        deserialize_ignored_any(): "a field without a type",
        deserialize_identifier(): "a name",
        deserialize_char(): "a single character",
        deserialize_bytes(): "bytes",
        deserialize_byte_buf(): "bytes",
        deserialize_unit(): "a unit",
        deserialize_unit_struct(&'static str): "a unit",
        deserialize_tuple(usize): "a tuple",
        deserialize_tuple_struct(&'static str, usize): "a tuple",
        deserialize_map(): "a map",
        deserialize_f32(): "a short fraction",
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            other => Err(Error(format!("{other} where yes or no belongs"))),
        }
    }
    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        visitor.visit_f64(f64::from_le_bytes(bytes))
    }
    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }
    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }
    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.number()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            other => Err(Error(format!("branch {other} of a field that has two"))),
        }
    }
    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = Items { body: self, left: 0, ended: false };
        items.next_block()?;
        let list = visitor.visit_seq(&mut items)?;
        if items.ended { Ok(list) } else { Err(Error("a list that goes on".to_owned())) }
    }
    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { body: self, left: fields.len() })
    }
    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let index = u32::try_from(self.number()?).map_err(|_| Error("a word outside its list".to_owned()))?;
        visitor.visit_enum(Word(index))
    }
    fn is_human_readable(&self) -> bool {
        true // ids are text
    }
}

struct Fields<'b, 'a> {
    body: &'b mut Body<'a>,
    left: usize,
}

impl<'a> SeqAccess<'a> for Fields<'_, 'a> {
    type Error = Error;
    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.body).map(Some)
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Items<'b, 'a> {
    body: &'b mut Body<'a>,
    /// Items left in this block.
    left: u64,
    ended: bool,
}

impl Items<'_, '_> {
    fn next_block(&mut self) -> Result<(), Error> {
        let count = self.body.number()?;
        if count < 0 {
            self.body.number()?; // its size in bytes, for readers that skip
        }
        self.left = count.unsigned_abs();
        self.ended = count == 0;
        Ok(())
    }
}

impl<'a> SeqAccess<'a> for &mut Items<'_, 'a> {
    type Error = Error;
    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.ended {
            return Ok(None);
        }
        let item = seed.deserialize(&mut *self.body)?;
        self.left -= 1;
        if self.left == 0 {
            self.next_block()?;
        }
        Ok(Some(item))
    }
    fn size_hint(&self) -> Option<usize> {
        // An item has at least one byte: what a damaged length promises is not reserved.
        usize::try_from(self.left).ok().map(|left| left.min(self.body.left.len()))
    }
}

struct Word(u32);

impl<'a> EnumAccess<'a> for Word {
    type Error = Error;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let index: U32Deserializer<Error> = self.0.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'a> VariantAccess<'a> for Word {
    type Error = Error;
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, _: S) -> Result<S::Value, Error> {
        Err(Error("no record has a variant with content".to_owned()))
    }
    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error("no record has a variant with content".to_owned()))
    }
    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Err(Error("no record has a variant with content".to_owned()))
    }
}
