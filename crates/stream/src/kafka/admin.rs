//! Making and configuring topics.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;
use tributary_model::Topic;

use super::client::{self, PATIENCE, Voice};
use super::error::{fatal, here};
use super::names::Names;
use super::settings::KafkaSettings;
use crate::log::LogError;

/// Pause between two looks at the cluster.
const PAUSE: Duration = Duration::from_millis(20);

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Which one.
    pub topic: Topic,
    /// Partitions.
    pub partitions: u32,
    /// Copies of every partition.
    pub replication: u32,
    /// The cluster's own settings of the topic, by their names.
    pub config: Vec<(String, String)>,
}

/// Makes topics that are not there, and waits until they can be used; those that are there stay as they are.
pub fn create_topics(settings: &KafkaSettings, topics: &[TopicSpec]) -> Result<(), LogError> {
    let (admin, names) = admin(settings)?;
    let called: Vec<String> = topics.iter().map(|spec| names.topic(spec.topic)).collect();
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&called)
        .map(|(spec, name)| {
            let replication = TopicReplication::Fixed(spec.replication as i32);
            let new = NewTopic::new(name, spec.partitions as i32, replication);
            spec.config.iter().fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let made = block_on(admin.create_topics(&wanted, &options())).map_err(here("cannot make topics"))?;
    for outcome in made {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => return Err(LogError::fatal(format!("cannot make the topic {name}: {error}"))),
        }
    }
    wait_for(&admin, &called)
}

/// Waits until the topics can be used: a cluster says that they are made before every partition has a leader.
fn wait_for(admin: &AdminClient<Voice>, called: &[String]) -> Result<(), LogError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).map_err(here("cannot ask Kafka for its topics"))?;
        let is_led = |topic: &MetadataTopic| topic.partitions().iter().all(|partition| partition.leader() >= 0);
        let known = metadata.topics().iter().filter(|topic| topic.error().is_none() && is_led(topic));
        let known: BTreeSet<&str> = known.map(MetadataTopic::name).collect();
        if called.iter().all(|name| known.contains(name.as_str())) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(LogError::retry("topics that were made are not yet known to the cluster"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sets the settings of topics that are there; a setting that is not named goes back to the cluster's default.
pub fn configure_topics(settings: &KafkaSettings, topics: &[TopicSpec]) -> Result<(), LogError> {
    let (admin, names) = admin(settings)?;
    let called: Vec<String> = topics.iter().map(|spec| names.topic(spec.topic)).collect();
    let wanted: Vec<AlterConfig<'_>> = topics
        .iter()
        .zip(&called)
        .map(|(spec, name)| {
            let empty = AlterConfig::new(ResourceSpecifier::Topic(name));
            spec.config.iter().fold(empty, |all, (key, value)| all.set(key, value))
        })
        .collect();
    for outcome in block_on(admin.alter_configs(&wanted, &options())).map_err(here("cannot configure topics"))? {
        if let Err((resource, error)) = outcome {
            return Err(LogError::fatal(format!("cannot configure {resource:?}: {error}")));
        }
    }
    Ok(())
}

fn admin(settings: &KafkaSettings) -> Result<(AdminClient<Voice>, Names), LogError> {
    settings.check().map_err(LogError::fatal)?;
    let admin = client::base(settings).create_with_context(Voice).map_err(fatal("cannot make a Kafka client"))?;
    Ok((admin, Names::new(&settings.prefix)))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer of the client, whose own thread wakes this one.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::park();
    }
}
