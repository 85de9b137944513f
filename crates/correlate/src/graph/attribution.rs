//! Which components an asset, or a path in it, belongs to: the most specific claim wins, and nobody's is its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_model::asset::{self, AssetKind};
use tributary_model::entity;
use tributary_model::fact::Attribute;
use tributary_model::fact::value::{self, BuiltFrom};
use tributary_model::path;

use super::edges;
use super::standing::Standing;
use super::view::View;

/// Components that one finding is given to. More is not ownership but a platform's concern: the alphabetically first
/// are told, and the base image or library is where it is fixed.
pub const MAX_COMPONENTS: usize = 64;

/// The components of one finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attribution {
    /// Names without `component:`, ascending; never empty.
    pub components: Vec<String>,
    /// `build`, `source-path`, `deploys`, `owns-asset`, `label`, `unclaimed`.
    pub by: &'static str,
}

/// Everything below a path prefix of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Canonical path; empty is the whole asset.
    pub prefix: String,
    /// Components, ascending.
    pub components: Vec<String>,
}

/// What the context says about one asset; equal views mean that no finding of the asset is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetView {
    /// Longest prefix first.
    pub routes: Vec<Route>,
    /// How the routes were found.
    pub by: &'static str,
    /// Name of the component of what no route covers: the asset itself, or the repository for all its branches.
    pub own_name: String,
    /// Whether the asset counts.
    pub standing: Standing,
}

impl AssetView {
    /// The components of a finding at a canonical path; empty is the whole asset.
    #[must_use]
    pub fn attribute(&self, path: &str) -> Attribution {
        match self.routes.iter().find(|route| path::is_below(path, &route.prefix)) {
            Some(route) => Attribution { components: route.components.clone(), by: self.by },
            None => Attribution { components: vec![self.own_name.clone()], by: "unclaimed" },
        }
    }

    /// Whether anybody claims any of it.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        !self.routes.is_empty()
    }
}

