//! The SINK service: topics → batches → ClickHouse → commit. At-least-once; natural keys and versions make it exact.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clickhouse::{Client, Row, RowWrite};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use tokio::runtime::Handle;
use tributary_model::reject::Reject;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::log::{Budget, Checkpoint, Log, LogError, Polled, Subscription, Transaction, Worker};
use tributary_stream::{Clock, Message, Output, Position};

use crate::batch::{Batch, Limits};
use crate::insert::{self, InsertError};
use crate::piece::Pieces;
use crate::rows::{
    ChangeRow, ComponentRow, DeploymentRow, FindingRow, IntelRow, RejectRow, RiskRow, SbomRow, ScanRow, TicketRow,
};
use crate::{metrics, rows};

/// Name of the consumer group.
pub const GROUP: &str = "sink";

/// Longest pause between attempts while ClickHouse is away: longer would delay the first rows after it is back.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// First pause between attempts.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause after a batch. 1 s: an analyst sees a risk within seconds, also when the engine is slow.
const GATHER_MAX: Duration = Duration::from_secs(1);

/// Tables that are written at one time. Each waits mostly for the engine: one after the other, a batch over a dozen tables took
/// a second with the cores idle. More than the engine has cores only queue there and hold memory.
const INSERTS: usize = 4;

/// Why the sink stopped.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The log is of no more use to this worker.
    #[error("the sink lost its log: {0}")]
    Log(#[from] LogError),
    /// ClickHouse refuses the rows.
    #[error(transparent)]
    Refused(InsertError),
}

/// What the sink works with.
pub struct Sink {
    /// The log.
    pub log: Arc<dyn Log>,
    /// ClickHouse.
    pub client: Client,
    /// When a batch is written.
    pub limits: Limits,
    /// Processing time, for rejects.
    pub clock: Arc<dyn Clock>,
    /// Runtime on which the client works.
    pub runtime: Handle,
    /// Set to stop after the batch in hand.
    pub stop: Arc<AtomicBool>,
    /// Told how it goes.
    pub state: Arc<SinkState>,
}

/// How a sink is; written by its thread, read by whoever asks.
#[derive(Debug, Default)]
pub struct SinkState {
    joined: AtomicBool,
    waiting: AtomicBool,
    pieces: Pieces,
}

impl SinkState {
    /// It is a member of its group, and what it was given is started.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// Rows wait, because ClickHouse does not take them now.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Sink {
    /// Works until told to stop. Runs on its own thread: every call blocks.
    ///
    /// # Errors
    /// When the log gives up on this worker, or ClickHouse refuses rows that a retry will not change.
    pub fn run(&self) -> Result<(), SinkError> {
        let subscription = Subscription { group: GROUP.to_owned(), topics: rows::TOPICS.to_vec(), slot: 0, slots: 1 };
        let mut worker = self.log.worker(&subscription)?;
        let waker = worker.waker();
        let budget = Budget { records: self.limits.rows, bytes: self.limits.bytes, wait: self.limits.age };
        // Assigned, and not yet started: the log could not.
        let (mut unstarted, mut has_joined) = (Vec::<u32>::new(), false);
        while !self.stop.load(Ordering::Relaxed) {
            let messages = match worker.poll(budget) {
                Ok(Polled::Batch(messages)) => messages,
                Ok(Polled::Assigned(partitions)) => {
                    has_joined = true;
                    unstarted.extend(partitions);
                    Vec::new()
                }
                Ok(Polled::Revoked(partitions)) => {
                    unstarted.retain(|partition| !partitions.contains(partition));
                    Vec::new()
                }
                Err(error) => {
                    weather(error)?;
                    waker.wait(RETRY_PAUSE_MIN);
                    continue;
                }
            };
            if messages.is_empty() {
                if !unstarted.is_empty() {
                    match worker.start(&unstarted) {
                        Ok(()) => unstarted.clear(),
                        Err(error) => weather(error)?,
                    }
                }
                self.state.joined.store(has_joined && unstarted.is_empty(), Ordering::Relaxed);
                continue;
            }
            // Who is not behind lets the next batch gather instead of writing tiny parts, which the engine has to merge:
            // for the age limit, and for as long as this one took where that is longer. So under load half of the time at most goes
            // into inserts, and of what changes meanwhile only the newest state is inserted at all.
            let begun = Instant::now();
            self.write(worker.as_mut(), &messages)?;
            worker.gather(budget, begun.elapsed().clamp(self.limits.age, GATHER_MAX));
        }
        Ok(())
    }

    /// Writes one batch and commits its positions; repeats while ClickHouse is away.
    fn write(&self, worker: &mut dyn Worker, messages: &[Message]) -> Result<(), SinkError> {
        let mut batch = Batch::new(messages, self.clock.now());
        let mut rejects = std::mem::take(&mut batch.rejects);
        if !self.runtime.block_on(self.insert_all(&batch, &mut rejects))? {
            // Nothing is lost: the positions are not committed.
            return Ok(());
        }
        for reject in &rejects {
            metrics::rejected(&reject.code);
        }
        let outputs = rejects.iter().filter_map(reject_output).collect();
        let transaction = Transaction { outputs, checkpoints: checkpoints(messages) };
        let begun = Instant::now();
        match worker.commit(transaction) {
            Ok(()) => {
                metrics::committed(messages.len(), begun.elapsed());
                Ok(())
            }
            // The rows are there; they come again and replace themselves.
            Err(LogError::Abort { .. } | LogError::Retry { .. }) => worker.rewind().or_else(weather),
            Err(error) => Err(error.into()),
        }
    }

