//! `push`, `workflow_run`, `deployment_status`, `registry_package` → facts about branches, deployments and images.

use serde::Deserialize;
use serde_json::Value;
use tributary_model::fact::{Attribute, value};
use tributary_model::{entity, repository};

use super::payload::{Repository, first_time, parse};
use crate::event::{Events, Input, Rejection};
use crate::normalize::claims::Claims;
use crate::normalize::environment;
use crate::normalize::image_reference;

const NO_FACTS: &str = "the GitHub payload has neither an id nor a default branch of its repository";

#[derive(Deserialize)]
struct Push {
    #[serde(default, rename = "ref")]
    reference: String,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    repository: Repository,
}

/// The repository's default branch and id; a tracked branch when a release branch or a tag was pushed.
pub fn push(input: &Input<'_>) -> Result<Events, Rejection> {
    let push: Push = parse(input, "push")?;
    let repo = push.repository.canonical()?;
    let mut claims = Claims::new(input, "github");
    push.repository.claim(&repo, &mut claims);
    track(&repo, &push.reference, push.deleted, &mut claims);
    claims.into_events(NO_FACTS)
}

/// A release branch or a tag is tracked beside the default branch; its deletion ends that.
fn track(repo: &str, reference: &str, is_deleted: bool, claims: &mut Claims<'_>) {
    let (name, kind) = match (reference.strip_prefix("refs/heads/"), reference.strip_prefix("refs/tags/")) {
        (_, Some(tag)) => (tag, "tag"),
        (Some(branch), _) if is_release(branch) => (branch, "release"),
        _ => return,
    };
    if is_deleted {
        claims.retract(&entity::repo(repo), Attribute::TrackedBranch, name);
    } else {
        claims.text(&entity::repo(repo), Attribute::TrackedBranch, name, kind);
    }
}

fn is_release(branch: &str) -> bool {
    ["release/", "releases/", "release-"].iter().any(|prefix| branch.len() > prefix.len() && branch.starts_with(prefix))
}

