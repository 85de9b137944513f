//! The lanes of INGEST. Interactive work is what somebody waits for; bulk (`raw.*.bulk`: backfills, first loads) is what nobody
//! does. Each lane has topics and a group of its own; what they share is everything behind them, so bulk is let in
//! share by share, and only while interactive work is done and the stages have next to nothing to do.
//!
//! ```text
//! raw.*       ──► ingest ──────────────────────────► facts, observations ──► stages
//! raw.*.bulk  ──► ingest-bulk ──(share ≤ 4 MiB)──valve──┘                       │
//!                                                  ▲────── lag of all of them ──┘
//! ```
//! An interactive record therefore waits for what is left of one share at most, however much waits in bulk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_model::Topic;
use tributary_stream::Message;
use tributary_stream::log::{Log, LogError};
use tributary_stream::stage::{ASSESS, RELATE, REMEDY, StageTopics, TRACK};

use crate::breaker::Place;
use crate::metrics;
use crate::worker::GROUP;

/// Name of the consumer group of the bulk lane.
pub const BULK_GROUP: &str = "ingest-bulk";

/// Bytes of one share. 4 MiB: one or two large reports, a second of work for the stages.
pub(crate) const SHARE_BYTES: usize = 4 << 20;
/// Lag of interactive work up to which it counts as done. Above 0, because a cluster's offsets count markers of transactions, which
/// are passed a second after the last record.
const INTERACTIVE_MAX: u64 = 32;
/// Lag of the stages, all together, up to which they count as having nothing to do: a batch of one of them.
const STAGES_MAX: u64 = 1_000;
/// Between two looks at a closed valve. 100 ms: idle time that bulk loses; a look is a few small requests.
const LOOK: Duration = Duration::from_millis(100);
/// A share is held in hand for so long before it is given back: a worker that holds records does not hear of rebalances.
const IN_HAND: Duration = Duration::from_secs(3);
/// After so long a share passes whatever else is to be done: retention must never take what nobody looked at. A minute: interactive
/// work is then late by one share in sixty seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose lag counts.
const STAGES: [StageTopics; 4] = [RELATE, TRACK, ASSESS, REMEDY];

/// What is to be done before bulk: records, by the log's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    interactive: u64,
    stages: u64,
}

impl Load {
    fn of(log: &dyn Log) -> Result<Self, LogError> {
        let lag = |group: &str, topics: &[Topic]| -> Result<u64, LogError> {
            Ok(log.lag(group, topics)?.iter().map(|lag| lag.behind).sum())
        };
        let interactive = lag(GROUP, &Topic::RAW)?;
        // What is enough to stay closed is not asked further.
        let mut stages = 0;
        for stage in STAGES {
            if interactive <= INTERACTIVE_MAX && stages <= STAGES_MAX {
                stages += lag(stage.name, stage.inputs)?;
            }
        }
        Ok(Self { interactive, stages })
    }

    fn is_next_to_nothing(self) -> bool {
        self.interactive <= INTERACTIVE_MAX && self.stages <= STAGES_MAX
    }
}

/// What to do with a share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Work on it.
    Open(Vec<Message>),
    /// Look again after this pause.
    Closed(Duration),
    /// Give it back to the log, and let nothing come for now.
    GiveBack,
}

/// Where bulk waits.
pub(crate) struct Valve {
    log: Arc<dyn Log>,
    /// Read and not worked on.
    hand: Vec<Message>,
    /// Since when something waits.
    waits_since: Option<Instant>,
    /// Since when it is in hand.
    held_since: Option<Instant>,
    looked: Option<Instant>,
    is_shut: bool,
}

impl Valve {
    pub(crate) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, hand: Vec::new(), waits_since: None, held_since: None, looked: None, is_shut: false }
    }

    /// What must not come for now.
    pub(crate) fn shut(&self) -> BTreeSet<Place> {
        let of = |topic: Topic| (0..self.log.partitions(topic)).map(move |partition| (topic, partition));
        if self.is_shut { Topic::BULK.into_iter().flat_map(of).collect() } else { BTreeSet::new() }
    }

    /// Something is in hand: it is asked for before more is read.
    pub(crate) fn is_holding(&self) -> bool {
        !self.hand.is_empty()
    }

    /// Takes a share in hand; an empty one says that nothing waits any more, as long as the valve does not hold it back itself.
    pub(crate) fn take(&mut self, share: Vec<Message>, now: Instant) {
        if share.is_empty() {
            if !self.is_shut && self.waits_since.take().is_some() {
                metrics::bulk_waits(false);
            }
            return;
        }
        self.hand = share;
        self.held_since = Some(now);
        self.waits_since.get_or_insert(now);
    }

    /// Whether the share in hand may pass.
    pub(crate) fn pass(&mut self, now: Instant) -> Gate {
        if self.opens(now) {
            metrics::bulk_waits(false);
            self.waits_since = None;
            self.looked = None;
            return Gate::Open(std::mem::take(&mut self.hand));
        }
        metrics::bulk_waits(true);
        if self.held_since.is_some_and(|since| now.duration_since(since) >= IN_HAND) {
            tracing::info!("bulk waits: interactive work comes first");
            self.hand.clear();
            self.is_shut = true;
            return Gate::GiveBack;
        }
        Gate::Closed(LOOK)
    }

    /// Opens a shut valve when it is time, so that records come again.
    pub(crate) fn reopen(&mut self, now: Instant) {
        if self.is_shut && self.opens(now) {
            self.is_shut = false;
        }
    }

    fn opens(&mut self, now: Instant) -> bool {
        if self.waits_since.is_some_and(|since| now.duration_since(since) >= PATIENCE) {
            return true;
        }
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK) {
            return false;
        }
        self.looked = Some(now);
        // A log that does not answer is busy enough.
        Load::of(self.log.as_ref()).is_ok_and(Load::is_next_to_nothing)
    }
}

#[cfg(test)]
mod tests;
