//! Threads around the workers of a process: start, health, idleness, drain.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tributary_model::Topic;
use tributary_model::time::Millis;
use tributary_model::versions::Implemented;

use super::hub::{Broadcaster, Hub};
use super::worker::{Progress, StageWorker, Turn};
use super::{PATIENCE, StageSpec};
use crate::broadcast::{BroadcastStore, InForce};
use crate::clock::Clock;
use crate::log::{Log, LogError, Waker};
use crate::metrics;
use crate::snapshot::Snapshots;

/// How many threads a process gives its stages.
#[derive(Debug, Clone)]
pub struct PipelineSettings {
    /// Workers of each stage, each with a thread. One a core is enough: stages share the cores.
    pub workers: u32,
    /// What this build can do. It works only while nothing else is in force.
    pub implemented: Implemented,
    /// Where the stages keep snapshots of their state, if they do.
    pub snapshots: Option<Snapshots>,
}

/// How a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerHealth {
    /// Stage, or `broadcast`.
    pub stage: &'static str,
    /// Slot.
    pub slot: u32,
    /// Everything assigned is restored; of the broadcast's reader, that it was at their ends lately.
    pub ready: bool,
    /// How far it is; nothing for the broadcast's reader.
    pub progress: Progress,
    /// Why it ended, if it failed.
    pub failed: Option<String>,
    /// Since when it has not come back, if that is too long ago: its log, or a step, hangs.
    pub hangs: Option<Duration>,
}

#[derive(Debug)]
struct Status {
    stage: &'static str,
    slot: u32,
    ready: AtomicBool,
    /// Set before mail is taken, cleared after everything is committed.
    busy: AtomicBool,
    next_timer: AtomicI64,
    progress: Mutex<Progress>,
    failed: Mutex<Option<String>>,
    /// When its last turn was over.
    turned: Mutex<Instant>,
    waker: Waker,
}

struct Shared {
    log: Arc<dyn Log>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    stop: AtomicBool,
    /// Rung whenever a worker has nothing more to do.
    rested: Waker,
    statuses: Vec<Arc<Status>>,
    stages: Vec<StageSpec>,
    /// Why there are no workers.
    blocked: Option<String>,
}

/// The stages of a process, running.
pub struct Pipeline {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How far a group is behind, summed over these topics; see [`Log::lag`].
pub fn lag(log: &dyn Log, group: &str, topics: &[Topic]) -> Result<u64, LogError> {
    Ok(log.lag(group, topics)?.iter().map(|lag| lag.behind).sum())
}

impl Pipeline {
    /// Starts a thread per worker and one for the broadcasts. Workers become ready one by one. If this build does not implement the
    /// versions in force, there are no workers and never will be: see [`Pipeline::blocked`].
    pub fn start(
        log: Arc<dyn Log>,
        stages: Vec<StageSpec>,
        clock: Arc<dyn Clock>,
        settings: &PipelineSettings,
    ) -> Result<Self, LogError> {
        let hub = Hub::of_build(settings.implemented);
        // Before anything is begun: a build that must not work joins no group.
        hub.store().put_in_force(InForce::read(log.as_ref())?);
        let blocked = hub.obstacle();
        let slots = settings.workers.max(1);
        let broadcaster = Broadcaster::new(log.as_ref(), Arc::clone(&hub))?;
        let mut statuses = vec![Arc::new(Status::new("broadcast", 0, broadcaster.waker()))];
        let mut workers = Vec::new();
        for spec in stages.iter().filter(|_| blocked.is_none()) {
            for slot in 0..slots {
                let (log, hub, clock) = (Arc::clone(&log), Arc::clone(&hub), Arc::clone(&clock));
                let worker = StageWorker::new(log, spec.clone(), (slot, slots), hub, clock)?
                    .with_snapshots(settings.snapshots.clone());
                statuses.push(Arc::new(Status::new(spec.topics.name, slot, worker.waker())));
                workers.push(worker);
            }
        }
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { log, hub, clock, stop, rested: Waker::default(), statuses, stages, blocked });
        let mut pipeline = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        pipeline.spawn(0, move |shared, status| read_broadcasts(shared, status, broadcaster))?;
        for (place, worker) in workers.into_iter().enumerate() {
            pipeline.spawn(place + 1, move |shared, status| run(shared, status, worker))?;
        }
        Ok(pipeline)
    }