#[derive(Deserialize)]
struct WorkflowRun {
    #[serde(default)]
    workflow_run: Run,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Run {
    head_branch: Option<String>,
    updated_at: Option<String>,
}

/// The repository, and its release branch if the run was on one. A run names no image: provenance does.
pub fn workflow_run(input: &Input<'_>) -> Result<Events, Rejection> {
    let event: WorkflowRun = parse(input, "workflow_run")?;
    let repo = event.repository.canonical()?;
    let mut claims = Claims::new(input, "github");
    claims.observed_at = first_time(&[&event.workflow_run.updated_at]).unwrap_or(claims.observed_at);
    event.repository.claim(&repo, &mut claims);
    let branch = event.workflow_run.head_branch.unwrap_or_default();
    track(&repo, &format!("refs/heads/{branch}"), false, &mut claims);
    claims.into_events(NO_FACTS)
}

#[derive(Deserialize)]
struct DeploymentStatus {
    #[serde(default, rename = "deployment_status")]
    status: Status,
    #[serde(default)]
    deployment: Deployment,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    state: String,
    environment: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Deployment {
    environment: Option<String>,
    /// Free form; an object, or JSON in a text.
    payload: Value,
}

/// After a success: the repository is deployed to an environment, with the image where the payload carries a digest.
pub fn deployment_status(input: &Input<'_>) -> Result<Events, Rejection> {
    let event: DeploymentStatus = parse(input, "deployment_status")?;
    let repo = event.repository.canonical()?;
    let status = &event.status;
    let mut claims = Claims::new(input, "github");
    claims.observed_at = first_time(&[&status.updated_at, &status.created_at]).unwrap_or(claims.observed_at);
    event.repository.claim(&repo, &mut claims);
    let given = [&status.environment, &event.deployment.environment].into_iter().flatten();
    let given = given.map(|name| name.trim()).find(|name| !name.is_empty());
    if let Some(name) = given.filter(|_| status.state == "success") {
        let deployed = repo.rsplit('/').next().unwrap_or(&repo);
        let workload = entity::workload(name, "", "deployment", deployed);
        claims.text(&workload, Attribute::Environment, "", &environment::canonical(name));
        if let Some(digest) = digest_in(&event.deployment.payload) {
            claims.text(&workload, Attribute::RunsImage, &entity::image(&digest), deployed);
        }
    }
    claims.into_events(NO_FACTS)
}

/// The digest under a key that speaks of an image, directly in a deployment's payload.
fn digest_in(payload: &Value) -> Option<String> {
    let parsed = payload.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let payload = parsed.as_ref().unwrap_or(payload);
    ["image", "digest", "image_digest", "artifact"].iter().find_map(|key| {
        let text = payload.get(*key)?.as_str()?;
        image_reference::digest(&text[text.find("sha256:")?..])
    })
}

#[derive(Deserialize)]
struct PackageEvent {
    #[serde(alias = "package")]
    registry_package: Package,
    #[serde(default)]
    repository: Repository,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Package {
    name: String,
    namespace: Option<String>,
    #[serde(rename = "package_version")]
    published: Option<Version>,
    updated_at: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Version {
    #[serde(rename = "version")]
    name: Option<String>,
    package_url: Option<String>,
    target_commitish: Option<String>,
    container_metadata: Option<Metadata>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    tag: Value,
    labels: Value,
    manifest: Value,
}

/// An image that was published: its repository and commit, its name, its config digest. Other packages are only their
/// repository.
pub fn registry_package(input: &Input<'_>) -> Result<Events, Rejection> {
    let event: PackageEvent = parse(input, "registry_package")?;
    let repo = event.repository.canonical()?;
    let mut claims = Claims::new(input, "github");
    // Old payloads carry the year 1 where they have no time.
    claims.observed_at =
        first_time(&[&event.registry_package.updated_at]).filter(|at| *at > 0).unwrap_or(claims.observed_at);
    event.repository.claim(&repo, &mut claims);
    if let Some(version) = &event.registry_package.published {
        image(&repo, &event.registry_package, version, &mut claims);
    }
    claims.into_events(NO_FACTS)
}

fn image(repo: &str, package: &Package, version: &Version, claims: &mut Claims<'_>) {
    let none = Metadata::default();
    let metadata = version.container_metadata.as_ref().unwrap_or(&none);
    let digest = |value: Option<&Value>| value.and_then(Value::as_str).and_then(image_reference::digest);
    let manifest = digest(metadata.manifest.get("digest"));
    let manifest = manifest.or_else(|| digest(metadata.tag.get("digest")));
    let Some(digest_of_image) = manifest.or_else(|| version.name.as_deref().and_then(image_reference::digest)) else {
        return;
    };
    let image = entity::image(&digest_of_image);
    let label = |short: &str, long: &str| {
        let all = metadata.labels.get("all_labels").and_then(|all| all.get(long));
        let texts = [metadata.labels.get(short), all].into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::trim).find(|text| !text.is_empty())
    };
    let is_commit = |text: &&str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let target = version.target_commitish.as_deref().unwrap_or_default();
    let revision = label("revision", "org.opencontainers.image.revision").filter(is_commit);
    let source = label("source", "org.opencontainers.image.source").and_then(repository::canonical);
    let built_from = value::BuiltFrom {
        repo: source.unwrap_or_else(|| repo.to_owned()),
        commit: revision.or(Some(target).filter(is_commit)).unwrap_or_default().to_owned(),
        branch: Some(target).filter(|target| !is_commit(target)).unwrap_or_default().to_owned(),
        path: String::new(),
    };
    claims.say(&image, Attribute::BuiltFrom, "", &built_from);
    if let Some(name) = name(package, version, metadata) {
        claims.text(&image, Attribute::ImageName, &name, "");
    }
    if let Some(config) = metadata.manifest.pointer("/config/digest").and_then(|value| digest(Some(value))) {
        claims.text(&image, Attribute::ImageDigest, &config, "config");
    }
}

/// `ghcr.io/org/name:tag`, in lower case as the registry demands.
fn name(package: &Package, version: &Version, metadata: &Metadata) -> Option<String> {
    let url = version.package_url.as_deref().map(|url| url.trim_end_matches(':'));
    if let Some(url) = url.filter(|url| url.contains('/')) {
        return Some(url.to_ascii_lowercase());
    }
    let namespace = package.namespace.as_deref().filter(|namespace| !namespace.is_empty())?;
    let organisation = namespace.split('/').next().unwrap_or(namespace);
    let tag = metadata.tag.get("name").and_then(Value::as_str).filter(|tag| !tag.is_empty());
    let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    Some(format!("ghcr.io/{organisation}/{}{tag}", package.name).to_ascii_lowercase())
}
