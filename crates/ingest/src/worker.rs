//! The INGEST service: raw topics → canonical records and positions, in one transaction. Stateless: nothing to restore.
//!
//! ```text
//! raw.*      ──(≤ batch_records, ≤ batch_bytes)──────► normalise on `threads` ──(≤ transaction_bytes)──► commit
//! raw.*.bulk ──(… ≤ a share)──(valve: `lane`)──────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tributary_model::record::RawClass;
use tributary_model::{AvroRecord, Topic, reject::Reject};
use tributary_stream::log::{Budget, Checkpoint, Log, LogError, Polled, Subscription, Transaction, Waker, Worker};
use tributary_stream::{Message, Output, Outputs, Position};

use crate::breaker::{Breaker, BreakerSettings, Place};
use crate::event::SecretHasher;
use crate::grant::Grants;
use crate::lane::{BULK_GROUP, Gate, SHARE_BYTES, Valve};
use crate::metrics;
use crate::pipeline::{self, Context, RawRecord};

/// Name of the consumer group of interactive work.
pub const GROUP: &str = "ingest";

/// Pause after the log said "again": shorter would spin, longer would be seen in latency.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for records, after which the stop flag is looked at.
const IDLE_WAIT: Duration = Duration::from_millis(500);

/// A worker whose turn takes so long hangs. A minute: a call to the log gives up after half of it.
const HANGS: Duration = Duration::from_secs(60);

/// Knobs of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestSettings {
    /// Most records of one poll.
    pub batch_records: usize,
    /// Most bytes of one poll: what is parsed at one time is about five times as large in memory.
    pub batch_bytes: usize,
    /// Outputs after which a transaction is committed before the batch is done.
    pub transaction_bytes: usize,
    /// Outputs of **one** record beyond which it is rejected: a transaction that no broker finishes in its timeout would
    /// come again for ever.
    pub record_outputs_bytes_max: usize,
    /// Threads that normalise one batch.
    pub threads: usize,
    /// Largest body after decompression.
    pub body_bytes_max: usize,
    /// Pauses a partition on which nearly everything is bad; `None`: everything becomes its reject at once.
    pub breaker: Option<BreakerSettings>,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            batch_records: 256,
            batch_bytes: 16 << 20,
            transaction_bytes: 16 << 20,
            record_outputs_bytes_max: 512 << 20,
            threads: 1,
            body_bytes_max: crate::plain::BODY_BYTES_MAX,
            breaker: None,
        }
    }
}

/// What every worker of a process shares.
#[derive(Clone)]
pub struct Shared {
    /// Who may say what.
    pub grants: Arc<Grants>,
    /// Turns secrets into HMACs.
    pub secrets: Arc<dyn SecretHasher + Send + Sync>,
    /// Knobs.
    pub settings: IngestSettings,
}

impl Shared {
    fn context(&self) -> Context<'_> {
        Context { grants: &self.grants, secrets: self.secrets.as_ref(), body_bytes_max: self.settings.body_bytes_max }
    }
}

/// One worker; owned by one thread.
pub struct IngestWorker {
    shared: Shared,
    worker: Box<dyn Worker>,
    /// Assigned, and not yet started: the log could not.
    unstarted: Vec<u32>,
    state: Arc<IngestState>,
    breaker: Option<Breaker>,
    /// Of the bulk lane.
    valve: Option<Valve>,
    /// What the log was told to hold.
    held: BTreeSet<Place>,
}

/// How a worker is; written by its thread, read by whoever asks.
#[derive(Debug, Default)]
pub struct IngestState {
    joined: AtomicBool,
    /// When its last turn was over; none before the first.
    turned: Mutex<Option<Instant>>,
    paused: Mutex<Vec<String>>,
}

