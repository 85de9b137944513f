//! When a worker writes snapshots of its partitions, and how: the ends of the changelogs first, then a commit that only an owner
//! can make, then the state.

use std::time::{Duration, Instant};

use tributary_model::time::{DAY, Millis};

use super::worker::StageWorker;
use crate::log::LogError;
use crate::message::Outputs;
use crate::metrics;
use crate::snapshot::{About, Changelog, Rhythm};

/// A snapshot is written again after so long even if little changed: it must not come to the age at which it is of no use.
const REFRESH: Millis = DAY;
/// How long a worker that ends begins to write another one. 10 s: who stops a service waits for half a minute as a rule.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How a partition's snapshot stands to its state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saved {
    /// When it was written; [`Millis::MIN`] if there is none.
    pub at: Millis,
    /// When one was last written, or tried, or the partition was restored.
    pub tried: Millis,
    /// Bytes of its pieces.
    pub bytes: u64,
    /// Bytes of records that came into the state since.
    pub changed: u64,
}

impl Saved {
    /// There is none.
    pub(super) fn none(now: Millis) -> Self {
        Self { at: Millis::MIN, tried: now, bytes: 0, changed: 0 }
    }

    fn is_due(&self, now: Millis, rhythm: Rhythm) -> bool {
        let is_other = self.changed >= rhythm.changed_bytes.max(self.bytes / rhythm.parts);
        let is_old = self.at != Millis::MIN && now.saturating_sub(self.at) >= REFRESH;
        is_other || is_old
    }

    /// Whether it is time: rest, or none for too long.
    fn is_time(&self, now: Millis, idle_since: Option<Millis>, rhythm: Rhythm) -> bool {
        let since = now.saturating_sub(self.tried);
        let rests = idle_since.is_some_and(|idle| now.saturating_sub(idle) >= rhythm.idle);
        (rests && since >= rhythm.pause) || since >= rhythm.latest
    }
}

impl StageWorker {
    /// Partitions whose snapshot would be written now if there were time.
    pub(super) fn snapshots_due(&self) -> usize {
        let (now, rhythm) = (self.clock.now(), self.snapshots.as_ref().map(|snapshots| snapshots.rhythm));
        rhythm.map_or(0, |rhythm| self.owned.values().filter(|owned| owned.saved.is_due(now, rhythm)).count())
    }

    /// Writes the snapshot of one partition whose time has come; answers whether one had.
    pub(super) fn save_one(&mut self, now: Millis) -> Result<bool, LogError> {
        let Some(rhythm) = self.snapshots.as_ref().map(|snapshots| snapshots.rhythm) else { return Ok(false) };
        let idle_since = self.idle_since;
        let due = |saved: &Saved| saved.is_due(now, rhythm) && saved.is_time(now, idle_since, rhythm);
        let Some(partition) = self.owned.iter().find(|(_, owned)| due(&owned.saved)).map(|(partition, _)| *partition)
        else {
            return Ok(false);
        };
        self.save(partition, now)?;
        Ok(true)
    }

    /// Writes those that are due, before the worker ends: the next start is the quicker for it. What is not due is quickly read again.
    pub(super) fn save_due(&mut self, now: Millis) -> Result<(), LogError> {
        let Some(rhythm) = self.snapshots.as_ref().map(|snapshots| snapshots.rhythm) else { return Ok(()) };
        let due = self.owned.iter().filter(|(_, owned)| owned.saved.is_due(now, rhythm));
        let due: Vec<u32> = due.map(|(partition, _)| *partition).collect();
        let begun = Instant::now();
        due.into_iter().take_while(|_| begun.elapsed() < DRAIN_MAX).try_for_each(|partition| self.save(partition, now))
    }

    fn save(&mut self, partition: u32, now: Millis) -> Result<(), LogError> {
        let (Some(snapshots), Some(owned)) = (self.snapshots.clone(), self.owned.get_mut(&partition)) else {
            return Ok(());
        };
        owned.saved.tried = now;
        let topics = self.spec.topics;
        let places: Vec<_> = topics.changelogs.iter().map(|topic| (*topic, partition)).collect();
        let lineage = match self.log.lineage(&places) {
            Ok(Some(lineage)) => lineage,
            Ok(None) => {
                self.snapshots = None;
                return Ok(());
            }
            Err(error) => {
                owned.saved.tried = now.saturating_add(snapshots.rhythm.latest);
                failed(topics.name, partition, &error);
                return Ok(());
            }
        };
        let ends = self.log.ends(topics.changelogs)?;
        // Whoever is not the owner any more fails here: what the ends cover may be another's work, which this state lacks.
        self.commit_alone(partition, Outputs::default(), now, 0)?;
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(()) };
        let next = |(topic, partition)| {
            if topics.inputs.contains(&topic) {
                return owned.committed.get(&topic).copied().unwrap_or(0);
            }
            let own = ends.iter().find(|end| (end.topic, end.partition) == (topic, partition));
            own.map_or(0, |end| end.next)
        };
        let changelogs = places.iter().zip(lineage).map(|(place, lineage)| Changelog {
            topic: place.0.name().to_owned(),
            lineage,
            next: next(*place),
        });
        let about = About {
            build: String::new(),
            stage: topics.name.to_owned(),
            partition,
            at: now,
            changelogs: changelogs.collect(),
        };
        let begun = Instant::now();
        match snapshots.write(about, |put| owned.stage.save(put)) {
            Ok(bytes) => {
                owned.saved = Saved { at: now, tried: now, bytes, changed: 0 };
                metrics::snapshot_written(topics.name, bytes, begun.elapsed());
            }
            Err(error) => {
                // Whatever is in the way will be a while: no sooner than if there were no rest.
                owned.saved.tried = now.saturating_add(snapshots.rhythm.latest);
                failed(topics.name, partition, &error);
            }
        }
        Ok(())
    }
}

/// No snapshot is nobody's failure: work goes on.
fn failed(stage: &'static str, partition: u32, error: &dyn std::fmt::Display) {
    metrics::snapshot_failed(stage);
    tracing::warn!(stage, partition, %error, "no snapshot was written: a restart reads more of the log");
}
