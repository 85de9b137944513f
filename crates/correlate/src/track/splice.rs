//! Writes a [`Finding`] around the bytes of its [`TrackedFinding`], which are encoded once however many components it has.
//! Avro writes a record as its fields one after the other, so a nested record is its own bytes; a test compares with the
//! plain encoder, so a change of the schema cannot go unnoticed.

use bytes::{BufMut, Bytes, BytesMut};
use tributary_model::finding::{Finding, FindingEnd, TrackedFinding};
use tributary_model::id::FindingId;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::message::{Output, Outputs};

/// Marker and fingerprint before each record.
const HEADER_BYTES: usize = 10;

/// Key on `findings`.
pub(super) fn key(component: &str, id: FindingId) -> String {
    format!("{component}|{id}")
}

/// Appends the record of a finding for one component. `record` is `tracked` encoded.
pub(super) fn put(
    component: &str,
    end: FindingEnd,
    moved_to: &str,
    tracked: &TrackedFinding,
    record: &[u8],
    out: &mut Outputs,
) {
    out.push(Output {
        topic: Topic::Findings,
        partition_key: component.to_owned(),
        key: Bytes::from(key(component, tracked.finding)),
        value: Some(encode(component, end, moved_to, record)),
        headers: Vec::new(),
    });
}

fn encode(component: &str, end: FindingEnd, moved_to: &str, record: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(record.len() + component.len() + moved_to.len() + 16);
    bytes.put_slice(&[0xC3, 0x01]);
    bytes.put_u64_le(Finding::schema().fingerprint);
    text(&mut bytes, component);
    bytes.put_u8((end as u8) << 1); // few variants: one byte of zig-zag
    text(&mut bytes, moved_to);
    bytes.put_slice(record.get(HEADER_BYTES..).unwrap_or_default());
    bytes.freeze()
}

/// Length as a zig-zag variable-length integer, then the bytes.
fn text(bytes: &mut BytesMut, text: &str) {
    let mut length = (text.len() as u64) << 1;
    while length > 0x7f {
        bytes.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.put_u8(length as u8);
    bytes.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_plain_encoder() {
        for (component, end, moved_to) in [
            ("pay".to_owned(), FindingEnd::None, String::new()),
            ("é".repeat(40), FindingEnd::Moved, "x".repeat(9_000)),
            (String::new(), FindingEnd::Forgotten, String::new()),
        ] {
            let tracked = TrackedFinding { asset: "image:x".into(), reopened: 7, ..TrackedFinding::default() };
            let spliced = encode(&component, end, &moved_to, &tracked.encode().unwrap());
            let finding = Finding { component, end, moved_to, tracked };
            assert_eq!(spliced, finding.encode().unwrap());
            assert_eq!(Finding::decode(&spliced).unwrap(), finding);
        }
    }
}