/// Routes and how they were found.
type Claims = (Vec<Route>, &'static str);

impl View<'_> {
    /// Everything about one asset.
    #[must_use]
    pub fn asset(&self, asset: &str) -> AssetView {
        let (own_name, claims) = match asset::kind(asset) {
            AssetKind::Repository => self.repository(asset),
            AssetKind::Image => self.image(asset),
            AssetKind::Workload => (asset.to_owned(), self.workload(asset)),
            AssetKind::Web => (asset.to_owned(), self.owners(asset).or_else(|| self.answering(asset))),
            AssetKind::Cloud | AssetKind::Host | AssetKind::Other => (asset.to_owned(), self.owners(asset)),
        };
        let (routes, by) = claims.unwrap_or((Vec::new(), "unclaimed"));
        AssetView { routes, by, own_name, standing: self.standing(asset) }
    }

    fn repository(&self, asset: &str) -> (String, Option<Claims>) {
        let Some((repo, _)) = asset::repository_parts(asset) else { return (asset.to_owned(), self.owners(asset)) };
        let claims = self.sources(repo).map(|routes| (routes, "source-path"));
        let owned = || self.owners(asset).or_else(|| self.owners(&entity::repo(repo)));
        let claims = claims.or_else(owned).or_else(|| self.deployed_from(repo).map(|routes| (routes, "deploys")));
        (repo.to_owned(), claims)
    }

    /// Components by the paths of a repository that they name as their source, under any name of the repository.
    fn sources(&self, repo: &str) -> Option<Vec<Route>> {
        let mut paths = BTreeMap::<String, BTreeSet<String>>::new();
        for repo in self.names_of(repo) {
            for component in self.hanging(&entity::repo(&repo), "component") {
                let context = self.entity(&component);
                let sources = context.iter().flat_map(|context| context.all(Attribute::Source));
                for (source, path) in sources.map(|at| edges::source(&at.qualifier)) {
                    if source == repo {
                        paths.entry(path).or_default().insert(entity::name(&component).to_owned());
                    }
                }
            }
        }
        routes(paths)
    }

    /// A repository under all its names, the given one first.
    fn names_of(&self, repo: &str) -> Vec<String> {
        let own = entity::repo(repo);
        let context = self.entity(&own);
        let aliases = context.iter().flat_map(|context| context.all(Attribute::RepositoryAlias));
        let mut names: BTreeSet<String> = aliases.map(|alias| alias.qualifier.clone()).collect();
        names.extend(self.hanging(&own, "repo").iter().map(|other| entity::name(other).to_owned()));
        names.remove(repo);
        std::iter::once(repo.to_owned()).chain(names).collect()
    }

    /// Without a catalogue: the components that run what is built from a path of the repository.
    fn deployed_from(&self, repo: &str) -> Option<Vec<Route>> {
        let mut paths = BTreeMap::<String, BTreeSet<String>>::new();
        for image in self.hanging(&entity::repo(repo), "image") {
            let built = self.value::<BuiltFrom>(&image, Attribute::BuiltFrom).unwrap_or_default();
            let labels = self.labels_of(&self.digests_of(&image));
            if !labels.is_empty() {
                paths.entry(path::canonical(&built.path)).or_default().extend(labels);
            }
        }
        routes(paths)
    }

    fn image(&self, asset: &str) -> (String, Option<Claims>) {
        let images = self.digests_of(asset);
        let built = images.iter().find_map(|image| self.value::<BuiltFrom>(image, Attribute::BuiltFrom));
        let built = built.filter(|built| !built.repo.is_empty());
        let own_name = built.as_ref().map_or_else(|| asset.to_owned(), |built| built.repo.clone());
        let by_build = || self.builders(built.as_ref()?).map(|components| (components, "build"));
        let by_labels = || Some((self.labels_of(&images), "deploys")).filter(|(labels, _)| !labels.is_empty());
        let found = by_build().or_else(by_labels).map(|(components, by)| (vec![whole(components)], by));
        (own_name, found.or_else(|| self.owners(asset)))
    }

    /// Components of the repository path that an image was built from. A build that does not say its path belongs to
    /// the component of the whole repository, or to the only one there is.
    fn builders(&self, built: &BuiltFrom) -> Option<BTreeSet<String>> {
        let routes = self.sources(&built.repo)?;
        let at = path::canonical(&built.path);
        let route = routes.iter().find(|route| path::is_below(&at, &route.prefix));
        let only = || routes.first().filter(|route| routes.len() == 1 && at.is_empty() && route.components.len() == 1);
        Some(route.or_else(only)?.components.iter().cloned().collect())
    }

    /// The components that the workloads running one of these images name.
    fn labels_of(&self, images: &[Arc<str>]) -> BTreeSet<String> {
        let workloads = images.iter().flat_map(|image| self.hanging(image, "workload"));
        workloads.filter_map(|workload| self.label(&workload)).collect()
    }

    fn label(&self, workload: &str) -> Option<String> {
        let label = self.value::<value::Text>(workload, Attribute::WorkloadComponent)?;
        Some(entity::name(&entity::component(&label)).to_owned()).filter(|label| !label.is_empty())
    }

    fn workload(&self, asset: &str) -> Option<Claims> {
        if let Some(label) = self.label(asset) {
            return Some((vec![whole(BTreeSet::from([label]))], "label"));
        }
        let context = self.entity(asset);
        let images = context.iter().flat_map(|context| context.all(Attribute::RunsImage));
        let mut components = BTreeSet::new();
        for view in images.map(|runs| self.asset(&runs.qualifier)) {
            components.extend(view.routes.into_iter().flat_map(|route| route.components));
        }
        let by_images = (!components.is_empty()).then(|| (vec![whole(components)], "build"));
        by_images.or_else(|| self.owners(asset))
    }

    fn owners(&self, asset: &str) -> Option<Claims> {
        let owners = self.hanging(asset, "component");
        let owners: BTreeSet<String> = owners.iter().map(|owner| entity::name(owner).to_owned()).collect();
        (!owners.is_empty()).then(|| (vec![whole(owners)], "owns-asset"))
    }

    /// Components of the workloads behind the services that answer for a web origin's host name.
    fn answering(&self, asset: &str) -> Option<Claims> {
        let host = asset.split_once("://").map_or("", |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        let mut components = BTreeSet::new();
        for service in self.hanging(&edges::host_anchor(host), "service").iter().filter_map(|name| self.entity(name)) {
            for workload in self.selected_by(&service) {
                let found = self.workload(&workload).map(|(routes, _)| routes).unwrap_or_default();
                components.extend(found.into_iter().flat_map(|route| route.components));
            }
        }
        (!components.is_empty()).then(|| (vec![whole(components)], "deploys"))
    }

    /// See [`super::Graph::affected_components`].
    #[must_use]
    pub fn affected_components(&self, name: &str) -> Vec<String> {
        let of_asset = |asset: &str| self.asset(asset).attribute("").components;
        let mut found: BTreeSet<String> = match entity::kind(name) {
            "component" => BTreeSet::from([entity::name(name).to_owned()]),
            "workload" | "image" => of_asset(name).into_iter().collect(),
            "repo" => self.repository(&format!("{name}#")).1.map_or_else(BTreeSet::new, |(routes, _)| {
                routes.into_iter().flat_map(|route| route.components).collect()
            }),
            "service" => {
                let context = self.entity(name);
                let workloads = context.iter().flat_map(|service| self.selected_by(service));
                workloads.flat_map(|workload| of_asset(&workload)).collect()
            }
            _ => BTreeSet::new(),
        };
        if entity::kind(name) == "repo" {
            found.insert(entity::name(name).to_owned());
        }
        found.into_iter().collect()
    }
}

fn whole(components: BTreeSet<String>) -> Route {
    Route { prefix: String::new(), components: components.into_iter().take(MAX_COMPONENTS).collect() }
}

/// Longest prefix first, so that the first match is the most specific.
fn routes(paths: BTreeMap<String, BTreeSet<String>>) -> Option<Vec<Route>> {
    let mut routes: Vec<Route> = paths
        .into_iter()
        .map(|(prefix, components)| Route { prefix, components: components.into_iter().take(MAX_COMPONENTS).collect() })
        .collect();
    routes.sort_by(|a, b| b.prefix.len().cmp(&a.prefix.len()).then_with(|| a.prefix.cmp(&b.prefix)));
    (!routes.is_empty()).then_some(routes)
}
