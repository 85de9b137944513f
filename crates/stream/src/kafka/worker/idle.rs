//! What a worker does that has nothing to do: it sees to it that its committed positions stand at the ends.

use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;

use super::super::error::here;
use super::super::mark;
use super::KafkaWorker;
use crate::log::{Checkpoint, LogError, Transaction, Worker};
use crate::message::Position;

/// How often a worker that has nothing to do looks whether its committed positions stand before markers only. 1 s: lag comes
/// to 0 that soon after the last record, and a busy worker never spends a transaction on it.
const ENDS_EVERY: Duration = Duration::from_secs(1);

impl KafkaWorker {
    /// Commits positions past what no reader is given (markers of transactions, records of aborted ones), so that a group that
    /// is done with everything stands at the ends, for every tool that looks at it. The client's position passes
    /// them; a place counts only if all that the caller was given of it is committed.
    pub(super) fn commit_ends(&mut self) -> Result<(), LogError> {
        if self.ends_seen.elapsed() < ENDS_EVERY {
            return Ok(());
        }
        self.ends_seen = Instant::now();
        let reached = self.consumer.position().map_err(here("cannot ask for positions"))?;
        let mut checkpoints = Vec::new();
        for element in reached.elements() {
            let (Some(topic), Offset::Offset(at)) = (self.cluster.names.parse(element.topic()), element.offset())
            else {
                continue;
            };
            let (at, place) = (at as u64, (topic, element.partition() as u32));
            let is_started = self.owned.get(&place.1).copied().unwrap_or(false);
            let (next, note) = match self.standing.get(&place) {
                Some((next, text)) => (*next, mark::note(text)),
                None => (0, bytes::Bytes::new()),
            };
            if is_started && at > next && self.delivered.get(&place).is_none_or(|given| *given <= next) {
                let from = self.barren.get(&place).filter(|(_, to)| *to == next).map_or(next, |(from, _)| *from);
                self.barren.insert(place, (from, at));
                checkpoints.push(Checkpoint { position: Position { topic, partition: place.1, next: at }, note });
            }
        }
        match self.commit(Transaction { outputs: Vec::new(), checkpoints }) {
            Err(LogError::Abort { what, .. } | LogError::Retry { what, .. }) => {
                tracing::debug!(member = self.member, what, "the ends are committed later");
                Ok(())
            }
            done => done,
        }
    }
}
