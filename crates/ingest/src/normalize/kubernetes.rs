//! Kubernetes objects (JSON, multi-document YAML, `v1` List, watch events) → facts about workloads and their exposure.
//! One record is one moment of one cluster: what a workload runs replaces what the same cluster said of it before.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize as _;
use serde_json::Value;
use tributary_model::fact::{Attribute, Fact};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;
use crate::normalize::workload_name;

mod exposure;
mod object;
mod workload;

use object::Object;

/// Facts about workloads, services and their ways in. Asserter: `kubernetes:<cluster>`; environments that only names
/// hint at are asserted by `inferred:<cluster>`, so that a label anywhere wins.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut objects = Vec::new();
    for document in documents(input.body)? {
        flatten(document, false, 0, &mut objects)?;
    }
    let cluster = workload_name::cluster(input, None);
    let snapshot = Snapshot::of(&cluster, &objects);
    let mut claims = Claims::new(input, format!("kubernetes:{cluster}"));
    // Controllers speak before their pods, so that where both say something the controller is heard.
    for object in &objects {
        workload::controller(&snapshot, object, &mut claims);
    }
    for object in &objects {
        workload::pod(&snapshot, object, &mut claims);
        exposure::service(&snapshot, object, &mut claims);
        exposure::ingress(&snapshot, object, &mut claims);
        exposure::route(&snapshot, object, &mut claims);
    }
    let facts = first_of_each(claims.into_facts());
    if facts.is_empty() {
        let reason = match objects.first() {
            None => {
                "there is no Kubernetes object in it: send objects, or the output of kubectl get -o json".to_owned()
            }
            Some(_) => "its Kubernetes objects say nothing about workloads or exposure: send pods, their controllers, \
                        services and ingresses"
                .to_owned(),
        };
        return Err(Rejection::new(code::NOTHING_IN_IT, reason));
    }
    Ok(Events { facts, ..Events::default() })
}

/// JSON (one document or several), else YAML.
fn documents(body: &[u8]) -> Result<Vec<Value>, Rejection> {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[')) {
        return serde_json::Deserializer::from_slice(body)
            .into_iter::<Value>()
            .collect::<Result<_, _>>()
            .map_err(|error| Rejection::json("Kubernetes", &error));
    }
    let mut documents = Vec::new();
    for document in serde_norway::Deserializer::from_slice(body) {
        let value = Value::deserialize(document).map_err(|error| {
            let at = error.location().map(|at| format!("line {} column {}", at.line(), at.column()));
            Rejection::at(code::MALFORMED, "the Kubernetes YAML cannot be read", at.unwrap_or_default())
        })?;
        documents.push(value);
    }
    Ok(documents)
}

/// How deep lists may nest: a list of lists of lists has no meaning, and depth must have a bound.
const LIST_DEPTH_MAX: u32 = 4;

/// Unwraps lists, arrays and watch events. Empty documents are nothing; anything else without a kind is not Kubernetes.
fn flatten(value: Value, deleted: bool, depth: u32, objects: &mut Vec<Object>) -> Result<(), Rejection> {
    let malformed = |reason: &str| Rejection::new(code::MALFORMED, reason.to_owned());
    match value {
        Value::Null => Ok(()),
        Value::Array(items) if depth < LIST_DEPTH_MAX => {
            items.into_iter().try_for_each(|item| flatten(item, deleted, depth + 1, objects))
        }
        Value::Object(mut map) if depth < LIST_DEPTH_MAX => {
            if let Some(items @ Value::Array(_)) = map.remove("items") {
                return flatten(items, deleted, depth + 1, objects);
            }
            if let (Some(Value::String(event)), Some(inner)) = (map.get("type"), map.get("object"))
                && inner.is_object()
            {
                let deleted = event == "DELETED";
                return flatten(map.remove("object").unwrap_or_default(), deleted, depth + 1, objects);
            }
            let mut object = Object::deserialize(Value::Object(map))
                .map_err(|_| malformed("a Kubernetes object has no kind, or its metadata has another shape"))?;
            object.is_deleted = deleted || object.metadata.deletion_timestamp.is_some();
            objects.push(object);
            Ok(())
        }
        _ => Err(malformed("it holds something that is not a Kubernetes object")),
    }
}

/// What the objects of one record say about each other.
struct Snapshot<'a> {
    cluster: &'a str,
    /// Namespace → environment on its label.
    environments: BTreeMap<&'a str, &'a str>,
    /// (kind, namespace, name) of a replica set or job → kind and name of its owner.
    owners: BTreeMap<(&'a str, &'a str, &'a str), (&'a str, &'a str)>,
}

impl<'a> Snapshot<'a> {
    fn of(cluster: &'a str, objects: &'a [Object]) -> Self {
        let mut snapshot = Self { cluster, environments: BTreeMap::new(), owners: BTreeMap::new() };
        for object in objects {
            let metadata = &object.metadata;
            match object.kind.as_str() {
                "Namespace" => {
                    if let Some(environment) = object::environment(metadata) {
                        snapshot.environments.insert(&metadata.name, environment);
                    }
                }
                kind @ ("ReplicaSet" | "Job") => {
                    if let Some(owner) = metadata.owner() {
                        snapshot
                            .owners
                            .insert((kind, metadata.namespace(), &metadata.name), (&owner.kind, &owner.name));
                    }
                }
                _ => {}
            }
        }
        snapshot
    }
}

/// One fact of a key per record: two replicas of one workload say the same thing once.
fn first_of_each(facts: Vec<Fact>) -> Vec<Fact> {
    let mut seen: HashSet<(String, Attribute, String, String)> = HashSet::with_capacity(facts.len());
    let key = |fact: &Fact| (fact.entity.clone(), fact.attribute, fact.qualifier.clone(), fact.asserter.clone());
    facts.into_iter().filter(|fact| seen.insert(key(fact))).collect()
}

#[cfg(test)]
mod tests;
