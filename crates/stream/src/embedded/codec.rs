//! How keys and values of the store are laid out; integers in keys are big-endian so that byte order is number order.
//! One function pair per shape; the round trips are tested below.

use std::cell::RefCell;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use lz4_flex::block::{compress_into, compress_prepend_size, get_maximum_output_size};
use tributary_model::Topic;
use tributary_model::time::Millis;

use super::block;
use crate::log::LogError;
use crate::message::{Message, Output};

/// Bytes of a record key: topic code, partition, offset.
pub(super) const RECORD_KEY_BYTES: usize = 1 + 4 + 8;
const TOMBSTONE: u8 = 1;
const HEADERS: u8 = 2;
/// The value is an LZ4 block behind its length.
const COMPRESSED: u8 = 4;
/// Several records in one entry: see [`super::block`].
pub(super) const BLOCK: u8 = 8;
/// Values of so many bytes are compressed here, once, on the thread of whoever writes them; the store would do it in its journal, in
/// every flush and in every compaction. 4 KiB: of a smaller one that is alone there is little to gain.
const COMPRESS_BYTES: usize = 4 << 10;
/// No record is larger, so a damaged length cannot ask for more. 256 MiB: more than an intake takes.
const VALUE_BYTES_MAX: usize = 256 << 20;
/// Time, flags, key length.
const PREAMBLE_BYTES: usize = 8 + 1 + 4;

