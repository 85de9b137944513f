//! What must be recomputed before the next settle, with the undo that an aborted transaction needs.
//! Ordered, so that a settle visits its work in the same order on every machine.

use std::collections::BTreeSet;

/// A set of keys to recompute.
#[derive(Debug, Clone)]
pub(crate) struct Marks<K> {
    marked: BTreeSet<K>,
    committed: BTreeSet<K>,
}

impl<K> Default for Marks<K> {
    fn default() -> Self {
        Self { marked: BTreeSet::new(), committed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Marks<K> {
    /// Marks a key.
    pub(crate) fn mark(&mut self, key: K) {
        self.marked.insert(key);
    }

    /// Takes the marked keys, ascending. A rollback brings back those that were marked at the last commit.
    pub(crate) fn take(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.marked)
    }

    /// What is marked now is part of the committed state. Also called after a restore, whose marks no input repeats.
    pub(crate) fn commit(&mut self) {
        self.committed.clone_from(&self.marked);
    }

    /// Back to what was marked at the last commit.
    pub(crate) fn rollback(&mut self) {
        self.marked.clone_from(&self.committed);
    }
}