    /// Inserts the rows of every table, some tables at a time; false when told to stop before all were written.
    async fn insert_all(&self, batch: &Batch<'_>, rejects: &mut Vec<Reject>) -> Result<bool, SinkError> {
        let Batch { findings, risks, risk_changes, tickets, rows, .. } = batch;
        let now = self.clock.now();
        let refused: [RefCell<Vec<Reject>>; 4] = Default::default();
        let [of_findings, of_risks, of_changes, of_tickets] = &refused;
        macro_rules! large {
            ($table:literal, $row:ident, $places:ident, $rejects:ident) => {
                Box::pin(self.insert::<$row<'_>, _, _>($table, $places.len(), move || {
                    $rejects.borrow_mut().clear(); // what an attempt before has told
                    batch.read($places, $row::read, $rejects, now)
                }))
            };
        }
        macro_rules! small {
            ($table:ident, $row:ty) => {
                Box::pin(
                    self.insert::<$row, _, _>(stringify!($table), rows.$table.len(), || rows.$table.iter().cloned()),
                )
            };
        }
        let inserts: [LocalBoxFuture<'_, Result<bool, SinkError>>; 10] = [
            large!("findings", FindingRow, findings, of_findings),
            large!("risks", RiskRow, risks, of_risks),
            large!("risk_changes", ChangeRow, risk_changes, of_changes),
            large!("tickets", TicketRow, tickets, of_tickets),
            small!(sbom_components, SbomRow<'_>),
            small!(components, ComponentRow),
            small!(deployments, DeploymentRow),
            small!(intel, IntelRow),
            small!(scan_runs, ScanRow),
            small!(rejects, RejectRow),
        ];
        let mut results = futures_util::stream::iter(inserts).buffer_unordered(INSERTS);
        let mut all = true;
        while let Some(written) = results.next().await {
            all &= written?;
        }
        drop(results);
        rejects.extend(refused.into_iter().flat_map(RefCell::into_inner));
        Ok(all)
    }

    /// Inserts into one table, in pieces where the engine has no memory for all at once; makes the rows again and repeats while ClickHouse
    /// is away. False when told to stop meanwhile.
    async fn insert<'a, R, I, F>(&self, table: &'static str, candidates: usize, mut rows: F) -> Result<bool, SinkError>
    where
        R: Row + RowWrite,
        I: Iterator<Item = R::Value<'a>>,
        F: FnMut() -> I,
    {
        let (pieces, mut pause, mut done) = (&self.state.pieces, RETRY_PAUSE_MIN, 0);
        while done < candidates {
            let (begun, most) = (Instant::now(), pieces.rows(table));
            let reason = match insert::insert::<R>(&self.client, table, rows().skip(done).take(most)).await {
                Ok(written) => {
                    self.state.waiting.store(false, Ordering::Relaxed);
                    metrics::inserted(table, written, begun.elapsed());
                    pieces.wrote(table, written);
                    (done, pause) = (done + written, RETRY_PAUSE_MIN);
                    if written < most {
                        return Ok(true);
                    }
                    continue;
                }
                Err(InsertError::TooMuch(reason)) if pieces.halve(table, most.min(candidates - done)) => {
                    tracing::warn!(table, rows = pieces.rows(table), reason, "rows go to ClickHouse in smaller pieces");
                    metrics::parted();
                    continue;
                }
                Err(InsertError::TooMuch(reason) | InsertError::Retry(reason)) => reason,
                Err(refused) => return Err(SinkError::Refused(refused)),
            };
            self.state.waiting.store(true, Ordering::Relaxed);
            metrics::retried();
            tracing::warn!(table, rows = candidates - done, reason, "rows wait for ClickHouse");
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
        Ok(true)
    }
}

/// What passes by itself is waited out: the worker goes on from its committed positions.
fn weather(error: LogError) -> Result<(), SinkError> {
    match error {
        LogError::Abort { what, .. } | LogError::Retry { what, .. } => {
            tracing::warn!(what, "the sink waits for its log");
            Ok(())
        }
        error @ LogError::Fatal { .. } => Err(error.into()),
    }
}

/// The position after the last message of each partition.
fn checkpoints(messages: &[Message]) -> Vec<Checkpoint> {
    let mut positions: std::collections::BTreeMap<(Topic, u32), u64> = std::collections::BTreeMap::new();
    for message in messages {
        positions.insert((message.topic, message.partition), message.offset + 1);
    }
    positions
        .into_iter()
        .map(|((topic, partition), next)| Checkpoint {
            position: Position { topic, partition, next },
            note: Bytes::new(),
        })
        .collect()
}

fn reject_output(reject: &Reject) -> Option<Output> {
    // A reject of `rejects` itself would feed on itself.
    if reject.origin.topic == Topic::Rejects.name() {
        return None;
    }
    let key = format!("{}/{}/{}", reject.origin.topic, reject.origin.partition, reject.origin.offset);
    let value = reject.encode().ok()?;
    Some(Output {
        topic: Topic::Rejects,
        partition_key: key.clone(),
        key: Bytes::from(key),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    })
}
