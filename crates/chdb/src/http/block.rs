//! ClickHouse's native compression (`compress=1`, `decompress=1`): blocks of LZ4, each with a CityHash128 of its
//! compressed bytes. Layout: 16 bytes of checksum, 1 of method, 4 of compressed size with these 9, 4 of plain size.

use std::io::{self, ErrorKind};

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;
const ZSTD: u8 = 0x90;
const NONE: u8 = 0x02;
/// The engine's own blocks are 1 MiB and clients' at most a few; a larger claim is an attack on memory.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// The size of our own blocks.
const BLOCK_BYTES: usize = 1 << 20;

/// Appends `plain` to `out` as LZ4 blocks.
pub(super) fn encode(plain: &[u8], out: &mut Vec<u8>) {
    for part in plain.chunks(BLOCK_BYTES) {
        let compressed = lz4_flex::block::compress(part);
        let mut block = Vec::with_capacity(HEADER + compressed.len());
        block.push(LZ4);
        block.extend_from_slice(&((HEADER + compressed.len()) as u32).to_le_bytes());
        block.extend_from_slice(&(part.len() as u32).to_le_bytes());
        block.extend_from_slice(&compressed);
        out.extend_from_slice(&checksum(&block));
        out.extend_from_slice(&block);
    }
}

/// Takes the first whole block off `buffer` and returns its plain bytes; `None` if it is not whole yet.
pub(super) fn decode(buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    if buffer.len() < CHECKSUM + HEADER {
        return Ok(None);
    }
    let size = |at: usize| u32::from_le_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]) as usize;
    let (method, compressed, plain) = (buffer[CHECKSUM], size(CHECKSUM + 1), size(CHECKSUM + 5));
    if !(HEADER..=BLOCK_BYTES_MAX).contains(&compressed) || plain > BLOCK_BYTES_MAX {
        return Err(bad("the size of a compressed block is out of range"));
    }
    let end = CHECKSUM + compressed;
    if buffer.len() < end {
        return Ok(None);
    }
    if checksum(&buffer[CHECKSUM..end])[..] != buffer[..CHECKSUM] {
        return Err(bad("the checksum of a compressed block does not match"));
    }
    let data = &buffer[CHECKSUM + HEADER..end];
    let decoded = match method {
        LZ4 => lz4_flex::block::decompress(data, plain).map_err(bad)?,
        ZSTD => zstd::bulk::decompress(data, plain)?,
        NONE => data.to_vec(),
        other => return Err(bad(format!("compression method {other:#x} is not known"))),
    };
    if decoded.len() != plain {
        return Err(bad("a compressed block has another size than it says"));
    }
    buffer.drain(..end);
    Ok(Some(decoded))
}

fn checksum(block: &[u8]) -> [u8; CHECKSUM] {
    // ClickHouse stores the high half first.
    cityhash_rs::cityhash_102_128(block).rotate_right(64).to_le_bytes()
}

fn bad(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_survive_any_split() {
        let plain: Vec<u8> = (0..3_000_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let mut encoded = Vec::new();
        encode(&plain, &mut encoded);
        let (mut buffer, mut decoded) = (Vec::new(), Vec::new());
        for part in encoded.chunks(70_001) {
            buffer.extend_from_slice(part);
            while let Some(block) = decode(&mut buffer).unwrap() {
                decoded.extend_from_slice(&block);
            }
        }
        assert!(buffer.is_empty() && decoded == plain);
    }

    #[test]
    fn a_changed_byte_or_an_impossible_size_is_refused() {
        let mut encoded = Vec::new();
        encode(b"some bytes that are worth a checksum", &mut encoded);
        let mut changed = encoded.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(decode(&mut changed).is_err());
        encoded[CHECKSUM + 1..CHECKSUM + 5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode(&mut encoded).is_err());
    }
}
