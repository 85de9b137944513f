//! Blocks: what one transaction appends to one partition is stored as few entries, each compressed as a whole.
//!
//! Records of one partition say much the same: the same component, tools, words. One by one there is little to compress in them,
//! and each cost the store an entry in its journal, its memory and its files. A block is stored under the offset of its **last**
//! record, so the first entry at or behind an offset is the one that has it.
//!
//! ```text
//! entry:  time | BLOCK | length | LZ4( record* )        or one record as it is: codec::encode
//! record: how far before the last offset | length | as codec::encode writes it, never compressed itself
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use hashbrown::HashMap;
use tributary_model::Topic;
use tributary_model::time::Millis;

use super::codec::{self, BLOCK};
use crate::log::LogError;
use crate::message::{Message, Output};

/// A block is closed at so many bytes of records. 64 KiB: what LZ4 looks back; a larger one would be read for one record.
const BLOCK_BYTES: usize = 64 << 10;
/// Values of so many bytes are entries of their own. 16 KiB: reports and bundles have enough to compress in themselves, and their bytes
/// need not be copied into a block.
const ALONE_BYTES: usize = 16 << 10;
/// Before each record of a block: two lengths.
const FRAME_BYTES: usize = 8;

/// An entry of the store in the making: made on the caller's thread, so that the committer only assigns offsets.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) topic: Topic,
    pub(super) partition: u32,
    /// The stored value.
    pub(super) stored: Bytes,
    /// Its records as readers get them, but for their offsets; at least one.
    pub(super) messages: Vec<Message>,
}

/// Entries of these outputs, each with its partition; of one partition in their order.
pub(super) fn pack(outputs: impl IntoIterator<Item = (Output, u32)>, timestamp: Millis) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut open: HashMap<(Topic, u32), Open> = HashMap::new();
    for (output, partition) in outputs {
        let place = (output.topic, partition);
        let block = open.entry(place).or_default();
        if output.value.as_ref().is_some_and(|value| value.len() >= ALONE_BYTES) {
            entries.extend(block.close(place, timestamp));
            entries.push(alone(output, partition, timestamp));
            continue;
        }
        block.push(output, timestamp);
        if block.raw.len() >= BLOCK_BYTES {
            entries.extend(block.close(place, timestamp));
        }
    }
    let mut rest: Vec<_> = open.into_iter().collect();
    rest.sort_by_key(|((topic, partition), _)| (topic.code(), *partition));
    for (place, mut block) in rest {
        entries.extend(block.close(place, timestamp));
    }
    entries
}

fn alone(output: Output, partition: u32, timestamp: Millis) -> Entry {
    let topic = output.topic;
    let (stored, message) = codec::encode(output, partition, timestamp);
    Entry { topic, partition, stored, messages: vec![message] }
}

/// A block that more may come into. Its buffer serves one block after the other.
#[derive(Default)]
struct Open {
    raw: BytesMut,
    records: Vec<Record>,
}

/// A record of an open block, and where in it.
struct Record {
    output: Output,
    frame_at: usize,
    layout: codec::Layout,
}

impl Open {
    fn push(&mut self, output: Output, timestamp: Millis) {
        let frame_at = self.raw.len();
        self.raw.put_bytes(0, FRAME_BYTES);
        let layout = codec::put(&output, None, timestamp, &mut self.raw);
        self.records.push(Record { output, frame_at, layout });
    }

    /// The entry; nothing is left in it. A record that is alone is stored as it is.
    fn close(&mut self, place: (Topic, u32), timestamp: Millis) -> Option<Entry> {
        let (topic, partition) = place;
        let (raw, count) = (&mut self.raw, self.records.len());
        if count <= 1 {
            raw.clear();
            return self.records.pop().map(|record| alone(record.output, partition, timestamp));
        }
        for (place, record) in self.records.iter().enumerate() {
            let end = self.records.get(place + 1).map_or(raw.len(), |next| next.frame_at);
            let frame = &mut raw[record.frame_at..record.frame_at + FRAME_BYTES];
            write_frame(frame, (count - 1 - place) as u32, (end - record.frame_at - FRAME_BYTES) as u32);
        }
        let stored = compress(raw, timestamp);
        // As much memory as the records need: readers may keep them.
        let held = Bytes::copy_from_slice(raw);
        raw.clear();
        let message = |Record { output, layout, .. }: Record| Message {
            topic,
            partition,
            offset: 0,
            key: held.slice(layout.key),
            value: output.value.is_some().then(|| held.slice(layout.value)),
            headers: output.headers,
            timestamp,
        };
        Some(Entry { topic, partition, stored, messages: self.records.drain(..).map(message).collect() })
    }
}

fn write_frame(frame: &mut [u8], behind: u32, length: u32) {
    frame[..4].copy_from_slice(&behind.to_le_bytes());
    frame[4..].copy_from_slice(&length.to_le_bytes());
}

/// The stored block.
fn compress(raw: &[u8], timestamp: Millis) -> Bytes {
    codec::with_lz4(raw, |block| {
        let mut out = BytesMut::with_capacity(8 + 1 + block.len());
        out.put_i64_le(timestamp);
        out.put_u8(BLOCK);
        out.put_slice(block);
        out.freeze()
    })
}

