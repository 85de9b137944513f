//! RELATE's winners: everything decided about one entity. Broadcast to every worker.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::fact::Attribute;
use crate::time::Millis;

/// One decided attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct ContextAttribute {
    /// Which attribute.
    pub attribute: Attribute,
    /// Which of its values; empty for single-valued attributes.
    pub qualifier: String,
    /// JSON of the value.
    pub value: String,
    /// Whose claim won.
    pub asserter: String,
    /// Since when its asserter claims this value (event time); confirming it does not move this.
    pub observed_at: Millis,
    /// It lapsed, or its source fell silent: shown, still used, marked stale.
    pub stale: bool,
}

/// All decided attributes of one entity, sorted by (attribute, qualifier). Key on `context` and `intel`: the entity.
/// An entity without attributes is a tombstone on the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct EntityContext {
    /// The entity.
    pub entity: String,
    /// What is known.
    pub attributes: Vec<ContextAttribute>,
}

impl EntityContext {
    /// The single value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Option<&ContextAttribute> {
        self.attributes.iter().find(|a| a.attribute == attribute)
    }

    /// All values of a multi-valued attribute, ascending by qualifier.
    pub fn all(&self, attribute: Attribute) -> impl Iterator<Item = &ContextAttribute> {
        self.attributes.iter().filter(move |a| a.attribute == attribute)
    }
}
