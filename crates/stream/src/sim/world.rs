//! A world of processes that run real stages on a simulated log. The dice choose what happens next: a turn of a worker, a crash,
//! a move, a zombie, a clock jump. Everything is on one thread, so one seed is one history.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::time::{HOUR, Millis};
use tributary_model::topic::{Cleanup, partition_of};

use super::log::SimLog;
use super::rng::Rng;
use super::state::Fault;
use crate::broadcast::BroadcastStore;
use crate::clock::{Clock, ManualClock};
use crate::log::{Log, LogError};
use crate::message::{Message, Output};
use crate::snapshot::Snapshots;
use crate::stage_loop::{Broadcaster, Hub, StageSpec, StageWorker, Turn, lag};

/// How likely each unkindness is, in steps out of a thousand; the rest are turns, reads of the broadcast and reveals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chaos {
    /// The next commit aborts, or the process dies before or after it.
    pub faults: u32,
    /// A process dies between turns.
    pub crashes: u32,
    /// A second process takes the slots of one that still runs.
    pub zombies: u32,
    /// A partition moves to another worker.
    pub moves: u32,
    /// A partition is compacted.
    pub compactions: u32,
    /// The clock jumps ahead.
    pub jumps: u32,
    /// By at most so much.
    pub jump_ms_max: Millis,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { faults: 30, crashes: 10, zombies: 5, moves: 15, compactions: 40, jumps: 5, jump_ms_max: HOUR }
    }
}

impl Chaos {
    /// No unkindness but reordering.
    pub const NONE: Self =
        Self { faults: 0, crashes: 0, zombies: 0, moves: 0, compactions: 0, jumps: 0, jump_ms_max: 0 };
}

