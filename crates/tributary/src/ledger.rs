//! The scan ledger: where one scan is on its way from the report to the rows, read from the log itself.
//!
//! ```text
//! expected → received → tracked → assessed → stored
//! parts      parts      TRACK     ASSESS     ClickHouse
//! ```
//! A line of `scans` says the first three. The others are told by what is left to do: TRACK writes a scan's findings in the
//! transaction of its line, so it is assessed when nothing of its asset waits before ASSESS, and stored when
//! nothing of its asset waits before SINK either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tributary_model::finding::Finding;
use tributary_model::risk::Risk;
use tributary_model::scan::{ScanRun, ScanState};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::log::{Budget, Log, LogError, Start};
use tributary_stream::{Message, Position};

/// What is read to know how far a scan is.
pub const TOPICS: [Topic; 3] = [Topic::Scans, Topic::Findings, Topic::Risks];

/// More records than this before a group are not looked through: it could take minutes, and the answer would be "not yet".
const LOOKED_THROUGH: usize = 500_000;

/// How far one scan of one asset is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The scan's id.
    pub scan: String,
    /// What was scanned.
    pub asset: String,
    /// What separates scans of one asset.
    pub scope: String,
    /// The tool.
    pub tool: String,
    /// Parts that were announced; 0 while that is not known.
    pub expected: u32,
    /// Parts that arrived.
    pub received: u32,
    /// Every part is applied.
    pub tracked: bool,
    /// What TRACK says of it.
    pub state: ScanState,
    /// ASSESS is done with it.
    pub assessed: bool,
    /// Its rows are in ClickHouse.
    pub stored: bool,
}

/// The lines of a scan; none if TRACK has not met it.
pub fn of(log: &dyn Log, scan_id: &str) -> Result<Vec<Line>, LogError> {
    let mut runs: BTreeMap<String, ScanRun> = BTreeMap::new();
    let scans: Vec<_> = (0..log.partitions(Topic::Scans)).map(|partition| (Topic::Scans, partition)).collect();
    each(log, &scans, &Start::Beginning, usize::MAX, |message| {
        let Some(Ok(run)) = message.value.as_deref().map(ScanRun::decode) else { return };
        // Parts have lines of their own, with longer keys.
        if run.scan_id == scan_id && message.key_str() == format!("{}|{}|{}", run.asset, run.scope, run.scan_id) {
            runs.insert(message.key_str().to_owned(), run);
        }
    })?;
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    // In the order of the flow: what has left one group is looked for before the next.
    let unassessed = waiting(log, "assess", &[Topic::Findings])?;
    let unstored = waiting(log, "sink", &TOPICS)?;
    let is_done = |waiting: &Option<BTreeSet<String>>, asset: &str| {
        waiting.as_ref().is_some_and(|assets| !assets.contains(asset))
    };
    let line = |run: ScanRun| {
        let tracked = !matches!(run.state, ScanState::Receiving);
        let assessed = tracked && is_done(&unassessed, &run.asset);
        Line {
            expected: run.parts_expected,
            received: run.parts_received.len() as u32,
            tracked,
            state: run.state,
            assessed,
            stored: assessed && is_done(&unstored, &run.asset),
            scan: run.scan_id,
            asset: run.asset,
            scope: run.scope,
            tool: run.tool,
        }
    };
    Ok(runs.into_values().map(line).collect())
}

/// Assets of which something waits before a group; `None` if too much waits to say.
fn waiting(log: &dyn Log, group: &str, topics: &[Topic]) -> Result<Option<BTreeSet<String>>, LogError> {
    let done: BTreeMap<(Topic, u32), u64> = log
        .committed(group)?
        .into_iter()
        .map(|c| ((c.position.topic, c.position.partition), c.position.next))
        .collect();
    let places: Vec<_> =
        topics.iter().flat_map(|topic| (0..log.partitions(*topic)).map(move |partition| (*topic, partition))).collect();
    let start = places.iter().map(|(topic, partition)| Position {
        topic: *topic,
        partition: *partition,
        next: done.get(&(*topic, *partition)).copied().unwrap_or(0),
    });
    let mut assets = BTreeSet::new();
    let all = each(log, &places, &Start::At(start.collect()), LOOKED_THROUGH, |message| {
        assets.extend(assets_of(message));
    })?;
    Ok(all.then_some(assets))
}

fn assets_of(message: &Message) -> Vec<String> {
    let Some(value) = message.value.as_deref() else { return Vec::new() };
    match message.topic {
        Topic::Scans => ScanRun::decode(value).map(|run| vec![run.asset]).unwrap_or_default(),
        Topic::Findings => Finding::decode(value).map(|finding| vec![finding.tracked.asset]).unwrap_or_default(),
        Topic::Risks => Risk::decode(value)
            .map(|risk| risk.evidence.into_iter().map(|evidence| evidence.asset).collect())
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Reads to the ends; false when there was more than `at_most`.
fn each(
    log: &dyn Log,
    places: &[(Topic, u32)],
    start: &Start,
    at_most: usize,
    mut see: impl FnMut(&Message),
) -> Result<bool, LogError> {
    let mut reader = log.reader(places, start)?;
    let mut seen = 0_usize;
    loop {
        let read = reader.read(Budget { records: 8_192, bytes: 8 << 20, wait: Duration::ZERO })?;
        read.messages.iter().for_each(&mut see);
        seen = seen.saturating_add(read.messages.len());
        if read.at_end {
            return Ok(true);
        }
        if seen > at_most {
            return Ok(false);
        }
    }
}
