//! The log of `tributary up`: one directory, one process, the promises of [`Log`] kept by an embedded store with atomic
//! batches and one fsync per round of commits.
//!
//! ```text
//! workers, producers ──(≤ 64 jobs)──► committer ──batch + fsync──► disk
//!                                         └──► tails (≤ tail_bytes) ──ring──► workers, readers
//! ```

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tributary_model::Topic;
use tributary_model::topic::partition_of;

use crate::clock::Clock;
use crate::log::{Checkpoint, Log, LogError, Producer, Reader, Start, Subscription, Worker};
use crate::message::{Output, Position};

mod block;
mod clean;
mod codec;
mod committer;
mod cursors;
mod fence;
mod handles;
mod retention;
mod round;
mod settings;
mod store;
mod tail;

pub use settings::EmbeddedSettings;

use block::Entry;
use committer::{Committer, Job};
use fence::{Claim, Fences};
use handles::{EmbeddedProducer, EmbeddedReader, EmbeddedWorker};
use store::Store;
use tail::Tails;

/// A durable log in a directory. Clones share it; the directory is released when the last clone and handle are dropped.
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    tails: Arc<Tails>,
    fences: Arc<Fences>,
    clock: Arc<dyn Clock>,
    partitions: u32,
    /// What no other log has.
    lineage: String,
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the log in `directory`, making it if absent; recovers whatever a crash left. Fails with a sentence for a person if
    /// the directory is in use, of a newer format, of another partition count, or damaged.
    pub fn open(directory: &Path, settings: EmbeddedSettings, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        settings.check().map_err(LogError::fatal)?;
        let (store, partitions) = Store::open(directory, &settings)?;
        let lineage = store.lineage()?;
        let store = Arc::new(store);
        let mut extents = Vec::with_capacity(Topic::ALL.len() * partitions as usize);
        for topic in topics_by_code() {
            for partition in 0..partitions {
                extents.push(store.extent(topic, partition)?);
            }
        }
        let tails = Arc::new(Tails::new(partitions, extents.iter().map(|extent| extent.end)));
        let fences = Arc::new(Fences::default());
        let committer = Committer::new(&store, &tails, &fences, settings, Arc::clone(&clock), extents);
        let (jobs, thread) =
            committer.spawn().map_err(|error| LogError::fatal_from("cannot start the committing thread", error))?;
        let committer = Mutex::new(Some(thread));
        Ok(Self(Arc::new(Inner { store, tails, fences, clock, partitions, lineage, jobs: Some(jobs), committer })))
    }

    /// Drops expired and superseded records now instead of when it is time. For tests.
    pub fn expire(&self) -> Result<(), LogError> {
        let (reply, answer) = sync_channel(1);
        self.0.send(Job::Expire { reply })?;
        answer.recv().map_err(|_| gone())?
    }
}

/// Topics in the order of their codes, which is how partitions are numbered in memory.
fn topics_by_code() -> Vec<Topic> {
    let mut topics = Topic::ALL.to_vec();
    topics.sort_by_key(|topic| topic.code());
    topics
}

fn gone() -> LogError {
    LogError::fatal("the log's committing thread has ended")
}

impl Inner {
    fn send(&self, job: Job) -> Result<(), LogError> {
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }

    /// Returns when everything that was asked before is durable and visible.
    fn barrier(&self) -> Result<(), LogError> {
        let (reply, answer) = sync_channel(1);
        self.send(Job::Barrier { reply })?;
        answer.recv().map_err(|_| gone())?
    }

    fn pack(&self, outputs: Vec<Output>) -> Vec<Entry> {
        let placed = outputs.into_iter().map(|output| {
            let partition = partition_of(&output.partition_key, self.partitions);
            (output, partition)
        });
        block::pack(placed, self.clock.now())
    }

    /// Blocks until durable.
    fn write(
        &self,
        claim: Option<Claim>,
        outputs: Vec<Output>,
        checkpoints: Vec<Checkpoint>,
    ) -> Result<Vec<Position>, LogError> {
        let entries = self.pack(outputs);
        let (reply, answer) = sync_channel(1);
        self.send(Job::Write { claim, entries, checkpoints, reply })?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = tail::lock(&self.committer).take() {
            // A panic there was reported by the panic hook; what was acknowledged is on disk.
            drop(thread.join());
        }
    }
}

impl Log for EmbeddedLog {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.0.partitions
    }

    fn worker(&self, subscription: &Subscription) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(EmbeddedWorker::new(Arc::clone(&self.0), subscription)?))
    }

    fn producer(&self) -> Result<Arc<dyn Producer>, LogError> {
        Ok(Arc::new(EmbeddedProducer(Arc::clone(&self.0))))
    }

    fn reader(&self, partitions: &[(Topic, u32)], start: &Start) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(EmbeddedReader::new(Arc::clone(&self.0), partitions, start)))
    }

    fn ends(&self, topics: &[Topic]) -> Result<Vec<Position>, LogError> {
        let all = topics.iter().flat_map(|topic| (0..self.0.partitions).map(move |partition| (*topic, partition)));
        Ok(all
            .map(|(topic, partition)| Position { topic, partition, next: self.0.tails.end(topic, partition) })
            .collect())
    }

    fn lineage(&self, places: &[(Topic, u32)]) -> Result<Option<Vec<String>>, LogError> {
        // A compacted topic only loses what is superseded.
        Ok(Some(vec![self.0.lineage.clone(); places.len()]))
    }

    fn committed(&self, group: &str) -> Result<Vec<Checkpoint>, LogError> {
        Ok(self.0.store.positions(Some(group))?.into_iter().map(|(_, checkpoint)| checkpoint).collect())
    }
}
