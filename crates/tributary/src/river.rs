//! The whole pipeline in one process, on the embedded log: what `up` and `demo` run.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use tributary_correlate::graph::Graph;
use tributary_correlate::{assess, relate, remedy, track};
use tributary_ingest::event::SecretHasher;
use tributary_ingest::grant::Grants;
use tributary_ingest::lane::BULK_GROUP;
use tributary_ingest::raw;
use tributary_ingest::secret::HmacHasher;
use tributary_ingest::worker::{self, IngestSettings, IngestWorker};
use tributary_model::Topic;
use tributary_model::record::{Extensions, RawClass};
use tributary_stream::broadcast::InForce;
use tributary_stream::log::{Log, Producer, Waker};
use tributary_stream::stage::{ASSESS, RELATE, REMEDY, TRACK};
use tributary_stream::stage_loop::{Pipeline, PipelineSettings, StageSpec};
use tributary_stream::{BroadcastStore, Clock, EmbeddedLog, EmbeddedSettings};

use crate::config::{Config, Correlate};
use crate::keys;
use crate::snapshots;
use crate::status::{Engine, Health};
use crate::versions;
use crate::view::View;

/// The pipeline, running.
pub struct River {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Turns secrets into HMACs.
    pub secrets: Arc<HmacHasher>,
    /// Appends raw records.
    pub producer: Arc<dyn Producer>,
    /// The summary.
    pub view: View,
    /// How it is.
    pub health: Health,
    pipeline: Arc<Pipeline>,
    stop: Arc<AtomicBool>,
    bells: Vec<Waker>,
    threads: Vec<JoinHandle<()>>,
}

/// The four stages, each with the factory of its state. One graph and one estate serve every partition of a process.
pub fn stages() -> Vec<StageSpec> {
    let shared: Arc<OnceLock<(Arc<Graph>, Arc<assess::Estate>)>> = Arc::default();
    let of_store = move |store: Arc<BroadcastStore>| {
        let made = shared.get_or_init(|| {
            let graph = Arc::new(Graph::new(Arc::clone(&store)));
            (Arc::clone(&graph), Arc::new(assess::Estate::new(store, graph)))
        });
        (Arc::clone(&made.0), Arc::clone(&made.1))
    };
    let for_assess = of_store.clone();
    vec![
        StageSpec::new(RELATE, |_, _| Box::new(relate::Relate::new())),
        StageSpec::new(TRACK, move |_, store| Box::new(track::Track::new(of_store(store).0))),
        StageSpec::new(ASSESS, move |_, store| Box::new(assess::Assess::new(for_assess(store).1))),
        StageSpec::new(REMEDY, |_, _| Box::new(remedy::Remedy::new())),
    ]
}

/// How the stages of this process run.
pub fn stage_settings(config: &Config) -> PipelineSettings {
    let Correlate { snapshots, workers } = config.correlate;
    PipelineSettings {
        workers,
        implemented: versions::implemented(&config.versions),
        snapshots: snapshots.then(|| snapshots::below(&config.data)).flatten(),
    }
}

impl River {
    /// Opens the log under `data`, puts this decision model in force if one is named, and starts INGEST and the four stages.
    pub fn start(
        data: &Path,
        grants: Arc<Grants>,
        report_bytes_max: usize,
        model: &str,
        settings: &PipelineSettings,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
        let hasher = Arc::new(keys::secret_hasher(data)?);
        let log = EmbeddedLog::open(&data.join("log"), EmbeddedSettings::default(), Arc::clone(clock)).with_context(
            || format!("cannot open the log under {}; is another tributary running there?", data.display()),
        )?;
        let log: Arc<dyn Log> = Arc::new(log);
        activate(log.as_ref(), model, clock.as_ref())?;
        let pipeline = Pipeline::start(Arc::clone(&log), stages(), Arc::clone(clock), settings)?;
        if let Some(reason) = pipeline.blocked() {
            bail!("{reason}");
        }
        let pipeline = Arc::new(pipeline);
        let stop = Arc::new(AtomicBool::new(false));
        let view = View::default();
        let health = Health::new(Arc::clone(&log), view.clone(), &pipeline);
        let shared = worker::Shared {
            grants,
            secrets: Arc::clone(&hasher) as Arc<dyn SecretHasher + Send + Sync>,
            settings: IngestSettings { body_bytes_max: report_bytes_max, ..IngestSettings::default() },
        };
        let lanes = lanes(&log, shared)?;
        let bells = lanes.iter().map(IngestWorker::waker).collect();
        let mut threads = vec![view.follow(&log, &stop)?];
        for lane in lanes {
            threads.push(spawn_ingest(lane, &stop, &health)?);
        }
        let producer = log.producer()?;
        Ok(Self { log, secrets: hasher, producer, view, health, pipeline, stop, bells, threads })
    }

