//! A reader that assigns itself partitions and knows when it has read them to their ends.
//!
//! Offsets are not dense: the last thing in a partition is a commit marker, which no reader is given. So an end is what the
//! client reports as the end of a partition (`PARTITION_EOF`), and that counts only if it was fetched **after** the end was
//! asked for: hence a barrier (the assignment, later a seek to where the reader is), which throws away what was fetched
//! before. The report does not name its topic: hence a queue per partition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset};
use tributary_model::Topic;

use super::client::{self, PATIENCE};
use super::error::{Right, here, is_denied, is_permanent};
use super::voice::Voice;
use super::{Cluster, record, seek};
use crate::log::{Budget, LogError, Read, Reader, Start, Waker};
use crate::message::{Message, Position};

/// Longest wait between two looks at the client, whose callbacks have to be served.
const LOOK: Duration = Duration::from_millis(100);
/// How long a trial read of one topic may take. 3 s: an answer takes milliseconds, and a denial comes with the first.
const TRIAL: Duration = Duration::from_secs(3);

/// A reader's handle.
pub(super) struct KafkaReader {
    cluster: Arc<Cluster>,
    consumer: Arc<BaseConsumer<Voice>>,
    places: Vec<Place>,
    /// Empty until the first read.
    queues: Vec<PartitionQueue<Voice>>,
    /// Whose turn is first next time.
    turn: usize,
    waker: Waker,
}

struct Place {
    topic: Topic,
    partition: u32,
    /// Where it reads next.
    next: u64,
    /// The high mark that was asked for before the last barrier.
    high: u64,
    /// The client reported the end since.
    ended: bool,
}

impl Place {
    fn key(&self) -> (Topic, u32) {
        (self.topic, self.partition)
    }

    fn is_read(&self) -> bool {
        self.ended || self.next >= self.high
    }
}

