//! Names of the entities that facts are about. One function per kind; all canonical.

/// `repo:host/org/name` from a canonical repository (see [`crate::repository::canonical`]).
#[must_use]
pub fn repo(canonical: &str) -> String {
    format!("repo:{canonical}")
}

/// `image:sha256:…` from a digest with its algorithm.
#[must_use]
pub fn image(digest: &str) -> String {
    format!("image:{}", digest.trim().to_ascii_lowercase())
}

/// `workload:cluster/namespace/kind/name`; the kind in lower case. Never a replica set or pod of one.
#[must_use]
pub fn workload(cluster: &str, namespace: &str, kind: &str, name: &str) -> String {
    format!("workload:{cluster}/{namespace}/{}/{name}", kind.to_ascii_lowercase())
}

/// `service:cluster/namespace/name`: a network service, not a component.
#[must_use]
pub fn service(cluster: &str, namespace: &str, name: &str) -> String {
    format!("service:{cluster}/{namespace}/{name}")
}

/// `component:name`.
#[must_use]
pub fn component(name: &str) -> String {
    format!("component:{}", name.trim().to_ascii_lowercase())
}

/// `vuln:CVE-2021-44228`; ids are as published, with letters of CVE and distribution ids in upper case (see [`vulnerability_id`]).
#[must_use]
pub fn vulnerability(id: &str) -> String {
    let mut key = String::with_capacity("vuln:".len() + id.len());
    key.push_str("vuln:");
    push_vulnerability_id(id, &mut key);
    key
}

/// `product:<purl without qualifiers>` or `product:sha256:…`.
#[must_use]
pub fn product(purl_or_digest: &str) -> String {
    format!("product:{purl_or_digest}")
}

/// The kind before the first `:`.
#[must_use]
pub fn kind(entity: &str) -> &str {
    entity.split_once(':').map_or("", |(kind, _)| kind)
}

/// What follows the kind.
#[must_use]
pub fn name(entity: &str) -> &str {
    entity.split_once(':').map_or(entity, |(_, name)| name)
}

/// Canonical spelling of an advisory id: `cve-2021-1` → `CVE-2021-1`, `ghsa-ABCD-…` → `GHSA-abcd-…`; others trimmed.
#[must_use]
pub fn vulnerability_id(id: &str) -> String {
    let mut canonical = String::with_capacity(id.len());
    push_vulnerability_id(id, &mut canonical);
    canonical
}

fn push_vulnerability_id(id: &str, into: &mut String) {
    let id = id.trim();
    let has_prefix = |prefix: &str| id.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let start = into.len();
    if has_prefix("GHSA-") {
        into.push_str("GHSA-");
        into.push_str(&id["GHSA-".len()..]);
        into[start + "GHSA-".len()..].make_ascii_lowercase();
        return;
    }
    into.push_str(id);
    if ["CVE-", "RHSA-", "DSA-", "USN-", "CWE-"].into_iter().any(has_prefix) {
        into[start..].make_ascii_uppercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advisory_ids_have_one_spelling() {
        assert_eq!(vulnerability_id(" cve-2021-44228 "), "CVE-2021-44228");
        assert_eq!(vulnerability_id("ghsa-JFH8-c2jp-5v3q"), "GHSA-jfh8-c2jp-5v3q");
        assert_eq!(vulnerability_id("SNYK-JS-LODASH-1"), "SNYK-JS-LODASH-1");
        assert_eq!(vulnerability_id("é"), "é");
    }
}
