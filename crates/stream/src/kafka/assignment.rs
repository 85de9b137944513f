//! Which partitions are whose, as the group decides it.
//!
//! The assignor is `range`, for one reason: it deals out every topic by itself, over the members in one order, so with equal
//! partition counts partition *p* of all topics of a subscription goes to one member, which is what a stage's state needs.
//! `cooperative-sticky` balances single partitions and promises no such thing. Range is eager: at every
//! rebalance all partitions are taken away and dealt out again. The price is paid down in two ways: members are static
//! (`group.instance.id` per slot), so that a restart within the session moves nothing; and a worker keeps the state of
//! a partition that it gets back, if nobody else committed for it in between (see [`super::worker`]).
//! No rack is configured, because a rack-aware assignment of one topic need not be that of another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, TopicPartitionList};
use tributary_model::Topic;

use super::names::Names;
use super::voice::Voice;

/// What the group decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These partitions, of every topic of the subscription.
    Given(BTreeSet<u32>),
    /// All of them are taken away; `lost` if somebody else may have them already.
    Taken { lost: bool },
    /// The client did not do as the group decided, or the group decided what cannot be.
    Failed(String),
}

/// Callbacks of a worker's consumer: they run inside its poll, on the worker's thread.
pub(super) struct Assignment {
    names: Names,
    topics: Vec<Topic>,
    voice: Voice,
    changes: Mutex<VecDeque<Change>>,
    /// There are changes: looked at after every record.
    pending: AtomicBool,
}

impl Assignment {
    pub(super) fn new(names: &Names, topics: &[Topic], voice: Voice) -> Self {
        Self {
            names: names.clone(),
            topics: topics.to_vec(),
            voice,
            changes: Mutex::default(),
            pending: AtomicBool::new(false),
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    pub(super) fn take(&self) -> VecDeque<Change> {
        self.pending.store(false, Ordering::SeqCst);
        std::mem::take(&mut *super::lock(&self.changes))
    }

    fn put(&self, change: Change) {
        super::lock(&self.changes).push_back(change);
        self.pending.store(true, Ordering::SeqCst);
    }

    fn given(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> Change {
        // Nothing is delivered before the worker says that the state is there.
        let done = consumer.assign(list).and_then(|()| if list.count() == 0 { Ok(()) } else { consumer.pause(list) });
        if let Err(error) = done {
            return Change::Failed(format!("an assignment was not taken over: {error}"));
        }
        let elements = list.elements();
        let places =
            elements.iter().filter_map(|element| Some((self.names.parse(element.topic())?, element.partition())));
        whole(&self.topics, places.map(|(topic, partition)| (topic, partition as u32)))
            .map_or_else(Change::Failed, Change::Given)
    }
}

/// The partitions of an assignment, if it has each of them of every topic.
fn whole(topics: &[Topic], places: impl Iterator<Item = (Topic, u32)>) -> Result<BTreeSet<u32>, String> {
    let mut by_partition: BTreeMap<u32, BTreeSet<Topic>> = BTreeMap::new();
    for (topic, partition) in places {
        by_partition.entry(partition).or_default().insert(topic);
    }
    let torn = by_partition.iter().find(|(_, of)| of.len() != topics.len());
    match torn {
        Some((partition, _)) => Err(format!(
            "the group gave this worker partition {partition} of some of its topics and not of others: do all members of \
             the group run the same version, and have all its topics equally many partitions?"
        )),
        None => Ok(by_partition.into_keys().collect()),
    }
}

impl ClientContext for Assignment {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.voice.line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.said(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.voice.token()
    }
}

impl ConsumerContext for Assignment {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let change = if RDKafkaErrorCode::from(what) == RDKafkaErrorCode::AssignPartitions {
            self.given(consumer, list)
        } else {
            let lost = consumer.assignment_lost();
            match consumer.unassign() {
                Ok(()) => Change::Taken { lost },
                Err(error) => Change::Failed(format!("a revocation was not carried out: {error}")),
            }
        };
        self.put(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_assignment_is_refused() {
        let topics = [Topic::Facts, Topic::Observations];
        let both = [(Topic::Facts, 1), (Topic::Observations, 1), (Topic::Observations, 4), (Topic::Facts, 4)];
        assert_eq!(whole(&topics, both.into_iter()), Ok(BTreeSet::from([1, 4])));
        assert!(whole(&topics, both.into_iter().take(3)).unwrap_err().contains("partition 4"));
        assert_eq!(whole(&topics, std::iter::empty()), Ok(BTreeSet::new()));
    }
}
