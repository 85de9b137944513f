//! Reading the graph while remembering what was read. The answers are in `attribution`, `standing` and `deployment`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tributary_model::context::EntityContext;
use tributary_model::fact::{Attribute, value};
use tributary_stream::broadcast::BroadcastStore;

use super::index::Index;

/// One question, or several that belong to one result. Lookups that find nothing are remembered too: what they looked
/// for may come later.
#[derive(Debug)]
pub struct View<'a> {
    store: &'a BroadcastStore,
    index: &'a Index,
    reads: RefCell<BTreeSet<String>>,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a BroadcastStore, index: &'a Index) -> Self {
        Self { store, index, reads: RefCell::default() }
    }

    /// The keys that were read so far, ascending.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        self.reads.borrow().iter().cloned().collect()
    }

    fn remember(&self, key: &str) {
        let mut reads = self.reads.borrow_mut();
        if !reads.contains(key) {
            reads.insert(key.to_owned());
        }
    }

    /// What is known about an entity. Also for entities that are not indexed (`vuln:`, `product:`).
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<Arc<EntityContext>> {
        self.remember(name);
        self.store.get(name)
    }

    /// The entities of a kind that hang on an anchor, ascending. Each counts as read: when one of them leaves the
    /// anchor, nothing but its own name leads back here.
    pub(super) fn hanging(&self, anchor: &str, kind: &str) -> Vec<Arc<str>> {
        self.remember(anchor);
        let found = self.index.hanging(anchor, kind);
        for name in &found {
            self.remember(name);
        }
        found
    }

    /// The single value of an attribute of an entity.
    pub(super) fn value<T: DeserializeOwned>(&self, name: &str, attribute: Attribute) -> Option<T> {
        self.entity(name)?.get(attribute).and_then(|found| value::parse(&found.value))
    }
}
