//! The parts of Kubernetes objects that are read. Everything else is ignored.
//! `spec` stays untyped until the kind is known, since the kinds disagree about the shape of its fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tributary_model::fact::value::Labels;

/// Any object.
#[derive(Deserialize)]
pub struct Object {
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: Value,
    #[serde(default)]
    pub status: Value,
    #[serde(skip)]
    pub is_deleted: bool,
}

/// `metadata`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(default, deserialize_with = "labels")]
    pub labels: Labels,
    #[serde(default, deserialize_with = "labels")]
    pub annotations: Labels,
    #[serde(default, deserialize_with = "or_default")]
    pub owner_references: Vec<Owner>,
    #[serde(default)]
    pub deletion_timestamp: Option<String>,
}

impl Metadata {
    /// The namespace; objects without one are in `default`, as for kubectl.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
    }

    /// The controlling owner, else the first.
    pub fn owner(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|owner| owner.controller).or_else(|| self.owner_references.first())
    }

    /// A label, else the annotation of that name.
    pub fn mark(&self, key: &str) -> Option<&str> {
        let found = self.labels.get(key).or_else(|| self.annotations.get(key))?.trim();
        (!found.is_empty()).then_some(found)
    }
}

/// One owner reference.
#[derive(Deserialize)]
pub struct Owner {
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub controller: bool,
}

/// `status` of a pod.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    #[serde(default)]
    pub phase: String,
    #[serde(default, deserialize_with = "or_default")]
    pub container_statuses: Vec<ContainerStatus>,
    #[serde(default, deserialize_with = "or_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// One container that runs or ran.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub image: String,
    #[serde(default, rename = "imageID")]
    pub image_id: String,
}

/// `spec` of a service.
#[derive(Deserialize, Default)]
pub struct ServiceSpec {
    #[serde(default, rename = "type")]
    pub service_type: String,
    #[serde(default, deserialize_with = "labels")]
    pub selector: Labels,
}

/// The environment that an object's labels or annotations name.
pub fn environment(metadata: &Metadata) -> Option<&str> {
    ["environment", "env", "app.kubernetes.io/environment"].iter().find_map(|key| metadata.mark(key))
}

/// A typed view of a part; the default when it has another shape.
pub fn view<T: for<'de> Deserialize<'de> + Default>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_default()
}

/// `null` where a list or object is expected is nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// String values only: templates put numbers and booleans there, which the API server would refuse.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    let raw = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(raw
        .into_iter()
        .filter_map(|(key, value)| match value {
            Value::String(text) => Some((key, text)),
            Value::Bool(_) | Value::Number(_) => Some((key, value.to_string())),
            _ => None,
        })
        .collect())
}