    /// Appends one raw record.
    pub fn append(&self, class: RawClass, ext: &Extensions, body: Vec<u8>) -> anyhow::Result<()> {
        self.producer.append(vec![raw::output(class, ext, None, Bytes::from(body))])?;
        Ok(())
    }

    /// Waits until INGEST and the four stages are done with everything that was appended.
    pub fn wait_stages(&self, at_most: Duration) -> anyhow::Result<()> {
        // In the order of the flow: what INGEST is done with, the stages have or will have.
        let lag = |group, topics| self.health.lag(group, topics);
        let is_taken = || lag(worker::GROUP, &Topic::RAW) == 0 && lag(BULK_GROUP, &Topic::BULK) == 0;
        self.wait(at_most, || Ok(is_taken() && self.pipeline.is_idle()?))
    }

    /// Waits until ClickHouse has everything too, where it serves, and the summary shows it.
    pub fn wait_idle(&self, at_most: Duration) -> anyhow::Result<()> {
        self.wait_stages(at_most)?;
        let is_stored =
            || self.health.engine() == Engine::Absent || self.health.lag("sink", tributary_sink::rows::TOPICS) == 0;
        self.wait(at_most, || Ok(is_stored()))?;
        self.view.wait_for(&self.log.ends(&crate::view::TOPICS)?, at_most)
    }

    fn wait(&self, at_most: Duration, is_done: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let begun = Instant::now();
        let bell = Waker::default();
        while !is_done()? {
            if self.health.has_failed() {
                bail!("{}", self.health.status().problems.join("; "));
            }
            if begun.elapsed() > at_most {
                bail!("the pipeline did not come to rest within {} s", at_most.as_secs());
            }
            bell.wait(Duration::from_millis(2));
        }
        Ok(())
    }

    /// A clock was set: timers may be due.
    pub fn ring(&self) {
        self.pipeline.ring();
    }

    /// Finishes what is in hand and stops.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bells.iter().for_each(Waker::ring);
        for thread in self.threads {
            // A panic was reported by the panic hook, and its transaction never committed.
            drop(thread.join());
        }
        if let Some(pipeline) = Arc::into_inner(self.pipeline) {
            pipeline.stop();
        }
    }
}

/// Puts the configured model in force, if another one is.
fn activate(log: &dyn Log, model: &str, clock: &dyn Clock) -> anyhow::Result<()> {
    if model.is_empty() {
        return Ok(());
    }
    let in_force = InForce::read(log)?;
    let wanted = versions::with_model(&in_force, model, "versions.model", clock.now())?;
    match in_force {
        InForce::Known(versions) if versions.model == wanted.model => Ok(()),
        _ => versions::put_in_force(log.producer()?.as_ref(), &wanted),
    }
}

/// INGEST, a worker for each lane.
pub fn lanes(log: &Arc<dyn Log>, shared: worker::Shared) -> anyhow::Result<Vec<IngestWorker>> {
    let interactive = IngestWorker::new(log.as_ref(), shared.clone(), 0, 1)?;
    Ok(vec![interactive, IngestWorker::bulk(Arc::clone(log), shared, 0, 1)?])
}

/// INGEST on a thread of its own; told why it ended, if it was not told to stop.
pub fn spawn_ingest(
    mut ingest: IngestWorker,
    stop: &Arc<AtomicBool>,
    health: &Health,
) -> anyhow::Result<JoinHandle<()>> {
    let (stop, health) = (Arc::clone(stop), health.clone());
    let work = move || {
        if let Err(error) = ingest.run(&stop) {
            health.fail(format!("ingest stopped: {error}"));
        }
    };
    std::thread::Builder::new().name("ingest".to_owned()).spawn(work).context("cannot start a thread")
}
