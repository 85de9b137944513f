//! What every partition's ASSESS shares in one process: the context graph, and two facts about all of it that no single
//! entity tells: whether a KEV catalogue was ever read, and which images others are built on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tributary_model::context::EntityContext;
use tributary_model::entity;
use tributary_model::fact::{Attribute, value};
use tributary_model::versions;
use tributary_stream::BroadcastStore;
use tributary_stream::broadcast::InForce;

use super::decide::Model;
use crate::graph::Graph;

/// Shared by the partitions of one process.
#[derive(Debug)]
pub struct Estate {
    store: Arc<BroadcastStore>,
    graph: Arc<Graph>,
    /// The last one in force that this build knows. One for the whole process: bands of two models do not compare.
    model: RwLock<Model>,
    kev_read: AtomicBool,
    bases: RwLock<Bases>,
}

/// Images that others name as their base.
#[derive(Debug, Default)]
struct Bases {
    by_digest: BTreeMap<String, String>,
    names: BTreeSet<String>,
}

impl Estate {
    /// Over a store and the graph of it; what they already hold is taken in.
    #[must_use]
    pub fn new(store: Arc<BroadcastStore>, graph: Arc<Graph>) -> Self {
        let kev_read = AtomicBool::new(false);
        let estate = Self { store, graph, model: RwLock::default(), kev_read, bases: RwLock::default() };
        estate.refresh();
        estate
    }

    /// The model that decides.
    #[must_use]
    pub fn model(&self) -> Model {
        *self.model.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that this build does not know changes nothing here: the loop ends then, and nothing is decided by a wrong one before.
    fn learn_model(&self) {
        if let InForce::Known(versions) = self.store.in_force()
            && let Some(model) = Model::parse(&versions.model)
        {
            *self.model.write().unwrap_or_else(PoisonError::into_inner) = model;
        }
    }

    /// Takes in the whole store, for the end of a restore.
    pub fn refresh(&self) {
        self.graph.refresh();
        self.learn_model();
        for kind in ["image", "vuln"] {
            self.learn(&self.store.entities_of_kind(kind));
        }
    }

    /// These entities changed. Repeating a notice changes nothing.
    pub fn notice(&self, entities: &[String]) {
        self.graph.notice(entities);
        if entities.iter().any(|entity| entity == versions::KEY) {
            self.learn_model();
        }
        self.learn(entities);
    }

    fn learn(&self, entities: &[String]) {
        for name in entities {
            match entity::kind(name) {
                "vuln" if !self.kev_read() => {
                    let listed = self.store.get(name).is_some_and(|context| context.get(Attribute::Kev).is_some());
                    if listed {
                        self.kev_read.store(true, Ordering::Release);
                    }
                }
                "image" => {
                    if let Some(base) = self.base_of(name) {
                        let mut bases = self.bases.write().unwrap_or_else(PoisonError::into_inner);
                        bases.names.insert(base.name.clone());
                        if !base.digest.is_empty() {
                            bases.by_digest.insert(entity::image(&base.digest), base.name);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn base_of(&self, image: &str) -> Option<value::BaseImage> {
        let context = self.store.get(image)?;
        value::parse(&context.get(Attribute::BaseImage)?.value)
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Whether any vulnerability was ever listed in KEV: only then does absence say anything.
    #[must_use]
    pub fn kev_read(&self) -> bool {
        self.kev_read.load(Ordering::Acquire)
    }

    /// The name under which others build on this image, if any do.
    #[must_use]
    pub fn name_as_base(&self, image: &str, context: Option<&EntityContext>) -> Option<String> {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = bases.by_digest.get(image) {
            return Some(name.clone());
        }
        let names = context.into_iter().flat_map(|context| context.all(Attribute::ImageName));
        names.map(|name| untagged(&name.qualifier)).find(|name| bases.names.contains(*name)).map(str::to_owned)
    }

    /// Keys that stand for "is this image built on?", for results that asked.
    #[must_use]
    pub fn base_keys(&self, image: &str) -> Vec<String> {
        self.base_of(image).map_or_else(Vec::new, |base| {
            vec![format!("base:{}", entity::image(&base.digest)), format!("base:{}", base.name)]
        })
    }
}

/// `registry/name` of `registry/name:tag`; a port is no tag.
#[must_use]
pub fn untagged(reference: &str) -> &str {
    let reference = reference.split_once('@').map_or(reference, |(name, _)| name);
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}
