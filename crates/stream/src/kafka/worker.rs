//! One member of a group: one consumer and one transactional producer, both named after the slot, owned by one thread.
//!
//! Whoever takes the slot fences both: the producer's epoch and the member's static id. A worker whose partitions moved is
//! fenced by the group's generation, which the cluster checks in one place only: when positions are added to a transaction.
//! That is why a commit without positions is refused. Without transactions it checks them alone, after the outputs.
//!
//! A member is static, so that a restart moves no partition; one that leaves on stop is not, because the client lets only members
//! without a name leave. Its producer is named all the same.
//!
//! A rebalance takes all partitions away and deals them out again. In between the worker keeps its state and may not commit
//! (the membership is already the new one, the state still the old one). Then it compares: a partition that came back
//! and beside whose positions its own marks still stand was nobody else's, and goes on as if nothing had happened; the
//! others are revoked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Message as _, Offset};
use tributary_model::Topic;

use super::assignment::{Assignment, Change};
use super::client;
use super::error::{fatal, here, is_denied, undone};
use super::reader::{missing_right, refuse};
use super::settings::Delivery;
use super::transactor::{Offsets, Transactor};
use super::voice::Voice;
use super::{Cluster, Standing, mark, record, seek};
use crate::log::{Budget, Checkpoint, LogError, Polled, Subscription, Transaction, Waker, Worker};
use crate::message::{Message, Output, Position};

mod idle;

/// Longest wait between two looks at the client, in which it serves its callbacks.
const LOOK: Duration = Duration::from_millis(100);

/// A client that cannot be sent to positions for so long has lost a partition of its assignment for good, and no repetition brings
/// it back. A minute: twice as long as one attempt.
const UNSENT_MAX: Duration = Duration::from_secs(60);

/// Wait for a record after which the client counts as having none. Not 0: a poll without a wait answers "none" after a line of its
/// log or a passing error, too, and what lies behind that would wait for [`LOOK`], because the client rings only when its queue was empty.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// Who is busy lets records gather for so long before the next transaction; who was idle does not wait. 100 ms: a transaction costs
/// the cluster markers in every partition that it touched, and every reader a look at them, whatever its size; more would be seen in latency.
const GATHER_MIN: Duration = Duration::from_millis(100);
/// Where a transaction takes long, the cluster is busy, and fewer and larger ones are what relieves it: of what several reports
/// say about one thing in that time, each stage makes one record instead of several. So who is busy lets gather for as long as
/// the last transaction took, times [`GATHER_SHARE`], but never for longer than this. 400 ms: four stages, ingest and the sink
/// one after the other must stay below the three seconds from a report to its rows.
const GATHER_MAX: Duration = Duration::from_millis(400);
/// See [`GATHER_MAX`]. Three: a quarter of the time goes into transactions, until they take so long that [`GATHER_MAX`] bounds it.
const GATHER_SHARE: u32 = 3;

/// Nothing has arrived for so long: nothing is on its way, and who asked for much waits no longer. 250 ms: of several
/// stages that let records gather for up to [`GATHER_MAX`], one says something in that time; what a shorter one saves at the end of a
/// load it costs in inserts before.
const SILENCE: Duration = Duration::from_millis(250);

/// A worker's handle.
pub(super) struct KafkaWorker {
    cluster: Arc<Cluster>,
    group: String,
    topics: Vec<Topic>,
    member: String,
    consumer: BaseConsumer<Assignment>,
    transactor: Transactor,
    /// Partitions whose state the caller has or restores, and whether their records are wanted.
    owned: BTreeMap<u32, bool>,
    /// Between being taken away and being dealt out again.
    is_moving: bool,
    /// What the group decided and is not taken over yet.
    changes: VecDeque<Change>,
    standing: Standing,
    /// Past the last record that the caller was given.
    delivered: BTreeMap<(Topic, u32), u64>,
    /// Where there is nothing for a reader: from a committed position up to where reading goes on.
    barren: BTreeMap<(Topic, u32), (u64, u64)>,
    /// Not delivered.
    held: BTreeSet<(Topic, u32)>,
    /// When something was last committed, or looked for.
    ends_seen: Instant,
    /// When outputs were last committed.
    committed_at: Option<Instant>,
    /// How long records gather after that.
    gather: Duration,
    /// Until when the next batch gathers, as its taker wished.
    gathers_until: Option<Instant>,
    /// Going back failed: nothing is read before it is done.
    is_rewinding: bool,
    /// Since when the client cannot be sent to positions.
    unsent: Option<Instant>,
    sequence: u64,
    news: VecDeque<Polled>,
    waker: Waker,
}

