//! The hash chain of a risk's changes: each names the hash of the one before, so none can be altered or left out inside
//! a generation without the rest showing it.

use sha2::{Digest, Sha256};
use tributary_model::risk::Change;

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// SHA-256 (hex) of `previous_hash`, a line feed, and the canonical JSON of the change with `hash` empty.
///
/// Canonical JSON is the record's fields in the order of its schema, without white space, as `serde_json` writes them.
#[must_use]
pub fn hash(change: &Change) -> String {
    hash_unhashed(&Change { hash: String::new(), ..change.clone() })
}

/// The same for a change whose `hash` is empty.
fn hash_unhashed(change: &Change) -> String {
    let mut json = Vec::with_capacity(1024);
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(&mut json, change);
    let mut hasher = Sha256::new();
    hasher.update(change.previous_hash.as_bytes());
    hasher.update(b"\n");
    hasher.update(&json);
    hex(&hasher.finalize())
}

/// Fills in both hashes.
#[must_use]
pub fn link(mut change: Change, previous_hash: &str) -> Change {
    previous_hash.clone_into(&mut change.previous_hash);
    change.hash = String::new();
    change.hash = hash_unhashed(&change);
    change
}

/// Why a chain does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The record was altered.
    #[error("revision {0} does not hash to what it says: it was altered")]
    Altered(i64),
    /// It does not continue the record before it.
    #[error("revision {0} does not name the hash of the revision before it: one was removed, added or reordered")]
    Broken(i64),
    /// Revisions of a generation grow by one.
    #[error("revision {found} follows revision {before}")]
    Skipped {
        /// The revision before.
        before: i64,
        /// The revision found.
        found: i64,
    },
}

/// Verifies the changes of **one** risk in the order of the log. Where retention has cut the beginning, the first record
/// is the checkpoint: its own hash is verified, its predecessor is not. A new generation starts a new chain.
pub fn verify<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Result<(), ChainError> {
    let mut before: Option<&Change> = None;
    for change in changes {
        if hash(change) != change.hash {
            return Err(ChainError::Altered(change.revision));
        }
        match before {
            Some(last) if last.generation == change.generation => {
                if change.revision != last.revision + 1 {
                    return Err(ChainError::Skipped { before: last.revision, found: change.revision });
                }
                if change.previous_hash != last.hash {
                    return Err(ChainError::Broken(change.revision));
                }
            }
            Some(_) if change.revision != 1 => {
                return Err(ChainError::Skipped { before: 0, found: change.revision });
            }
            Some(_) if !change.previous_hash.is_empty() => return Err(ChainError::Broken(change.revision)),
            _ => {}
        }
        before = Some(change);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: i64) -> Vec<Change> {
        let mut head = String::new();
        (1..=length)
            .map(|revision| {
                let change = link(Change { revision, generation: 7, ..Change::default() }, &head);
                head.clone_from(&change.hash);
                change
            })
            .collect()
    }

    #[test]
    fn a_whole_chain_verifies_also_from_a_checkpoint() {
        let changes = chain(4);
        assert_eq!(verify(&changes), Ok(()));
        assert_eq!(verify(&changes[2..]), Ok(()));
        let restarted: Vec<Change> = changes
            .iter()
            .cloned()
            .chain([link(Change { revision: 1, generation: 9, ..Change::default() }, "")])
            .collect();
        assert_eq!(verify(&restarted), Ok(()));
    }

    #[test]
    fn alteration_removal_and_reordering_show() {
        let mut altered = chain(3);
        altered[1].reason = "nothing to see".to_owned();
        assert_eq!(verify(&altered), Err(ChainError::Altered(2)));
        let mut removed = chain(3);
        removed.remove(1);
        assert_eq!(verify(&removed), Err(ChainError::Skipped { before: 1, found: 3 }));
        let mut rehashed = chain(3);
        rehashed[1].reason = "rewritten, and hashed again".to_owned();
        rehashed[1].hash = hash(&rehashed[1]);
        assert_eq!(verify(&rehashed), Err(ChainError::Broken(3)));
    }

    /// What an auditor's own program must come to: the text is written out here once.
    #[test]
    fn golden_hash_never_changes() {
        let text = concat!(
            "previous\n",
            r#"{"risk":"kv1:00000000000000000000000000000000","component":"","generation":0,"revision":0,"kind":"opened","#,
            r#""fields":[],"reason":"","band_before":"defer","band":"defer","score":0,"state":"open","other":null,"#,
            r#""actor":"","cause":{"topic":"","partition":0,"offset":0},"event_at":0,"decided_at":0,"model_version":"","#,
            r#""inputs_before":"","inputs_after":"","previous_hash":"previous","hash":""}"#
        );
        assert_eq!(link(Change::default(), "previous").hash, hex(&Sha256::digest(text)));
    }
}
