//! The inverted index: anchor → entities that hang on it. Shared by all workers; each update is idempotent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use tributary_model::context::EntityContext;
use tributary_model::entity;

use super::edges;

type Map<K, V> = DashMap<K, V, foldhash::fast::RandomState>;

/// Both directions of every edge.
#[derive(Debug, Default)]
pub(super) struct Index {
    forward: Map<String, Indexed>,
    hanging: Map<String, BTreeSet<Arc<str>>>,
    workloads: AtomicUsize,
}

/// What is indexed of one entity.
#[derive(Debug, Default)]
struct Indexed {
    /// The value it was taken from: the same pointer means nothing to do.
    context: Option<Arc<EntityContext>>,
    anchors: Vec<String>,
}

impl Index {
    /// Takes the present value of an entity. It is read under the entity's lock, so that of two workers told of the
    /// same change the one who comes last also writes the newest. Only ever locks `forward`, then `hanging`.
    pub(super) fn update(&self, name: &str, read: impl FnOnce() -> Option<Arc<EntityContext>>) {
        let mut indexed = self.forward.entry(name.to_owned()).or_default();
        let context = read();
        let is_same = match (&context, &indexed.context) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => true,
            _ => false,
        };
        if is_same && context.is_some() {
            return;
        }
        self.count(name, indexed.context.is_some(), context.is_some());
        let mut anchors = context.as_deref().map(edges::anchors).unwrap_or_default();
        anchors.sort_unstable();
        anchors.dedup();
        for gone in indexed.anchors.iter().filter(|anchor| anchors.binary_search(anchor).is_err()) {
            if let Some(mut entities) = self.hanging.get_mut(gone) {
                entities.remove(name);
            }
            self.hanging.remove_if(gone, |_, entities| entities.is_empty());
        }
        let shared: Arc<str> = Arc::from(name);
        for new in anchors.iter().filter(|anchor| indexed.anchors.binary_search(anchor).is_err()) {
            self.hanging.entry(new.clone()).or_default().insert(Arc::clone(&shared));
        }
        let is_gone = context.is_none();
        indexed.context = context;
        indexed.anchors = anchors;
        drop(indexed);
        if is_gone {
            self.forward.remove_if(name, |_, indexed| indexed.context.is_none());
        }
    }

    fn count(&self, name: &str, was: bool, is: bool) {
        if entity::kind(name) != "workload" {
            return;
        }
        match (was, is) {
            (false, true) => self.workloads.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.workloads.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// The anchors of an entity, ascending.
    pub(super) fn anchors(&self, name: &str) -> Vec<String> {
        self.forward.get(name).map(|indexed| indexed.anchors.clone()).unwrap_or_default()
    }

    /// The entities of a kind that hang on an anchor, ascending.
    pub(super) fn hanging(&self, anchor: &str, kind: &str) -> Vec<Arc<str>> {
        let Some(found) = self.hanging.get(anchor) else { return Vec::new() };
        found.iter().filter(|name| entity::kind(name) == kind).cloned().collect()
    }

    /// Every entity that is indexed, ascending.
    pub(super) fn indexed(&self) -> Vec<String> {
        let mut names: Vec<String> = self.forward.iter().map(|entry| entry.key().clone()).collect();
        names.sort_unstable();
        names
    }

    /// Whether any workload is indexed.
    pub(super) fn has_workloads(&self) -> bool {
        self.workloads.load(Ordering::Relaxed) > 0
    }
}
