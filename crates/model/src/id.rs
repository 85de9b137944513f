//! Ids as functions of input identity (I7): BLAKE3 over length-prefixed canonical fields, cut to 128 bits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The identity rules in force. Part of every hash, so that ids under other rules can never be mistaken for these.
pub const IDENTITY_VERSION: &str = "kv1";

/// Feeds canonical fields to a hash. Each field is preceded by its length, so `("ab", "c")` and `("a", "bc")` differ.
pub struct IdHasher(blake3::Hasher);

impl IdHasher {
    /// A hasher for one kind of id; `domain` keeps kinds apart ("finding", "risk", "ticket").
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.field(IDENTITY_VERSION).field(domain);
        hasher
    }

    /// Adds one field. An absent field is the empty string; fields are positional.
    pub fn field(&mut self, field: impl AsRef<[u8]>) -> &mut Self {
        let bytes = field.as_ref();
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The first 128 bits of the hash.
    #[must_use]
    pub fn finish(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        id
    }
}

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected `{IDENTITY_VERSION}:` and 32 hexadecimal digits, found {0:?}")]
pub struct IdParseError(String);

/// Characters of a written id.
const WRITTEN: usize = IDENTITY_VERSION.len() + 1 + 32;

/// An id as text, without allocating: every record carries several.
struct Written([u8; WRITTEN]);

impl Written {
    fn of(id: [u8; 16]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let (mut text, at) = ([b':'; WRITTEN], IDENTITY_VERSION.len());
        text[..at].copy_from_slice(IDENTITY_VERSION.as_bytes());
        for (pair, byte) in text[at + 1..].chunks_exact_mut(2).zip(id) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// 32 lower-case digits; `None` for anything else.
fn read_hex(text: &[u8]) -> Option<[u8; 16]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 32 {
        return None;
    }
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(id)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first eight hexadecimal digits, for people; commands accept any unambiguous prefix.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string()[IDENTITY_VERSION.len() + 1..][..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Written::of(self.0).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdParseError;

            fn from_str(text: &str) -> Result<Self, IdParseError> {
                let bad = || IdParseError(text.chars().take(64).collect());
                let hex = text.strip_prefix(IDENTITY_VERSION).and_then(|rest| rest.strip_prefix(':')).ok_or_else(bad)?;
                read_hex(hex.as_bytes()).map(Self).ok_or_else(bad)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(Written::of(self.0).as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an id")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl apache_avro::schema::derive::AvroSchemaComponent for $name {
            fn get_schema_in_ctxt(
                _: &mut std::collections::HashMap<apache_avro::schema::Name, apache_avro::Schema>,
                _: &apache_avro::schema::Namespace,
            ) -> apache_avro::Schema {
                apache_avro::Schema::String
            }
        }
    };
}

id_type!(
    /// One tracked claim about one asset.
    FindingId
);
id_type!(
    /// One risk of one component.
    RiskId
);
id_type!(
    /// One fix target: what one change would fix; also the ticket key.
    RemedyId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_id_never_changes() {
        let mut hasher = IdHasher::new("finding");
        hasher.field("repo:github.com/acme/shop#main").field("vulnerability").field("CVE-2021-44228");
        assert_eq!(FindingId(hasher.finish()).to_string(), "kv1:05bab3bf08c48895e9e7e0a92df6c03b");
    }

    #[test]
    fn text_round_trips_and_refuses_the_rest() {
        let id = FindingId([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in
            ["", "kv1:", "kv2:07070707070707070707070707070707", "kv1:0707", "kv1:+7070707070707070707070707070707"]
        {
            assert!(bad.parse::<FindingId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn boundaries_count() {
        assert_ne!(
            IdHasher::new("x").field("ab").field("c").finish(),
            IdHasher::new("x").field("a").field("bc").finish()
        );
    }
}
