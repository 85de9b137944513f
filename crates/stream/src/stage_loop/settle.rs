//! From marked state to durable outputs: settle every touched partition, commit, and isolate what fails.

use std::time::Instant;

use tributary_model::reject::Reject;
use tributary_model::time::Millis;

use super::worker::{StageWorker, Step};
use super::{MUTE_MS, TRANSACTION_BYTES, TRANSACTION_OUTPUTS};
use crate::log::{LogError, Transaction};
use crate::message::{Output, Outputs};
use crate::metrics;
use crate::rejects;

/// Partitions that are settled and wait for the commit.
#[derive(Default)]
pub(super) struct Open {
    partitions: Vec<u32>,
    transaction: Transaction,
    bytes: usize,
}

impl StageWorker {
    /// Settles and commits what a step touched.
    pub(super) fn settle(&mut self, mut step: Step) -> Result<(), LogError> {
        let mut open = Open::default();
        let mut failed = Vec::new();
        let bytes_max = self.worker.record_bytes_max();
        for partition in &step.touched {
            let Some(owned) = self.owned.get_mut(partition) else { continue };
            let mut out = step.outputs.remove(partition).unwrap_or_default();
            match owned.stage.settle(step.now, &mut out).err().or_else(|| too_large(&out, bytes_max)) {
                None => self.open(&mut open, *partition, out, step.now),
                Some(reject) => {
                    owned.rollback();
                    failed.push((*partition, reject));
                }
            }
            if open.transaction.outputs.len() >= TRANSACTION_OUTPUTS || open.bytes >= TRANSACTION_BYTES {
                self.commit(std::mem::take(&mut open), step.messages.len())?;
            }
        }
        self.commit(open, step.messages.len())?;
        for (partition, reject) in failed {
            tracing::warn!(
                stage = self.spec.topics.name,
                partition,
                code = reject.code,
                "settle failed; replaying alone"
            );
            self.isolate(partition, &step, reject)?;
        }
        Ok(())
    }

    fn open(&mut self, open: &mut Open, partition: u32, out: Outputs, now: Millis) {
        let changelogs = self.spec.topics.changelogs;
        let kept = out.records().iter().filter(|output| changelogs.contains(&output.topic));
        let changed: usize = kept.map(Output::bytes).sum();
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.saved.changed += changed as u64;
        }
        let Some(owned) = self.owned.get(&partition) else { return };
        open.bytes += out.bytes();
        open.transaction.outputs.extend(out.into_records());
        open.transaction.checkpoints.extend(self.checkpoints(partition, &owned.next, now));
        open.partitions.push(partition);
    }

    /// Commits what is settled; nothing settled, nothing done.
    fn commit(&mut self, open: Open, inputs: usize) -> Result<(), LogError> {
        if open.partitions.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let outputs = open.transaction.outputs.len();
        self.worker.commit(open.transaction)?;
        for partition in &open.partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.commit();
            }
        }
        metrics::transaction_committed(self.spec.topics.name, inputs, outputs, begun.elapsed());
        Ok(())
    }

    /// Replays the step for one rolled-back partition piece by piece, each piece its own transaction; a piece that fails
    /// becomes a reject. If every piece goes through alone, the failure of the whole is the reject.
    fn isolate(&mut self, partition: u32, step: &Step, whole: Reject) -> Result<(), LogError> {
        let name = self.spec.topics.name;
        let bytes_max = self.worker.record_bytes_max();
        let mut refused = self.isolate_notices(partition, step)?;
        for message in step.messages.iter().filter(|message| message.partition == partition) {
            let Some(owned) = self.owned.get_mut(&partition) else { return Ok(()) };
            let mut out = Outputs::default();
            let refusal = match owned.stage.apply(message, step.now) {
                Ok(()) => owned.stage.settle(step.now, &mut out).err().or_else(|| too_large(&out, bytes_max)),
                Err(reject) => Some(reject),
            };
            if let Some(reject) = refusal {
                metrics::input_rejected(name, &reject.code);
                owned.rollback();
                refused = true;
                out = one(rejects::output(reject, message, name, step.now));
            }
            owned.next.insert(message.topic, message.offset + 1);
            self.commit_alone(partition, out, step.now, 1)?;
        }
        if refused {
            return Ok(());
        }
        metrics::input_rejected(name, &whole.code);
        self.commit_alone(
            partition,
            one(rejects::output_without_message(whole, name, partition, step.now)),
            step.now,
            0,
        )
    }

    /// The notices and timers of the step on their own; answers whether they were refused.
    fn isolate_notices(&mut self, partition: u32, step: &Step) -> Result<bool, LogError> {
        let (name, bytes_max) = (self.spec.topics.name, self.worker.record_bytes_max());
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(false) };
        if !self.pending.is_empty() {
            owned.stage.notice(&self.pending, step.now);
        }
        if owned.timer().is_some_and(|at| at <= step.now) {
            owned.stage.wake(step.now);
        }
        let mut out = Outputs::default();
        let failed = owned.stage.settle(step.now, &mut out).err().or_else(|| too_large(&out, bytes_max));
        let refused = failed.is_some();
        if let Some(reject) = failed {
            metrics::input_rejected(name, &reject.code);
            owned.rollback();
            owned.muted_until = step.now.saturating_add(MUTE_MS);
            out = one(rejects::output_without_message(reject, name, partition, step.now));
        }
        self.commit_alone(partition, out, step.now, 0)?;
        Ok(refused)
    }

    pub(super) fn commit_alone(
        &mut self,
        partition: u32,
        out: Outputs,
        now: Millis,
        inputs: usize,
    ) -> Result<(), LogError> {
        let mut open = Open::default();
        self.open(&mut open, partition, out, now);
        self.commit(open, inputs)
    }
}

/// Why these outputs cannot be committed, if one does not fit the log: then what made them is rejected as any other input is.
fn too_large(out: &Outputs, bytes_max: usize) -> Option<Reject> {
    let output = out.records().iter().find(|output| output.bytes() > bytes_max)?;
    let (bytes, topic) = (output.bytes(), output.topic.name());
    Some(Reject {
        code: "output_too_large".to_owned(),
        reason: format!(
            "its record on {topic} would have {bytes} bytes and {bytes_max} fit the log: \
             raise kafka.message_bytes_max and max.message.bytes of the topics together, and replay"
        ),
        ..Reject::default()
    })
}

fn one(output: Output) -> Outputs {
    let mut out = Outputs::default();
    out.push(output);
    out
}
