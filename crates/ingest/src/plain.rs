//! Bytes as received → UTF-8 text without byte order mark: decompressed, transcoded, within a limit.
//! Everything after this may assume UTF-8; everything that is not becomes a reject here.

use std::borrow::Cow;
use std::io::Read;

use crate::event::{Rejection, code};

/// Default limit of a body after decompression. Smaller would refuse the reports of large images (tens of MB); larger
/// would let one request take the memory of a small machine, because a report is parsed from one buffer.
pub const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How often a body may be compressed: a gzip file sent with `Content-Encoding: gzip` is common, more is an attack.
const LAYERS_MAX: usize = 2;

/// The text of a body.
///
/// # Errors
/// `empty`, `truncated` (a compressed stream or a character ends early), `too_large` (decompresses beyond `bytes_max`),
/// `encoding` (neither UTF-8 nor UTF-16), `unknown_format` (an archive).
pub fn text(body: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, Rejection> {
    if body.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut bytes = Cow::Borrowed(body);
    for _ in 0..LAYERS_MAX {
        match decompress(&bytes, bytes_max)? {
            Some(inner) => bytes = Cow::Owned(inner),
            None => break,
        }
    }
    let bytes = unicode(bytes)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Rejection::new(code::EMPTY, "the body is empty: send the report itself"));
    }
    Ok(bytes)
}

/// Whether the bytes are a compressed stream that [`text`] would unpack.
#[must_use]
pub fn is_compressed(bytes: &[u8]) -> bool {
    matches!(bytes, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..])
}

/// The decompressed bytes, or `None` when the bytes are not compressed.
fn decompress(bytes: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, Rejection> {
    match bytes {
        [0x1f, 0x8b, ..] => read_limited(flate2::read::MultiGzDecoder::new(bytes), "gzip", bytes_max).map(Some),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(|_| Rejection::new(code::MALFORMED, "the zstd stream cannot be read"))?;
            read_limited(decoder, "zstd", bytes_max).map(Some)
        }
        [b'P', b'K', 3, 4, ..] => {
            Err(Rejection::new(code::UNKNOWN_FORMAT, "this is a zip archive: extract it and send the report inside"))
        }
        _ => Ok(None),
    }
}

/// Reads a decompressor to its end, but never more than the limit: a bomb costs `bytes_max`, not the memory of the host.
pub(crate) fn read_limited(reader: impl Read, kind: &str, bytes_max: usize) -> Result<Vec<u8>, Rejection> {
    let mut out = Vec::new();
    match reader.take(bytes_max as u64 + 1).read_to_end(&mut out) {
        Ok(_) if out.len() > bytes_max => Err(too_large(bytes_max)),
        Ok(_) => Ok(out),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Rejection::new(code::TRUNCATED, format!("the {kind} stream ends in the middle: send the whole file")))
        }
        Err(_) => {
            Err(Rejection::new(code::MALFORMED, format!("the {kind} stream is damaged: compress and send it again")))
        }
    }
}

fn too_large(bytes_max: usize) -> Rejection {
    Rejection::new(
        code::TOO_LARGE,
        format!(
            "the body is larger than the limit of {bytes_max} bytes: split the report by target, or raise the limit"
        ),
    )
}

/// Strips a UTF-8 mark, transcodes UTF-16, refuses the rest.
fn unicode(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Rejection> {
    match &*bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(wrong_encoding("the text is UTF-32", "")),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        // Without a mark, but no JSON or XML begins with an ASCII character beside a zero otherwise.
        [b'{' | b'[' | b'<', 0, ..] => utf16(&bytes, u16::from_le_bytes).map(Cow::Owned),
        [0, b'{' | b'[' | b'<', ..] => utf16(&bytes, u16::from_be_bytes).map(Cow::Owned),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Rejection> {
    let mark = if bytes.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    if let Err(error) = std::str::from_utf8(&bytes) {
        let at = format!("byte {}", error.valid_up_to());
        return Err(match error.error_len() {
            None => {
                Rejection::at(code::TRUNCATED, "the text ends in the middle of a character: send the whole file", at)
            }
            Some(_) => {
                wrong_encoding("the text is not UTF-8 (perhaps Latin-1 or Windows-1252, or no text at all)", &at)
            }
        });
    }
    if mark == 0 {
        return Ok(bytes);
    }
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[mark..]),
        Cow::Owned(mut bytes) => {
            bytes.drain(..mark);
            Cow::Owned(bytes)
        }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Vec<u8>, Rejection> {
    if !bytes.len().is_multiple_of(2) {
        return Err(Rejection::new(
            code::TRUNCATED,
            "the UTF-16 text ends in the middle of a character: send the whole file",
        ));
    }
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    for (index, character) in char::decode_utf16(units).enumerate() {
        match character {
            Ok(character) => text.push(character),
            Err(_) => return Err(wrong_encoding("the text is damaged UTF-16", &format!("character {index}"))),
        }
    }
    // The declaration of an XML document would otherwise contradict what the parser is given.
    Ok(text.replacen("encoding=\"UTF-16\"", "encoding=\"UTF-8\"", 1).into_bytes())
}

fn wrong_encoding(what: &str, at: &str) -> Rejection {
    Rejection::at(code::ENCODING, format!("{what}: convert it to UTF-8 and send it again"), at)
}

#[cfg(test)]
mod tests;
