//! Which asset a report is about: what the producer said beside the bytes, else what the report says, else a reject that names
//! the missing option.

use tributary_model::{asset, entity, repository};

use crate::event::{Input, Rejection, code};
use crate::normalize::workload_name;

/// What a tool looks at. Decides which of several options is meant: an image scanner that is given a repository and an image
/// was run on the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A container image.
    Image,
    /// Source code: a branch of a repository.
    Repository,
    /// An account, a cluster or a web site: what the report says is more exact than any repository it was sent from.
    Running,
}

/// The asset of a report. `reported` is the key that the report itself gives.
///
/// # Errors
/// [`code::NO_ASSET`] when neither says; [`code::NO_ASSET`] also when the `repo` option names no repository.
pub fn choose(input: &Input<'_>, subject: Subject, reported: Option<String>) -> Result<String, Rejection> {
    let image = image_option(input, reported.as_deref());
    let repository = repository_option(input, reported.as_deref())?;
    let typed = input.ext.resource.as_deref().and_then(typed_resource);
    let text = || input.ext.resource.as_deref().map(|resource| format!("other:{}", resource.trim()));
    let chosen = match subject {
        Subject::Image => image.or(reported).or(typed).or_else(text).or(repository),
        Subject::Repository => repository.or(image).or(reported).or(typed).or_else(text),
        Subject::Running => reported.or(typed).or_else(text).or(repository).or(image),
    };
    chosen.ok_or_else(|| missing(subject))
}

fn missing(subject: Subject) -> Rejection {
    let options = match subject {
        Subject::Image => "--image NAME@sha256:…",
        Subject::Repository => "--repo HOST/ORG/NAME --branch BRANCH",
        Subject::Running => "--resource aws/ACCOUNT, cluster/NAME or https://HOST",
    };
    Rejection::new(code::NO_ASSET, format!("the report does not say what was scanned: pass {options}"))
}

/// The image option; a bare tag yields to a digest in the report, which is the stronger identity.
fn image_option(input: &Input<'_>, reported: Option<&str>) -> Option<String> {
    let given = asset::image(input.ext.image.as_deref()?)?;
    let by_digest = |key: &str| key.starts_with("image:sha256:");
    match reported {
        Some(reported) if by_digest(reported) && !by_digest(&given) => Some(reported.to_owned()),
        _ => Some(given),
    }
}

/// The repository option; its branch comes from the report when that is about the same repository.
fn repository_option(input: &Input<'_>, reported: Option<&str>) -> Result<Option<String>, Rejection> {
    let Some(url) = input.ext.repo.as_deref() else { return Ok(None) };
    let reported = reported.and_then(asset::repository_parts);
    let branch = input.ext.branch.as_deref().or_else(|| {
        reported.filter(|(name, _)| repository::canonical(url).as_deref() == Some(*name)).map(|(_, branch)| branch)
    });
    match asset::repository(url, branch.unwrap_or_default()) {
        Some(key) => Ok(Some(key)),
        None => {
            Err(Rejection::new(code::NO_ASSET, "the repo option names no repository: write HOST/ORG/NAME or its URL"))
        }
    }
}

/// The branch to use where only the report names the repository.
pub fn branch<'t>(input: &Input<'t>, reported: &'t str) -> &'t str {
    input.ext.branch.as_deref().unwrap_or(reported)
}

/// The asset that a `resource` option names by its form: a URL, an asset key, an ARN, `aws/ACCOUNT`, `cluster/NAME`, `host/NAME`.
/// `None` for free text, which is used only where the report says nothing.
pub fn typed_resource(resource: &str) -> Option<String> {
    let resource = resource.trim();
    if let Some(origin) = asset::web(resource) {
        return Some(origin);
    }
    if resource.starts_with("arn:") {
        return account_of_arn(resource).map(|account| asset::cloud("aws", account));
    }
    if let Some((kind, name)) = resource.split_once(':')
        && matches!(kind, "repo" | "image" | "cloud" | "web" | "workload" | "host" | "other")
        && !name.is_empty()
    {
        return Some(resource.to_owned());
    }
    let (kind, name) = resource.split_once('/')?;
    let name = name.trim_matches('/');
    match kind.to_ascii_lowercase().as_str() {
        _ if name.is_empty() => None,
        "cluster" | "kubernetes" | "k8s" => Some(cluster(name)),
        "host" => Some(asset::host(name)),
        "aws" | "azure" | "gcp" | "oci" | "alibaba" | "cloudflare" | "github" | "m365" => {
            Some(asset::cloud(kind, name))
        }
        _ => None,
    }
}

