//! The log on Apache Kafka: the promises of [`Log`] kept by transactions, static members and readers of committed records.
//!
//! ```text
//! Worker   one thread: consumer (group, static member) + transactional producer, both named after the slot
//! Producer one thread for the process: idempotent producer for single records, transactional one for several that belong together
//! Reader   consumer that assigns itself and knows the ends
//! ```
//! Every call blocks for at most half a minute: none is for an async thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::{Offset, TopicPartitionList};
use tributary_model::Topic;

use crate::log::{Checkpoint, Lag, Log, LogError, Producer, Reader, Start, Subscription, Worker};
use crate::message::Position;

mod admin;
mod appender;
mod assignment;
mod client;
mod ends;
mod error;
mod files;
mod http;
mod lineage;
mod mark;
mod names;
mod reach;
mod reader;
mod record;
mod registry;
mod secret;
mod security;
mod settings;
mod token;
mod topics;
mod transactor;
mod voice;
mod worker;

pub use admin::{TopicSpec, configure_topics, create_topics, topic_states};
pub use registry::{RegistrySettings, SchemaStep, plan_schemas, register_schemas};
pub use secret::Secret;
pub use security::{Mechanism, Protocol, SecuritySettings};
pub use settings::{Delivery, KafkaSettings};
pub use topics::{Step, TopicSettings, TopicState, plan};

use appender::Appender;
use client::{Asker, PATIENCE};
use ends::Ends;
use error::{Right, here};
use names::Names;
use reader::KafkaReader;
use registry::Framing;
use voice::Voice;
use worker::KafkaWorker;

/// Pause before a step that the client was not ready for is tried again. 5 ms: an assignment takes a few round trips.
const PAUSE: Duration = Duration::from_millis(5);

/// Committed positions as they stand on the cluster: the offset and the text beside it.
type Standing = BTreeMap<(Topic, u32), (u64, String)>;

/// The log on a Kafka cluster. Clones share it.
#[derive(Clone)]
pub struct KafkaLog {
    cluster: Arc<Cluster>,
    /// Made when first wanted; another one when it ended.
    appender: Arc<Mutex<Option<Arc<Appender>>>>,
    /// Who asks for the positions of a group, by group: a client costs a connection and a thread, and lag is asked for
    /// every few seconds.
    askers: Arc<Mutex<BTreeMap<String, Asker>>>,
}

/// What every handle needs.
pub(crate) struct Cluster {
    settings: KafkaSettings,
    names: Names,
    ends: Ends,
    partitions: BTreeMap<Topic, u32>,
    /// Where there is a schema registry.
    framing: Option<Framing>,
}

impl KafkaLog {
    /// Connects, and looks at the topics that this process uses. Fails with a sentence for a person if a setting is wrong,
    /// the cluster does not answer, or a topic is missing.
    pub fn connect(settings: KafkaSettings, topics: &[Topic]) -> Result<Self, LogError> {
        settings.check().map_err(LogError::fatal)?;
        let names = Names::new(&settings.prefix);
        let ends = Ends::new(&settings)?;
        let mut partitions: BTreeMap<Topic, u32> = ends.topics(&names)?.into_iter().collect();
        partitions.retain(|topic, _| topics.contains(topic));
        let missing: Vec<_> = topics.iter().filter(|topic| !partitions.contains_key(topic)).collect();
        if !missing.is_empty() {
            missing.iter().try_for_each(|topic| ends.check_visible(&names, **topic))?;
            let missing: Vec<_> = missing.into_iter().map(|topic| names.topic(*topic)).collect();
            return Err(LogError::fatal(format!(
                "{} lacks topics that `tributary topics apply` makes: {}",
                settings.brokers,
                missing.join(", ")
            )));
        }
        let registry = &settings.schema_registry;
        let framing = registry.is_configured().then(|| Framing::new(registry, &names)).transpose()?;
        let cluster = Arc::new(Cluster { settings, names, ends, partitions, framing });
        Ok(Self { cluster, appender: Arc::default(), askers: Arc::default() })
    }
}

