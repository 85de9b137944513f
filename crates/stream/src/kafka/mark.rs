//! What stands beside a committed offset: who committed it, and the worker's note. The cluster keeps text, so the note
//! is in base64.
//!
//! `<member>/<sequence>:<note>`: no two commits write the same text. A worker that finds its own text after a
//! rebalance therefore knows that nobody else owned the partition in between.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;

/// The text for a commit.
pub(super) fn encode(member: &str, sequence: u64, note: &[u8]) -> String {
    format!("{member}/{sequence}:{}", STANDARD_NO_PAD.encode(note))
}

/// The note; empty if the text is nobody's of ours, which makes a worker recompute everything.
pub(super) fn note(text: &str) -> Bytes {
    let note = text.split_once(':').and_then(|(_, note)| STANDARD_NO_PAD.decode(note).ok());
    Bytes::from(note.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_foreign_text_is_no_note() {
        for bytes in [&b""[..], b"\x01\xff:/", &[0; 300]] {
            assert_eq!(note(&encode("t.track.a.0", 7, bytes)), bytes);
        }
        assert_eq!(note("set by hand"), b""[..]);
        assert_eq!(note("a:!"), b""[..]);
    }
}