/// Topic and partition.
pub(super) fn partition_key(topic: Topic, partition: u32) -> [u8; 5] {
    let mut key = [0; 5];
    key[0] = topic.code();
    key[1..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// Topic, partition, offset.
pub(super) fn record_key(topic: Topic, partition: u32, offset: u64) -> [u8; RECORD_KEY_BYTES] {
    let mut key = [0; RECORD_KEY_BYTES];
    key[..5].copy_from_slice(&partition_key(topic, partition));
    key[5..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The offset of a record key.
pub(super) fn offset_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(5..RECORD_KEY_BYTES)?.try_into().ok()?))
}

/// Where key and value of an encoded record are.
pub(super) struct Layout {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Encodes an output that is an entry of its own: as stored, and as readers get it but for the offset.
pub(super) fn encode(output: Output, partition: u32, timestamp: Millis) -> (Bytes, Message) {
    let write = |compressed: Option<&[u8]>| {
        let value_bytes = compressed.or(output.value.as_deref()).map_or(0, <[u8]>::len);
        let mut out = BytesMut::with_capacity(PREAMBLE_BYTES + output.key.len() + header_bytes(&output) + value_bytes);
        let layout = put(&output, compressed, timestamp, &mut out);
        (out.freeze(), layout, compressed.is_some())
    };
    let (stored, layout, is_compressed) = match output.value.as_deref().filter(|value| is_worth_it(value)) {
        Some(value) => with_lz4(value, |block| write((block.len() < value.len()).then_some(block))),
        None => write(None),
    };
    let Output { topic, value, headers, .. } = output;
    let value = if is_compressed { value } else { value.map(|_| stored.slice(layout.value)) };
    let message = Message { topic, partition, offset: 0, key: stored.slice(layout.key), value, headers, timestamp };
    (stored, message)
}

fn header_bytes(output: &Output) -> usize {
    2 + output.headers.iter().map(|(name, text)| 8 + name.len() + text.len()).sum::<usize>()
}

/// Appends a record; `compressed` is its value as [`with_lz4`] gave it.
pub(super) fn put(output: &Output, compressed: Option<&[u8]>, timestamp: Millis, out: &mut BytesMut) -> Layout {
    let Output { key, value, headers, .. } = output;
    let mut flags = 0;
    if compressed.is_some() {
        flags |= COMPRESSED;
    }
    if value.is_none() {
        flags |= TOMBSTONE;
    }
    if !headers.is_empty() {
        flags |= HEADERS;
    }
    out.put_i64_le(timestamp);
    out.put_u8(flags);
    out.put_u32_le(key.len() as u32);
    let key_at = out.len();
    out.put_slice(key);
    if !headers.is_empty() {
        out.put_u16_le(headers.len() as u16);
        for part in headers.iter().flat_map(|(name, text)| [name, text]) {
            out.put_u32_le(part.len() as u32);
            out.put_slice(part.as_bytes());
        }
    }
    let value_at = out.len();
    out.put_slice(compressed.or(value.as_deref()).unwrap_or_default());
    Layout { key: key_at..key_at + key.len(), value: value_at..out.len() }
}

fn is_worth_it(value: &[u8]) -> bool {
    (COMPRESS_BYTES..=VALUE_BYTES_MAX).contains(&value.len())
}

thread_local! {
    /// Where a block is compressed: it may become larger than what it is made of, and mostly becomes a fifth of it. Memory of that
    /// size for each block, cleared first, took longer than some of the blocks.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a thread keeps of it. 1 MiB: hardly a report is larger.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// Hands on an LZ4 block behind its length.
pub(super) fn with_lz4<T>(value: &[u8], then: impl FnOnce(&[u8]) -> T) -> T {
    let bytes_max = 4 + get_maximum_output_size(value.len());
    if bytes_max > SCRATCH_BYTES_MAX {
        return then(&compress_prepend_size(value));
    }
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < bytes_max {
            scratch.resize(bytes_max, 0);
        }
        let (length, block) = scratch.split_at_mut(4);
        length.copy_from_slice(&(value.len() as u32).to_le_bytes());
        match compress_into(value, block) {
            Ok(bytes) => then(&scratch[..4 + bytes]),
            // Only for want of room.
            Err(_) => then(&compress_prepend_size(value)),
        }
    })
}

/// What is in an LZ4 block behind its length.
pub(super) fn decompress(stored: &[u8]) -> Option<Bytes> {
    let (length, block) = stored.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let value = lz4_flex::block::decompress(block, length.min(VALUE_BYTES_MAX)).ok()?;
    (value.len() == length).then(|| Bytes::from(value))
}

/// Reads a stored record.
pub(super) fn decode(topic: Topic, partition: u32, offset: u64, stored: &Bytes) -> Result<Message, LogError> {
    parse(topic, partition, offset, stored).ok_or_else(|| block::damaged(topic, partition, offset))
}

fn parse(topic: Topic, partition: u32, offset: u64, stored: &Bytes) -> Option<Message> {
    let timestamp = timestamp_of(stored)?;
    let flags = *stored.get(8)?;
    let key_len = u32::from_le_bytes(stored.get(9..13)?.try_into().ok()?) as usize;
    let key_end = PREAMBLE_BYTES.checked_add(key_len).filter(|end| *end <= stored.len())?;
    let mut at = key_end;
    let headers = if flags & HEADERS == 0 { Vec::new() } else { parse_headers(stored, &mut at)? };
    let value = match flags & (TOMBSTONE | COMPRESSED) {
        0 => Some(stored.slice(at..)),
        COMPRESSED => Some(decompress(stored.get(at..)?)?),
        _ => None,
    };
    Some(Message { topic, partition, offset, key: stored.slice(PREAMBLE_BYTES..key_end), value, headers, timestamp })
}

fn parse_headers(stored: &[u8], at: &mut usize) -> Option<Vec<(String, String)>> {
    fn text(stored: &[u8], at: &mut usize) -> Option<String> {
        let len = u32::from_le_bytes(stored.get(*at..*at + 4)?.try_into().ok()?) as usize;
        let text = stored.get(*at + 4..(*at + 4).checked_add(len)?)?;
        *at += 4 + len;
        Some(String::from_utf8_lossy(text).into_owned())
    }
    let count = u16::from_le_bytes(stored.get(*at..*at + 2)?.try_into().ok()?);
    *at += 2;
    (0..count).map(|_| Some((text(stored, at)?, text(stored, at)?))).collect()
}

/// What cleaning looks at.
pub(super) struct Glance<'a> {
    pub key: &'a [u8],
    pub timestamp: Millis,
    pub is_tombstone: bool,
}

/// Reads only as much of a stored record.
pub(super) fn glance(stored: &[u8]) -> Option<Glance<'_>> {
    let key_len = u32::from_le_bytes(stored.get(9..13)?.try_into().ok()?) as usize;
    Some(Glance {
        key: stored.get(PREAMBLE_BYTES..PREAMBLE_BYTES.checked_add(key_len)?)?,
        timestamp: timestamp_of(stored)?,
        is_tombstone: stored.get(8)? & TOMBSTONE != 0,
    })
}

/// The time of a stored record.
pub(super) fn timestamp_of(stored: &[u8]) -> Option<Millis> {
    Some(Millis::from_le_bytes(stored.get(..8)?.try_into().ok()?))
}

/// What is kept of a partition beside its records. Kept because the last records may be gone, and offsets never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extent {
    /// No record is below.
    pub start: u64,
    /// The next offset to assign.
    pub end: u64,
    /// Stored bytes of the records between.
    pub bytes: u64,
    /// The same after the last cleaning; only of topics that compact.
    pub clean: u64,
}

