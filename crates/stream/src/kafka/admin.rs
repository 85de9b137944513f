//! Asking for, making and configuring topics.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::consumer::Consumer as _;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use tributary_model::Topic;

use super::client::{self, PATIENCE};
use super::error::{Right, fatal, here, is_denial};
use super::names::Names;
use super::reach;
use super::settings::KafkaSettings;
use super::topics::TopicState;
use super::voice::Voice;
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
    look(settings)?;
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
    if wanted.is_empty() {
        return Ok(());
    }
    let made = block_on(admin.create_topics(&wanted, &options())).map_err(here("cannot make topics"))?;
    for outcome in made {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) if is_denial(code) => {
                return Err(Right::new(settings, "Create", format!("topic {name}")).is_missing());
            }
            Err((name, error)) => return Err(LogError::fatal(format!("cannot make the topic {name}: {error}"))),
        }
    }
    wait_for(&admin, &called)
}

/// Waits until the topics can be used: a cluster says that they are made before every partition has a leader.
fn wait_for(admin: &AdminClient<Voice>, called: &[String]) -> Result<(), LogError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).map_err(here("cannot ask for topics"))?;
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
pub fn configure_topics(settings: &KafkaSettings, topics: &[(Topic, Vec<(String, String)>)]) -> Result<(), LogError> {
    let (admin, names) = admin(settings)?;
    let called: Vec<String> = topics.iter().map(|(topic, _)| names.topic(*topic)).collect();
    let wanted: Vec<AlterConfig<'_>> = topics
        .iter()
        .zip(&called)
        .map(|((_, config), name)| {
            let empty = AlterConfig::new(ResourceSpecifier::Topic(name));
            config.iter().fold(empty, |all, (key, value)| all.set(key, value))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    for outcome in block_on(admin.alter_configs(&wanted, &options())).map_err(here("cannot configure topics"))? {
        if let Err((OwnedResourceSpecifier::Topic(name), code)) = &outcome
            && is_denial(*code)
        {
            return Err(Right::new(settings, "AlterConfigs", format!("topic {name}")).is_missing());
        }
        if let Err((resource, error)) = outcome {
            return Err(LogError::fatal(format!("cannot configure {resource:?}: {error}")));
        }
    }
    Ok(())
}

/// How these topics are; those that are not there are absent.
pub fn topic_states(settings: &KafkaSettings, topics: &[Topic]) -> Result<BTreeMap<Topic, TopicState>, LogError> {
    let metadata = look(settings)?;
    let (admin, names) = admin(settings)?;
    let mut states = BTreeMap::new();
    for known in metadata.topics() {
        let Some(topic) = names.parse(known.name()).filter(|topic| topics.contains(topic)) else { continue };
        let copies = known.partitions().iter().map(|partition| partition.replicas().len() as u32);
        let state = TopicState {
            partitions: known.partitions().len() as u32,
            replication: copies.min().unwrap_or(0),
            config: BTreeMap::new(),
            own: Vec::new(),
        };
        states.insert(topic, state);
    }
    let called: Vec<String> = states.keys().map(|topic| names.topic(*topic)).collect();
    let asked: Vec<_> = called.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    if asked.is_empty() {
        return Ok(states);
    }
    for answer in
        block_on(admin.describe_configs(&asked, &options())).map_err(here("cannot read the settings of topics"))?
    {
        let resource = answer.map_err(|code| {
            if is_denial(code) {
                Right::new(settings, "DescribeConfigs", format!("topics that begin with {}", settings.prefix))
                    .is_missing()
            } else {
                LogError::fatal(format!("cannot read a topic's settings: {code}"))
            }
        })?;
        let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { continue };
        let Some(state) = names.parse(name).and_then(|topic| states.get_mut(&topic)) else { continue };
        for entry in resource.entries {
            if entry.source == ConfigSource::DynamicTopic {
                state.own.push(entry.name.clone());
            }
            state.config.insert(entry.name, entry.value.unwrap_or_default());
        }
    }
    Ok(states)
}

fn admin(settings: &KafkaSettings) -> Result<(AdminClient<Voice>, Names), LogError> {
    let admin = client::base(settings)?.create_with_context(Voice::new(settings));
    let admin: AdminClient<Voice> = admin.map_err(fatal("cannot make a Kafka client"))?;
    if settings.security.has_tokens() {
        give_token(&admin)?;
    }
    Ok((admin, Names::new(&settings.prefix)))
}

/// Meets the cluster with a client that can say why not: the one for administration serves none of its own events.
fn look(settings: &KafkaSettings) -> Result<Metadata, LogError> {
    settings.check_reach().map_err(LogError::fatal)?;
    let asker = client::asker(&client::base(settings)?, Voice::connecting(settings))?;
    reach::metadata(settings, asker.context(), |wait| client::fetch_metadata(&asker, wait))
}

/// Hands over a token, which this client would never ask for (see [`look`]); it lives for a few calls.
#[allow(unsafe_code)] // one call that the crate makes only for clients that are polled
fn give_token(admin: &AdminClient<Voice>) -> Result<(), LogError> {
    let failed = |why: String| LogError::fatal(format!("cannot get a token for Kafka: {why}"));
    let token = admin.inner().context().token().map_err(|error| failed(error.to_string()))?;
    let text = CString::new(token.token).map_err(|_| failed("it holds a zero byte".to_owned()))?;
    let principal =
        CString::new(token.principal_name).map_err(|_| failed("its subject holds a zero byte".to_owned()))?;
    let mut error = [0_u8; 512];
    // SAFETY: the client lives until the call returns; both texts end with a zero byte and outlive the call, which copies them;
    // there are no extensions; the error text is written within the length given, and ends with a zero byte.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            admin.inner().native_ptr(),
            text.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            error.as_mut_ptr().cast(),
            error.len(),
        )
    };
    if RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoError {
        return Ok(());
    }
    let said = CStr::from_bytes_until_nul(&error).unwrap_or_default().to_string_lossy();
    Err(failed(said.into_owned()))
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
