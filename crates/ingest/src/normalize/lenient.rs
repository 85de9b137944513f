//! Values as tools really write them: a number where the format says text, null for an empty list, one object for a list of one.
//! A wrong type in an optional place reads as absent; nothing here fails for it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Text, borrowed where the input has no escapes. Numbers and booleans become their text; anything else is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text, or `None` when there is nothing but white space in it.
    pub fn given(&self) -> Option<&str> {
        let text = self.0.trim();
        (!text.is_empty()).then_some(text)
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// The first of several texts that says something; empty when none does.
pub fn first<'t>(texts: impl IntoIterator<Item = &'t str>) -> &'t str {
    texts.into_iter().map(str::trim).find(|text| !text.is_empty()).unwrap_or_default()
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(if flag { "true" } else { "false" })))
    }
    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A number, also when written as text; absent or unreadable: `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number(pub Option<f64>);

impl Number {
    /// As a line number: 0 when absent, negative or too large.
    pub fn line(self) -> u32 {
        self.0.filter(|n| *n >= 0.0 && *n <= f64::from(u32::MAX)).map_or(0, |n| n as u32)
    }

    /// As an index into a list; `None` for SARIF's −1 and anything else that is not one.
    pub fn index(self) -> Option<usize> {
        self.0.filter(|n| *n >= 0.0 && *n <= f64::from(u32::MAX)).map(|n| n as usize)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Numbers come as numbers nearly always: going through text costs only the few that do not.
        struct NumberVisitor;
        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(Some(number as f64)))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(Some(number as f64)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(Some(number).filter(|n| n.is_finite())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.trim().parse().ok().filter(|n: &f64| n.is_finite())))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A flag: true only for `true`, "true" and "True"; everything else, also absence, is false.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| Self(text.eq_ignore_ascii_case("true")))
    }
}

/// A list; null or another scalar is an empty one, a single object or text a list of one. `was_given` tells an empty
/// list from an absent one, which in some formats separates "looked and found nothing" from "did not look".
#[derive(Debug, Clone, PartialEq)]
pub struct List<T> {
    /// The elements.
    pub items: Vec<T>,
    /// Whether the input had a list (or an element in its place).
    pub was_given: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), was_given: false }
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, was_given: true }
    }
}

impl<'t, T> IntoIterator for &'t List<T> {
    type Item = &'t T;
    type IntoIter = std::slice::Iter<'t, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List::from(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|item| List::from(vec![item]))
            }
            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<List<T>, E> {
                let item = T::deserialize(serde::de::value::BorrowedStrDeserializer::<E>::new(text));
                Ok(item.map_or_else(|_| List::default(), |item| List::from(vec![item])))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<List<T>, E> {
                let item = T::deserialize(serde::de::value::StrDeserializer::<E>::new(text));
                Ok(item.map_or_else(|_| List::default(), |item| List::from(vec![item])))
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<List<T>, E> {
                let item = T::deserialize(serde::de::value::U64Deserializer::<E>::new(number));
                Ok(item.map_or_else(|_| List::default(), |item| List::from(vec![item])))
            }
            fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
                Ok(List::default())
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// An object; anything else in its place reads as the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object<T>(pub T);

impl<T> Deref for Object<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object<T>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Object<T>, E> {
                Ok(Object::default())
            }
            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Object<T>, E> {
                Ok(Object::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Object<T>, E> {
                Ok(Object::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Object<T>, E> {
                Ok(Object::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Object<T>, E> {
                Ok(Object::default())
            }
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// An object read as its entries, in the order of the input; anything else is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<'a, T>(pub Vec<(Text<'a>, T)>);

impl<T> Default for Entries<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Entries<'_, T> {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, value)| value)
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<'de, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de, T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries<'de, T>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entries::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Entries<'de, T>, E> {
                Ok(Entries::default())
            }
            fn visit_unit<E>(self) -> Result<Entries<'de, T>, E> {
                Ok(Entries::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Entries<'de, T>, E> {
                Ok(Entries::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Entries<'de, T>, E> {
                Ok(Entries::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Entries<'de, T>, E> {
                Ok(Entries::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Entries<'de, T>, E> {
                Ok(Entries::default())
            }
        }
        deserializer.deserialize_any(EntriesVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Default, Debug, PartialEq)]
    #[serde(default)]
    struct Sample<'a> {
        #[serde(borrow)]
        text: Text<'a>,
        line: Number,
        flag: Flag,
        #[serde(borrow)]
        list: List<Text<'a>>,
        #[serde(borrow)]
        object: Object<Inner<'a>>,
        #[serde(borrow)]
        map: Entries<'a, Text<'a>>,
    }

    #[derive(serde::Deserialize, Default, Debug, PartialEq)]
    #[serde(default)]
    struct Inner<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }

    #[test]
    fn every_field_takes_every_type() {
        for value in ["null", "true", "1", "-1", "1.5", "\"x\"", "\"\\n\"", "[]", "[\"a\",\"b\"]", "{}"] {
            let json = format!(
                r#"{{"text":{value},"line":{value},"flag":{value},"list":{},"object":{value},"map":{value}}}"#,
                if value == "{}" { "null" } else { value }
            );
            serde_json::from_str::<Sample<'_>>(&json).unwrap_or_else(|error| panic!("{value}: {error}"));
        }
    }

    #[test]
    fn values_are_what_they_say() {
        let json = r#"{"text":7,"line":"12","flag":"True","list":"one","object":{"name":"n"},"map":{"k":"v"}}"#;
        let sample: Sample<'_> = serde_json::from_str(json).unwrap();
        assert_eq!((&*sample.text, sample.line.line(), sample.flag.0), ("7", 12, true));
        assert_eq!((&*sample.list[0], &*sample.object.name), ("one", "n"));
        assert_eq!(sample.map.get("k").map(|v| &**v), Some("v"));
        assert!(matches!(sample.list[0].0, Cow::Borrowed(_)), "text without escapes is borrowed");
    }

    #[test]
    fn an_absent_list_is_not_an_empty_one() {
        let given = |json: &str| serde_json::from_str::<Sample<'_>>(json).unwrap().list.was_given;
        assert!(given(r#"{"list":[]}"#));
        assert!(!given(r#"{"list":null}"#));
        assert!(!given("{}"));
    }
}