    fn spawn(
        &mut self,
        place: usize,
        body: impl FnOnce(&Shared, &Status) -> Result<(), LogError> + Send + 'static,
    ) -> Result<(), LogError> {
        let (shared, status) = (Arc::clone(&self.shared), Arc::clone(&self.shared.statuses[place]));
        let name = format!("{}-{}", status.stage, status.slot);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                if let Err(error) = body(&shared, &status) {
                    tracing::error!(stage = status.stage, slot = status.slot, %error, "worker ended");
                    status.fail(&error);
                }
                shared.rested.ring();
            })
            .map_err(|error| LogError::fatal_from("cannot start a worker thread", error))?;
        self.threads.push(thread);
        Ok(())
    }

    /// The process-wide store of context and intelligence.
    #[must_use]
    pub fn store(&self) -> Arc<BroadcastStore> {
        self.shared.hub.store()
    }

    /// Why this build does not work on this log at all, if so. It goes on reading, and fails when the reason is gone: then
    /// whoever supervises it starts it anew.
    #[must_use]
    pub fn blocked(&self) -> Option<&str> {
        self.shared.blocked.as_deref()
    }

    /// How every worker is.
    #[must_use]
    pub fn health(&self) -> Vec<WorkerHealth> {
        self.shared.statuses.iter().map(|status| status.health()).collect()
    }

    /// Whether every worker is restored and none has failed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.blocked().is_none() && self.health().iter().all(|worker| worker.ready && worker.failed.is_none())
    }

    /// Whether everything that was appended has been processed by every stage: no lag, no notice, no timer due.
    /// An error says which worker has failed: then it never will be.
    pub fn is_idle(&self) -> Result<bool, LogError> {
        self.shared.is_idle()
    }

    /// Waits until idle; answers false when that took longer than `at_most`.
    pub fn wait_idle(&self, at_most: Duration) -> Result<bool, LogError> {
        let begun = Instant::now();
        loop {
            if self.is_idle()? {
                return Ok(true);
            }
            let left = at_most.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.shared.rested.wait(left.min(PATIENCE));
        }
    }

    /// Rings all workers: a clock was set.
    pub fn ring(&self) {
        for status in &self.shared.statuses {
            status.waker.ring();
        }
    }

    /// Lets every worker finish the transaction it is in, then ends the threads.
    pub fn stop(mut self) {
        self.drain();
    }

    fn drain(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.ring();
        for thread in self.threads.drain(..) {
            // A panic was reported by the panic hook, and its transaction never committed.
            drop(thread.join());
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.drain();
    }
}

impl Shared {
    fn is_idle(&self) -> Result<bool, LogError> {
        if let Some(failed) = self.statuses.iter().find_map(|status| status.failure()) {
            return Err(LogError::fatal(failed));
        }
        let before = self.appended()?;
        for spec in &self.stages {
            if lag(self.log.as_ref(), spec.topics.name, spec.topics.inputs)? > 0
                || !self.hub.caught_up(&self.log.ends(spec.topics.broadcasts)?)
            {
                return Ok(false);
            }
        }
        let now = self.clock.now();
        // Mail before busy: a worker sets busy before it takes mail.
        let resting = self.hub.is_delivered() && self.statuses.iter().all(|status| status.is_resting(now));
        Ok(resting && self.appended()? == before)
    }

    /// Number of records ever appended: unchanged means that nobody emitted meanwhile.
    fn appended(&self) -> Result<u64, LogError> {
        Ok(self.log.ends(&Topic::ALL)?.iter().map(|end| end.next).sum())
    }
}

impl Status {
    fn new(stage: &'static str, slot: u32, waker: Waker) -> Self {
        Self {
            stage,
            slot,
            ready: AtomicBool::new(false),
            busy: AtomicBool::new(true),
            next_timer: AtomicI64::new(Millis::MAX),
            progress: Mutex::default(),
            failed: Mutex::new(None),
            turned: Mutex::new(Instant::now()),
            waker,
        }
    }