impl Cluster {
    /// 0 for a topic that this process did not say it would use.
    fn partitions(&self, topic: Topic) -> u32 {
        self.partitions.get(&topic).copied().unwrap_or(0)
    }

    fn places(&self, topics: impl IntoIterator<Item = Topic>) -> Vec<(Topic, u32)> {
        let all = topics.into_iter();
        all.flat_map(|topic| (0..self.partitions(topic)).map(move |partition| (topic, partition))).collect()
    }

    fn check_copartitioned(&self, topics: &[Topic]) -> Result<(), LogError> {
        let counts: Vec<_> = topics.iter().map(|topic| (self.partitions(*topic), self.names.topic(*topic))).collect();
        if counts.iter().any(|(count, _)| *count == 0 || *count != counts[0].0) {
            return Err(LogError::fatal(format!(
                "topics that are read together must have equally many partitions, and have: {counts:?}"
            )));
        }
        Ok(())
    }

    /// What stands committed for these places, with the text beside it. A place without a commit (offset −1) is absent: read
    /// as 0 it would look like a commit at the beginning.
    fn committed<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        group: &str,
        places: &[(Topic, u32)],
    ) -> Result<Standing, LogError> {
        let right = || Right::new(&self.settings, "Describe", format!("group {}", self.names.group(group)));
        if places.is_empty() {
            return Ok(Standing::new());
        }
        let list = self.names.list(places.iter().map(|place| (*place, Offset::Invalid)))?;
        let found =
            consumer.committed_offsets(list, PATIENCE).map_err(right().or("cannot ask for committed positions"))?;
        let mut standing = Standing::new();
        for element in found.elements() {
            let right = Right::new(&self.settings, "Describe", format!("topic {}", element.topic()));
            element.error().map_err(right.or("cannot ask for a committed position"))?;
            if let (Some(topic), Offset::Offset(next)) = (self.names.parse(element.topic()), element.offset()) {
                standing.insert((topic, element.partition() as u32), (next as u64, element.metadata().to_owned()));
            }
        }
        Ok(standing)
    }

    fn standing_list(&self, standing: &Standing) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), (next, text)) in standing {
            let mut element = list.add_partition(&self.names.topic(*topic), *partition as i32);
            element.set_offset(Offset::Offset(*next as i64)).map_err(here("cannot name a position"))?;
            element.set_metadata(text);
        }
        Ok(list)
    }
}

impl Log for KafkaLog {
    fn partitions(&self, topic: Topic) -> u32 {
        self.cluster.partitions(topic)
    }

    fn is_atomic(&self) -> bool {
        self.cluster.settings.delivery == Delivery::ExactlyOnce
    }

