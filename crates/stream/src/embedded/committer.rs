//! The one writer: a thread that merges waiting commits into one batch with one fsync (group commit).
//! While the disk is busy with one round the next one gathers in the queue, so that nobody ever waits for a timer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use fjall::PersistMode;
use hashbrown::HashMap;
use tributary_model::time::Millis;

use super::block::Entry;
use super::clean::{self, Cleaning};
use super::codec::Extent;
use super::fence::{Claim, Fences};
use super::retention;
use super::round::Round;
use super::settings::EmbeddedSettings;
use super::store::{Store, unwritable};
use super::tail::Tails;
use crate::clock::Clock;
use crate::log::{Checkpoint, LogError};
use crate::message::Position;
use crate::metrics;

/// Commits that may wait for the disk. 64: more workers than a machine of this size runs; a longer queue would only hide that the
/// disk is the bottleneck, a shorter one would make workers take turns.
const QUEUE_JOBS: usize = 64;
/// A round is closed at so many bytes. 16 MiB: a few times what a worker commits; a larger one delays the first of its
/// commits for the sake of the last.
const ROUND_BYTES: usize = 16 << 20;
/// How often expired records are looked for. A minute: what is kept is measured in days.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// Where the ends of the written partitions, or why nothing was written, are sent.
pub(super) type Reply = SyncSender<Result<Vec<Position>, LogError>>;

/// What the committer is asked to do.
pub(super) enum Job {
    /// Append and commit, all or nothing.
    Write {
        /// Who commits; `None` for a producer.
        claim: Option<Claim>,
        entries: Vec<Entry>,
        checkpoints: Vec<Checkpoint>,
        reply: Reply,
    },
    /// Answer when everything that was asked before is durable and visible.
    Barrier { reply: SyncSender<Result<(), LogError>> },
    /// Drop what has expired, now.
    Expire { reply: SyncSender<Result<(), LogError>> },
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Write { entries, .. } => entries.iter().map(|entry| entry.stored.len()).sum(),
            Job::Barrier { .. } | Job::Expire { .. } => 0,
        }
    }
}

/// State of the committing thread.
pub(super) struct Committer {
    pub store: Arc<Store>,
    pub tails: Arc<Tails>,
    fences: Arc<Fences>,
    pub settings: EmbeddedSettings,
    pub clock: Arc<dyn Clock>,
    pub extents: Vec<Extent>,
    /// What memory holds, oldest first: partition index, records, bytes.
    cached: VecDeque<(usize, usize, usize)>,
    cached_bytes: usize,
    expire_at: Millis,
    cleaning: Option<Cleaning>,
    /// After a failed write nothing more is accepted: what the disk has is not known.
    poisoned: bool,
}

