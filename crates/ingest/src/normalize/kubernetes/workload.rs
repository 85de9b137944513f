//! Controllers and pods → environment, pod labels, component and running images of a `workload:` entity.
//! The workload is the outermost owner; a replica set, a scheduled job or a pod is never one when its owner is known (F5).

use serde_json::Value;
use tributary_model::entity;
use tributary_model::fact::Attribute;
use tributary_model::fact::value::Labels;

use super::Snapshot;
use super::object::{self, Metadata, Object, PodStatus, view};
use crate::normalize::claims::Claims;
use crate::normalize::image_reference::ImageReference;
use crate::normalize::{environment, workload_name};

/// Labels that name a component, most deliberate first.
const COMPONENT_MARKS: [&str; 3] =
    ["backstage.io/kubernetes-id", "app.kubernetes.io/part-of", "tributary.io/component"];

/// Labels that controllers add to single pods: no service should be read as selecting a replica.
const REPLICA_LABELS: [&str; 8] = [
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
];

/// What a controller says about its workload.
pub fn controller(snapshot: &Snapshot<'_>, object: &Object, claims: &mut Claims<'_>) {
    let is_controller = matches!(
        object.kind.as_str(),
        "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob" | "Rollout" | "ReplicationController"
    );
    // Replica sets and jobs are workloads of their own only without an owner.
    let is_free = matches!(object.kind.as_str(), "ReplicaSet" | "Job") && object.metadata.owner().is_none();
    if !is_controller && !is_free {
        return;
    }
    let metadata = &object.metadata;
    let workload = entity::workload(snapshot.cluster, metadata.namespace(), &object.kind, &metadata.name);
    if object.is_deleted {
        return gone(&workload, claims);
    }
    let template = match object.kind.as_str() {
        "CronJob" => object.spec.pointer("/jobTemplate/spec/template/metadata"),
        _ => object.spec.pointer("/template/metadata"),
    };
    let template: Metadata = view(template.unwrap_or(&Value::Null));
    describe(snapshot, &workload, &[metadata, &template], claims);
    pod_labels(&workload, &template.labels, claims);
}

/// What a pod says about the workload it is a replica of.
pub fn pod(snapshot: &Snapshot<'_>, object: &Object, claims: &mut Claims<'_>) {
    if object.kind != "Pod" {
        return;
    }
    let metadata = &object.metadata;
    let (kind, name) = outermost_owner(snapshot, object);
    let workload = entity::workload(snapshot.cluster, metadata.namespace(), &kind, &name);
    let is_bare = kind == "pod";
    if object.is_deleted {
        // The end of one replica says nothing about its workload; the end of a bare pod is the end of it.
        if is_bare {
            gone(&workload, claims);
        }
        return;
    }
    describe(snapshot, &workload, &[metadata], claims);
    pod_labels(&workload, &metadata.labels, claims);
    let status: PodStatus = view(&object.status);
    let has_ended = matches!(status.phase.as_str(), "Failed" | "Succeeded");
    // A finished replica of a service is an evicted one and runs nothing; of a job, it is what the job runs.
    if has_ended && !is_bare && !matches!(kind.as_str(), "job" | "cronjob") {
        return;
    }
    for container in status.container_statuses.iter().chain(&status.init_container_statuses) {
        let digest = ImageReference::parse(&container.image_id).digest;
        if digest.is_empty() {
            continue;
        }
        let image = entity::image(&digest);
        claims.text(&workload, Attribute::RunsImage, &image, &container.name);
        let name = ImageReference::parse(&container.image).tagged_name();
        if !name.is_empty() {
            claims.text(&image, Attribute::ImageName, &name, "");
        }
    }
}

/// Kind (lower case) and name of the workload of a pod.
fn outermost_owner(snapshot: &Snapshot<'_>, pod: &Object) -> (String, String) {
    let metadata = &pod.metadata;
    let own = |kind: &str, name: &str| (kind.to_ascii_lowercase(), name.to_owned());
    let Some(owner) = metadata.owner() else { return own("pod", &metadata.name) };
    let key = (owner.kind.as_str(), metadata.namespace(), owner.name.as_str());
    if let Some((kind, name)) = snapshot.owners.get(&key) {
        return own(kind, name);
    }
    match owner.kind.as_str() {
        "ReplicaSet" => {
            let hash = ["pod-template-hash", "rollouts-pod-template-hash"].iter().find_map(|key| metadata.mark(key));
            let exact = hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
            let is_rollout = metadata.labels.contains_key("rollouts-pod-template-hash");
            let kind = if is_rollout { "rollout" } else { "deployment" };
            own(kind, exact.unwrap_or_else(|| workload_name::of_replica_set(&owner.name)))
        }
        "Job" => {
            workload_name::of_job(&owner.name).map_or_else(|| own("job", &owner.name), |name| own("cronjob", name))
        }
        // A static pod belongs to its node, whose name ends its own: the same pod on every node is one workload.
        "Node" => {
            let name = metadata.name.strip_suffix(&owner.name).and_then(|name| name.strip_suffix('-'));
            own("pod", name.unwrap_or(&metadata.name))
        }
        kind => own(kind, &owner.name),
    }
}

/// Environment and component, from the first of these that names one.
fn describe(snapshot: &Snapshot<'_>, workload: &str, sources: &[&Metadata], claims: &mut Claims<'_>) {
    let namespace = sources.first().map_or("default", |metadata| metadata.namespace());
    let labelled = sources.iter().find_map(|metadata| object::environment(metadata));
    let labelled = labelled.or_else(|| snapshot.environments.get(namespace).copied());
    if let Some(environment) = labelled {
        claims.text(workload, Attribute::Environment, "", &environment::canonical(environment));
    } else if let Some(hint) = environment::of_name(namespace).or_else(|| environment::of_name(snapshot.cluster)) {
        let asserter = std::mem::replace(&mut claims.asserter, format!("inferred:{}", snapshot.cluster));
        claims.text(workload, Attribute::Environment, "", hint);
        claims.asserter = asserter;
    }
    let component = COMPONENT_MARKS.iter().find_map(|key| sources.iter().find_map(|metadata| metadata.mark(key)));
    if let Some(component) = component {
        claims.text(workload, Attribute::WorkloadComponent, "", component);
    }
}

fn pod_labels(workload: &str, labels: &Labels, claims: &mut Claims<'_>) {
    let of_replica = |key: &str| REPLICA_LABELS.contains(&key) || key.starts_with("batch.kubernetes.io/");
    let labels: Labels =
        labels.iter().filter(|(key, _)| !of_replica(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    if !labels.is_empty() {
        claims.say(workload, Attribute::PodLabels, "", &labels);
    }
}

/// A deleted workload: everything this cluster said about it, the set of its images included.
fn gone(workload: &str, claims: &mut Claims<'_>) {
    for attribute in [Attribute::RunsImage, Attribute::Environment, Attribute::PodLabels, Attribute::WorkloadComponent]
    {
        claims.retract(workload, attribute, "");
    }
}
