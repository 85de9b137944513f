//! What the context says about assets: which component, where it runs, how it can be reached, whether it still counts.
//!
//! One [`Graph`] per process, shared by every stage: inverted indexes over the broadcast store, brought up to date from
//! notices. Questions are asked through a [`View`], which remembers **what was read**: a stage keeps that beside the
//! result ([`Reads`]) and so knows which results a changed entity touches, also when the change has already taken the
//! edge away that led from one to the other.
//!
//! ```text
//! notice(entity) ─► edges::anchors(context) ─► index: anchor → entities that hang on it
//! view().asset(key) ─► attribution + standing, and the keys that were read
//! reads.touched(entity, graph.touched_by(entity)) ─► results to recompute
//! ```

mod attribution;
mod deployment;
mod edges;
mod index;
mod reads;
mod standing;
mod view;

use std::sync::Arc;

use tributary_model::fact::value::CodeOwners;
use tributary_stream::broadcast::BroadcastStore;

pub use attribution::{AssetView, Attribution, MAX_COMPONENTS, Route};
pub use deployment::{BaseImage, ComponentFacts, Deployment};
pub use reads::Reads;
pub use standing::Standing;
pub use view::View;

use index::Index;

/// The context graph of the process.
#[derive(Debug)]
pub struct Graph {
    store: Arc<BroadcastStore>,
    index: Index,
}

impl Graph {
    /// A graph over a store; what the store already holds is indexed.
    #[must_use]
    pub fn new(store: Arc<BroadcastStore>) -> Self {
        let graph = Self { store, index: Index::default() };
        graph.refresh();
        graph
    }

    /// Indexes the whole store; cheap where nothing changed. For the end of a restore, which comes without notices.
    pub fn refresh(&self) {
        for kind in edges::KINDS {
            self.notice(&self.store.entities_of_kind(kind));
        }
        self.notice(&self.index.indexed());
    }

    /// The store has other values for these entities. Repeating a notice changes nothing.
    pub fn notice(&self, entities: &[String]) {
        for entity in entities.iter().filter(|entity| edges::is_indexed(entity)) {
            self.index.update(entity, || self.store.get(entity));
        }
    }

    /// The keys by which a result that must be recomputed has been read when `entity` changes: the entity itself, and
    /// what hangs together with it now. What hung together with it before is found through the entity itself.
    #[must_use]
    pub fn touched_by(&self, entity: &str) -> Vec<String> {
        let mut keys = self.index.anchors(entity);
        keys.push(entity.to_owned());
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// A view that remembers what is read through it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::new(&self.store, &self.index)
    }

    /// The components of a finding at `path` (empty: the whole asset) of an asset.
    #[must_use]
    pub fn attribute(&self, asset: &str, path: &str) -> Attribution {
        self.view().asset(asset).attribute(path)
    }

    /// Where an image runs, ascending by workload; the image may be given by any of its digests.
    #[must_use]
    pub fn deployments_of_image(&self, image: &str) -> Vec<Deployment> {
        self.view().deployments_of_image(image)
    }

    /// Everything of a component that runs, ascending by workload.
    #[must_use]
    pub fn deployments_of_component(&self, component: &str) -> Vec<Deployment> {
        self.view().deployments_of_component(component)
    }

    /// What the catalogue says about a component, by its name without `component:`.
    #[must_use]
    pub fn component(&self, name: &str) -> ComponentFacts {
        self.view().component(name)
    }

    /// The base image of an image, and the components that build it.
    #[must_use]
    pub fn base_image(&self, image: &str) -> Option<BaseImage> {
        self.view().base_image(image)
    }

    /// CODEOWNERS of a canonical repository `host/org/name`.
    #[must_use]
    pub fn code_owners(&self, repo: &str) -> Option<CodeOwners> {
        self.view().code_owners(repo)
    }

    /// Whether any workload is known: without that, "runs nowhere" is not known either.
    #[must_use]
    pub fn deployments_known(&self) -> bool {
        self.index.has_workloads()
    }

    /// The components that a change of this entity concerns by the edges that exist now, ascending. A stage that keeps
    /// [`Reads`] needs no more than [`Graph::touched_by`], and also finds what the edges no longer show.
    #[must_use]
    pub fn affected_components(&self, entity: &str) -> Vec<String> {
        self.view().affected_components(entity)
    }
}

#[cfg(test)]
mod tests;
