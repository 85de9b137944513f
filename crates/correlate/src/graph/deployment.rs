//! Where things run and how they can be reached there; what the catalogue says about a component.

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::entity;
use tributary_model::fact::Attribute;
use tributary_model::fact::value::{self, CodeOwners, Exposed, Labels};
use tributary_model::risk::Exposure;
use tributary_model::time::Millis;

use super::attribution::AssetView;
use super::edges;
use super::view::View;

/// Deployments that one answer names. A base component may run under thousands of workloads; what decides (an
/// environment, an exposure) repeats after a few dozen, and every one is a read to keep.
const MAX_DEPLOYMENTS: usize = 256;

/// An image in a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployment {
    /// `workload:cluster/namespace/kind/name`.
    pub workload: String,
    /// The image entity as the workload names it.
    pub image: String,
    /// `production`, `staging` … or as given; empty when unknown.
    pub environment: String,
    /// How reachable the workload is.
    pub exposure: Exposure,
    /// Ways in from the internet, `host/path`, ascending; at most 8.
    pub ways_in: Vec<String>,
    /// Who says that it runs.
    pub asserter: String,
    /// Since when (event time).
    pub observed_at: Millis,
    /// That claim has lapsed: still counts, shown as stale.
    pub stale: bool,
}

/// What the catalogue says about a component; absent where it says nothing. Values are JSON (see [`value`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComponentFacts {
    /// Name without `component:`.
    pub name: String,
    /// Whether any source knows it.
    pub is_known: bool,
    /// Owning team. [`value::Text`].
    pub owner: Option<ContextAttribute>,
    /// Criticality 1–4. [`value::Number`].
    pub tier: Option<ContextAttribute>,
    /// [`value::Text`].
    pub lifecycle: Option<ContextAttribute>,
    /// [`value::Text`].
    pub component_type: Option<ContextAttribute>,
    /// [`value::Text`].
    pub system: Option<ContextAttribute>,
    /// [`value::Text`].
    pub title: Option<ContextAttribute>,
    /// Canonical repository and path of each source, ascending.
    pub sources: Vec<(String, String)>,
}

/// What an image was built on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseImage {
    /// Name without tag.
    pub name: String,
    /// Tag; empty when unknown.
    pub tag: String,
    /// `sha256:…`; empty when unknown.
    pub digest: String,
    /// Components of this organisation that build it, ascending; empty when it comes from outside.
    pub components: Vec<String>,
}