impl Extent {
    /// As stored.
    pub(super) fn encode(self) -> Vec<u8> {
        [self.start, self.end, self.bytes, self.clean].iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// As read.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        // Format 1 had no fourth.
        Some(Self { start: number(0)?, end: number(8)?, bytes: number(16)?, clean: number(24).unwrap_or_default() })
    }
}

/// Group, zero, topic, partition: a committed position.
pub(super) fn position_key(group: &str, topic: Topic, partition: u32) -> Vec<u8> {
    let mut out = position_prefix(group);
    out.extend_from_slice(&partition_key(topic, partition));
    out
}

/// All committed positions of a group.
pub(super) fn position_prefix(group: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(group.len() + 6);
    out.extend_from_slice(group.as_bytes());
    out.push(0);
    out
}

/// Group, topic code and partition of a position key.
pub(super) fn split_position_key(key: &[u8]) -> Option<(&str, Topic, u32)> {
    let (group, place) = key.split_at_checked(key.len().checked_sub(6)?)?;
    let partition = u32::from_be_bytes(place.get(2..6)?.try_into().ok()?);
    Some((std::str::from_utf8(group).ok()?, topic_of(place[1])?, partition))
}

fn topic_of(code: u8) -> Option<Topic> {
    Topic::ALL.into_iter().find(|topic| topic.code() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let headers = vec![("ce_type".to_owned(), "é".to_owned()), (String::new(), "x".repeat(300))];
        for (value, headers) in [
            (Some(Bytes::from_static(b"v")), headers.clone()),
            (Some(Bytes::new()), Vec::new()),
            (Some(Bytes::from("a report ".repeat(5000))), headers.clone()),
            (None, headers),
            (None, Vec::new()),
        ] {
            let output = Output {
                topic: Topic::Facts,
                partition_key: "k".to_owned(),
                key: Bytes::from_static(b"key"),
                value,
                headers,
            };
            let (stored, message) = encode(output, 7, 1234);
            let read = decode(Topic::Facts, 7, 0, &stored).unwrap();
            assert_eq!(read, message);
            let glance = glance(&stored).unwrap();
            assert_eq!((glance.key, glance.timestamp), (&b"key"[..], 1234));
            assert_eq!(glance.is_tombstone, read.value.is_none());
            assert!(stored.len() < 4 << 10, "what repeats is stored once");
        }
    }

    #[test]
    fn damaged_blocks_are_errors_not_panics() {
        let output = Output {
            topic: Topic::Facts,
            partition_key: "k".to_owned(),
            key: Bytes::from_static(b"key"),
            value: Some(Bytes::from("a report ".repeat(5000))),
            headers: Vec::new(),
        };
        let (stored, _) = encode(output, 7, 1234);
        for cut in PREAMBLE_BYTES..stored.len() {
            assert!(decode(Topic::Facts, 7, 0, &stored.slice(..cut)).is_err(), "cut at {cut}");
        }
        let value_at = PREAMBLE_BYTES + 3;
        for at in value_at..stored.len() {
            let mut bytes = stored.to_vec();
            bytes[at] ^= 0xff;
            // The block has no checksum of its own: the store's catch what the disk does.
            drop(decode(Topic::Facts, 7, 0, &Bytes::from(bytes)));
        }
    }

    #[test]
    fn damaged_records_are_errors_not_panics() {
        let output = Output {
            topic: Topic::Facts,
            partition_key: "k".to_owned(),
            key: Bytes::from_static(b"key"),
            value: Some(Bytes::from_static(b"value")),
            headers: vec![("a".to_owned(), "b".to_owned())],
        };
        let (stored, _) = encode(output, 7, 1234);
        let value_at = stored.len() - 5;
        for cut in 0..value_at {
            assert!(decode(Topic::Facts, 7, 0, &stored.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn keys_round_trip_and_sort_by_number() {
        assert!(record_key(Topic::Facts, 1, 255) < record_key(Topic::Facts, 1, 256));
        assert!(record_key(Topic::Facts, 1, u64::MAX) < record_key(Topic::Facts, 2, 0));
        assert_eq!(offset_of(&record_key(Topic::Facts, 1, 77)), Some(77));
        let key = position_key("assess", Topic::Findings, 300);
        assert_eq!(split_position_key(&key), Some(("assess", Topic::Findings, 300)));
        let extent = Extent { start: 1, end: 2, bytes: 3, clean: 4 };
        assert_eq!(Extent::decode(&extent.encode()), Some(extent));
        assert_eq!(Extent::decode(&extent.encode()[..24]), Some(Extent { clean: 0, ..extent }), "format 1");
        assert_eq!(split_position_key(b"x"), None);
    }
}