/// The records of an entry, each with its offset and its bytes; `last` is what the entry is stored under.
pub(super) fn records(stored: &Bytes, last: u64) -> Option<Vec<(u64, Bytes)>> {
    if stored.get(8)? & BLOCK == 0 {
        return Some(vec![(last, stored.clone())]);
    }
    let number = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let raw = codec::decompress(stored.get(9..)?)?;
    let (mut found, mut at) = (Vec::new(), 0);
    while at < raw.len() {
        let (behind, length) = (number(&raw, at)?, number(&raw, at + 4)? as usize);
        let begin = at + FRAME_BYTES;
        at = begin.checked_add(length).filter(|end| *end <= raw.len())?;
        found.push((last.checked_sub(u64::from(behind))?, raw.slice(begin..at)));
    }
    Some(found)
}

/// An entry with only these of its records; `None` when there are none. Stored under the same offset as before.
pub(super) fn repack(kept: &[(u64, Bytes)], last: u64) -> Option<Bytes> {
    let newest = kept.iter().filter_map(|(_, record)| codec::timestamp_of(record)).max()?;
    if let [(offset, record)] = kept
        && *offset == last
    {
        return Some(record.clone());
    }
    let mut raw = Vec::with_capacity(kept.iter().map(|(_, record)| FRAME_BYTES + record.len()).sum());
    for (offset, record) in kept {
        let mut frame = [0; FRAME_BYTES];
        write_frame(&mut frame, (last - offset) as u32, record.len() as u32);
        raw.extend_from_slice(&frame);
        raw.extend_from_slice(record);
    }
    Some(compress(&raw, newest))
}

/// An entry that cannot be read.
pub(super) fn damaged(topic: Topic, partition: u32, last: u64) -> LogError {
    LogError::fatal(format!("record {topic}/{partition}/{last} in the store is damaged; restore the directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(key: usize, value: Option<String>) -> Output {
        Output {
            topic: Topic::Findings,
            partition_key: "k".to_owned(),
            key: format!("key {key}").into(),
            value: value.map(Bytes::from),
            headers: if key.is_multiple_of(3) { vec![("a".to_owned(), "é".to_owned())] } else { Vec::new() },
        }
    }

    /// What readers get of entries that are stored one after the other from offset 100.
    fn read(entries: &[Entry]) -> Vec<Message> {
        let mut next = 100;
        let mut read = Vec::new();
        for entry in entries {
            next += entry.messages.len() as u64;
            for (offset, record) in records(&entry.stored, next - 1).unwrap() {
                read.push(codec::decode(entry.topic, entry.partition, offset, &record).unwrap());
            }
        }
        read
    }

    #[test]
    fn what_is_packed_is_read_again_in_order() {
        let value = |n: usize| match n {
            7 => None,
            20 => Some("a report ".repeat(4_000)),
            21 => Some(String::new()),
            n => Some(format!("finding {n} of a component ").repeat(1 + n % 40)),
        };
        for count in [1, 2, 3, 20, 21, 22, 400] {
            let entries = pack((0..count).map(|n| (output(n, value(n)), 3)), 1234);
            let mut told: Vec<Message> = entries.iter().flat_map(|entry| entry.messages.clone()).collect();
            told.iter_mut().enumerate().for_each(|(n, message)| message.offset = 100 + n as u64);
            assert_eq!(read(&entries), told);
            let expected: Vec<_> = (0..count).map(|n| (output(n, None).key, value(n).map(Bytes::from))).collect();
            assert_eq!(told.into_iter().map(|message| (message.key, message.value)).collect::<Vec<_>>(), expected);
            let raw: usize = (0..count).map(|n| value(n).map_or(0, |value| value.len())).sum();
            let stored: usize = entries.iter().map(|entry| entry.stored.len()).sum();
            assert!(count < 20 || 4 * stored < raw, "{count}: {stored} of {raw}");
        }
    }

    #[test]
    fn partitions_are_kept_apart() {
        let entries = pack((0..10).map(|n| (output(n, Some(n.to_string())), (n % 2) as u32)), 5);
        let keys = |partition: u32| -> Vec<String> {
            let entries = entries.iter().filter(|entry| entry.partition == partition);
            entries.flat_map(|entry| &entry.messages).map(|message| message.key_str().to_owned()).collect()
        };
        assert_eq!(keys(0), ["key 0", "key 2", "key 4", "key 6", "key 8"]);
        assert_eq!(keys(1), ["key 1", "key 3", "key 5", "key 7", "key 9"]);
    }

    #[test]
    fn a_repacked_block_has_what_was_kept_at_its_offsets() {
        let entries = pack((0..9).map(|n| (output(n, Some(n.to_string())), 0)), 5);
        let all = records(&entries[0].stored, 108).unwrap();
        assert_eq!(all.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), (100..109).collect::<Vec<_>>());
        for kept in [vec![0], vec![8], vec![1, 4], vec![2, 8], (0..9).collect()] {
            let kept: Vec<_> = kept.into_iter().map(|n: usize| all[n].clone()).collect();
            assert_eq!(records(&repack(&kept, 108).unwrap(), 108), Some(kept));
        }
        assert_eq!(repack(&[], 108), None);
    }

    #[test]
    fn a_damaged_block_is_no_records_and_no_panic() {
        let entries = pack((0..50).map(|n| (output(n, Some(n.to_string().repeat(n))), 0)), 5);
        let stored = &entries[0].stored;
        for cut in 0..stored.len() {
            assert_eq!(records(&stored.slice(..cut), 60), None, "cut at {cut}");
        }
        for at in 8..stored.len() {
            let mut bytes = stored.to_vec();
            bytes[at] ^= 0xff;
            // The block has no checksum of its own: the store's catch what the disk does.
            drop(records(&Bytes::from(bytes), 60));
        }
        assert_eq!(records(stored, 10), None, "offsets before the first one");
    }
}
