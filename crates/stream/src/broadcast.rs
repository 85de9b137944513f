//! The process-wide store of broadcast context and intelligence: one reader writes, every worker reads.
//! Written first, then the workers are told which entities changed; a read that raced is repaired by the notice.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dashmap::DashMap;
use tributary_model::context::EntityContext;
use tributary_model::reject::Reject;
use tributary_model::versions::{self, Versions};
use tributary_model::{AvroRecord, CodecError, Topic};

use crate::log::{Budget, Log, LogError, Start};
use crate::message::Message;

/// What RELATE decided about every entity, as far as this process has read `context` and `intel`.
///
/// Every method takes and releases its locks before it returns: no guard ever crosses a second key, so a stage may call
/// what it likes in any order. Two calls may see two states; a stage that must not mix them uses one `Arc` it got once.
#[derive(Debug, Default)]
pub struct BroadcastStore {
    entities: DashMap<Arc<str>, Arc<EntityContext>, foldhash::fast::RandomState>,
    /// The same names in order, for walks by kind and prefix: a walk over the map would visit every vulnerability.
    names: RwLock<BTreeSet<Arc<str>>>,
    in_force: RwLock<InForce>,
}

/// What the topic `versions` says.
#[derive(Debug, Clone)]
pub enum InForce {
    /// These.
    Known(Arc<Versions>),
    /// Something that this build cannot read: a newer one wrote it.
    Unreadable,
}

impl InForce {
    /// What a log says now.
    ///
    /// # Errors
    /// As [`Log::reader`] and its reads.
    pub fn read(log: &dyn Log) -> Result<Self, LogError> {
        let partitions: Vec<_> = (0..log.partitions(Topic::Versions)).map(|place| (Topic::Versions, place)).collect();
        let (store, mut reader) = (BroadcastStore::new(), log.reader(&partitions, &Start::Beginning)?);
        loop {
            let read = reader.read(Budget { records: 1_000, bytes: 1 << 20, wait: Duration::from_millis(20) })?;
            for message in &read.messages {
                // What cannot be read is in force all the same, and the store says so; the reader of all broadcasts rejects it.
                drop(store.apply(message));
            }
            if read.at_end {
                return Ok(store.in_force());
            }
        }
    }
}

impl Default for InForce {
    fn default() -> Self {
        Self::Known(Arc::default())
    }
}

impl BroadcastStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The versions in force, as far as this process has read.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts versions in force. For the broadcast reader, and for tests.
    pub fn put_in_force(&self, in_force: InForce) {
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = in_force;
    }

    /// What is known about an entity.
    #[must_use]
    pub fn get(&self, entity: &str) -> Option<Arc<EntityContext>> {
        self.entities.get(entity).map(|found| Arc::clone(found.value()))
    }

    /// The entities of a kind (`repo`, `image`, `component`, `vuln` …), ascending.
    #[must_use]
    pub fn entities_of_kind(&self, kind: &str) -> Vec<String> {
        self.entities_with_prefix(&format!("{kind}:"))
    }

    /// The entities whose name starts so, ascending.
    #[must_use]
    pub fn entities_with_prefix(&self, prefix: &str) -> Vec<String> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|name| name.starts_with(prefix))
            .map(|name| name.as_ref().to_owned())
            .collect()
    }

    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether nothing is known yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// Replaces what is known about an entity. For the broadcast reader, and for tests.
    pub fn put(&self, context: EntityContext) {
        let name: Arc<str> = Arc::from(context.entity.as_str());
        if self.entities.insert(Arc::clone(&name), Arc::new(context)).is_none() {
            self.names.write().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
    }

    /// Forgets an entity. For the broadcast reader, and for tests.
    pub fn remove(&self, entity: &str) {
        if self.entities.remove(entity).is_some() {
            self.names.write().unwrap_or_else(PoisonError::into_inner).remove(entity);
        }
    }

    fn apply_versions(&self, message: &Message) -> Result<(), Box<Reject>> {
        if message.key_str() != versions::KEY {
            return Err(Box::new(misnamed(message)));
        }
        let read = message.value.as_deref().map_or_else(|| Ok(Versions::default()), Versions::decode);
        match read {
            Ok(versions) => self.put_in_force(InForce::Known(Arc::new(versions))),
            Err(error) => {
                self.put_in_force(InForce::Unreadable);
                return Err(Box::new(unreadable(message, &error)));
            }
        }
        Ok(())
    }

    /// Applies a record of a broadcast topic; answers the entity to notice. A tombstone, or a record without attributes,
    /// removes. A record that cannot be read changes nothing and is a reject.
    pub fn apply(&self, message: &Message) -> Result<String, Box<Reject>> {
        let entity = message.key_str().to_owned();
        if message.topic == Topic::Versions {
            return self.apply_versions(message).map(|()| entity);
        }
        let Some(value) = &message.value else {
            self.remove(&entity);
            return Ok(entity);
        };
        let context = EntityContext::decode(value).map_err(|error| Box::new(unreadable(message, &error)))?;
        if context.entity != entity {
            return Err(Box::new(misnamed(message)));
        }
        if context.attributes.is_empty() {
            self.remove(&entity);
        } else {
            self.put(context);
        }
        Ok(entity)
    }
}

fn unreadable(message: &Message, error: &CodecError) -> Reject {
    Reject {
        origin: message.origin(),
        stage: "broadcast".to_owned(),
        code: "undecodable".to_owned(),
        reason: format!("{error}; the last readable state of this entity stays in force until it is written again"),
        size_bytes: message.value.as_ref().map_or(0, |value| value.len() as i64),
        rejected_at: message.timestamp,
        ..Reject::default()
    }
}

fn misnamed(message: &Message) -> Reject {
    Reject {
        origin: message.origin(),
        stage: "broadcast".to_owned(),
        code: "wrong_key".to_owned(),
        reason: "the record names another entity than its key; write it again under the entity's own key".to_owned(),
        size_bytes: message.value.as_ref().map_or(0, |value| value.len() as i64),
        rejected_at: message.timestamp,
        ..Reject::default()
    }
}

#[cfg(test)]
mod tests;
