//! One timer per key, with the undo that an aborted transaction needs.

use std::collections::{BTreeMap, BTreeSet};

use tributary_model::time::Millis;

/// Due times by key.
#[derive(Debug, Clone)]
pub(crate) struct Timers<K> {
    at: BTreeMap<K, Millis>,
    order: BTreeSet<(Millis, K)>,
    undo: Vec<(K, Option<Millis>)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { at: BTreeMap::new(), order: BTreeSet::new(), undo: Vec::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets, moves or clears (`None`) the timer of a key.
    pub(crate) fn set(&mut self, key: &K, due: Option<Millis>) {
        let old = self.at.get(key).copied();
        if old != due {
            self.replace(key, due);
            self.undo.push((key.clone(), old));
        }
    }

    fn replace(&mut self, key: &K, due: Option<Millis>) {
        if let Some(old) = self.at.remove(key) {
            self.order.remove(&(old, key.clone()));
        }
        if let Some(due) = due {
            self.at.insert(key.clone(), due);
            self.order.insert((due, key.clone()));
        }
    }

    /// When the timer of a key is due, if it has one.
    pub(crate) fn of(&self, key: &K) -> Option<Millis> {
        self.at.get(key).copied()
    }

    /// The earliest due time.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Keys due at `now`, earliest first. They stay due until they are set again.
    pub(crate) fn due(&self, now: Millis) -> Vec<K> {
        self.order.iter().take_while(|(due, _)| *due <= now).map(|(_, key)| key.clone()).collect()
    }

    /// Forgets the undo log.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes everything since the last commit.
    pub(crate) fn rollback(&mut self) {
        while let Some((key, old)) = self.undo.pop() {
            self.replace(&key, old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Timers;

    #[test]
    fn rollback_restores_every_due_time() {
        let mut timers = Timers::default();
        timers.set(&"a", Some(5));
        timers.set(&"b", Some(3));
        timers.commit();
        timers.set(&"a", Some(1));
        timers.set(&"a", None);
        timers.set(&"c", Some(2));
        assert_eq!(timers.due(9), ["c", "b"]);
        timers.rollback();
        assert_eq!((timers.next(), timers.due(5)), (Some(3), vec!["b", "a"]));
    }
}
