//! What is to be registered before a build may work.

use std::collections::BTreeMap;
use std::fmt;

use tributary_model::Topic;
use tributary_model::codec::{RecordSchema, schema_of};

use super::super::names::Names;
use super::super::settings::KafkaSettings;
use super::{Registry, Trouble, subject};
use crate::log::LogError;

/// What a subject needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaStep {
    /// The schema of this build is not there.
    Register(String, Topic),
    /// The newest schema there and this build's are not of the kind that lets two releases read each other.
    Refused(String, String),
}

impl fmt::Display for SchemaStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaStep::Register(subject, _) => write!(f, "register {subject}"),
            SchemaStep::Refused(_, why) => write!(f, "refused {why}"),
        }
    }
}

/// The steps from what is registered to what this build needs; none when all is well.
pub fn plan_schemas(settings: &KafkaSettings) -> Result<Vec<SchemaStep>, LogError> {
    let (registry, names) = (Registry::new(&settings.schema_registry)?, Names::new(&settings.prefix));
    let mut steps = Vec::new();
    for topic in Topic::ALL {
        let Some(schema) = schema_of(topic) else { continue };
        let subject = subject(&names, topic);
        if registry.id_of(&subject, schema.text)?.is_some() {
            continue;
        }
        steps.push(match obstacle(&registry, &subject, schema)? {
            Some(why) => SchemaStep::Refused(subject, why),
            None => SchemaStep::Register(subject, topic),
        });
    }
    Ok(steps)
}

/// Does them; answers the ids. What is refused is left alone.
pub fn register_schemas(settings: &KafkaSettings, steps: &[SchemaStep]) -> Result<BTreeMap<String, u32>, LogError> {
    let registry = Registry::new(&settings.schema_registry)?;
    let mut ids = BTreeMap::new();
    for step in steps {
        if let SchemaStep::Register(subject, topic) = step
            && let Some(schema) = schema_of(*topic)
        {
            ids.insert(subject.clone(), registry.register(subject, schema.text)?);
        }
    }
    Ok(ids)
}

/// Why a schema must not follow what is registered under a subject, whatever the registry itself would take: during an upgrade each
/// release reads what the other writes.
pub(super) fn obstacle(registry: &Registry, subject: &str, schema: &RecordSchema) -> Result<Option<String>, Trouble> {
    let latest = registry.latest(subject)?;
    Ok(latest.and_then(|latest| {
        let why = schema.check_exchange(&latest.schema).err()?;
        Some(format!("{subject}, version {}: {why}", latest.version))
    }))
}
