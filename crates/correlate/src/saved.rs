//! Pieces of snapshots: what a stage has in memory, so that it need not be read and derived from the log again. Only the build that
//! wrote a piece reads it, so a piece may look like what it is made of.

use serde::{Deserialize, Serialize};
use tributary_stream::stage::NotAPiece;

/// Most parts of one piece: memory for it is bounded, and still nobody notices where one ends.
#[cfg(not(test))]
pub(crate) const PARTS_MAX: usize = 4_096;
/// In tests, each part is a piece of its own: what is large is cut as often as can be.
#[cfg(test)]
pub(crate) const PARTS_MAX: usize = 1;

/// Gives a piece. One that cannot be written is given as nothing, which no snapshot takes: it is then not written at all.
pub(crate) fn put(piece: &impl Serialize, put: &mut dyn FnMut(&[u8])) {
    put(&postcard::to_allocvec(piece).unwrap_or_default());
}

/// Reads a piece, whole.
pub(crate) fn read<'a, T: Deserialize<'a>>(piece: &'a [u8]) -> Result<T, NotAPiece> {
    let read = postcard::take_from_bytes(piece).map_err(|error| NotAPiece(error.to_string()));
    read.and_then(|(read, rest)| if rest.is_empty() { Ok(read) } else { Err(NotAPiece("it goes on".to_owned())) })
}

#[cfg(test)]
pub(crate) mod tests {
    use tributary_stream::stage::Stage;

    /// A stage that has everything from a snapshot of another one; what it would save is the same, and junk is refused.
    pub(crate) fn revived<S: Stage>(old: &S, mut fresh: S) -> S {
        let saved = pieces(old);
        for piece in &saved {
            fresh.adopt(piece).unwrap();
        }
        // Tables have no order.
        let sorted = |mut pieces: Vec<Vec<u8>>| {
            pieces.sort();
            pieces
        };
        assert_eq!(sorted(pieces(&fresh)), sorted(saved));
        assert!(fresh.adopt(b"\xff\xff\xff\xff").is_err());
        fresh
    }

    fn pieces(stage: &impl Stage) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        stage.save(&mut |piece| pieces.push(piece.to_vec()));
        assert!(pieces.iter().all(|piece| !piece.is_empty()), "everything can be written");
        pieces
    }
}
