//! Which context each result was derived from, and therefore which results a changed entity touches.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashMap;

/// For every result the keys it read, and back. Survives an aborted transaction by its own undo log.
#[derive(Debug, Clone)]
pub struct Reads<K> {
    of: HashMap<K, Arc<[String]>, foldhash::fast::FixedState>,
    readers: HashMap<String, BTreeSet<K>, foldhash::fast::FixedState>,
    undo: Vec<(K, Option<Arc<[String]>>)>,
}

impl<K> Default for Reads<K> {
    fn default() -> Self {
        let state = foldhash::fast::FixedState::with_seed(0);
        Self { of: HashMap::with_hasher(state.clone()), readers: HashMap::with_hasher(state), undo: Vec::new() }
    }
}

impl<K: Ord + Hash + Clone> Reads<K> {
    /// Replaces what a result was derived from; nothing forgets the result.
    pub fn set(&mut self, result: &K, keys: Vec<String>) {
        if self.of.get(result).map_or(keys.is_empty(), |old| old[..] == keys[..]) {
            return;
        }
        let keys = (!keys.is_empty()).then(|| Arc::from(keys));
        let old = self.replace(result, keys);
        self.undo.push((result.clone(), old));
    }

    fn replace(&mut self, result: &K, keys: Option<Arc<[String]>>) -> Option<Arc<[String]>> {
        let old = self.of.remove(result);
        for key in old.iter().flat_map(|keys| keys.iter()) {
            if let Some(readers) = self.readers.get_mut(key) {
                readers.remove(result);
                if readers.is_empty() {
                    self.readers.remove(key);
                }
            }
        }
        if let Some(keys) = keys {
            for key in keys.iter() {
                self.readers.entry(key.clone()).or_default().insert(result.clone());
            }
            self.of.insert(result.clone(), keys);
        }
        old
    }

    /// The results that read any of these keys, ascending.
    pub fn touched<'a>(&'a self, keys: impl IntoIterator<Item = &'a String>) -> BTreeSet<K> {
        keys.into_iter().filter_map(|key| self.readers.get(key)).flatten().cloned().collect()
    }

    /// Number of results.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Forgets the undo log.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes everything since the last commit.
    pub fn rollback(&mut self) {
        while let Some((result, old)) = self.undo.pop() {
            self.replace(&result, old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reads;

    #[test]
    fn readers_follow_and_roll_back() {
        let mut reads = Reads::default();
        reads.set(&"asset", vec!["image:a".into(), "repo:r".into()]);
        reads.commit();
        reads.set(&"asset", vec!["repo:r".into()]);
        reads.set(&"other", vec!["repo:r".into()]);
        assert_eq!(reads.touched(&["image:a".to_owned()]).len(), 0);
        assert_eq!(reads.touched(&["repo:r".to_owned()]).len(), 2);
        reads.rollback();
        assert_eq!(reads.touched(&["image:a".to_owned()]).into_iter().collect::<Vec<_>>(), ["asset"]);
        assert_eq!((reads.touched(&["repo:r".to_owned()]).len(), reads.len()), (1, 1));
    }
}
