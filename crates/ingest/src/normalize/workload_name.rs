//! Names of workloads from names of their replicas: a replica set, job or pod is never an identity.
//! Used where the owner is not given outright; cluster names likewise.

use crate::event::Input;

/// Letters in the suffixes that Kubernetes generates (its `rand.SafeEncodeString` alphabet).
const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The cluster that a record is about: `resource` of the form `cluster/<name>`, else what the report says, else the
/// last part of the CloudEvents source, else `default`.
#[must_use]
pub fn cluster(input: &Input<'_>, reported: Option<&str>) -> String {
    let resource = input.ext.resource.as_deref().and_then(|resource| resource.strip_prefix("cluster/"));
    let source = input.ext.source.as_deref().map(|source| source.split_once("://").map_or(source, |(_, rest)| rest));
    let last = |name: &str| name.trim_matches('/').rsplit('/').next().unwrap_or_default().trim().to_owned();
    [resource, reported, source]
        .into_iter()
        .flatten()
        .map(last)
        .find(|name| !name.is_empty())
        .unwrap_or("default".into())
}

/// The deployment of a replica set: its name without the hash of the pod template.
#[must_use]
pub fn of_replica_set(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((owner, hash))
            if !owner.is_empty() && hash.len() >= 5 && hash.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            owner
        }
        _ => name,
    }
}

/// The cron job of a job: its name without the minute of its schedule. `None` for a job of its own.
#[must_use]
pub fn of_job(name: &str) -> Option<&str> {
    let (owner, minute) = name.rsplit_once('-')?;
    (minute.len() >= 8 && !owner.is_empty() && minute.bytes().all(|b| b.is_ascii_digit())).then_some(owner)
}

/// Kind and name of the workload that a pod's name points to, for sensors that know nothing else.
#[must_use]
pub fn of_pod(pod: &str) -> (&'static str, &str) {
    let Some((rest, suffix)) = pod.rsplit_once('-').filter(|(rest, _)| !rest.is_empty()) else { return ("pod", pod) };
    if suffix.bytes().all(|b| b.is_ascii_digit()) && suffix.len() <= 4 {
        return ("statefulset", rest);
    }
    if suffix.len() != 5 || !is_generated(suffix) {
        return ("pod", pod);
    }
    if let Some(cron_job) = of_job(rest) {
        return ("cronjob", cron_job);
    }
    match rest.rsplit_once('-') {
        Some((deployment, hash)) if !deployment.is_empty() && is_template_hash(hash) => ("deployment", deployment),
        _ => ("daemonset", rest),
    }
}

fn is_generated(text: &str) -> bool {
    text.chars().all(|c| GENERATED.contains(c))
}

/// Six to ten generated letters with a digit among them: a word like `fbgkst` may be part of a name.
fn is_template_hash(text: &str) -> bool {
    let hexadecimal = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    (6..=10).contains(&text.len()) && (is_generated(text) || hexadecimal) && text.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_become_their_workload() {
        for (pod, expected) in [
            ("shop-api-56f8fc6988-pb8c7", ("deployment", "shop-api")),
            ("shop-api-f33f65106-kx7qd", ("deployment", "shop-api")),
            ("ledger-db-0", ("statefulset", "ledger-db")),
            ("node-agent-x2v4q", ("daemonset", "node-agent")),
            ("nightly-29389215-x2v4q", ("cronjob", "nightly")),
            ("one-off", ("pod", "one-off")),
            ("-", ("pod", "-")),
            ("", ("pod", "")),
        ] {
            assert_eq!(of_pod(pod), expected, "{pod}");
        }
        assert_eq!(of_replica_set("shop-api-56f8fc6988"), "shop-api");
        assert_eq!(of_replica_set("shop"), "shop");
        assert_eq!(of_job("nightly-29389215"), Some("nightly"));
        assert_eq!(of_job("migrate-2"), None);
    }
}