impl Committer {
    /// A committer on top of what is durable.
    pub(super) fn new(
        store: &Arc<Store>,
        tails: &Arc<Tails>,
        fences: &Arc<Fences>,
        settings: EmbeddedSettings,
        clock: Arc<dyn Clock>,
        extents: Vec<Extent>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            tails: Arc::clone(tails),
            fences: Arc::clone(fences),
            settings,
            expire_at: clock.now() + EXPIRE_EVERY.as_millis() as Millis,
            clock,
            extents,
            cleaning: None,
            cached: VecDeque::new(),
            cached_bytes: 0,
            poisoned: false,
        }
    }

    /// Starts the thread; it ends when the sender is dropped.
    pub(super) fn spawn(self) -> std::io::Result<(SyncSender<Job>, std::thread::JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(QUEUE_JOBS);
        let thread = std::thread::Builder::new().name("log-commit".to_owned()).spawn(move || self.run(&receiver))?;
        Ok((sender, thread))
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            // Cleaning goes on between rounds, and whenever there is nothing else to do.
            let wait = if self.cleaning.is_some() { Duration::ZERO } else { EXPIRE_EVERY };
            match jobs.recv_timeout(wait) {
                Ok(job) => self.round(job, jobs),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.clock.now() >= self.expire_at && !self.poisoned {
                self.expire_at = self.clock.now() + EXPIRE_EVERY.as_millis() as Millis;
                if let Err(error) = retention::expire(&mut self) {
                    tracing::error!(%error, "expired records stay on disk");
                }
                self.cleaning = self.cleaning.take().or_else(|| clean::next(&self));
            }
            self.clean_on();
        }
    }

    /// One batch: the first job and whatever else waits.
    fn round(&mut self, first: Job, jobs: &Receiver<Job>) {
        let mut bytes = first.bytes();
        let mut waiting = vec![first];
        while bytes < ROUND_BYTES
            && let Ok(job) = jobs.try_recv()
        {
            bytes += job.bytes();
            waiting.push(job);
        }
        let (tails, extents) = (Arc::clone(&self.tails), self.extents.clone());
        let mut round = Round::new(&tails, &extents);
        let mut replies = Vec::with_capacity(waiting.len());
        let (mut barriers, mut expiries) = (Vec::new(), Vec::new());
        for job in waiting {
            match job {
                Job::Barrier { reply } => barriers.push(reply),
                Job::Expire { reply } => expiries.push(reply),
                Job::Write { claim, entries, checkpoints, reply } => {
                    let refused = if self.poisoned { Err(poisoned()) } else { self.fences.check(claim.as_ref()) };
                    match refused {
                        Err(error) => drop(reply.send(Err(error))),
                        Ok(()) => replies.push((reply, round.add(claim.as_ref(), entries, checkpoints))),
                    }
                }
            }
        }
        self.finish(round, replies);
        for reply in barriers {
            drop(reply.send(Ok(())));
        }
        for reply in expiries {
            drop(reply.send(retention::expire(self).and_then(|()| clean::all(self))));
        }
    }

    /// One step of the cleaning that is under way.
    fn clean_on(&mut self) {
        let Some(cleaning) = self.cleaning.take().filter(|_| !self.poisoned) else { return };
        match cleaning.step(self) {
            Ok(Some(cleaning)) => self.cleaning = Some(cleaning),
            Ok(None) => self.cleaning = clean::next(self),
            Err(error) => tracing::error!(%error, "superseded records stay on disk"),
        }
    }

    fn finish(&mut self, round: Round, replies: Vec<(Reply, Vec<Position>)>) {
        if replies.is_empty() {
            return;
        }
        let written = self.write(round);
        for (reply, ends) in replies {
            // A caller that is gone does not need the answer.
            drop(reply.send(match &written {
                Ok(()) => Ok(ends),
                Err(error) => Err(LogError::fatal(error.to_string())),
            }));
        }
    }

    fn write(&mut self, round: Round) -> Result<(), LogError> {
        let store = Arc::clone(&self.store);
        let mut batch = store.database.batch().durability(Some(PersistMode::SyncData));
        let written = round.fill(&store, &mut batch);
        batch.commit().map_err(unwritable).inspect_err(|_| self.poisoned = true)?;
        metrics::log_committed();
        for (topic, (records, bytes)) in &written.appended {
            metrics::log_appended(*topic, *records, *bytes);
        }
        for (index, extent) in written.extents {
            self.extents[index] = extent;
        }
        let mut topics = Vec::new();
        for (index, topic, messages, end) in written.published {
            topics.push(topic);
            let count = messages.len();
            let size = self.tails.publish(index, messages, end);
            self.cached.push_back((index, count, size));
            self.cached_bytes += size;
        }
        self.tails.nudge(topics);
        while self.cached_bytes > self.settings.tail_bytes
            && let Some((index, count, size)) = self.cached.pop_front()
        {
            self.tails.evict(index, count);
            self.cached_bytes -= size;
        }
        Ok(())
    }

    /// The smallest position that any group has committed, per partition index; absent where no group has.
    pub(super) fn consumed(&self) -> Result<HashMap<usize, u64>, LogError> {
        let mut consumed = HashMap::new();
        for (_, checkpoint) in self.store.positions(None)? {
            let Position { topic, partition, next } = checkpoint.position;
            let lowest = consumed.entry(self.tails.index(topic, partition)).or_insert(next);
            *lowest = next.min(*lowest);
        }
        Ok(consumed)
    }
}

fn poisoned() -> LogError {
    LogError::fatal("an earlier write failed, so nothing more is accepted; check the disk, then restart")
}
