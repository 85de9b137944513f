//! Which anchors an entity hangs on: the keys under which a lookup in the other direction finds it.

use tributary_model::context::EntityContext;
use tributary_model::entity;
use tributary_model::fact::{Attribute, value};
use tributary_model::repository;

/// Kinds of entities that are indexed. Vulnerabilities and products are looked up by name only.
pub(super) const KINDS: [&str; 5] = ["component", "image", "repo", "service", "workload"];

/// Whether an entity is of an indexed kind.
pub(super) fn is_indexed(entity: &str) -> bool {
    KINDS.contains(&entity::kind(entity))
}

/// Anchor of everything in one namespace of one cluster: services select pods only there.
pub(super) fn namespace_anchor(cluster_and_namespace: &str) -> String {
    format!("namespace:{cluster_and_namespace}")
}

/// Anchor of the images pushed under one name, without tag.
pub(super) fn name_anchor(name: &str) -> String {
    format!("name:{name}")
}

/// Anchor of the services that answer for a host name.
pub(super) fn host_anchor(host: &str) -> String {
    format!("hostname:{}", host.to_ascii_lowercase())
}

/// `cluster/namespace` of a workload or service entity.
pub(super) fn namespace(of: &str) -> &str {
    let name = entity::name(of);
    let end = name.match_indices('/').nth(1).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

/// `registry/repository` of `registry/repository:tag` or `…@digest`; a port is no tag.
pub(super) fn without_tag(reference: &str) -> &str {
    let reference = reference.split_once('@').map_or(reference, |(name, _)| name);
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}

/// Repository and path of a component's source: `host/org/name//sub/path`. Anything that is not canonical is made so.
pub(super) fn source(qualifier: &str) -> (String, String) {
    let (scheme, rest) = qualifier.split_once("://").map_or(("", qualifier), |(scheme, rest)| (scheme, rest));
    let (repo, path) = rest.split_once("//").unwrap_or((rest, ""));
    let url = if scheme.is_empty() { repo.to_owned() } else { format!("{scheme}://{repo}") };
    (repository::canonical(&url).unwrap_or(url), tributary_model::path::canonical(path))
}

/// The anchors of an entity, unsorted.
pub(super) fn anchors(context: &EntityContext) -> Vec<String> {
    match entity::kind(&context.entity) {
        "workload" => workload(context),
        "image" => image(context),
        "component" => component(context),
        "service" => service(context),
        "repo" => context.all(Attribute::RepositoryAlias).map(|alias| entity::repo(&alias.qualifier)).collect(),
        _ => Vec::new(),
    }
}

fn workload(context: &EntityContext) -> Vec<String> {
    let images = context.all(Attribute::RunsImage).map(|image| image.qualifier.clone());
    let label = context.get(Attribute::WorkloadComponent).and_then(|label| value::parse::<String>(&label.value));
    images
        .chain(label.map(|label| entity::component(&label)))
        .chain([namespace_anchor(namespace(&context.entity))])
        .collect()
}

fn image(context: &EntityContext) -> Vec<String> {
    let built = context.get(Attribute::BuiltFrom).and_then(|built| value::parse::<value::BuiltFrom>(&built.value));
    let digests = context.all(Attribute::ImageDigest).map(|other| entity::image(&other.qualifier));
    let names = context.all(Attribute::ImageName).flat_map(|name| {
        // By reference for assets that have no digest; by name for those who build on it.
        [format!("image:{}", name.qualifier), name_anchor(without_tag(&name.qualifier))]
    });
    built.map(|built| entity::repo(&built.repo)).into_iter().chain(digests).chain(names).collect()
}

fn component(context: &EntityContext) -> Vec<String> {
    let sources = context.all(Attribute::Source).map(|at| entity::repo(&source(&at.qualifier).0));
    sources.chain(context.all(Attribute::OwnsAsset).map(|asset| asset.qualifier.clone())).collect()
}

fn service(context: &EntityContext) -> Vec<String> {
    let hosts = context
        .all(Attribute::ExposedBy)
        .filter_map(|way| value::parse::<value::Exposed>(&way.value))
        .filter(|way| !way.host.is_empty())
        .map(|way| host_anchor(&way.host));
    hosts.chain([namespace_anchor(namespace(&context.entity))]).collect()
}