impl View<'_> {
    /// The image and its other digests (index, manifest, configuration), ascending. A reference with a tag stands for
    /// every image known under it.
    pub(super) fn digests_of(&self, image: &str) -> Vec<Arc<str>> {
        let mut found = BTreeSet::from([Arc::<str>::from(image)]);
        let mut next = vec![Arc::<str>::from(image)];
        // Two steps reach everything: manifest → index → the index's other names.
        for _ in 0..2 {
            let mut reached = Vec::new();
            for name in &next {
                reached.extend(self.hanging(name, "image"));
                if let Some(context) = self.entity(name) {
                    let others = context.all(Attribute::ImageDigest);
                    reached.extend(others.map(|other| Arc::from(entity::image(&other.qualifier))));
                }
            }
            next = reached.into_iter().filter(|name| found.insert(Arc::clone(name))).collect();
        }
        found.into_iter().collect()
    }

    /// See [`super::Graph::deployments_of_image`].
    #[must_use]
    pub fn deployments_of_image(&self, image: &str) -> Vec<Deployment> {
        let images = self.digests_of(image);
        let workloads: BTreeSet<Arc<str>> = images.iter().flat_map(|image| self.hanging(image, "workload")).collect();
        workloads
            .iter()
            .take(MAX_DEPLOYMENTS)
            .filter_map(|workload| {
                let context = self.entity(workload)?;
                let runs = context.all(Attribute::RunsImage).find(|runs| is_one_of(&images, &runs.qualifier))?;
                Some(self.deployment(&context, runs))
            })
            .collect()
    }

    /// See [`super::Graph::deployments_of_component`]: workloads that name it, and those that run what it builds.
    #[must_use]
    pub fn deployments_of_component(&self, component: &str) -> Vec<Deployment> {
        let named = self.hanging(&entity::component(component), "workload");
        let mut found: BTreeSet<Deployment> = BTreeSet::new();
        for workload in named.iter().take(MAX_DEPLOYMENTS) {
            if let Some(context) = self.entity(workload) {
                found.extend(context.all(Attribute::RunsImage).map(|runs| self.deployment(&context, runs)));
            }
        }
        let repositories: BTreeSet<String> =
            self.component(component).sources.into_iter().map(|(repo, _)| repo).collect();
        let own_name = repositories.is_empty().then(|| component.to_owned());
        for repo in repositories.into_iter().chain(own_name) {
            for image in self.hanging(&entity::repo(&repo), "image") {
                if found.len() < MAX_DEPLOYMENTS && !self.hanging(&image, "workload").is_empty() {
                    let is_own = self.asset(&image).attribute("").components.iter().any(|name| name == component);
                    found.extend(if is_own { self.deployments_of_image(&image) } else { Vec::new() });
                }
            }
        }
        found.into_iter().take(MAX_DEPLOYMENTS).collect()
    }

    fn deployment(&self, workload: &EntityContext, runs: &ContextAttribute) -> Deployment {
        let environment = workload.get(Attribute::Environment).and_then(|found| value::parse(&found.value));
        let (exposure, ways_in) = self.exposure(workload);
        Deployment {
            workload: workload.entity.clone(),
            image: runs.qualifier.clone(),
            environment: environment.unwrap_or_default(),
            exposure,
            ways_in,
            asserter: runs.asserter.clone(),
            observed_at: runs.observed_at,
            stale: runs.stale,
        }
    }

    /// How reachable a workload is: from the internet, from inside, by no service of its namespace, or unknown where
    /// neither its labels nor any service of the namespace are known.
    fn exposure(&self, workload: &EntityContext) -> (Exposure, Vec<String>) {
        let Some(labels) = workload.get(Attribute::PodLabels).and_then(|found| value::parse::<Labels>(&found.value))
        else {
            return (Exposure::Unknown, Vec::new());
        };
        let services = self.hanging(&edges::namespace_anchor(edges::namespace(&workload.entity)), "service");
        let mut exposure = if services.is_empty() { Exposure::Unknown } else { Exposure::Small };
        let mut ways_in = BTreeSet::new();
        for service in services.iter().filter_map(|service| self.entity(service)) {
            if selects(&service, &labels) {
                let open = service.all(Attribute::ExposedBy).filter_map(|way| value::parse::<Exposed>(&way.value));
                let open: Vec<Exposed> = open.filter(|way| way.internet).collect();
                exposure = exposure.max(if open.is_empty() { Exposure::Controlled } else { Exposure::Open });
                ways_in.extend(open.into_iter().map(|way| format!("{}{}", way.host, way.path)));
            }
        }
        (exposure, ways_in.into_iter().take(8).collect())
    }

    /// The workloads that a service selects, ascending.
    pub(super) fn selected_by(&self, service: &EntityContext) -> Vec<Arc<str>> {
        let mut workloads = self.hanging(&edges::namespace_anchor(edges::namespace(&service.entity)), "workload");
        workloads.retain(|workload| {
            self.value::<Labels>(workload, Attribute::PodLabels).is_some_and(|labels| selects(service, &labels))
        });
        workloads
    }

    /// See [`super::Graph::component`].
    #[must_use]
    pub fn component(&self, name: &str) -> ComponentFacts {
        let Some(context) = self.entity(&entity::component(name)) else {
            return ComponentFacts { name: name.to_owned(), ..ComponentFacts::default() };
        };
        let one = |attribute| context.get(attribute).cloned();
        let mut sources: Vec<_> = context.all(Attribute::Source).map(|at| edges::source(&at.qualifier)).collect();
        sources.sort_unstable();
        ComponentFacts {
            name: name.to_owned(),
            is_known: true,
            owner: one(Attribute::Owner),
            tier: one(Attribute::Tier),
            lifecycle: one(Attribute::Lifecycle),
            component_type: one(Attribute::ComponentType),
            system: one(Attribute::System),
            title: one(Attribute::Title),
            sources,
        }
    }

    /// See [`super::Graph::base_image`].
    #[must_use]
    pub fn base_image(&self, image: &str) -> Option<BaseImage> {
        let images = self.digests_of(image);
        let base = images.iter().find_map(|image| self.value::<value::BaseImage>(image, Attribute::BaseImage))?;
        let mut builds = self.hanging(&edges::name_anchor(&base.name), "image");
        if !base.digest.is_empty() {
            builds.insert(0, Arc::from(entity::image(&base.digest)));
        }
        let components = builds.iter().map(|build| self.asset(build)).find(AssetView::is_claimed);
        let components = components.map(|asset| asset.attribute("").components).unwrap_or_default();
        Some(BaseImage { name: base.name, tag: base.tag, digest: base.digest, components })
    }

    /// See [`super::Graph::code_owners`].
    #[must_use]
    pub fn code_owners(&self, repo: &str) -> Option<CodeOwners> {
        self.value(&entity::repo(repo), Attribute::CodeOwners)
    }
}

fn is_one_of(names: &[Arc<str>], name: &str) -> bool {
    names.iter().any(|known| known.as_ref() == name)
}

/// A service without a selector selects nothing.
fn selects(service: &EntityContext, labels: &Labels) -> bool {
    let selector = service.get(Attribute::Selector).and_then(|found| value::parse::<Labels>(&found.value));
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}