/// The account in `arn:partition:service:region:account:…`; `None` for buckets, whose ARN has none.
pub fn account_of_arn(arn: &str) -> Option<&str> {
    let account = arn.split(':').nth(4)?;
    (!account.is_empty() && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

/// Key of a whole cluster.
pub fn cluster(name: &str) -> String {
    asset::cloud("kubernetes", cluster_name(name))
}

/// Short name of a cluster: the last part of `arn:aws:eks:…:cluster/prod` or `gke_project_zone/prod`.
pub fn cluster_name(name: &str) -> &str {
    name.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Key of a workload. A replica set or pod of a deployment and a job of a cron job are named after what made them, so that a
/// new rollout is not a new asset.
pub fn workload(cluster: &str, namespace: &str, kind: &str, name: &str) -> String {
    let (kind, name) = controller(kind, name);
    entity::workload(cluster, namespace, kind, name)
}

/// What made a replica: `ReplicaSet web-6d4cf56db6` → `Deployment web`; others stay.
pub fn controller<'t>(kind: &'t str, name: &'t str) -> (&'t str, &'t str) {
    if kind.eq_ignore_ascii_case("replicaset") {
        let owner = workload_name::of_replica_set(name);
        return if owner == name { (kind, name) } else { ("Deployment", owner) };
    }
    if kind.eq_ignore_ascii_case("job") {
        return workload_name::of_job(name).map_or((kind, name), |owner| ("CronJob", owner));
    }
    (kind, name)
}

/// Address of a Kubernetes resource: `kind/namespace/name`, the kind in lower case; without a namespace `kind//name`.
pub fn kubernetes_resource(namespace: &str, kind: &str, name: &str) -> String {
    let (kind, name) = controller(kind, name);
    format!("{}/{namespace}/{name}", kind.to_ascii_lowercase())
}

/// The image key from what an image report says, strongest identity first: the repository digest (of the manifest that runs),
/// the config digest, the name.
pub fn image<'t>(name: &str, repo_digests: impl IntoIterator<Item = &'t str>, config_digest: &str) -> Option<String> {
    let repository = name.split('@').next().unwrap_or_default();
    let repository = match repository.rfind(':') {
        Some(colon) if !repository[colon..].contains('/') => &repository[..colon],
        _ => repository,
    };
    let digests: Vec<&str> = repo_digests.into_iter().filter(|digest| digest_of(digest).is_some()).collect();
    let of_this_name = digests.iter().find(|digest| digest.split('@').next() == Some(repository));
    let best = of_this_name.or(digests.first()).copied();
    best.or_else(|| digest_of(name).is_some().then_some(name))
        .or_else(|| digest_of(config_digest).is_some().then_some(config_digest))
        .or_else(|| Some(name).filter(|name| !name.trim().is_empty()))
        .and_then(asset::image)
}

/// The `sha256:…` in an image reference, lower case.
pub fn digest_of(reference: &str) -> Option<String> {
    let key = asset::image(reference)?;
    let hex = key.strip_prefix("image:sha256:")?;
    let is_digest = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| format!("sha256:{hex}"))
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;
    use tributary_model::reject::Origin;

    use super::*;
    use crate::normalize::fixture::Hasher;

    fn choose_with(ext: &Extensions, subject: Subject, reported: Option<&str>) -> Result<String, Rejection> {
        let origin = Origin::default();
        let input = Input { body: b"", ext, origin: &origin, secrets: &Hasher };
        choose(&input, subject, reported.map(str::to_owned))
    }

    #[test]
    fn the_subject_decides_between_two_options() {
        let digest = format!("r.example/shop@sha256:{}", "a".repeat(64));
        let ext = Extensions {
            repo: Some("github.com/acme/shop".to_owned()),
            branch: Some("main".to_owned()),
            image: Some(digest),
            ..Default::default()
        };
        let image = format!("image:sha256:{}", "a".repeat(64));
        assert_eq!(choose_with(&ext, Subject::Image, None), Ok(image));
        assert_eq!(choose_with(&ext, Subject::Repository, None), Ok("repo:github.com/acme/shop#main".into()));
        assert_eq!(choose_with(&ext, Subject::Running, Some("cloud:aws/1")), Ok("cloud:aws/1".into()));
    }

    #[test]
    fn a_digest_in_the_report_beats_a_tag_in_the_option() {
        let reported = format!("image:sha256:{}", "b".repeat(64));
        let ext = Extensions { image: Some("r.example/shop:1".to_owned()), ..Default::default() };
        assert_eq!(choose_with(&ext, Subject::Image, Some(&reported)), Ok(reported));
        assert_eq!(choose_with(&ext, Subject::Image, None), Ok("image:r.example/shop:1".into()));
    }

    #[test]
    fn free_text_is_the_last_resort_and_nothing_is_a_reject() {
        let ext = Extensions { resource: Some("check/unknown".to_owned()), ..Default::default() };
        assert_eq!(choose_with(&ext, Subject::Repository, None), Ok("other:check/unknown".into()));
        assert_eq!(choose_with(&ext, Subject::Running, Some("web:https://a")), Ok("web:https://a".into()));
        let reject = choose_with(&Extensions::default(), Subject::Repository, None).unwrap_err();
        assert_eq!(reject.code, code::NO_ASSET);
        assert!(reject.reason.contains("--repo"));
        let ext = Extensions { repo: Some("shop".to_owned()), ..Default::default() };
        assert_eq!(choose_with(&ext, Subject::Repository, None).unwrap_err().code, code::NO_ASSET);
    }

    #[test]
    fn the_branch_of_the_report_counts_for_the_same_repository_only() {
        let ext = Extensions { repo: Some("https://github.com/acme/shop.git".to_owned()), ..Default::default() };
        let same = choose_with(&ext, Subject::Repository, Some("repo:github.com/acme/shop#release"));
        assert_eq!(same, Ok("repo:github.com/acme/shop#release".into()));
        let other = choose_with(&ext, Subject::Repository, Some("repo:github.com/acme/other#release"));
        assert_eq!(other, Ok("repo:github.com/acme/shop#".into()));
    }

    #[test]
    fn resources_by_their_form() {
        for (resource, expected) in [
            ("https://Shop.example/x", Some("web:https://shop.example")),
            ("aws/123456789012", Some("cloud:aws/123456789012")),
            ("cluster/prod-eu", Some("cloud:kubernetes/prod-eu")),
            ("arn:aws:eks:eu-west-1:123456789012:cluster/prod", Some("cloud:aws/123456789012")),
            ("arn:aws:s3:::bucket", None),
            ("host/Web-1", Some("host:web-1")),
            ("cloud:aws/1", Some("cloud:aws/1")),
            ("check/unknown", None),
            ("cluster/", None),
            ("é", None),
        ] {
            assert_eq!(typed_resource(resource).as_deref(), expected, "{resource}");
        }
    }

    #[test]
    fn replicas_are_named_after_what_made_them() {
        for (kind, name, expected) in [
            ("ReplicaSet", "web-6d4cf56db6", "workload:c/n/deployment/web"),
            ("ReplicaSet", "web", "workload:c/n/replicaset/web"),
            ("Job", "backup-28391829", "workload:c/n/cronjob/backup"),
            ("Job", "migrate-2", "workload:c/n/job/migrate-2"),
            ("StatefulSet", "db", "workload:c/n/statefulset/db"),
        ] {
            assert_eq!(workload("c", "n", kind, name), expected);
        }
    }

    #[test]
    fn an_image_is_its_repository_digest_first() {
        let (a, b, c) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let digests = [format!("other/x@sha256:{a}"), format!("r.example:5000/shop@sha256:{b}")];
        let config = format!("sha256:{c}");
        let of = |name: &str, digests: &[String]| image(name, digests.iter().map(String::as_str), &config);
        assert_eq!(of("r.example:5000/shop:1", &digests), Some(format!("image:sha256:{b}")));
        assert_eq!(of("shop:1", &digests), Some(format!("image:sha256:{a}")));
        assert_eq!(of("shop:1", &[String::new()]), Some(format!("image:sha256:{c}")));
        assert_eq!(image("shop:1", [], ""), Some("image:shop:1".to_owned()));
        assert_eq!(image("", [""], "sha256:short"), None);
    }
}