/// The size of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorldSettings {
    /// Seed of everything.
    pub seed: u64,
    /// Partitions of every topic.
    pub partitions: u32,
    /// Processes; each has one worker of every stage.
    pub processes: u32,
    /// What the clock shows at first.
    pub now: Millis,
    /// How unkind it is.
    pub chaos: Chaos,
    /// Whether processes keep snapshots, which outlive them.
    pub snapshots: bool,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Chaos`; places are process and stage indexes
pub enum Action {
    Turn { process: usize, stage: usize, turn: Option<Turn> },
    Broadcast { process: usize },
    Reveal { topic: Topic, partition: u32 },
    Arm(Fault),
    Crash { process: usize },
    Start { process: usize },
    Zombie { process: usize },
    Move { stage: usize, partition: u32, slot: u32 },
    Compact { topic: Topic, partition: u32 },
    Jump(Millis),
}

/// Why a world stopped; always names the seed and the step.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A predicate does not hold.
    #[error("seed {seed}, step {step}: {what}")]
    Broken {
        /// Seed.
        seed: u64,
        /// Step.
        step: u64,
        /// What the predicate says.
        what: String,
    },
    /// There is still work after so many turns.
    #[error("seed {seed}: not quiescent after {turns} turns")]
    Restless {
        /// Seed.
        seed: u64,
        /// Turns.
        turns: usize,
    },
    /// The log failed where it must not.
    #[error("seed {seed}: {error}")]
    Log {
        /// Seed.
        seed: u64,
        /// Error.
        error: LogError,
    },
}

type Hook = Box<dyn FnMut(&SimLog, Action) -> Result<(), String>>;

struct Process {
    hub: Arc<Hub>,
    broadcaster: Broadcaster,
    workers: Vec<StageWorker>,
}

/// See the module.
pub struct World {
    settings: WorldSettings,
    stages: Vec<StageSpec>,
    log: SimLog,
    clock: ManualClock,
    rng: Rng,
    /// By slot: what outlives the process.
    disks: Vec<Option<Snapshots>>,
    /// By slot; `None` while dead.
    processes: Vec<Option<Process>>,
    /// Processes whose slots were taken; they die of their first contact with the log.
    zombies: Vec<Process>,
    hook: Option<Hook>,
    steps: u64,
    trace: String,
}

impl World {
    /// A world in which nothing runs yet; the first steps start processes.
    #[must_use]
    pub fn new(settings: WorldSettings, stages: Vec<StageSpec>) -> Self {
        let clock = ManualClock::at(settings.now);
        let log = SimLog::new(settings.partitions, settings.seed ^ 0x5151, Arc::new(clock.clone()));
        log.set_unkind(true);
        let processes = (0..settings.processes.max(1)).map(|_| None).collect();
        let rng = Rng::new(settings.seed);
        let disk = |_| settings.snapshots.then(Snapshots::in_memory);
        let disks = (0..settings.processes.max(1)).map(disk).collect();
        Self {
            settings,
            stages,
            log,
            clock,
            rng,
            disks,
            processes,
            zombies: Vec::new(),
            hook: None,
            steps: 0,
            trace: String::new(),
        }
    }

    /// Calls a predicate after every step, with the log (every committed record) and what was done.
    pub fn on_step(&mut self, hook: impl FnMut(&SimLog, Action) -> Result<(), String> + 'static) {
        self.hook = Some(Box::new(hook));
    }

    /// Appends records as an outside producer does: all or none, visible when the dice say so.
    pub fn inject(&mut self, records: Vec<Output>) -> Result<(), WorldError> {
        let seed = self.settings.seed;
        let appended = self.log.producer().and_then(|producer| producer.append(records));
        appended.map(drop).map_err(|error| WorldError::Log { seed, error })
    }

    /// The log, to look into or to be unkind by hand.
    #[must_use]
    pub fn log(&self) -> &SimLog {
        &self.log
    }

    /// The clock, to set.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The broadcast store of a process, unless it is dead.
    #[must_use]
    pub fn store(&self, process: usize) -> Option<Arc<BroadcastStore>> {
        self.processes.get(process)?.as_ref().map(|process| process.hub.store())
    }

    /// Every committed, surviving record of a topic, by partition and offset.
    #[must_use]
    pub fn records(&self, topic: Topic) -> Vec<Message> {
        self.log.records(topic)
    }

    /// The latest value of every live key of a compacted topic, ascending by key.
    #[must_use]
    pub fn latest(&self, topic: Topic) -> Vec<(Bytes, Bytes)> {
        let mut latest = std::collections::BTreeMap::new();
        for message in self.records(topic) {
            latest.insert(message.key, message.value);
        }
        latest.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// What happened so far, one line a step, then a line of what is on the log.
    #[must_use]
    pub fn trace(&self) -> String {
        let mut trace = self.trace.clone();
        for topic in Topic::ALL {
            for message in self.records(topic) {
                let value = message.value.as_ref().map_or(0, |value| partition_of(&hex(value), u32::MAX));
                let (partition, offset, key) = (message.partition, message.offset, hex(&message.key));
                let _ = writeln!(trace, "{topic}/{partition}/{offset} {key} {value:08x}");
            }
        }
        trace
    }

    /// So many steps of chaos.
    pub fn run(&mut self, steps: usize) -> Result<(), WorldError> {
        for _ in 0..steps {
            self.step()?;
        }
        Ok(())
    }

    /// One thing happens.
    pub fn step(&mut self) -> Result<Action, WorldError> {
        let action = self.choose();
        let action = self.perform(action)?;
        self.steps += 1;
        let _ = writeln!(self.trace, "{} {action:?} commits={}", self.steps, self.log.state().commits);
        self.check(action)?;
        Ok(action)
    }

    fn check(&mut self, action: Action) -> Result<(), WorldError> {
        let (seed, step) = (self.settings.seed, self.steps);
        let Some(hook) = &mut self.hook else { return Ok(()) };
        hook(&self.log, action).map_err(|what| WorldError::Broken { seed, step, what })
    }

    /// No more chaos: everything committed becomes visible, the dead start again, and everything is processed at the time the
    /// clock shows. Fails if there is still work after `turns` turns.
    pub fn quiesce(&mut self, turns: usize) -> Result<(), WorldError> {
        self.log.set_unkind(false);
        self.log.state().fault = None;
        self.zombies.clear();
        let mut left = turns;
        loop {
            let commits = self.log.state().commits;
            let mut rested = true;
            for process in 0..self.processes.len() {
                if self.processes[process].is_none() {
                    self.perform(Action::Start { process })?;
                }
                self.perform(Action::Broadcast { process })?;
                for stage in 0..self.stages.len() {
                    let action = self.perform(Action::Turn { process, stage, turn: None })?;
                    self.steps += 1;
                    self.check(action)?;
                    rested &= matches!(action, Action::Turn { turn: Some(Turn::Idle), .. });
                    left = left.saturating_sub(1);
                }
            }
            if rested && commits == self.log.state().commits && self.is_consumed()? {
                break;
            }
            if left == 0 {
                return Err(WorldError::Restless { seed: self.settings.seed, turns });
            }
        }
        self.log.set_unkind(true);
        let _ = writeln!(self.trace, "quiescent commits={}", self.log.state().commits);
        Ok(())
    }

    fn is_consumed(&self) -> Result<bool, WorldError> {
        let seed = self.settings.seed;
        for spec in &self.stages {
            let lag = lag(&self.log, spec.topics.name, spec.topics.inputs);
            if lag.map_err(|error| WorldError::Log { seed, error })? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn choose(&mut self) -> Action {
        let chaos = self.settings.chaos;
        let process = self.rng.below(self.processes.len());
        if self.processes[process].is_none() {
            return Action::Start { process };
        }
        let mut dice = self.rng.below(1000) as u32;
        let mut under = |share: u32| {
            let hit = dice < share;
            dice = if hit { u32::MAX } else { dice - share };
            hit
        };
        if under(chaos.faults) {
            let faults = [Fault::Abort, Fault::CrashBefore, Fault::CrashAfter];
            return Action::Arm(faults[self.rng.below(faults.len())]);
        }
        if under(chaos.crashes) {
            return Action::Crash { process };
        }
        if under(chaos.zombies) {
            return Action::Zombie { process };
        }
        let partition = self.rng.below(self.settings.partitions as usize) as u32;
        let stage = self.rng.below(self.stages.len());
        if under(chaos.moves) {
            return Action::Move { stage, partition, slot: self.rng.below(self.processes.len()) as u32 };
        }
        if under(chaos.compactions) {
            let compacted: Vec<Topic> =
                Topic::ALL.into_iter().filter(|topic| topic.cleanup() == Cleanup::Compact).collect();
            return Action::Compact { topic: compacted[self.rng.below(compacted.len())], partition };
        }
        if under(chaos.jumps) {
            return Action::Jump(self.rng.below(usize::try_from(chaos.jump_ms_max).unwrap_or(0)) as Millis);
        }
        let hidden = self.log.state().hidden();
        match self.rng.below(10) {
            0 => Action::Broadcast { process },
            1..4 if !hidden.is_empty() => {
                let (topic, partition) = hidden[self.rng.below(hidden.len())];
                Action::Reveal { topic, partition }
            }
            _ => Action::Turn { process, stage, turn: None },
        }
    }

    fn perform(&mut self, action: Action) -> Result<Action, WorldError> {
        match action {
            Action::Turn { process, stage, .. } => {
                self.turn_zombie(stage);
                let turn = self.turn(process, stage);
                return Ok(Action::Turn { process, stage, turn });
            }
            Action::Broadcast { process } => {
                let running = self.processes[process].as_mut();
                if running.is_some_and(|running| running.broadcaster.turn(Duration::ZERO).is_err()) {
                    self.processes[process] = None;
                }
            }
            Action::Reveal { topic, partition } => self.log.state().reveal((topic, partition)),
            Action::Arm(fault) => self.log.arm(fault),
            Action::Crash { process } => self.processes[process] = None,
            Action::Start { process } => self.processes[process] = Some(self.start(process)?),
            Action::Zombie { process } => {
                let newer = self.start(process)?;
                self.zombies.extend(self.processes[process].replace(newer));
            }
            Action::Move { stage, partition, slot } => {
                self.log.reassign(self.stages[stage].topics.name, partition, slot);
            }
            Action::Compact { topic, partition } => self.log.compact(topic, partition),
            Action::Jump(by) => self.clock.set(self.clock.now() + by),
        }
        Ok(action)
    }

    fn turn(&mut self, process: usize, stage: usize) -> Option<Turn> {
        let worker = self.processes[process].as_mut()?.workers.get_mut(stage)?;
        let turn = worker.turn(Duration::ZERO);
        if turn.is_err() {
            // A fatal error ends the process, as it does in production.
            self.processes[process] = None;
        }
        turn.ok()
    }

    /// A zombie goes on as if nothing had happened, until the log tells it.
    fn turn_zombie(&mut self, stage: usize) {
        self.zombies.retain_mut(|zombie| {
            zombie.workers.get_mut(stage).is_none_or(|worker| worker.turn(Duration::ZERO).is_ok())
        });
    }

    fn start(&self, process: usize) -> Result<Process, WorldError> {
        let seed = self.settings.seed;
        self.spawn(process as u32).map_err(|error| WorldError::Log { seed, error })
    }

    fn spawn(&self, slot: u32) -> Result<Process, LogError> {
        let hub = Hub::new();
        let broadcaster = Broadcaster::new(&self.log, Arc::clone(&hub))?;
        let mut workers = Vec::with_capacity(self.stages.len());
        for spec in &self.stages {
            let log: Arc<dyn Log> = Arc::new(self.log.clone());
            let clock = Arc::new(self.clock.clone());
            let slots = (slot, self.processes.len() as u32);
            let worker = StageWorker::new(log, spec.clone(), slots, Arc::clone(&hub), clock)?;
            workers.push(worker.with_snapshots(self.disks[slot as usize].clone()));
        }
        Ok(Process { hub, broadcaster, workers })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