impl KafkaReader {
    pub(super) fn new(cluster: &Arc<Cluster>, places: &[(Topic, u32)], start: &Start) -> Result<Self, LogError> {
        let starts = match start {
            Start::Beginning => vec![0; places.len()],
            Start::End => cluster.ends.committed(&cluster.names, places)?,
            Start::At(positions) => {
                let at = |place: &(Topic, u32)| {
                    let found = positions.iter().find(|position| (position.topic, position.partition) == *place);
                    found.map_or(0, |position| position.next)
                };
                places.iter().map(at).collect()
            }
        };
        let mut config = client::consumer(&cluster.settings, &cluster.names.readers())?;
        // The end of a partition is reported by a fetch that found nothing, and such a fetch is answered after so long.
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "20");
        let places = places.iter().zip(starts);
        let place = |(&(topic, partition), next)| Place { topic, partition, next, high: 0, ended: false };
        Ok(Self {
            cluster: Arc::clone(cluster),
            consumer: Arc::new(client::asker(&config, Voice::new(&cluster.settings))?),
            places: places.map(place).collect(),
            queues: Vec::new(),
            turn: 0,
            waker: Waker::default(),
        })
    }

    fn keys(&self) -> Vec<(Topic, u32)> {
        self.places.iter().map(Place::key).collect()
    }

    /// Asks for the ends, waits until everything below is decided, and assigns.
    fn begin(&mut self) -> Result<(), LogError> {
        let keys = self.keys();
        let high = self.cluster.ends.high(&self.cluster.names, &keys)?;
        self.cluster.ends.wait(&self.cluster.names, &keys, &high)?;
        let from = self.places.iter().map(|place| (place.key(), Offset::Offset(place.next as i64)));
        let list = self.cluster.names.list(from)?;
        self.consumer.assign(&list).map_err(here("cannot read from Kafka"))?;
        for (place, high) in self.places.iter_mut().zip(high) {
            place.high = high;
        }
        for (topic, partition) in keys {
            let queue = self.consumer.split_partition_queue(&self.cluster.names.topic(topic), partition as i32);
            let mut queue =
                queue.ok_or_else(|| LogError::fatal(format!("there is no partition {topic}/{partition}")))?;
            let waker = self.waker.clone();
            queue.set_nonempty_callback(move || waker.nudge());
            self.queues.push(queue);
        }
        Ok(())
    }

    /// Records that the client has, without waiting.
    fn take(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let mut taken = Taken { budget, messages: Vec::new(), bytes: 0 };
        if !self.take_unsplit(&mut taken)? {
            return Ok(taken.messages);
        }
        let count = self.places.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            while !taken.is_full()
                && let Some(polled) = self.queues[at].poll(Duration::ZERO)
            {
                let accepted = accept(&self.cluster, &mut self.places[at], polled, &mut taken);
                if !self.is_taken(at, accepted, &taken)? {
                    return Ok(taken.messages);
                }
            }
            if taken.is_full() {
                self.turn = (at + 1) % count;
                break;
            }
        }
        Ok(taken.messages)
    }

    /// Whether a record was taken. One that cannot be, because a schema registry is away, comes again: the records before it are
    /// given first, and then the reason.
    fn is_taken(&self, at: usize, accepted: Result<(), LogError>, taken: &Taken) -> Result<bool, LogError> {
        let Err(error) = accepted else { return Ok(true) };
        if matches!(error, LogError::Retry { .. }) {
            let key = self.places[at].key();
            self.barrier(|place| place.key() == key)
                .map_err(|failed| LogError::fatal(format!("{error}; and its place cannot be kept: {failed}")))?;
            if !taken.messages.is_empty() {
                return Ok(false);
            }
        }
        Err(error)
    }

    /// What arrived between the assignment and the splitting of the queues, and what the client has to say; answers whether to go
    /// on.
    fn take_unsplit(&mut self, taken: &mut Taken) -> Result<bool, LogError> {
        while !taken.is_full()
            && let Some(polled) = self.consumer.poll(Duration::ZERO)
        {
            match polled {
                Ok(record) => {
                    let topic = self.cluster.names.parse(record.topic());
                    let key = (topic, record.partition() as u32);
                    let is_its = |place: &Place| (Some(place.topic), place.partition) == key;
                    if let Some(at) = self.places.iter().position(is_its) {
                        let accepted = accept(&self.cluster, &mut self.places[at], Ok(record), taken);
                        if !self.is_taken(at, accepted, taken)? {
                            return Ok(false);
                        }
                    }
                }
                // Of which topic it does not say, and it does not say it twice: raise the barrier again.
                Err(KafkaError::PartitionEOF(partition)) => {
                    let same = |place: &&mut Place| place.partition == partition as u32;
                    self.places.iter_mut().filter(same).for_each(|place| place.ended = false);
                    self.barrier(|place| place.partition == partition as u32)?;
                }
                Err(error) if is_denied(&error) => {
                    let topics: Vec<Topic> = self.places.iter().map(|place| place.topic).collect();
                    return Err(missing_right(&self.cluster, &error, &self.cluster.names.readers(), &topics));
                }
                Err(error) => refuse(error)?,
            }
        }
        Ok(true)
    }

    /// Throws away what was fetched for these places: the next report of their end is news.
    fn barrier(&self, which: impl Fn(&Place) -> bool) -> Result<(), LogError> {
        let which = self.places.iter().filter(|place| which(place));
        let to: Vec<_> = which.map(|place| (place.key(), Offset::Offset(place.next as i64))).collect();
        seek(&self.consumer, &self.cluster.names, &to)
    }

    /// Whether nothing that was committed before this call is unread; if not, what there may be is on its way.
    fn verify(&mut self) -> Result<bool, LogError> {
        let keys = self.keys();
        let high = self.cluster.ends.high(&self.cluster.names, &keys)?;
        let moved = |(place, high): (&Place, &u64)| place.high < *high;
        if !self.places.iter().zip(&high).any(moved) {
            return Ok(true);
        }
        self.cluster.ends.wait(&self.cluster.names, &keys, &high)?;
        let mut news = Vec::new();
        for (place, high) in self.places.iter_mut().zip(high) {
            if place.high < high {
                (place.high, place.ended) = (high, false);
                if place.next < high {
                    news.push(place.key());
                }
            }
        }
        self.barrier(|place| news.contains(&place.key()))?;
        Ok(false)
    }

    /// Records, or the knowledge that there are none.
    fn take_all_there_is(&mut self, budget: Budget) -> Result<Read, LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let messages = self.take(budget)?;
            if !messages.is_empty() {
                return Ok(Read { messages, at_end: false });
            }
            if self.places.iter().all(Place::is_read) {
                if self.verify()? {
                    // Markers are read too.
                    self.places.iter_mut().for_each(|place| place.next = place.next.max(place.high));
                    return Ok(Read { messages, at_end: true });
                }
                continue;
            }
            if Instant::now() >= deadline {
                return Err(LogError::retry("the ends of partitions were not reached in time"));
            }
            if self.waker.wait(LOOK) {
                return Ok(Read { messages, at_end: false });
            }
        }
    }
}

