//! Health of the whole pipeline: how far each stage is behind, what is up, what to do about what is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use tributary_model::Topic;
use tributary_stream::log::Log;
use tributary_stream::stage_loop::{self, Pipeline, WorkerHealth};

use crate::view::{Funnel, View};

/// One consumer of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// Stage or service.
    pub name: String,
    /// Records not yet processed.
    pub lag: u64,
}

/// State of the ClickHouse side.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Rows go there.
    Serving,
    /// Not started yet, or restarting: rows wait.
    Waiting,
    /// The engine library is not installed, or was not wanted.
    Absent,
}

/// What `/v1/status`, `/readyz` and `tributary status` say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Every stage is restored and runs.
    pub ready: bool,
    /// Nothing is left to do anywhere: no lag, no notice of changed context on its way.
    pub idle: bool,
    /// Consumers, in the order of the flow.
    pub groups: Vec<Group>,
    /// ClickHouse.
    pub engine: Engine,
    /// Where analysts ask; empty when absent.
    pub sql_url: String,
    /// Records in the raw topics of both lanes.
    pub raw_records: u64,
    /// The funnel.
    #[serde(skip_deserializing)]
    pub funnel: Funnel,
    /// What is wrong and what to do; empty when all is well.
    pub problems: Vec<String>,
}

/// Consumers in the order of the flow, and what they read.
pub const GROUPS: [(&str, &[Topic]); 7] = [
    ("ingest", &Topic::RAW),
    ("ingest-bulk", &Topic::BULK),
    ("relate", &[Topic::Facts]),
    ("track", &[Topic::Observations]),
    ("assess", &[Topic::Findings]),
    ("remedy", &[Topic::Remedies]),
    ("sink", tributary_sink::rows::TOPICS),
];

/// Why a pipeline is not ready; nothing when it is.
pub fn reasons(pipeline: &Pipeline) -> Vec<String> {
    let of = |worker: WorkerHealth| {
        let (name, progress) = (format!("{} {}", worker.stage, worker.slot), worker.progress);
        if let Some(failed) = worker.failed {
            Some(failed)
        } else if let Some(hangs) = worker.hangs {
            Some(format!("{name}: has not come back for {} s", hangs.as_secs()))
        } else if worker.ready {
            None
        } else if worker.stage == "broadcast" {
            Some("context and intelligence are not read to their ends".to_owned())
        } else if !progress.assigned {
            Some(format!("{name}: not yet a member of its group"))
        } else {
            let all = progress.running + progress.waiting;
            Some(format!("{name}: {} of {all} partitions restored", progress.running))
        }
    };
    pipeline.blocked().map(str::to_owned).into_iter().chain(pipeline.health().into_iter().filter_map(of)).collect()
}

/// Asks the running pipeline how it is; cheap to share.
#[derive(Clone)]
pub struct Health {
    log: Arc<dyn Log>,
    view: View,
    pipeline: Weak<Pipeline>,
    engine: Arc<Mutex<(Engine, String)>>,
    problems: Arc<Mutex<Vec<String>>>,
    failed: Arc<AtomicBool>,
}

impl Health {
    /// Health of a pipeline over this log. It does not keep the pipeline alive.
    pub fn new(log: Arc<dyn Log>, view: View, pipeline: &Arc<Pipeline>) -> Self {
        Self {
            log,
            view,
            pipeline: Arc::downgrade(pipeline),
            engine: Arc::new(Mutex::new((Engine::Absent, String::new()))),
            problems: Arc::default(),
            failed: Arc::default(),
        }
    }

    /// Health of one separate service, which has no pipeline or not all of one.
    pub fn of_service(log: Arc<dyn Log>) -> Self {
        Self {
            log,
            view: View::default(),
            pipeline: Weak::new(),
            engine: Arc::new(Mutex::new((Engine::Absent, String::new()))),
            problems: Arc::default(),
            failed: Arc::default(),
        }
    }

    /// Why a part gave up, if one did.
    pub fn failure(&self) -> Option<String> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_failed().then(|| problems.join("; "))
    }

    /// Says how the engine is.
    pub fn set_engine(&self, engine: Engine, sql_url: &str) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = (engine, sql_url.to_owned());
    }

    /// How the engine is.
    pub fn engine(&self) -> Engine {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// A part of the pipeline gave up: the process is no longer ready.
    pub fn fail(&self, problem: String) {
        tracing::error!(problem, "a part of the pipeline stopped");
        self.failed.store(true, Ordering::Relaxed);
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// Whether a part gave up.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Why it is not ready; nothing when it is. ClickHouse is no reason: rows wait for it, and nothing else does.
    pub fn reasons(&self) -> Vec<String> {
        let stages = self.pipeline.upgrade().map_or_else(Vec::new, |pipeline| reasons(&pipeline));
        stages.into_iter().chain(self.failure()).collect()
    }

    /// Records that a group has not processed; `u64::MAX` when the log cannot say.
    pub fn lag(&self, group: &str, topics: &[Topic]) -> u64 {
        stage_loop::lag(self.log.as_ref(), group, topics).unwrap_or(u64::MAX)
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let (engine, sql_url) = self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let groups: Vec<Group> = GROUPS
            .iter()
            .filter(|(name, _)| *name != "sink" || engine != Engine::Absent)
            .map(|(name, topics)| Group { name: (*name).to_owned(), lag: self.lag(name, topics) })
            .collect();
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if engine == Engine::Waiting {
            problems.push("ClickHouse is not serving: rows wait and are written when it is back".to_owned());
        }
        let raw = self.log.ends(&[Topic::RAW, Topic::BULK].concat());
        let raw_records = raw.unwrap_or_default().iter().map(|end| end.next).sum();
        let pipeline = self.pipeline.upgrade();
        let is_ready = pipeline.as_ref().is_some_and(|pipeline| pipeline.is_ready());
        // After the lags: what INGEST is done with, the stages have or will have.
        let is_idle = groups.iter().all(|group| group.lag == 0)
            && pipeline.is_some_and(|pipeline| pipeline.is_idle().unwrap_or(false));
        Status {
            ready: is_ready && !self.has_failed(),
            idle: is_idle,
            groups,
            engine,
            sql_url,
            raw_records,
            funnel: self.view.funnel(raw_records),
            problems,
        }
    }
}
