//! What is appended outside of any group: one transactional producer and one thread for the whole process, which puts the
//! appends that wait into one transaction (group commit). So a hundred uploads cost a few commits, not a hundred,
//! and one transactional id is fenced and cleaned up after a crash, not a pool of them.
//!
//! The cluster may fence a producer that did nothing wrong: a coordinator that moved, or a transaction that lasted too long
//! because a broker was away. Nothing here has state that such a producer would have to give up, so another one takes its place.
//!
//! ```text
//! appends ──(≤ 64 jobs)──► thread ──(≤ 4 MiB together)──► transaction
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Cluster;
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
        let transactor = Transactor::new(cluster, &cluster.names.appender(&cluster.settings.instance))?;
        let (jobs, receiver) = sync_channel(QUEUE_JOBS);
        let thread = std::thread::Builder::new()
            .name("kafka-append".to_owned())
            .spawn({
                let cluster = Arc::clone(cluster);
                move || run(&cluster, transactor, &receiver)
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

fn run(cluster: &Arc<Cluster>, transactor: Transactor, jobs: &Receiver<Job>) {
    let mut transactor = Some(transactor);
    while let Ok(first) = jobs.recv() {
        let mut bytes = first.bytes();
        let mut waiting = vec![first];
        while bytes < TOGETHER_BYTES
            && let Ok(job) = jobs.try_recv()
        {
            bytes += job.bytes();
            waiting.push(job);
        }
        let able = match transactor.take().map_or_else(|| anew(cluster), Ok) {
            Ok(able) => able,
            Err(error) => {
                let what = error.to_string();
                for job in &waiting {
                    answer(job, Err(LogError::retry(what.clone())));
                }
                continue;
            }
        };
        // One that can never be written must not take the others with it.
        let (refused, accepted): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|job| (job.records.iter().find_map(|record| able.refusal(record)), job))
            .partition(|(refusal, _)| refusal.is_some());
        for (refusal, job) in refused {
            answer(&job, Err(LogError::abort(refusal.unwrap_or_default())));
        }
        if write(&able, accepted.into_iter().map(|(_, job)| job).collect()) {
            transactor = Some(able);
        }
    }
}

/// Another producer in the place of one that is of no more use.
fn anew(cluster: &Arc<Cluster>) -> Result<Transactor, LogError> {
    let transactional_id = cluster.names.appender(&cluster.settings.instance);
    let made = Transactor::new(cluster, &transactional_id)?;
    tracing::info!(transactional_id, "appends go on with a new producer");
    Ok(made)
}

/// Writes appends together and answers them; answers whether the producer can go on.
fn write(transactor: &Transactor, mut jobs: Vec<Job>) -> bool {
    if jobs.is_empty() {
        return true;
    }
    let counts: Vec<usize> = jobs.iter().map(|job| job.records.len()).collect();
    let records: Vec<Output> = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.records)).collect();
    let mut tried = 1;
    let written = loop {
        match transactor.append(&records) {
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
