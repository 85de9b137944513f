//! A producer, transactional where it is given an id: everything of a transaction on the cluster, or nothing. Without transactions: everything, or an error.
//!
//! ```text
//! begin → records, each to the partition of our own partitioner → positions, if a group's → all delivered → commit
//!                                        any failure ──► abort
//! ```
//! A producer with its own polling thread, and the commit only once nothing is in flight: the client's own flush would poll
//! in steps of 100 ms. The thread is ours: a poll spins through its last millisecond, and the library's own
//! thread polls ten times a second, which is a hundredth of a core for each of a process's producers while nothing happens.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, TopicPartitionList};
use tributary_model::Topic;
use tributary_model::topic::partition_of;

use super::Cluster;
use super::client::{self, PATIENCE};
use super::error::{Right, fatal, here, is_denial, said};
use super::settings::Delivery;
use super::voice::Voice;
use crate::log::LogError;
use crate::message::{Output, Position};

/// What a record takes on the wire beside key, value and headers, at most.
const RECORD_OVERHEAD_BYTES: usize = 512;

/// A producer. Whoever makes another one of the same transactional id fences it.
pub(super) struct Transactor {
    cluster: Arc<Cluster>,
    producer: Arc<BaseProducer<Deliveries>>,
    _polling: Polling,
}

/// Positions that are part of a transaction, and the membership that entitles to write them.
pub(super) struct Offsets<'a> {
    /// Without prefix.
    pub group: &'a str,
    pub list: TopicPartitionList,
    pub member: ConsumerGroupMetadata,
}

impl Transactor {
    /// Fences the previous owner of the id and aborts what it left open. Where the settings forbid transactions, as [`Transactor::plain`].
    pub(super) fn new(cluster: &Arc<Cluster>, transactional_id: &str) -> Result<Self, LogError> {
        match cluster.settings.delivery {
            Delivery::ExactlyOnce => Self::make(cluster, Some(transactional_id)),
            Delivery::AtLeastOnce => Self::plain(cluster),
        }
    }

    /// One without transactions: it can only [`Transactor::deliver`].
    pub(super) fn plain(cluster: &Arc<Cluster>) -> Result<Self, LogError> {
        Self::make(cluster, None)
    }

    fn make(cluster: &Arc<Cluster>, transactional_id: Option<&str>) -> Result<Self, LogError> {
        if let Some(framing) = &cluster.framing {
            framing.prepare(cluster.partitions.keys().copied())?;
        }
        let config = client::producer(&cluster.settings, transactional_id)?;
        let deliveries = Deliveries::new(Voice::new(&cluster.settings));
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(deliveries).map_err(fatal("cannot make a Kafka producer"))?;
        let producer = Arc::new(producer);
        let polling = Polling::start(&producer)?;
        if let Some(transactional_id) = transactional_id {
            let right = Right::new(&cluster.settings, "Write", format!("transactional id {transactional_id}"));
            producer.init_transactions(PATIENCE).map_err(
                right.or(format!("cannot begin transactions as {transactional_id} at {}", cluster.settings.brokers)),
            )?;
        }
        Ok(Self { cluster: Arc::clone(cluster), producer, _polling: polling })
    }

    /// Why a record cannot be written at all, if so.
    pub(super) fn refusal(&self, output: &Output) -> Option<String> {
        let (bytes, most) = (output.bytes(), self.cluster.settings.message_bytes_max);
        (bytes > self.record_bytes_max()).then(|| {
            format!("a record of {bytes} bytes for {} does not fit into message_bytes_max = {most}", output.topic)
        })
    }

    /// The largest record that can be written, as [`Output::bytes`] counts.
    pub(super) fn record_bytes_max(&self) -> usize {
        (self.cluster.settings.message_bytes_max as usize).saturating_sub(RECORD_OVERHEAD_BYTES)
    }

    /// Appends records and positions, all or nothing; answers the new end of every partition that was appended to.
    pub(super) fn transact(
        &self,
        outputs: &[Output],
        offsets: Option<&Offsets<'_>>,
    ) -> Result<Vec<Position>, LogError> {
        self.producer.begin_transaction().map_err(here("cannot begin a transaction"))?;
        self.context().begin();
        match self.fill(outputs, offsets).and_then(|()| self.commit()) {
            Ok(()) => Ok(self.context().ends()),
            Err(Failure::Unknown(what, error)) => Err(fatal(what)(error)),
            Err(Failure::Undone(what)) => {
                let right = self.missing_right();
                self.abort(what).map_err(|error| right.map_or(error, |right| right.is_missing()))
            }
            // A transaction that is not allowed will not be allowed the next time either.
            Err(Failure::Denied(right)) => self.abort(right.to_string()).map_err(|_| right.is_missing()),
        }
    }

