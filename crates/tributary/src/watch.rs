//! How far the groups of a service are behind, looked at again and again: for `/metrics`, and because a service whose log does
//! not answer is not ready.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use metrics::gauge;
use tributary_model::Topic;
use tributary_stream::log::{Lag, Log, LogError, Waker};

/// How often. 2 s: three small requests to the cluster a group; alerts are about minutes.
const EVERY: Duration = Duration::from_secs(2);
/// Without an answer for so long the log counts as away. 20 s: a broker that restarts hands its partitions over in less.
const SILENT: Duration = Duration::from_secs(20);

/// A consumer group and what it reads.
pub type Group = (&'static str, &'static [Topic]);

/// The thread that looks; it ends with this handle.
pub struct Watch {
    known: Arc<Known>,
    stop: Arc<AtomicBool>,
    bell: Waker,
    thread: Option<JoinHandle<()>>,
}

/// What was seen last.
pub struct Known {
    answered: Mutex<(Instant, Option<String>)>,
}

impl Known {
    /// Why the log counts as away, if it does.
    pub fn problem(&self) -> Option<String> {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, reason) = &*answered;
        let reason = reason.as_deref().unwrap_or("no answer");
        (at.elapsed() >= SILENT)
            .then(|| format!("the log does not answer since {} s: {reason}", at.elapsed().as_secs()))
    }

    fn tell(&self, seen: Result<(), LogError>) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Ok(()) => *answered = (Instant::now(), None),
            Err(error) => {
                if answered.1.is_none() {
                    tracing::warn!(%error, "lag is not known");
                }
                answered.1 = Some(error.to_string());
            }
        }
    }
}

impl Watch {
    /// Looks at these groups until dropped.
    pub fn start(log: Arc<dyn Log>, groups: Vec<Group>) -> anyhow::Result<Self> {
        let known = Arc::new(Known { answered: Mutex::new((Instant::now(), None)) });
        let (stop, bell) = (Arc::<AtomicBool>::default(), Waker::default());
        let (to_tell, to_stop, rung) = (Arc::clone(&known), Arc::clone(&stop), bell.clone());
        let work = move || {
            while !to_stop.load(Ordering::Relaxed) {
                let seen = groups.iter().try_for_each(|(group, topics)| {
                    log.lag(group, topics).map(|lags| lags.iter().for_each(|lag| report(group, *lag)))
                });
                to_tell.tell(seen);
                rung.wait(EVERY);
            }
        };
        let thread =
            std::thread::Builder::new().name("watch".to_owned()).spawn(work).context("cannot start a thread")?;
        Ok(Self { known, stop, bell, thread: Some(thread) })
    }

    /// What was seen last, for probes.
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook; nothing depends on what it would have seen.
            drop(thread.join());
        }
    }
}

/// The gauge of one partition. Every member reports the whole group: a partition that nobody has is behind, too.
fn report(group: &'static str, lag: Lag) {
    let labels =
        [("group", group.to_owned()), ("topic", lag.topic.name().to_owned()), ("partition", lag.partition.to_string())];
    gauge!("tributary_group_lag", &labels).set(lag.behind as f64);
}

/// Says once who this process is.
pub fn introduce(role: &'static str, instance: &str) {
    let version = env!("CARGO_PKG_VERSION");
    gauge!("tributary_service_info", "role" => role, "instance" => instance.to_owned(), "version" => version).set(1.0);
}
