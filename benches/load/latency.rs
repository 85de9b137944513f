//! Raw record → visible row, open loop: records are due at fixed times whatever the service does, and each counts from when it
//! was due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::estate::Estate;
use crate::pipeline::Pipeline;

/// Between two looks at the table: the resolution of the result.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest that a row may take.
const VISIBLE_MAX: Duration = Duration::from_secs(300);

/// Seconds until all rows of a report were visible, ascending: one per asset, from when its first report was due.
pub fn measure(
    pipeline: &impl Pipeline,
    estate: &Estate,
    findings_per_second: f64,
    senders: usize,
) -> anyhow::Result<Vec<f64>> {
    let records_per_second = findings_per_second * estate.entries.len() as f64 / estate.findings as f64;
    let begun = Instant::now();
    let due = |index: usize| begun + Duration::from_secs_f64(index as f64 / records_per_second);
    let pace = |index: usize| {
        while let Some(left) = due(index).checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
    };
    let mut waiting = BTreeMap::new();
    for (index, entry) in estate.entries.iter().enumerate().filter(|(_, entry)| entry.findings > 0) {
        waiting.extend(entry.asset().map(|asset| (asset, (due(index), entry.findings))));
    }
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| pipeline.client().send(estate, senders, pace));
        let seen = watch(pipeline, waiting);
        sending.join().map_err(|_| anyhow::anyhow!("the sender ended"))??;
        seen
    })
}

fn watch(pipeline: &impl Pipeline, mut waiting: BTreeMap<String, (Instant, u64)>) -> anyhow::Result<Vec<f64>> {
    let mut seconds = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        std::thread::park_timeout(LOOK_EVERY);
        let sent: Vec<&String> =
            waiting.iter().filter(|(_, (due, _))| *due <= Instant::now()).map(|(asset, _)| asset).collect();
        let names: Vec<String> = sent.iter().map(|asset| format!("'{asset}'")).collect();
        if names.is_empty() {
            continue;
        }
        let asked = format!(
            "SELECT asset, uniqExact(finding) FROM findings WHERE asset IN ({}) GROUP BY asset FORMAT TSV",
            names.join(",")
        );
        for row in pipeline.client().sql(&asked)?.lines() {
            let Some((asset, count)) = row.split_once('\t') else { continue };
            let is_complete =
                |(_, findings): &(Instant, u64)| count.parse::<u64>().is_ok_and(|count| count >= *findings);
            if waiting.get(asset).is_some_and(is_complete)
                && let Some((due, _)) = waiting.remove(asset)
            {
                seconds.push(due.elapsed().as_secs_f64());
            }
        }
        let oldest = waiting.values().map(|(due, _)| *due).min();
        ensure!(oldest.is_none_or(|due| due.elapsed() < VISIBLE_MAX), "rows are not visible within {VISIBLE_MAX:?}");
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}
