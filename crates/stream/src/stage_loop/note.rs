//! What a worker remembers beside a position: how far it had seen the broadcasts, and when it wrote that.
//! Layout: version byte, time (i64 LE), then per partition: topic code, LEB128 partition, LEB128 next offset.

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::time::Millis;

use crate::message::Position;

const VERSION: u8 = 1;

/// Broadcast positions at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub at: Millis,
    pub seen: Vec<Position>,
}

impl Note {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(9 + self.seen.len() * 6);
        out.push(VERSION);
        out.extend_from_slice(&self.at.to_le_bytes());
        for position in &self.seen {
            out.push(position.topic.code());
            put(&mut out, u64::from(position.partition));
            put(&mut out, position.next);
        }
        Bytes::from(out)
    }

    /// `None` if it is absent, of another version or damaged: then everything is recomputed.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_at_checked(9)?;
        if head[0] != VERSION {
            return None;
        }
        let at = Millis::from_le_bytes(head[1..].try_into().ok()?);
        let mut seen = Vec::new();
        while let Some((code, tail)) = rest.split_first() {
            rest = tail;
            let topic = Topic::ALL.into_iter().find(|topic| topic.code() == *code)?;
            let partition = u32::try_from(take(&mut rest)?).ok()?;
            seen.push(Position { topic, partition, next: take(&mut rest)? });
        }
        Some(Self { at, seen })
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_round_trip_and_damage_is_none() {
        let seen = vec![
            Position { topic: Topic::Context, partition: 0, next: 0 },
            Position { topic: Topic::Intel, partition: 300, next: u64::MAX },
        ];
        let note = Note { at: -5, seen };
        let bytes = note.encode();
        assert_eq!(Note::decode(&bytes), Some(note));
        assert_eq!(Note::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Note::decode(&[]), None);
        assert_eq!(Note::decode(&[9; 9]), None);
    }
}
