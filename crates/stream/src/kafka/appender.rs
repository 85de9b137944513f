//! What is appended outside of any group: one thread for the whole process, which writes the appends that wait together (group commit).
//! So a hundred uploads cost a few round trips, not a hundred.
//!
//! ```text
//! appends ──(≤ 64 jobs)──► thread ──(≤ 4 MiB together)──┬─ one record each ──► idempotent producer
//!                                                       └─ several ──────────► transaction
//! ```
//! One record happens entirely or not at all by itself. A transaction for it would only cost: the poster waits for the end of the one
//! before, and the cluster writes markers. Several records that belong together get one.
//!
//! The cluster may fence a producer that did nothing wrong: a coordinator that moved, or a transaction that lasted too long
//! because a broker was away. Nothing here has state that such a producer would have to give up, so another one takes its place.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Cluster;
use super::settings::Delivery;
use super::transactor::Transactor;
use crate::log::{LogError, Producer};
use crate::message::{Output, Position};

/// Appends that may wait. As many as the embedded log lets wait.
const QUEUE_JOBS: usize = 64;
/// A transaction takes no more appends beyond so many bytes. 4 MiB: enough for a commit's cost to vanish; much more would
/// delay the first of its appends for the last.
const TOGETHER_BYTES: usize = 4 << 20;
/// How often a transaction that did not happen is tried. Three: a partition that moved to another broker fails it once.
const TRIES: usize = 3;

struct Job {
    records: Vec<Output>,
    reply: SyncSender<Result<Vec<Position>, LogError>>,
}

impl Job {
    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.key.len() + record.value.as_ref().map_or(0, bytes::Bytes::len)).sum()
    }
}

/// Handle of the thread; it ends with the handle.
pub(super) struct Appender {
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    pub(super) fn new(cluster: &Arc<Cluster>) -> Result<Self, LogError> {
        let pens = [Pen::new(cluster, Way::Single)?, Pen::new(cluster, Way::Together)?];
        let (jobs, receiver) = sync_channel(QUEUE_JOBS);
        let thread = std::thread::Builder::new()
            .name("kafka-append".to_owned())
            .spawn({
                let cluster = Arc::clone(cluster);
                move || run(&cluster, pens, &receiver)
            })
            .map_err(|error| LogError::fatal_from("cannot start the appending thread", error))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

impl Producer for Appender {
    fn append(&self, records: Vec<Output>) -> Result<Vec<Position>, LogError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = sync_channel(1);
        let gone = || LogError::fatal("the appending thread has ended");
        self.jobs.as_ref().ok_or_else(gone)?.send(Job { records, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook; what was acknowledged is on the cluster.
            drop(thread.join());
        }
    }
}

fn run(cluster: &Arc<Cluster>, mut pens: [Pen; 2], jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut bytes = first.bytes();
        let mut waiting = vec![first];
        while bytes < TOGETHER_BYTES
            && let Ok(job) = jobs.try_recv()
        {
            bytes += job.bytes();
            waiting.push(job);
        }
        let (single, together) = waiting.into_iter().partition(|job| job.records.len() == 1);
        for (pen, jobs) in pens.iter_mut().zip([single, together]) {
            pen.write(cluster, jobs);
        }
    }
}

/// How records get to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Each by itself.
    Single,
    /// All of them or none, where the settings allow transactions.
    Together,
}

/// A producer; another one when it is of no more use.
struct Pen {
    way: Way,
    transactor: Option<Transactor>,
}

impl Pen {
    fn new(cluster: &Arc<Cluster>, way: Way) -> Result<Self, LogError> {
        Ok(Self { way, transactor: Some(Self::make(cluster, way)?) })
    }

    fn make(cluster: &Arc<Cluster>, way: Way) -> Result<Transactor, LogError> {
        match way {
            Way::Single => Transactor::plain(cluster),
            Way::Together => Transactor::new(cluster, &cluster.names.appender(&cluster.settings.instance)),
        }
    }

    /// Writes appends together and answers them.
    fn write(&mut self, cluster: &Arc<Cluster>, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let anew = || -> Result<Transactor, LogError> {
            let made = Self::make(cluster, self.way)?;
            tracing::info!(way = ?self.way, "appends go on with a new producer");
            Ok(made)
        };
        let able = match self.transactor.take().map_or_else(anew, Ok) {
            Ok(able) => able,
            Err(error) => {
                for job in &jobs {
                    answer(job, Err(LogError::retry(error.to_string())));
                }
                return;
            }
        };
        // One that can never be written must not take the others with it.
        let (refused, accepted): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| (job.records.iter().find_map(|record| able.refusal(record)), job))
            .partition(|(refusal, _)| refusal.is_some());
        for (refusal, job) in refused {
            answer(&job, Err(LogError::abort(refusal.unwrap_or_default())));
        }
        let is_atomic = self.way == Way::Together && cluster.settings.delivery == Delivery::ExactlyOnce;
        if write(&able, is_atomic, accepted.into_iter().map(|(_, job)| job).collect()) {
            self.transactor = Some(able);
        }
    }
}

/// Writes appends together and answers them; answers whether the producer can go on.
fn write(transactor: &Transactor, is_atomic: bool, mut jobs: Vec<Job>) -> bool {
    if jobs.is_empty() {
        return true;
    }
    let counts: Vec<usize> = jobs.iter().map(|job| job.records.len()).collect();
    let records: Vec<Output> = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.records)).collect();
    let mut tried = 1;
    let written = loop {
        let written = if is_atomic { transactor.transact(&records, None) } else { transactor.deliver(&records) };
        match written {
            // What was delivered without a report comes twice then; who reads takes it once, as from a poster who repeats.
            Err(LogError::Abort { .. } | LogError::Retry { .. }) if tried < TRIES => tried += 1,
            done => break done,
        }
    };
    let mut rest = records.as_slice();
    for (job, count) in jobs.iter().zip(counts) {
        let (own, later) = rest.split_at(count);
        rest = later;
        let outcome = match &written {
            Ok(ends) => Ok(transactor.ends_of(own, ends)),
            Err(LogError::Abort { what, .. } | LogError::Retry { what, .. }) => Err(LogError::abort(what.clone())),
            Err(LogError::Fatal { what, .. }) => Err(LogError::fatal(what.clone())),
        };
        answer(job, outcome);
    }
    !matches!(written, Err(LogError::Fatal { .. }))
}

fn answer(job: &Job, outcome: Result<Vec<Position>, LogError>) {
    // Nobody listens any more if the caller was stopped; the records are where the outcome says.
    drop(job.reply.send(outcome));
}