    fn failure(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, error: &LogError) {
        let text = format!("{} {}: {error}", self.stage, self.slot);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    fn report(&self, progress: Progress) {
        let mut known = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != progress {
            *known = progress;
            metrics::stage_partitions(self.stage, self.slot, progress.running, progress.waiting, progress.loaded);
        }
    }

    fn is_resting(&self, now: Millis) -> bool {
        self.ready.load(Ordering::SeqCst)
            && !self.busy.load(Ordering::SeqCst)
            && self.next_timer.load(Ordering::SeqCst) > now
    }

    fn turned(&self) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn health(&self) -> WorkerHealth {
        let silent = self.turned.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        let hangs = (silent >= HANGS).then_some(silent);
        WorkerHealth {
            stage: self.stage,
            slot: self.slot,
            ready: self.ready.load(Ordering::SeqCst) && hangs.is_none(),
            progress: *self.progress.lock().unwrap_or_else(PoisonError::into_inner),
            failed: self.failure(),
            hangs,
        }
    }
}

/// How often sizes are reported. 5 s: they are counted over the whole state, which takes milliseconds.
const SIZES_EVERY: Duration = Duration::from_secs(5);
/// The reader of the broadcasts is behind when it was not at their ends for so long. A minute: a day's intelligence is read
/// in less, and a reader that hangs is noticed.
const BROADCAST_LATE: Duration = Duration::from_secs(60);

/// A worker whose turn takes so long hangs. A minute: the largest step takes seconds, and a call to the log gives up after
/// half of it.
const HANGS: Duration = Duration::from_secs(60);

fn run(shared: &Shared, status: &Status, mut worker: StageWorker) -> Result<(), LogError> {
    let mut reported: Option<Instant> = None;
    while !shared.stop.load(Ordering::SeqCst) {
        // Busy until proven idle: cleared only after a turn that found nothing, and set again before mail is taken.
        let turn = worker.turn_noting(PATIENCE, || status.busy.store(true, Ordering::SeqCst))?;
        status.turned();
        status.ready.store(worker.is_ready(), Ordering::SeqCst);
        status.next_timer.store(worker.next_timer().unwrap_or(Millis::MAX), Ordering::SeqCst);
        status.report(worker.progress());
        if reported.is_none_or(|at| at.elapsed() >= SIZES_EVERY) {
            reported = Some(Instant::now());
            for (what, count) in worker.sizes() {
                metrics::stage_size(status.stage, status.slot, what, count);
            }
            metrics::snapshots_due(status.stage, status.slot, worker.snapshots_due());
        }
        if turn == Turn::Aborted {
            // Whatever was in the way needs a moment; a stop rings.
            status.waker.wait(PATIENCE);
        } else if turn == Turn::Idle {
            status.busy.store(false, Ordering::SeqCst);
            shared.rested.ring();
        }
    }
    if let Err(error) = worker.finish() {
        tracing::warn!(stage = status.stage, slot = status.slot, %error, "the last snapshots were not written");
    }
    Ok(())
}

fn read_broadcasts(shared: &Shared, status: &Status, mut broadcaster: Broadcaster) -> Result<(), LogError> {
    let mut at_end: Option<Instant> = None;
    while !shared.stop.load(Ordering::SeqCst) {
        status.turned();
        let worked = match broadcaster.turn(PATIENCE) {
            Err(LogError::Retry { what, .. } | LogError::Abort { what, .. }) => {
                tracing::warn!(what, "broadcasts are read again");
                status.ready.store(at_end.is_some_and(|at| at.elapsed() < BROADCAST_LATE), Ordering::SeqCst);
                status.waker.wait(PATIENCE);
                continue;
            }
            worked => worked?,
        };
        if shared.blocked.is_some() && shared.hub.obstacle().is_none() {
            return Err(LogError::fatal("this build implements what is in force now: it begins anew"));
        }
        if broadcaster.is_at_end() {
            at_end = Some(Instant::now());
        }
        status.ready.store(at_end.is_some_and(|at| at.elapsed() < BROADCAST_LATE), Ordering::SeqCst);
        status.busy.store(false, Ordering::SeqCst);
        if !worked {
            shared.rested.ring();
        }
    }
    Ok(())
}