    /// Appends records without a transaction: when it fails, some of them may be there. Answers as [`Transactor::transact`].
    pub(super) fn deliver(&self, outputs: &[Output]) -> Result<Vec<Position>, LogError> {
        self.context().begin();
        match self.fill(outputs, None) {
            Ok(()) => Ok(self.context().ends()),
            Err(Failure::Unknown(what, error)) => Err(fatal(what)(error)),
            Err(Failure::Denied(right)) => Err(right.is_missing()),
            Err(Failure::Undone(what)) => {
                self.context().settle(Instant::now() + PATIENCE);
                match (self.missing_right(), self.producer.client().fatal_error()) {
                    (Some(right), _) => Err(right.is_missing()),
                    (None, Some((_, reason))) => Err(LogError::fatal(format!("{what}: {reason}"))),
                    (None, None) => Err(LogError::abort(what)),
                }
            }
        }
    }

    /// The right to write that access rules turned out to lack.
    fn missing_right(&self) -> Option<Right> {
        let denied = self.context().denied();
        denied.map(|topic| Right::new(&self.cluster.settings, "Write", format!("topic {topic}")))
    }

    /// Those of the ends that these records have to do with.
    pub(super) fn ends_of(&self, outputs: &[Output], ends: &[Position]) -> Vec<Position> {
        let place = |output: &Output| {
            (output.topic, partition_of(&output.partition_key, self.cluster.partitions(output.topic)))
        };
        let places: BTreeSet<_> = outputs.iter().map(place).collect();
        ends.iter().filter(|end| places.contains(&(end.topic, end.partition))).copied().collect()
    }

    fn context(&self) -> &Deliveries {
        self.producer.client().context()
    }

    fn fill(&self, outputs: &[Output], offsets: Option<&Offsets<'_>>) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        for output in outputs {
            self.send(output, deadline)?;
        }
        if let Some(Offsets { list, member, group }) = offsets {
            let sent = self.producer.send_offsets_to_transaction(list, member, PATIENCE);
            sent.map_err(|error| self.unsent_positions(&error, group))?;
        }
        self.context().wait(deadline, 0)
    }

    fn send(&self, output: &Output, deadline: Instant) -> Result<(), Failure> {
        let partition = partition_of(&output.partition_key, self.cluster.partitions(output.topic));
        let topic = self.cluster.names.topic(output.topic);
        let mut record = BaseRecord::with_opaque_to(&topic, place(output.topic, partition))
            .partition(partition as i32)
            .key(output.key.as_ref());
        let mut framed = Vec::new();
        record.payload = match (&output.value, &self.cluster.framing) {
            (Some(value), Some(framing)) => Some(framing.frame(output.topic, value, &mut framed)),
            (value, _) => value.as_deref(),
        };
        if !output.headers.is_empty() {
            record.headers = Some(headers(&output.headers));
        }
        loop {
            self.context().sent();
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.context().unsent();
                    let under_way = self.context().outstanding();
                    self.context().wait(deadline, under_way.saturating_sub(1))?;
                    record = back;
                }
                Err((error, _)) => {
                    self.context().unsent();
                    return Err(Failure::Undone(said(&format!("cannot append to {topic}"), &error)));
                }
            }
        }
    }

    fn unsent_positions(&self, error: &KafkaError, group: &str) -> Failure {
        let right = |on: String| Failure::Denied(Right::new(&self.cluster.settings, "Read", on));
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
                right(format!("group {}", self.cluster.names.group(group)))
            }
            // The same code as for a record's topic, of which the context knows the name.
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) if self.context().denied().is_none() => {
                right(format!("topics that the group {} reads", self.cluster.names.group(group)))
            }
            _ => Failure::Undone(said("cannot add positions to the transaction", error)),
        }
    }

    fn commit(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.producer.commit_transaction(PATIENCE) {
                Ok(()) => return Ok(()),
                // Called again, it resumes the same commit.
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
                Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                    return Err(Failure::Undone(format!("the transaction was not committed: {error}")));
                }
                Err(error) => return Err(Failure::Unknown("a transaction may or may not be committed", error)),
            }
        }
    }

    fn abort<T>(&self, what: String) -> Result<T, LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.producer.abort_transaction(PATIENCE) {
                Ok(()) => {
                    self.context().settle(deadline);
                    return Err(LogError::abort(what));
                }
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
                Err(error) => return Err(fatal(format!("{what}; and it cannot be undone by this producer"))(error)),
            }
        }
    }
}

/// How long one poll of a producer waits. Half a second: what happens is told at once all the same; whoever gives a producer up
/// waits so long for its thread.
const POLL: Duration = Duration::from_millis(500);

