//! Records as they stand on a cluster with a schema registry: `00`, the schema's id as four bytes, big-endian, the Avro body.
//!
//! Everything above this file knows single-object encoding only: what is written is framed at the last moment, and what is read is
//! unframed before anybody sees it. Records without an id, from the time before there was a registry, are read as they are.
//!
//! An id costs one question, once. A schema that this build has is only another header; one of another release is resolved, record
//! by record, which is for the hours of an upgrade.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::codec::{WriterSchema, schema_of, split, transcode, with_header};

use super::super::names::Names;
use super::plan::obstacle;
use super::{Registry, RegistrySettings, Trouble, subject};
use crate::log::LogError;
use crate::metrics;

/// What an id begins with.
const MAGIC: u8 = 0;
/// How long an id counts as unknown before it is asked for again. A minute: whoever writes it is not this build.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);
/// At most so many unknown ids are remembered: they may be rubbish, each another one.
const UNKNOWN_MAX: usize = 4_096;
/// A registry of several nodes may answer a moment late for what another node has just registered. Unknown ids are asked for
/// again after so long…
const LATE: Duration = Duration::from_millis(300);
/// … but not more often than this: rubbish must not hold a partition up.
const LATE_EVERY: Duration = Duration::from_secs(10);
/// Pause after a question that was not answered; the same record is read again then.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// The frames of one cluster's records.
pub(in super::super) struct Framing {
    registry: Registry,
    names: Names,
    register: bool,
    /// Ids of what this build writes.
    written: OnceLock<BTreeMap<Topic, u32>>,
    known: RwLock<HashMap<u32, Known>>,
    /// When an unknown id was last asked for twice.
    waited: Mutex<Option<Instant>>,
}

enum Known {
    Schema(Arc<WriterSchema>),
    Unknown(Instant),
}

impl Framing {
    pub(in super::super) fn new(settings: &RegistrySettings, names: &Names) -> Result<Self, LogError> {
        Ok(Self {
            registry: Registry::new(settings)?,
            names: names.clone(),
            register: settings.register,
            written: OnceLock::new(),
            known: RwLock::default(),
            waited: Mutex::default(),
        })
    }

    /// Looks up the ids of what this build may write to these topics. Fails if one is not registered, and this is not to be done
    /// here: who writes what nobody can look up would be rejected by everybody.
    pub(in super::super) fn prepare(&self, topics: impl Iterator<Item = Topic>) -> Result<(), LogError> {
        if self.written.get().is_some() {
            return Ok(());
        }
        let (mut written, mut missing) = (BTreeMap::new(), Vec::new());
        for topic in topics {
            let Some(schema) = schema_of(topic) else { continue };
            let subject = subject(&self.names, topic);
            let id = match self.registry.id_of(&subject, schema.text)? {
                None if self.register => {
                    if let Some(why) = obstacle(&self.registry, &subject, schema)? {
                        return Err(LogError::fatal(why));
                    }
                    tracing::info!(subject, "registers a schema");
                    Some(self.registry.register(&subject, schema.text)?)
                }
                found => found,
            };
            let Some(id) = id else {
                missing.push(subject);
                continue;
            };
            written.insert(topic, id);
            let writer = WriterSchema::parse(schema.text).map_err(LogError::fatal)?;
            self.remember(id, Known::Schema(Arc::new(writer)));
        }
        if !missing.is_empty() {
            return Err(LogError::fatal(format!(
                "{} lacks schemas of this build, which `tributary schemas apply` registers: {}",
                self.registry.url,
                missing.join(", ")
            )));
        }
        // Whoever was first asked the same.
        let _ = self.written.set(written);
        Ok(())
    }

    /// A value as it is written. What is no record of the topic's own schema stays as it is.
    pub(in super::super) fn frame<'a>(&self, topic: Topic, value: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let id = self.written.get().and_then(|written| written.get(&topic));
        let own =
            split(value).filter(|(fingerprint, _)| schema_of(topic).is_some_and(|s| s.fingerprint == *fingerprint));
        let (Some(id), Some((_, body))) = (id, own) else { return value };
        buffer.clear();
        buffer.reserve(5 + body.len());
        buffer.push(MAGIC);
        buffer.extend_from_slice(&id.to_be_bytes());
        buffer.extend_from_slice(body);
        buffer
    }

    /// A value as everything above reads it. An id that nobody knows stays, and is rejected by whoever reads the record; a schema
    /// that cannot be resolved gives its fingerprint, and is rejected for that. Fails while the registry does not answer.
    pub(in super::super) fn unframe(&self, topic: Topic, value: &[u8]) -> Result<Bytes, LogError> {
        let (Some(own), [MAGIC, a, b, c, d, body @ ..]) = (schema_of(topic), value) else {
            return Ok(Bytes::copy_from_slice(value));
        };
        let Some(writer) = self.writer(u32::from_be_bytes([*a, *b, *c, *d]))? else {
            return Ok(Bytes::copy_from_slice(value));
        };
        let resolved = if writer.fingerprint == own.fingerprint {
            None
        } else {
            transcode(topic, &writer, body).and_then(Result::ok)
        };
        Ok(Bytes::from(resolved.unwrap_or_else(|| with_header(writer.fingerprint, body))))
    }

    /// The schema of an id; `None` if there is none that can be used.
    fn writer(&self, id: u32) -> Result<Option<Arc<WriterSchema>>, LogError> {
        match self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(Known::Schema(schema)) => return Ok(Some(Arc::clone(schema))),
            Some(Known::Unknown(since)) if since.elapsed() < UNKNOWN_FOR => return Ok(None),
            _ => {}
        }
        let asked = self.ask(id).inspect_err(|trouble| {
            if matches!(trouble, Trouble::Away(_)) {
                metrics::registry_asked("away");
                std::thread::park_timeout(AWAY_PAUSE);
            }
        })?;
        let parsed = asked.map(|text| WriterSchema::parse(&text));
        if let Some(Err(why)) = &parsed {
            tracing::warn!(id, why, "the schema registry has a schema that is none");
        }
        let schema = parsed.and_then(Result::ok).map(Arc::new);
        metrics::registry_asked(if schema.is_some() { "found" } else { "unknown" });
        let known =
            schema.as_ref().map_or_else(|| Known::Unknown(Instant::now()), |schema| Known::Schema(schema.clone()));
        self.remember(id, known);
        Ok(schema)
    }

    fn ask(&self, id: u32) -> Result<Option<String>, Trouble> {
        if let Some(found) = self.registry.schema(id)? {
            return Ok(Some(found));
        }
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if waited.is_some_and(|at| at.elapsed() < LATE_EVERY) {
            return Ok(None);
        }
        *waited = Some(Instant::now());
        drop(waited);
        std::thread::park_timeout(LATE);
        self.registry.schema(id)
    }

    fn remember(&self, id: u32, what: Known) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.values().filter(|known| matches!(known, Known::Unknown(_))).count() >= UNKNOWN_MAX {
            known.retain(|_, known| matches!(known, Known::Schema(_)));
        }
        known.insert(id, what);
    }
}
