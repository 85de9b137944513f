//! What arrives is not always text.

use std::io::Write;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check(body: &[u8], bytes_max: usize) -> Result<String, &'static str> {
    text(body, bytes_max).map(|text| String::from_utf8(text.into_owned()).unwrap()).map_err(|rejection| rejection.code)
}

#[test]
fn text_in_many_wrappings_is_one_text() {
    let report = r#"{"café": 1}"#;
    let utf16 = |unit: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        mark.into_iter().chain(report.encode_utf16()).flat_map(unit).collect()
    };
    let bodies = [
        report.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", report.as_bytes()].concat(),
        gzip(report.as_bytes()),
        gzip(&gzip(report.as_bytes())),
        gzip(&[b"\xef\xbb\xbf", report.as_bytes()].concat()),
        zstd::encode_all(report.as_bytes(), 1).unwrap(),
        utf16(u16::to_le_bytes, true),
        utf16(u16::to_be_bytes, true),
        utf16(u16::to_le_bytes, false),
        utf16(u16::to_be_bytes, false),
    ];
    for body in bodies {
        assert_eq!(check(&body, 1 << 20).as_deref(), Ok(report), "{body:02x?}");
    }
}

#[test]
fn what_is_no_text_says_why() {
    assert_eq!(check(b"", 100), Err("empty"));
    assert_eq!(check(b" \r\n\t ", 100), Err("empty"));
    assert_eq!(check(&gzip(b""), 100), Err("empty"));
    assert_eq!(check(b"\xef\xbb\xbf", 100), Err("empty"));
    assert_eq!(check(b"{\"caf\xe9\": 1}", 100), Err("encoding"), "Latin-1");
    assert_eq!(check("{\"é".as_bytes().split_last().unwrap().1, 100), Err("truncated"));
    assert_eq!(check(b"\xff\xfe{", 100), Err("truncated"), "half a UTF-16 unit");
    assert_eq!(check(b"\xff\xfe\x00\xd8{\x00", 100), Err("encoding"), "a lone surrogate");
    assert_eq!(check(b"\xff\xfe\x00\x00{\x00\x00\x00", 100), Err("encoding"), "UTF-32");
    assert_eq!(check(b"PK\x03\x04....", 100), Err("unknown_format"));
    assert_eq!(check(b"\x1f\x8bgarbage....", 100), Err("malformed"));
    assert_eq!(check(&[b'x'; 101], 100), Err("too_large"));
}

#[test]
fn compressed_streams_that_end_early_or_never() {
    let whole = gzip(&(0..20_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    assert_eq!(check(&whole[..whole.len() / 2], 1 << 20), Err("truncated"));
    let zstd = zstd::encode_all(&*vec![b'{'; 100_000], 1).unwrap();
    assert_eq!(check(&zstd[..zstd.len() - 3], 1 << 20), Err("truncated"));
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 10_000);
    assert_eq!(check(&bomb, 1 << 20), Err("too_large"));
    let zstd_bomb = zstd::encode_all(&vec![b' '; 8 << 20][..], 19).unwrap();
    assert_eq!(check(&zstd_bomb, 1 << 20), Err("too_large"));
}