/// The thread that polls a producer; it ends with this handle.
struct Polling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Polling {
    fn start(producer: &Arc<BaseProducer<Deliveries>>) -> Result<Self, LogError> {
        let (producer, stop) = (Arc::clone(producer), Arc::<AtomicBool>::default());
        let told = Arc::clone(&stop);
        let work = move || {
            while !told.load(Ordering::Relaxed) {
                producer.poll(POLL);
            }
        };
        let thread = std::thread::Builder::new().name("kafka-deliver".to_owned()).spawn(work);
        let thread = thread.map_err(|error| LogError::fatal_from("cannot start the thread of a producer", error))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook; what was not reported as delivered does not count.
            drop(thread.join());
        }
    }
}

enum Failure {
    /// To be aborted.
    Undone(String),
    /// To be aborted, and never to be tried again.
    Denied(Right),
    /// The commit was asked for, and its outcome is not known.
    Unknown(&'static str, KafkaError),
}

fn headers(of: &[(String, String)]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(of.len());
    of.iter().fold(empty, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

/// Topic and partition as one number that travels with a record.
fn place(topic: Topic, partition: u32) -> usize {
    (topic.code() as usize) << 24 | partition as usize
}

/// Counts what is under way, and remembers where it went.
pub(super) struct Deliveries {
    voice: Voice,
    tally: Mutex<Tally>,
    changed: Condvar,
}

#[derive(Default)]
struct Tally {
    outstanding: usize,
    failed: Option<String>,
    /// The first topic that access rules do not let this producer write to.
    denied: Option<String>,
    ends: BTreeMap<usize, u64>,
    /// Whoever waits, waits until so many are under way.
    awaited: usize,
}

impl Deliveries {
    fn new(voice: Voice) -> Self {
        Self { voice, tally: Mutex::default(), changed: Condvar::new() }
    }

    fn denied(&self) -> Option<String> {
        self.lock().denied.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        *self.lock() = Tally::default();
    }

    fn sent(&self) {
        self.lock().outstanding += 1;
    }

    fn unsent(&self) {
        self.lock().outstanding -= 1;
    }

    fn outstanding(&self) -> usize {
        self.lock().outstanding
    }

    fn ends(&self) -> Vec<Position> {
        let topic = |place: usize| Topic::ALL.into_iter().find(|topic| topic.code() as usize == place >> 24);
        let tally = self.lock();
        let ends = tally.ends.iter();
        ends.filter_map(|(place, next)| {
            Some(Position { topic: topic(*place)?, partition: (*place & 0x00ff_ffff) as u32, next: *next })
        })
        .collect()
    }

    /// Waits until every record has reported, whatever it says: a late report must not count in the next transaction.
    fn settle(&self, deadline: Instant) {
        let mut tally = self.lock();
        tally.awaited = 0;
        while tally.outstanding > 0 && Instant::now() < deadline {
            let step = Duration::from_millis(100);
            tally = self.changed.wait_timeout(tally, step).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until at most so many records are under way.
    fn wait(&self, deadline: Instant, at_most: usize) -> Result<(), Failure> {
        let mut tally = self.lock();
        tally.awaited = at_most;
        loop {
            if let Some(reason) = &tally.failed {
                return Err(Failure::Undone(format!("a record was not delivered: {reason}")));
            }
            if tally.outstanding <= at_most {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Undone(format!("{} records were not delivered in time", tally.outstanding)));
            }
            let step = left.min(Duration::from_secs(1));
            tally = self.changed.wait_timeout(tally, step).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "ADDPARTS"
            && let Some(topic) = denied_topic(message)
        {
            self.lock().denied.get_or_insert(topic);
        }
        self.voice.line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.said(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.voice.token()
    }
}

/// The topic that a transaction may not include. When the cluster refuses a partition, the client fails everything of the
/// transaction with one code, and names the topic in a log line only:
/// `… Failed to add partition "t.facts" [3] to transaction: Broker: Topic authorization failed`.
fn denied_topic(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Failed to add partition \"").filter(|_| line.contains("authorization failed"))?;
    rest.split_once('"').map(|(topic, _)| topic.to_owned())
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, place: usize) {
        let mut tally = self.lock();
        tally.outstanding = tally.outstanding.saturating_sub(1);
        match result {
            Ok(message) => {
                let next = message.offset() as u64 + 1;
                let end = tally.ends.entry(place).or_default();
                *end = next.max(*end);
            }
            Err((error, message)) => {
                if error.rdkafka_error_code().is_some_and(is_denial) {
                    tally.denied.get_or_insert_with(|| message.topic().to_owned());
                }
                tally.failed.get_or_insert_with(|| error.to_string());
            }
        }
        // Not for every record: whoever waits for thirty thousand of them would wake as often.
        let is_news = tally.failed.is_some() || tally.outstanding <= tally.awaited;
        drop(tally);
        if is_news {
            self.changed.notify_all();
        }
    }
}
