//! Puts the body of a request, decompressed, into an anonymous file in memory.
//! Inline data is not safe with this engine: it ends at the first blank line, which binary rows contain.

use super::block;
use crate::exec::Exception;
use axum::body::Body;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use futures_util::StreamExt;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, ErrorKind, Write};

/// A new anonymous file.
pub(super) fn anonymous_file() -> io::Result<File> {
    Ok(File::from(memfd_create("tributary-body", MemfdFlags::CLOEXEC)?))
}

/// Reads the whole body; more than `limit` plain bytes are refused.
pub(super) async fn collect(body: Body, encoding: &str, native: bool, limit: u64) -> Result<File, Exception> {
    let file = anonymous_file().map_err(|error| failed(&error))?;
    let mut decoder = Decoder::new(encoding, native, Limited { file, left: limit })?;
    let mut frames = body.into_data_stream();
    while let Some(frame) = frames.next().await {
        let frame =
            frame.map_err(|error| Exception::new(210, "NETWORK_ERROR", format!("the body was cut off: {error}")))?;
        decoder.push(&frame).map_err(|error| failed(&error))?;
    }
    decoder.finish().map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Exception {
    match error.kind() {
        ErrorKind::FileTooLarge => Exception::new(307, "TOO_MANY_BYTES", error),
        _ => Exception::new(271, "CANNOT_DECOMPRESS", format!("Cannot read the body: {error}")),
    }
}

struct Limited {
    file: File,
    left: u64,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "Limit for the size of a request body exceeded"));
        }
        let written = self.file.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder {
    Identity(Limited),
    Gzip(MultiGzDecoder<Limited>),
    Deflate(ZlibDecoder<Limited>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Limited>>),
    /// Its decoder only reads, so the frames are gathered first; the limit applies to them too.
    Lz4(Vec<u8>, Limited),
    /// Native blocks, and the beginning of the next one.
    Native(Vec<u8>, Limited),
}

impl Decoder {
    fn new(encoding: &str, native: bool, out: Limited) -> Result<Self, Exception> {
        Ok(match (encoding.trim().to_ascii_lowercase().as_str(), native) {
            ("" | "identity", false) => Self::Identity(out),
            ("" | "identity", true) => Self::Native(Vec::new(), out),
            ("gzip" | "x-gzip", false) => Self::Gzip(MultiGzDecoder::new(out)),
            ("deflate", false) => Self::Deflate(ZlibDecoder::new(out)),
            ("zstd", false) => {
                Self::Zstd(Box::new(zstd::stream::write::Decoder::new(out).map_err(|error| failed(&error))?))
            }
            ("lz4", false) => Self::Lz4(Vec::new(), out),
            (other, _) => {
                let message = format!("Unknown compression method {}", other.escape_default());
                return Err(Exception::new(89, "UNKNOWN_COMPRESSION_METHOD", message));
            }
        })
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(out) => out.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes),
            Self::Deflate(decoder) => decoder.write_all(bytes),
            Self::Zstd(decoder) => decoder.write_all(bytes),
            Self::Lz4(buffer, out) if (buffer.len() + bytes.len()) as u64 <= out.left => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Self::Lz4(..) => {
                Err(io::Error::new(ErrorKind::FileTooLarge, "Limit for the size of a request body exceeded"))
            }
            Self::Native(buffer, out) => {
                buffer.extend_from_slice(bytes);
                while let Some(plain) = block::decode(buffer)? {
                    out.write_all(&plain)?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<File> {
        Ok(match self {
            Self::Identity(out) => out.file,
            Self::Gzip(decoder) => decoder.finish()?.file,
            Self::Deflate(decoder) => decoder.finish()?.file,
            Self::Zstd(mut decoder) => {
                decoder.flush()?;
                decoder.into_inner().file
            }
            Self::Lz4(buffer, mut out) => {
                io::copy(&mut lz4_flex::frame::FrameDecoder::new(&buffer[..]), &mut out)?;
                out.file
            }
            Self::Native(buffer, out) if buffer.is_empty() => out.file,
            Self::Native(..) => {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the last compressed block is cut off"));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    fn decode(encoding: &str, native: bool, bytes: &[u8], limit: u64) -> Result<Vec<u8>, u32> {
        let out = Limited { file: anonymous_file().unwrap(), left: limit };
        let mut decoder = Decoder::new(encoding, native, out).map_err(|error| error.code)?;
        for part in bytes.chunks(7) {
            decoder.push(part).map_err(|error| failed(&error).code)?;
        }
        let mut file = decoder.finish().map_err(|error| failed(&error).code)?;
        let mut plain = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut plain).unwrap();
        Ok(plain)
    }

    #[test]
    fn every_encoding_is_undone() {
        let plain = b"\n\nsome rows, again and again and again\n\n".repeat(20);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&plain).unwrap();
        let mut native = Vec::new();
        block::encode(&plain, &mut native);
        assert_eq!(decode("", false, &plain, 9999).unwrap(), plain);
        assert_eq!(decode("gzip", false, &gzip.finish().unwrap(), 9999).unwrap(), plain);
        assert_eq!(decode("lz4", false, &lz4.finish().unwrap(), 9999).unwrap(), plain);
        assert_eq!(decode("zstd", false, &zstd::encode_all(&plain[..], 1).unwrap(), 9999).unwrap(), plain);
        assert_eq!(decode("", true, &native, 9999).unwrap(), plain);
    }

    #[test]
    fn bombs_stumps_and_the_unknown_are_refused() {
        let bomb = zstd::encode_all(&vec![0_u8; 1 << 20][..], 1).unwrap();
        assert_eq!(decode("zstd", false, &bomb, 1000), Err(307));
        let mut native = Vec::new();
        block::encode(b"0123456789", &mut native);
        assert_eq!(decode("", true, &native[..native.len() - 1], 1000), Err(271));
        assert_eq!(decode("br", false, b"x", 1000), Err(89));
    }
}
