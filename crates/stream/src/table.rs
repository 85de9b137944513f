//! A worker-owned map with an undo log: an aborted transaction costs the keys it touched, not a restore.

use std::borrow::Borrow;
use std::hash::Hash;

use hashbrown::HashMap;

/// A map whose changes since the last [`Table::commit`] can be undone.
///
/// Values are replaced, not mutated in place: [`Table::update`] clones first. Wrap large values in `Arc` when clones hurt.
/// Iteration order is arbitrary: sort before anything reaches an output.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    map: HashMap<K, V, foldhash::fast::FixedState>,
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { map: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(0)), undo: Vec::new() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Table<K, V> {
    /// The value of a key.
    pub fn get<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key)
    }

    /// The table's own copy of a key that has a value.
    pub fn key<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<&K>
    where
        K: Borrow<Q>,
    {
        self.map.get_key_value(key).map(|(key, _)| key)
    }

    /// Whether the key has a value.
    pub fn contains<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.map.contains_key(key)
    }

    /// Sets a value.
    pub fn insert(&mut self, key: K, value: V) {
        let old = self.map.insert(key.clone(), value);
        self.undo.push((key, old));
    }

    /// Sets a value of committed state: no rollback takes it back.
    pub fn load(&mut self, key: K, value: V) {
        self.map.insert(key, value);
    }

    /// Removes a key.
    pub fn remove<Q: ?Sized + Eq + Hash>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some((key, old)) = self.map.remove_entry(key) {
            self.undo.push((key, Some(old)));
        }
    }

    /// Changes a value in place, starting from the default when absent; the old one is kept for undo.
    pub fn update<R>(&mut self, key: &K, change: impl FnOnce(&mut V) -> R) -> R
    where
        V: Default,
    {
        let old = self.map.get(key).cloned();
        let result = change(self.map.entry(key.clone()).or_default());
        self.undo.push((key.clone(), old));
        result
    }

    /// Keys and values, in arbitrary order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Forgets the undo log.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes everything since the last commit, newest first.
    pub fn rollback(&mut self) {
        while let Some((key, old)) = self.undo.pop() {
            match old {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn rollback_restores_the_last_commit_exactly() {
        let mut table = Table::<String, Vec<u8>>::default();
        table.insert("a".into(), vec![1]);
        table.insert("b".into(), vec![2]);
        table.commit();
        table.update(&"a".into(), |value| value.push(9));
        table.insert("a".into(), vec![7]);
        table.remove("b");
        table.insert("b".into(), vec![5]);
        table.insert("c".into(), vec![3]);
        table.update(&"d".into(), |value| value.push(1));
        table.rollback();
        let mut left: Vec<_> = table.iter().collect();
        left.sort();
        assert_eq!(left, [(&"a".to_owned(), &vec![1]), (&"b".to_owned(), &vec![2])]);
    }
}