impl Reader for KafkaReader {
    fn read(&mut self, budget: Budget) -> Result<Read, LogError> {
        if self.queues.is_empty() && !self.places.is_empty() {
            self.begin()?;
        }
        let begun = Instant::now();
        let read = self.take_all_there_is(budget)?;
        if !read.at_end || self.places.is_empty() {
            return Ok(read);
        }
        let mut left = budget.wait;
        while !left.is_zero() {
            let was_rung = self.waker.wait(left.min(LOOK));
            let messages = self.take(budget)?;
            if !messages.is_empty() {
                return Ok(Read { messages, at_end: false });
            }
            if was_rung {
                break;
            }
            left = budget.wait.saturating_sub(begun.elapsed());
        }
        Ok(read)
    }

    fn positions(&self) -> Vec<Position> {
        let position = |place: &Place| Position { topic: place.topic, partition: place.partition, next: place.next };
        self.places.iter().map(position).collect()
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

struct Taken {
    budget: Budget,
    messages: Vec<Message>,
    bytes: usize,
}

impl Taken {
    fn is_full(&self) -> bool {
        !self.messages.is_empty() && (self.messages.len() >= self.budget.records || self.bytes >= self.budget.bytes)
    }
}

fn accept(
    cluster: &Cluster,
    place: &mut Place,
    polled: KafkaResult<BorrowedMessage<'_>>,
    taken: &mut Taken,
) -> Result<(), LogError> {
    match polled {
        Ok(message) => {
            let message = record::read(cluster, place.topic, &message)?;
            place.next = message.offset + 1;
            place.ended = false;
            taken.bytes += record::weight(&message);
            taken.messages.push(message);
            Ok(())
        }
        Err(KafkaError::PartitionEOF(_)) => {
            place.ended = true;
            Ok(())
        }
        Err(error) if is_denied(&error) => {
            Err(missing_right(cluster, &error, &cluster.names.readers(), &[place.topic]))
        }
        Err(error) => refuse(error),
    }
}

/// Which right it is that these reads lack. The client does not say of which topic, so each is tried; who gets here stops
/// anyway.
pub(super) fn missing_right(cluster: &Cluster, error: &KafkaError, group: &str, topics: &[Topic]) -> LogError {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
        return Right::new(&cluster.settings, "Read", format!("group {group}")).is_missing();
    }
    let topics: BTreeSet<Topic> = topics.iter().copied().collect();
    let denied: Vec<String> = topics
        .iter()
        .filter(|topic| topics.len() == 1 || !is_readable(cluster, **topic))
        .map(|topic| cluster.names.topic(*topic))
        .collect();
    Right::new(&cluster.settings, "Read", format!("topic {}", denied.join(" and the topic "))).is_missing()
}

/// Whether a read of this topic gets past the access rules.
fn is_readable(cluster: &Cluster, topic: Topic) -> bool {
    let read = || -> Result<bool, LogError> {
        let mut config = client::consumer(&cluster.settings, &cluster.names.readers())?;
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "20");
        let asker = client::asker(&config, Voice::new(&cluster.settings))?;
        let list = cluster.names.list([((topic, 0), Offset::End)])?;
        asker.assign(&list).map_err(here("cannot read from Kafka"))?;
        let deadline = Instant::now() + TRIAL;
        while Instant::now() < deadline {
            match asker.poll(LOOK) {
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    return Ok(false);
                }
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(true),
                _ => {}
            }
        }
        Ok(true)
    };
    read().unwrap_or(true)
}

/// Fails on what no waiting heals; the client itself deals with the rest.
pub(super) fn refuse(error: KafkaError) -> Result<(), LogError> {
    if is_permanent(&error) {
        return Err(super::error::fatal("cannot read from Kafka")(error));
    }
    tracing::debug!(target: "kafka", %error, "reading goes on");
    Ok(())
}
