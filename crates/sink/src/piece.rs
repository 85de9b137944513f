//! How many rows of a table go into one statement: all of a batch, or fewer where ClickHouse has no memory for so many.
//!
//! A statement that is refused for its memory would be refused for ever, and everything behind it would wait. What it takes depends on
//! the server (its limits, the partitions that the rows fall into), so it is found out and not configured.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Fewer rows are not worth a statement: a server without memory for so few has none for anything, and that passes or needs a person.
const ROWS_MIN: usize = 250;
/// After so many pieces twice as many rows are tried: a shortage of memory may have been somebody else's. 32: a refusal costs one
/// statement, so three per cent at most go there.
const BEFORE_MORE: u32 = 32;

/// Sizes by table; a table that is not here takes everything at once.
#[derive(Debug, Default)]
pub(crate) struct Pieces(Mutex<BTreeMap<&'static str, Piece>>);

#[derive(Debug, Clone, Copy)]
struct Piece {
    rows: usize,
    /// Since the last change.
    written: u32,
}

impl Pieces {
    /// Rows of the next statement, at most.
    pub(crate) fn rows(&self, table: &str) -> usize {
        self.lock().get(table).map_or(usize::MAX, |piece| piece.rows)
    }

    /// So many rows were too many; answers whether fewer are worth a try.
    pub(crate) fn halve(&self, table: &'static str, rows: usize) -> bool {
        let half = rows / 2;
        if half < ROWS_MIN {
            return false;
        }
        self.lock().insert(table, Piece { rows: half, written: 0 });
        true
    }

    /// So many rows were written.
    pub(crate) fn wrote(&self, table: &str, rows: usize) {
        if let Some(piece) = self.lock().get_mut(table).filter(|piece| rows >= piece.rows) {
            piece.written += 1;
            if piece.written >= BEFORE_MORE {
                *piece = Piece { rows: piece.rows.saturating_mul(2), written: 0 };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_shrink_when_refused_and_grow_after_a_while() {
        let pieces = Pieces::default();
        assert_eq!(pieces.rows("risks"), usize::MAX);
        assert!(pieces.halve("risks", 20_001));
        assert_eq!((pieces.rows("risks"), pieces.rows("findings")), (10_000, usize::MAX));
        // The rest of a batch says nothing about a whole piece.
        (0..2 * BEFORE_MORE).for_each(|_| pieces.wrote("risks", 9_999));
        (1..BEFORE_MORE).for_each(|_| pieces.wrote("risks", 10_000));
        assert_eq!(pieces.rows("risks"), 10_000);
        pieces.wrote("risks", 10_000);
        assert_eq!(pieces.rows("risks"), 20_000);
    }

    #[test]
    fn a_few_rows_are_not_parted() {
        let pieces = Pieces::default();
        assert!(!pieces.halve("risks", 2 * ROWS_MIN - 1));
        assert!(pieces.halve("risks", 2 * ROWS_MIN));
        assert_eq!(pieces.rows("risks"), ROWS_MIN);
    }
}