impl KafkaWorker {
    pub(super) fn new(cluster: &Arc<Cluster>, subscription: &Subscription) -> Result<Self, LogError> {
        if subscription.slot >= subscription.slots {
            return Err(LogError::fatal(format!("slot {} of {}", subscription.slot, subscription.slots)));
        }
        cluster.check_copartitioned(&subscription.topics)?;
        let (settings, names) = (&cluster.settings, &cluster.names);
        let member = names.slot(&subscription.group, &settings.instance, subscription.slot);
        // The producer first: what the previous owner of the slot had open is aborted before anything is read.
        let transactor = Transactor::new(cluster, &member)?;
        let mut config = client::consumer(settings, &names.group(&subscription.group))?;
        config
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", settings.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (settings.session_timeout_ms / 4).to_string())
            .set("max.poll.interval.ms", settings.poll_interval_ms_max.to_string())
            .set("fetch.wait.max.ms", "100");
        if !settings.leave_on_stop {
            config.set("group.instance.id", &member);
        }
        let assignment = Assignment::new(names, &subscription.topics, Voice::new(settings));
        let consumer: Result<BaseConsumer<_>, _> = config.create_with_context(assignment);
        let mut consumer = consumer.map_err(fatal("cannot make a Kafka consumer"))?;
        let waker = Waker::default();
        let bell = waker.clone();
        consumer.set_nonempty_callback(move || bell.nudge());
        let topics: Vec<String> = subscription.topics.iter().map(|topic| names.topic(*topic)).collect();
        consumer
            .subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())
            .map_err(fatal("cannot subscribe"))?;
        Ok(Self {
            cluster: Arc::clone(cluster),
            group: subscription.group.clone(),
            topics: subscription.topics.clone(),
            member,
            consumer,
            transactor,
            owned: BTreeMap::new(),
            is_moving: false,
            changes: VecDeque::new(),
            standing: Standing::new(),
            delivered: BTreeMap::new(),
            barren: BTreeMap::new(),
            held: BTreeSet::new(),
            ends_seen: Instant::now(),
            committed_at: None,
            gather: GATHER_MIN,
            gathers_until: None,
            is_rewinding: false,
            unsent: None,
            sequence: 0,
            news: VecDeque::new(),
            waker,
        })
    }

    /// What stands on the cluster; pending commits are waited for, because the consumer reads committed records only.
    fn ask_standing(&self, partitions: impl Iterator<Item = u32>) -> Result<Standing, LogError> {
        let places: Vec<_> = partitions.flat_map(|partition| self.places_of(partition)).collect();
        self.cluster.committed(&self.consumer, &self.group, &places)
    }

    fn places_of(&self, partition: u32) -> impl Iterator<Item = (Topic, u32)> {
        self.topics.iter().map(move |topic| (*topic, partition))
    }

    /// Takes over what the group decided. What fails is tried again at the next poll: the group does not say it twice.
    fn take_changes(&mut self) -> Result<(), LogError> {
        self.changes.extend(self.consumer.context().take());
        while let Some(change) = self.changes.pop_front() {
            match change {
                Change::Failed(what) => return Err(LogError::fatal(what)),
                Change::Taken { lost } => {
                    self.is_moving = true;
                    if lost {
                        self.revoke(|_| true);
                    }
                }
                Change::Given(partitions) => {
                    if let Err(error) = self.take_over(&partitions) {
                        self.changes.push_front(Change::Given(partitions));
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    fn revoke(&mut self, which: impl Fn(u32) -> bool) {
        let gone: Vec<u32> = self.owned.keys().copied().filter(|partition| which(*partition)).collect();
        self.owned.retain(|partition, _| !gone.contains(partition));
        self.standing.retain(|(_, partition), _| !gone.contains(partition));
        self.barren.retain(|(_, partition), _| !gone.contains(partition));
        if !gone.is_empty() {
            self.news.push_back(Polled::Revoked(gone));
        }
    }

    fn take_over(&mut self, partitions: &BTreeSet<u32>) -> Result<(), LogError> {
        let back = self.owned.keys().copied().filter(|partition| partitions.contains(partition));
        let back = self.ask_standing(back.collect::<Vec<_>>().into_iter())?;
        let of = |standing: &Standing, partition: u32| -> Standing {
            let own = standing.iter().filter(|((_, other), _)| *other == partition);
            own.map(|(place, standing)| (*place, standing.clone())).collect()
        };
        let kept: BTreeSet<u32> = self
            .owned
            .iter()
            // A partition that was not started has no state to lose: its restore begins anew.
            .filter(|(partition, is_started)| {
                **is_started
                    && partitions.contains(*partition)
                    && of(&back, **partition) == of(&self.standing, **partition)
            })
            .map(|(partition, _)| *partition)
            .collect();
        self.revoke(|partition| !kept.contains(&partition));
        self.is_moving = false;
        let fresh: Vec<u32> = partitions.difference(&kept).copied().collect();
        self.owned.extend(fresh.iter().map(|partition| (*partition, false)));
        tracing::info!(member = self.member, kept = kept.len(), fresh = fresh.len(), "partitions were dealt out");
        self.news.push_back(Polled::Assigned(fresh));
        match self.deliver(kept.into_iter().collect()) {
            // The rest is taken over: only the reading has to be set going, before the next poll.
            Err(LogError::Abort { what, .. } | LogError::Retry { what, .. }) => {
                tracing::warn!(member = self.member, what, "reading goes on a little later");
                self.is_rewinding = true;
                Ok(())
            }
            done => done,
        }
    }

    /// Lets the records of these partitions come, from the committed positions on.
    fn deliver(&mut self, partitions: Vec<u32>) -> Result<(), LogError> {
        let places: Vec<_> = partitions.into_iter().flat_map(|partition| self.places_of(partition)).collect();
        if places.is_empty() {
            return Ok(());
        }
        self.go_back(&places)?;
        let (held, wanted): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| self.held.contains(place));
        let list = |places: Vec<(Topic, u32)>| {
            self.cluster.names.list(places.into_iter().map(|place| (place, Offset::Invalid)))
        };
        if !held.is_empty() {
            self.consumer.pause(&list(held)?).map_err(here("cannot hold partitions"))?;
        }
        if !wanted.is_empty() {
            self.consumer.resume(&list(wanted)?).map_err(here("cannot go on reading"))?;
        }
        Ok(())
    }

    fn go_back(&mut self, places: &[(Topic, u32)]) -> Result<(), LogError> {
        for place in places {
            self.delivered.remove(place);
        }
        let from = |place: &(Topic, u32)| match self.standing.get(place) {
            Some((next, _)) => Offset::Offset(*next as i64),
            None => Offset::Beginning,
        };
        let to: Vec<_> = places.iter().map(|place| (*place, from(place))).collect();
        match seek(&self.consumer, &self.cluster.names, &to) {
            Err(LogError::Retry { what, .. }) if self.unsent.is_some_and(|since| since.elapsed() >= UNSENT_MAX) => {
                Err(LogError::fatal(format!("{}: {what}, and that for a minute", self.member)))
            }
            done => {
                self.unsent = done.is_err().then(|| self.unsent.unwrap_or_else(Instant::now));
                done
            }
        }
    }

    /// A position as it is written: past what is known to hold nothing.
    fn past_barren(&self, position: Position) -> u64 {
        match self.barren.get(&(position.topic, position.partition)) {
            Some((from, to)) if (*from..*to).contains(&position.next) => *to,
            _ => position.next,
        }
    }

    /// Remembers how far the caller was given records.
    fn give(&mut self, messages: &[Message]) {
        for run in messages.chunk_by(|a, b| (a.topic, a.partition) == (b.topic, b.partition)) {
            if let Some(last) = run.last() {
                self.delivered.insert((last.topic, last.partition), last.offset + 1);
            }
        }
    }

    /// Records that the client has or gets in time; none if the group decided something meanwhile.
    fn take_records(&mut self, budget: Budget) -> Result<Vec<Message>, LogError> {
        let begun = Instant::now();
        // While partitions move there is nothing to do, and a caller with a due timer would only turn in circles.
        let wait = if self.is_moving { budget.wait.max(LOOK) } else { budget.wait };
        let (mut messages, mut bytes, mut rung) = (Vec::new(), 0, false);
        let gathers_until = self.gathers_until.take();
        let mut came = begun;
        loop {
            let polled = self.consumer.poll(LAST_LOOK);
            if self.consumer.context().is_pending() {
                // What was taken belongs to the time before; it comes again from the committed positions on.
                return Ok(Vec::new());
            }
            match polled {
                Some(Ok(record)) => {
                    let partition = record.partition() as u32;
                    let topic = self.cluster.names.parse(record.topic());
                    if let Some(topic) = topic.filter(|_| self.owned.get(&partition).copied().unwrap_or(false)) {
                        // What was taken comes again with it.
                        let message = record::read(&self.cluster, topic, &record);
                        let message = message.inspect_err(|_| self.is_rewinding = true)?;
                        bytes += record::weight(&message);
                        messages.push(message);
                        came = Instant::now();
                    }
                }
                Some(Err(error)) if is_denied(&error) => {
                    let group = self.cluster.names.group(&self.group);
                    return Err(missing_right(&self.cluster, &error, &group, &self.topics));
                }
                Some(Err(error)) => refuse(error)?,
                None => {
                    let left = if messages.is_empty() {
                        wait.saturating_sub(begun.elapsed())
                    } else if let Some(until) = gathers_until {
                        let left = until.saturating_duration_since(Instant::now());
                        left.min(SILENCE.saturating_sub(came.elapsed()))
                    } else {
                        let gathering =
                            self.gather.saturating_sub(self.committed_at.map_or(self.gather, |at| at.elapsed()));
                        wait.saturating_sub(begun.elapsed()).min(gathering)
                    };
                    if left.is_zero() || rung {
                        return Ok(messages);
                    }
                    rung = self.waker.wait(left.min(LOOK));
                }
            }
            if messages.len() >= budget.records || bytes >= budget.bytes {
                return Ok(messages);
            }
        }
    }

    fn have_committed(&mut self, written: Standing, outputs: &[Output], begun: Instant) {
        self.standing.extend(written);
        self.ends_seen = Instant::now();
        if !outputs.is_empty() {
            self.committed_at = Some(self.ends_seen);
            self.gather = (begun.elapsed() * GATHER_SHARE).clamp(GATHER_MIN, GATHER_MAX);
        }
    }

    /// Why these positions may not be committed by this worker, if so.
    fn obstacle(&self, checkpoints: &[Checkpoint]) -> Option<LogError> {
        if checkpoints.is_empty() {
            return Some(LogError::fatal("a transaction without positions cannot be fenced; name those it touched"));
        }
        if self.is_rewinding {
            return Some(LogError::abort("records are read again"));
        }
        if self.is_moving || !self.changes.is_empty() || !self.news.is_empty() {
            return Some(LogError::abort("partitions are being dealt out"));
        }
        let foreign = checkpoints.iter().find(|checkpoint| !self.owned.contains_key(&checkpoint.position.partition));
        foreign.map(|checkpoint| {
            let Position { topic, partition, .. } = checkpoint.position;
            LogError::abort(format!("{topic}/{partition} is not this worker's"))
        })
    }
}

impl Worker for KafkaWorker {
    fn poll(&mut self, budget: Budget) -> Result<Polled, LogError> {
        if let Some(news) = self.news.pop_front() {
            return Ok(news);
        }
        if self.is_rewinding {
            self.rewind()?;
        }
        let messages = self.take_records(budget)?;
        self.take_changes()?;
        if let Some(news) = self.news.pop_front() {
            return Ok(news);
        }
        self.give(&messages);
        if messages.is_empty() && !self.is_moving && self.changes.is_empty() {
            self.commit_ends()?;
        }
        Ok(Polled::Batch(messages))
    }

    fn committed(&self, partitions: &[u32]) -> Result<Vec<Checkpoint>, LogError> {
        self.ask_standing(partitions.iter().copied()).map(checkpoints)
    }

    fn start(&mut self, partitions: &[u32]) -> Result<(), LogError> {
        let own: Vec<u32> = partitions.iter().copied().filter(|partition| self.owned.contains_key(partition)).collect();
        if self.is_moving || own.len() < partitions.len() {
            return Err(LogError::abort("partitions are being dealt out"));
        }
        let standing = self.ask_standing(own.iter().copied())?;
        self.standing.extend(standing);
        self.deliver(own.clone())?;
        self.owned.extend(own.into_iter().map(|partition| (partition, true)));
        Ok(())
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let Transaction { outputs, checkpoints } = transaction;
        if outputs.is_empty() && checkpoints.is_empty() {
            return Ok(());
        }
        if let Some(obstacle) = self.obstacle(&checkpoints) {
            return Err(obstacle);
        }
        if let Some(refusal) = outputs.iter().find_map(|output| self.transactor.refusal(output)) {
            return Err(LogError::fatal(refusal));
        }
        let begun = Instant::now();
        self.sequence += 1;
        let mut written = Standing::new();
        for Checkpoint { position, note } in &checkpoints {
            let text = mark::encode(&self.member, self.sequence, note);
            written.insert((position.topic, position.partition), (self.past_barren(*position), text));
        }
        let list = self.cluster.standing_list(&written)?;
        if self.cluster.settings.delivery == Delivery::AtLeastOnce {
            self.transactor.deliver(&outputs)?;
            // Refused by the group when this worker's partitions have moved.
            self.consumer.commit(&list, CommitMode::Sync).map_err(undone("positions were not committed"))?;
            self.have_committed(written, &outputs, begun);
            return Ok(());
        }
        // Fetched for every transaction: it says which generation of the group this worker still belongs to.
        let member = self.consumer.group_metadata().ok_or_else(|| LogError::abort("not a member of the group"))?;
        self.transactor.transact(&outputs, Some(&Offsets { list, member, group: &self.group }))?;
        self.have_committed(written, &outputs, begun);
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), LogError> {
        if self.is_moving {
            return Ok(());
        }
        let started = self.owned.iter().filter(|(_, is_started)| **is_started).map(|(partition, _)| *partition);
        let started: Vec<u32> = started.collect();
        // Whoever asked may not ask again: reading on from where it failed would skip what was rolled back.
        self.is_rewinding = true;
        self.deliver(started)?;
        self.is_rewinding = false;
        Ok(())
    }

    fn hold(&mut self, places: &BTreeSet<(Topic, u32)>) -> Result<(), LogError> {
        let changed: BTreeSet<u32> = self.held.symmetric_difference(places).map(|(_, partition)| *partition).collect();
        self.held.clone_from(places);
        if changed.iter().any(|partition| self.owned.get(partition).copied().unwrap_or(false)) {
            // Everything is committed: the others read on from where they are.
            self.rewind()?;
        }
        Ok(())
    }

    fn record_bytes_max(&self) -> usize {
        self.transactor.record_bytes_max()
    }

    fn gather(&mut self, _: Budget, pause: Duration) {
        self.gathers_until = Some(Instant::now() + pause);
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// Standing positions as the caller knows them.
pub(super) fn checkpoints(standing: Standing) -> Vec<Checkpoint> {
    let checkpoint = |((topic, partition), (next, text)): ((Topic, u32), (u64, String))| Checkpoint {
        position: Position { topic, partition, next },
        note: mark::note(&text),
    };
    standing.into_iter().map(checkpoint).collect()
}