impl IngestState {
    /// It is a member of its group, and what it was given is started.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// Since when it has not come back, if that is too long ago: its log hangs.
    #[must_use]
    pub fn hangs(&self) -> Option<Duration> {
        let turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Instant::elapsed);
        turned.filter(|silent| *silent >= HANGS)
    }

    /// Partitions that are paused because nearly everything on them is bad, each with the reason and what to do.
    #[must_use]
    pub fn paused(&self) -> Vec<String> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl IngestWorker {
    /// Takes slot `slot` of `slots` in this process, for interactive work.
    ///
    /// # Errors
    /// As [`Log::worker`].
    pub fn new(log: &dyn Log, shared: Shared, slot: u32, slots: u32) -> Result<Self, LogError> {
        let worker = log.worker(&Subscription { group: GROUP.to_owned(), topics: Topic::RAW.to_vec(), slot, slots })?;
        Ok(Self::over(worker, shared, None))
    }

    /// Takes slot `slot` of `slots` in this process, for what nobody waits for.
    ///
    /// # Errors
    /// As [`Log::worker`].
    pub fn bulk(log: Arc<dyn Log>, mut shared: Shared, slot: u32, slots: u32) -> Result<Self, LogError> {
        let group = BULK_GROUP.to_owned();
        let worker = log.worker(&Subscription { group, topics: Topic::BULK.to_vec(), slot, slots })?;
        shared.settings.batch_bytes = shared.settings.batch_bytes.min(SHARE_BYTES);
        Ok(Self::over(worker, shared, Some(Valve::new(log))))
    }

    fn over(worker: Box<dyn Worker>, shared: Shared, valve: Option<Valve>) -> Self {
        let breaker = shared.settings.breaker.map(Breaker::new);
        Self { shared, worker, unstarted: Vec::new(), state: Arc::default(), breaker, valve, held: BTreeSet::new() }
    }

    /// Rings this worker out of its wait: after setting the stop flag.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.worker.waker()
    }

    /// How it is, for probes.
    #[must_use]
    pub fn state(&self) -> Arc<IngestState> {
        Arc::clone(&self.state)
    }

    /// Works until told to stop. Every call blocks: own thread.
    ///
    /// # Errors
    /// When the log is of no more use to this worker; a new worker goes on from what is committed.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), LogError> {
        while !stop.load(Ordering::Relaxed) {
            *self.state.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            match self.turn(IDLE_WAIT) {
                Ok(_) => {}
                Err(LogError::Retry { what, .. } | LogError::Abort { what, .. }) => {
                    tracing::warn!(what, "ingest waits for its log");
                    self.worker.waker().wait(RETRY_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Polls once and commits what came; answers how many records that was.
    ///
    /// # Errors
    /// [`LogError::Retry`] when nothing happened; [`LogError::Fatal`] when the worker is of no more use.
    pub fn turn(&mut self, wait: Duration) -> Result<usize, LogError> {
        if self.valve.as_ref().is_some_and(Valve::is_holding) {
            return self.pass(wait);
        }
        self.hold()?;
        let settings = self.shared.settings;
        let budget = Budget { records: settings.batch_records, bytes: settings.batch_bytes, wait };
        let messages = match self.worker.poll(budget)? {
            Polled::Batch(messages) => surroundings_first(messages),
            Polled::Assigned(partitions) => {
                self.unstarted.extend(partitions);
                self.state.joined.store(true, Ordering::Relaxed);
                Vec::new()
            }
            Polled::Revoked(partitions) => {
                self.unstarted.retain(|partition| !partitions.contains(partition));
                Vec::new()
            }
        };
        if !self.unstarted.is_empty() && messages.is_empty() {
            self.worker.start(&self.unstarted)?;
            self.unstarted.clear();
        }
        match &mut self.valve {
            Some(valve) => {
                valve.take(messages, Instant::now());
                if valve.is_holding() { self.pass(wait) } else { Ok(0) }
            }
            None => self.work(&messages),
        }
    }

    /// Lets the share in hand pass, if it may.
    fn pass(&mut self, wait: Duration) -> Result<usize, LogError> {
        let gate = self.valve.as_mut().map_or(Gate::GiveBack, |valve| valve.pass(Instant::now()));
        match gate {
            Gate::Open(messages) => self.work(&messages),
            Gate::Closed(pause) => {
                self.worker.waker().wait(pause.min(wait));
                Ok(0)
            }
            Gate::GiveBack => self.worker.rewind().map(|()| 0),
        }
    }

    fn work(&mut self, messages: &[Message]) -> Result<usize, LogError> {
        match self.process(messages) {
            Ok(()) => Ok(messages.len()),
            // Nothing of the open transaction happened: the same records come again.
            Err(LogError::Abort { .. } | LogError::Retry { .. }) => self.worker.rewind().map(|()| 0),
            Err(error) => Err(error),
        }
    }

    /// Tells the log what must not come for now, and what is tried again.
    fn hold(&mut self) -> Result<(), LogError> {
        let now = Instant::now();
        let mut held = self.breaker.as_mut().map_or_else(BTreeSet::new, |breaker| breaker.paused(now));
        metrics::paused(if self.valve.is_some() { "bulk" } else { "interactive" }, held.len());
        if let Some(valve) = &mut self.valve {
            valve.reopen(now);
            held.extend(valve.shut());
        }
        if held != self.held {
            self.worker.hold(&held)?;
            self.held = held;
        }
        let Some(breaker) = &self.breaker else { return Ok(()) };
        *self.state.paused.lock().unwrap_or_else(PoisonError::into_inner) = breaker.reasons(now);
        Ok(())
    }

    /// Whether a record's partition is paused, or becomes so with it: then the record itself still counts.
    fn skips(&mut self, message: &Message, outputs: &[Output]) -> bool {
        let place = (message.topic, message.partition);
        let Some(breaker) = self.breaker.as_mut() else { return false };
        if breaker.is_paused(place) {
            return true;
        }
        let is_bad = !outputs.is_empty() && outputs.iter().all(|output| output.topic == Topic::Rejects);
        if breaker.saw(place, is_bad, Instant::now()) {
            metrics::tripped(place.0);
            tracing::warn!(topic = place.0.name(), partition = place.1, "nearly everything is bad: paused");
        }
        false
    }

    /// Normalises in parallel, commits in order, in transactions of bounded size.
    fn process(&mut self, messages: &[Message]) -> Result<(), LogError> {
        // As many at a time as there are threads: what is normalised but not committed is held in memory.
        let mut open = OpenTransaction::default();
        for group in messages.chunks(self.shared.settings.threads.max(1)) {
            let normalised = self.normalise(group);
            for (message, outputs) in group.iter().zip(normalised) {
                if open.tells_surroundings && !tells_surroundings(message.topic) {
                    self.commit(&mut open)?;
                }
                // What follows on a paused partition stays on the log, and comes when it is tried again.
                if self.skips(message, &outputs) {
                    continue;
                }
                open.add(message, outputs);
                if open.bytes >= self.shared.settings.transaction_bytes {
                    self.commit(&mut open)?;
                }
            }
        }
        self.commit(&mut open)
    }

    fn normalise(&self, group: &[Message]) -> Vec<Vec<Output>> {
        let (shared, fits) = (&self.shared, self.worker.record_bytes_max());
        let records_of = |message: &Message| records_of(shared, message, fits);
        if let [message] = group {
            return vec![records_of(message)];
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = group.iter().map(|message| scope.spawn(move || records_of(message))).collect();
            // `records_of` catches panics; should joining fail all the same, the message is done again here.
            let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            results.zip(group).map(|(result, message)| result.unwrap_or_else(|_| records_of(message))).collect()
        })
    }

    fn commit(&mut self, open: &mut OpenTransaction) -> Result<(), LogError> {
        let done = std::mem::take(open);
        if done.positions.is_empty() {
            return Ok(());
        }
        let checkpoints = done.positions.into_iter().map(|((topic, partition), next)| Checkpoint {
            position: Position { topic, partition, next },
            note: Bytes::new(),
        });
        let (events, begun) = (done.outputs.len(), Instant::now());
        self.worker.commit(Transaction { checkpoints: checkpoints.collect(), outputs: done.outputs })?;
        metrics::committed(done.records, done.bytes_in, events, begun.elapsed());
        Ok(())
    }
}

/// What will be committed together, and the positions that it covers.
#[derive(Default)]
struct OpenTransaction {
    outputs: Vec<Output>,
    positions: BTreeMap<(Topic, u32), u64>,
    bytes: usize,
    bytes_in: usize,
    records: usize,
    /// Its last record tells of surroundings.
    tells_surroundings: bool,
}

impl OpenTransaction {
    fn add(&mut self, message: &Message, outputs: Vec<Output>) {
        self.tells_surroundings = tells_surroundings(message.topic);
        self.positions.insert((message.topic, message.partition), message.offset + 1);
        self.bytes_in += message.value.as_ref().map_or(0, Bytes::len);
        self.bytes += outputs.iter().map(|output| output.value.as_ref().map_or(0, Bytes::len)).sum::<usize>();
        self.records += 1;
        self.outputs.extend(outputs);
    }
}

/// Builds, clusters and catalogues say which component a scanned asset belongs to. They are small and are committed before the
/// scans of the same batch are parsed: TRACK then knows them, and no risk is opened for one component and moved to another.
fn tells_surroundings(topic: Topic) -> bool {
    use RawClass::{Catalog, Cicd, Cloud, Intel};
    matches!(RawClass::of_topic(topic), Some(Cicd | Cloud | Catalog | Intel))
}

/// Between topics there is no order to keep; within one, it is kept.
fn surroundings_first(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_key(|message| !tells_surroundings(message.topic));
    messages
}

/// The canonical records of a message, encoded, each of at most `fits` bytes. Never panics, and never empty for a message of a
/// raw topic.
fn records_of(shared: &Shared, message: &Message, fits: usize) -> Vec<Output> {
    let Some(record) = RawRecord::from_message(message) else { return Vec::new() };
    let bytes_max = shared.settings.record_outputs_bytes_max;
    // Normalisers are caught inside; this catches the encoding of what they made.
    let outputs = catch_unwind(AssertUnwindSafe(|| pipeline::outputs(&record, &shared.context())));
    let outputs = match outputs {
        Ok(outputs) if outputs.bytes() > bytes_max => pipeline::too_large_outputs(&record, outputs.bytes(), bytes_max),
        Ok(outputs) => match outputs.records().iter().map(Output::bytes).max().filter(|bytes| *bytes > fits) {
            Some(bytes) => pipeline::too_large_outputs(&record, bytes, fits),
            None => outputs,
        },
        Err(_) => pipeline::fault_outputs(&record),
    };
    count_rejects(record.class, &outputs);
    outputs.into_records()
}

fn count_rejects(class: RawClass, outputs: &Outputs) {
    for output in outputs.records().iter().filter(|output| output.topic == Topic::Rejects) {
        if let Some(reject) = output.value.as_deref().and_then(|value| Reject::decode(value).ok()) {
            metrics::rejected(class, &reject.code);
        }
    }
}

#[cfg(test)]
mod tests;