    fn worker(&self, subscription: &Subscription) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(KafkaWorker::new(&self.cluster, subscription)?))
    }

    fn producer(&self) -> Result<Arc<dyn Producer>, LogError> {
        let mut shared = lock(&self.appender);
        if let Some(appender) = shared.as_ref() {
            return Ok(Arc::clone(appender) as Arc<dyn Producer>);
        }
        let appender = Arc::new(Appender::new(&self.cluster)?);
        *shared = Some(Arc::clone(&appender));
        Ok(appender)
    }

    fn reader(&self, partitions: &[(Topic, u32)], start: &Start) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(KafkaReader::new(&self.cluster, partitions, start)?))
    }

    fn ends(&self, topics: &[Topic]) -> Result<Vec<Position>, LogError> {
        let places = self.cluster.places(topics.iter().copied());
        let ends = self.cluster.ends.committed(&self.cluster.names, &places)?;
        let position = |((topic, partition), next)| Position { topic, partition, next };
        Ok(places.into_iter().zip(ends).map(position).collect())
    }

    /// The id of the topic, and where its partition begins: the cleaner leaves that as it is, whoever deletes records moves it.
    fn lineage(&self, places: &[(Topic, u32)]) -> Result<Option<Vec<String>>, LogError> {
        let topics: BTreeSet<Topic> = places.iter().map(|(topic, _)| *topic).collect();
        let called: Vec<String> = topics.iter().map(|topic| self.cluster.names.topic(*topic)).collect();
        let ids = self.cluster.ends.topic_ids(&called)?;
        let lows = self.cluster.ends.low(&self.cluster.names, places)?;
        let lineage = |((topic, _), low): (&(Topic, u32), u64)| {
            ids.get(&self.cluster.names.topic(*topic)).map(|id| format!("{id} from {low}"))
        };
        Ok(places.iter().zip(lows).map(lineage).collect())
    }

    fn committed(&self, group: &str) -> Result<Vec<Checkpoint>, LogError> {
        let config = client::consumer(&self.cluster.settings, &self.cluster.names.group(group))?;
        let places = self.cluster.places(self.cluster.partitions.keys().copied());
        let asker = client::asker(&config, Voice::new(&self.cluster.settings))?;
        self.cluster.committed(&asker, group, &places).map(worker::checkpoints)
    }

    /// Workers commit past what no reader is given, so the end is reached; and what retention took away is nobody's work
    /// any more. Commits that are under way do not count yet, and are not waited for.
    fn lag(&self, group: &str, topics: &[Topic]) -> Result<Vec<Lag>, LogError> {
        let places = self.cluster.places(topics.iter().copied());
        let standing = {
            let mut askers = lock(&self.askers);
            if !askers.contains_key(group) {
                let mut config = client::consumer(&self.cluster.settings, &self.cluster.names.group(group))?;
                config.set("isolation.level", "read_uncommitted");
                let asker = client::asker(&config, Voice::new(&self.cluster.settings))?;
                askers.insert(group.to_owned(), asker);
            }
            let asker = askers.get(group).ok_or_else(|| LogError::retry("no client to ask for positions"))?;
            // Nobody else takes what this client has to say.
            client::hear(asker);
            self.cluster.committed(asker, group, &places)?
        };
        let ends = self.cluster.ends.committed(&self.cluster.names, &places)?;
        let behind =
            |(place, end): (&(Topic, u32), &u64)| end - standing.get(place).map_or(0, |(next, _)| *next).min(*end);
        let mut lags: Vec<Lag> = places
            .iter()
            .zip(&ends)
            .map(|(place, end)| Lag { topic: place.0, partition: place.1, behind: behind((place, end)) })
            .collect();
        let uncommitted: Vec<(Topic, u32)> =
            lags.iter().filter(|lag| lag.behind > 0).map(|lag| (lag.topic, lag.partition)).collect();
        let lows = self.cluster.ends.low(&self.cluster.names, &uncommitted)?;
        let lows: BTreeMap<_, _> = uncommitted.into_iter().zip(lows).collect();
        for (lag, end) in lags.iter_mut().zip(ends) {
            if let Some(low) = lows.get(&(lag.topic, lag.partition)) {
                lag.behind = lag.behind.min(end.saturating_sub(*low));
            }
        }
        Ok(lags)
    }
}

/// Sends consumers back or ahead. What was fetched before is thrown away.
fn seek<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    names: &Names,
    places: &[((Topic, u32), Offset)],
) -> Result<(), LogError> {
    let deadline = Instant::now() + PATIENCE;
    let mut left = places.to_vec();
    while !left.is_empty() {
        let list = names.list(left.iter().copied())?;
        let done = consumer.seek_partitions(list, PATIENCE).map_err(here("cannot seek"))?;
        // A partition that was assigned a moment ago cannot be sought yet.
        left.retain(|((topic, partition), _)| {
            let element = done.find_partition(&names.topic(*topic), *partition as i32);
            element.is_none_or(|element| element.error().is_err())
        });
        if !left.is_empty() {
            if Instant::now() >= deadline {
                return Err(LogError::retry(format!("{} partitions cannot be sought", left.len())));
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Locks; a panic elsewhere while holding the lock does not make the data wrong (every section here is one step).
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
