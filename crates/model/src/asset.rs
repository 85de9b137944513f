//! Asset keys: what was scanned. An image digest, a branch of a repository, a cloud account, a web origin, a host, a workload.

use crate::repository;

/// Kinds of assets; the part of an asset key before its first `:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum AssetKind {
    Repository,
    Image,
    Cloud,
    Web,
    Workload,
    Host,
    Other,
}

/// Key of a repository branch: `repo:host/org/name#branch`. Without a branch: `#` and nothing (the default branch is not yet known).
/// `None` when the URL names no repository.
#[must_use]
pub fn repository(url: &str, branch: &str) -> Option<String> {
    let canonical = repository::canonical(url)?;
    let branch = branch.trim().trim_start_matches("refs/heads/");
    Some(format!("repo:{canonical}#{branch}"))
}

/// Key of an image: `image:sha256:…` when the reference has a digest, else `image:registry/name:tag` (a tag is weaker identity).
#[must_use]
pub fn image(reference: &str) -> Option<String> {
    let reference = reference.trim();
    if reference.is_empty() {
        return None;
    }
    if let Some(at) = reference.find("sha256:") {
        let digest = &reference[at..];
        let hex = &digest[7..];
        if hex.len() >= 64 && hex.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit) {
            return Some(format!("image:sha256:{}", hex[..64].to_ascii_lowercase()));
        }
    }
    Some(format!("image:{reference}"))
}

/// Key of a cloud account: `cloud:aws/123456789012`.
#[must_use]
pub fn cloud(provider: &str, account: &str) -> String {
    format!("cloud:{}/{}", provider.to_ascii_lowercase(), account.trim())
}

/// Key of a web origin: `web:https://host[:port]`, default ports dropped, lower case. `None` without a host.
#[must_use]
pub fn web(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    (!host.is_empty()).then(|| format!("web:{scheme}://{host}"))
}

/// Key of a host: `host:name`.
#[must_use]
pub fn host(name: &str) -> String {
    format!("host:{}", name.trim().to_ascii_lowercase())
}

/// The kind of an asset key.
#[must_use]
pub fn kind(asset: &str) -> AssetKind {
    match asset.split_once(':').map_or("", |(kind, _)| kind) {
        "repo" => AssetKind::Repository,
        "image" => AssetKind::Image,
        "cloud" => AssetKind::Cloud,
        "web" => AssetKind::Web,
        "workload" => AssetKind::Workload,
        "host" => AssetKind::Host,
        _ => AssetKind::Other,
    }
}

/// The canonical repository and the branch of a repository asset.
#[must_use]
pub fn repository_parts(asset: &str) -> Option<(&str, &str)> {
    asset.strip_prefix("repo:")?.split_once('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_canonical() {
        let digest = "ab".repeat(32);
        assert_eq!(
            repository("git@GitHub.com:Acme/shop.git", "refs/heads/main").as_deref(),
            Some("repo:github.com/acme/shop#main")
        );
        assert_eq!(image(&format!("r.example/app:1@sha256:{digest}")), Some(format!("image:sha256:{digest}")));
        assert_eq!(image("alpine:3.20").as_deref(), Some("image:alpine:3.20"));
        assert_eq!(image("x@sha256:é").as_deref(), Some("image:x@sha256:é"));
        assert_eq!(web("HTTPS://u:p@Shop.example:443/a?b").as_deref(), Some("web:https://shop.example"));
        assert_eq!(web("not a url"), None);
        assert_eq!(repository_parts("repo:github.com/acme/shop#main"), Some(("github.com/acme/shop", "main")));
    }
}
