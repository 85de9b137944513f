//! How an answer is compressed: what the client accepts, or ClickHouse's own blocks when it asks for them.
//! An encoder takes bytes and gives bytes; a flush puts all it was given so far in what it gives.

use super::block;
use axum::http::HeaderMap;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::FrameEncoder;
use std::io::{self, Write};
use std::mem::take;

/// The encodings of an answer.
pub(super) enum Encoder {
    /// As it is.
    Identity(Vec<u8>),
    /// `Content-Encoding: gzip`.
    Gzip(GzEncoder<Vec<u8>>),
    /// `Content-Encoding: deflate`, which is zlib.
    Deflate(ZlibEncoder<Vec<u8>>),
    /// `Content-Encoding: zstd`.
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    /// `Content-Encoding: lz4`, which is LZ4 frames.
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    /// `compress=1`: native blocks.
    Native(Vec<u8>),
}

impl Encoder {
    /// The cheapest encoding that the client accepts. `native` and `http` are its explicit wishes.
    pub(super) fn choose(headers: &HeaderMap, native: bool, http: bool) -> io::Result<Self> {
        if native {
            return Ok(Self::Native(Vec::new()));
        }
        let accepted = headers.get("accept-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepts = |name: &str| {
            http && accepted.split(',').any(|item| {
                let (coding, quality) = item.split_once(';').unwrap_or((item, ""));
                coding.trim().eq_ignore_ascii_case(name) && quality.replace(' ', "") != "q=0"
            })
        };
        Ok(if accepts("lz4") {
            Self::Lz4(Box::new(FrameEncoder::new(Vec::new())))
        } else if accepts("zstd") {
            Self::Zstd(Box::new(zstd::stream::write::Encoder::new(Vec::new(), 1)?))
        } else if accepts("gzip") {
            Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast()))
        } else if accepts("deflate") {
            Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast()))
        } else {
            Self::Identity(Vec::new())
        })
    }

    /// The value of `Content-Encoding`, if there is one.
    pub(super) fn content_encoding(&self) -> Option<&'static str> {
        match self {
            Self::Identity(_) | Self::Native(_) => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Deflate(_) => Some("deflate"),
            Self::Zstd(_) => Some("zstd"),
            Self::Lz4(_) => Some("lz4"),
        }
    }

    /// Encodes `plain` and returns what is ready; `flush` makes that everything.
    pub(super) fn push(&mut self, plain: &[u8], flush: bool) -> io::Result<Vec<u8>> {
        let put = |writer: &mut dyn Write| {
            writer.write_all(plain)?;
            if flush { writer.flush() } else { Ok(()) }
        };
        match self {
            Self::Identity(out) => {
                put(out)?;
                Ok(take(out))
            }
            Self::Gzip(encoder) => put(encoder).map(|()| take(encoder.get_mut())),
            Self::Deflate(encoder) => put(encoder).map(|()| take(encoder.get_mut())),
            Self::Zstd(encoder) => put(encoder.as_mut()).map(|()| take(encoder.get_mut())),
            Self::Lz4(encoder) => put(encoder.as_mut()).map(|()| take(encoder.get_mut())),
            Self::Native(out) => {
                block::encode(plain, out);
                Ok(take(out))
            }
        }
    }

    /// Ends the encoding and returns the rest.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity(out) | Self::Native(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn encoder(accept: &'static str, native: bool, http: bool) -> Encoder {
        let headers = HeaderMap::from_iter([("accept-encoding".parse().unwrap(), accept.parse().unwrap())]);
        Encoder::choose(&headers, native, http).unwrap()
    }

    #[test]
    fn the_clients_wish_is_heard() {
        assert_eq!(encoder("gzip, lz4;q=0", false, true).content_encoding(), Some("gzip"));
        assert_eq!(encoder("br, gzip;q=0.8, zstd", false, true).content_encoding(), Some("zstd"));
        assert_eq!(encoder("gzip", false, false).content_encoding(), None);
        assert_eq!(encoder("gzip", true, true).content_encoding(), None);
    }

    #[test]
    fn flushed_bytes_can_be_read_and_the_rest_follows() {
        for accept in ["identity", "gzip", "deflate", "zstd", "lz4"] {
            let mut encoder = encoder(accept, false, true);
            let name = encoder.content_encoding();
            let mut bytes = encoder.push(b"hello ", true).unwrap();
            assert!(!bytes.is_empty(), "{accept}");
            bytes.extend(encoder.push(b"world", false).unwrap());
            bytes.extend(encoder.finish().unwrap());
            let mut plain = String::new();
            match name {
                None => Read::read_to_string(&mut &bytes[..], &mut plain),
                Some("gzip") => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut plain),
                Some("deflate") => flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut plain),
                Some("zstd") => zstd::stream::read::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut plain),
                Some(_) => lz4_flex::frame::FrameDecoder::new(&bytes[..]).read_to_string(&mut plain),
            }
            .unwrap();
            assert_eq!(plain, "hello world", "{accept}");
        }
    }
}
