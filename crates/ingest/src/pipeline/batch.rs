//! Cuts what one asset's report says into messages of bounded size. The last message of a scan carries its end.

use tributary_model::observation::Observation;
use tributary_model::reject::Origin;
use tributary_model::scan::{ScanCompleted, ScanRef};
use tributary_model::sighting::FindingClass;

use super::{RawRecord, size};
use crate::event::{InventoryReport, RuntimeReport};
use crate::report::Report;

/// Largest encoded message. Larger ones would not fit the default limit of a broker beside others in one batch; much
/// smaller ones cost a header and a step per few sightings.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Room for everything of a message that is not a list: keys, scan, tool, source, coordinates.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Room for the lists of rules and paths at the end of a scan.
const END_BYTES_MAX: usize = BATCH_BYTES_MAX - 2 * HEAD_BYTES_MAX;

/// What is equal in all messages of a record.
pub(super) struct Frame<'a> {
    /// Format name.
    pub(super) format: &'static str,
    /// CloudEvents source, without credentials.
    pub(super) source: String,
    /// Old data.
    pub(super) backfill: bool,
    /// The raw record.
    pub(super) origin: &'a Origin,
}

impl Frame<'_> {
    fn observation(&self, asset: &str, tool: &str, tool_version: &str, observed_at: i64) -> Observation {
        Observation {
            asset: asset.to_owned(),
            observed_at,
            tool: tool.to_owned(),
            tool_version: tool_version.to_owned(),
            format: self.format.to_owned(),
            source: self.source.clone(),
            backfill: self.backfill,
            origin: self.origin.clone(),
            ..Observation::default()
        }
    }
}

/// A scan of one asset: parts `0..n`, the last one with its end, also when nothing was seen.
pub(super) fn report(frame: &Frame<'_>, report: Report, scan: &ScanRef, is_complete: bool, out: &mut Vec<Observation>) {
    let count = report.sightings.len() as u32;
    let mut classes = report.classes;
    if classes.is_empty() {
        classes = report.sightings.iter().map(|sighting| sighting.class).collect();
    }
    let end = end_of(report.rules_enabled, report.paths, classes, is_complete, count);
    let chunks = chunks(report.sightings, size::sighting, BATCH_BYTES_MAX - HEAD_BYTES_MAX);
    let parts = chunks.into_iter().map(|sightings| Observation {
        sightings,
        ..frame.observation(&report.asset, &report.tool, &report.tool_version, scan.started_at)
    });
    number(parts.collect(), scan, end, size::sighting, |part| &part.sightings, out);
}

/// An inventory of one asset: parts like a scan, and an end that can withdraw nothing.
pub(super) fn inventory(frame: &Frame<'_>, inventory: InventoryReport, scan: &ScanRef, out: &mut Vec<Observation>) {
    let end = ScanCompleted { complete: true, ..ScanCompleted::default() };
    let chunks = chunks(inventory.items, size::item, BATCH_BYTES_MAX - HEAD_BYTES_MAX);
    let parts = chunks.into_iter().map(|inventory_items| Observation {
        inventory: inventory_items,
        ..frame.observation(&inventory.asset, &inventory.tool, "", inventory.observed_at)
    });
    number(parts.collect(), scan, end, size::item, |part| &part.inventory, out);
}

/// Single alerts: no scan, no end.
pub(super) fn alert(frame: &Frame<'_>, alert: Report, record: &RawRecord, out: &mut Vec<Observation>) {
    let observed_at = alert.started_at.or(record.ext.time).unwrap_or(record.ext.received_at);
    let chunks = chunks(alert.sightings, size::sighting, BATCH_BYTES_MAX - HEAD_BYTES_MAX);
    for sightings in chunks.into_iter().filter(|sightings| !sightings.is_empty()) {
        let head = frame.observation(&alert.asset, &alert.tool, &alert.tool_version, observed_at);
        out.push(Observation { sightings, ..head });
    }
}

/// Use at run time: independent messages.
pub(super) fn runtime(frame: &Frame<'_>, runtime: RuntimeReport, out: &mut Vec<Observation>) {
    let chunks = chunks(runtime.uses, size::usage, BATCH_BYTES_MAX - HEAD_BYTES_MAX);
    for uses in chunks.into_iter().filter(|uses| !uses.is_empty()) {
        let head = frame.observation(&runtime.asset, &runtime.tool, "", runtime.observed_at);
        out.push(Observation { runtime: uses, ..head });
    }
}

/// The end of a scan, sorted and bounded. A list of rules too large for a message cannot be cut (a missing rule would count
/// as disabled, no rules as all enabled): such a scan is not complete and withdraws nothing.
fn end_of(
    mut rules_enabled: Vec<String>,
    mut paths: Vec<String>,
    mut classes: Vec<FindingClass>,
    complete: bool,
    sightings: u32,
) -> ScanCompleted {
    for list in [&mut rules_enabled, &mut paths] {
        list.sort_unstable();
        list.dedup();
    }
    classes.sort_unstable();
    classes.dedup();
    let fits = size::texts(&rules_enabled) + size::texts(&paths) <= END_BYTES_MAX;
    if !fits {
        rules_enabled = Vec::new();
        paths = Vec::new();
    }
    ScanCompleted { parts: 0, sightings, complete: complete && fits, rules_enabled, paths, classes }
}

/// Numbers the parts and puts the end on the last one, or on one of its own where it does not fit.
fn number<T>(
    mut parts: Vec<Observation>,
    scan: &ScanRef,
    mut end: ScanCompleted,
    size_of: impl Fn(&T) -> usize,
    items: impl Fn(&Observation) -> &Vec<T>,
    out: &mut Vec<Observation>,
) {
    let end_bytes = size::texts(&end.rules_enabled) + size::texts(&end.paths);
    if let Some(last) = parts.last() {
        let used: usize = items(last).iter().map(&size_of).sum();
        if used + end_bytes > BATCH_BYTES_MAX - HEAD_BYTES_MAX {
            let head =
                Observation { sightings: Vec::new(), inventory: Vec::new(), runtime: Vec::new(), ..last.clone() };
            parts.push(head);
        }
    }
    end.parts = parts.len() as u32;
    for (number, part) in parts.iter_mut().enumerate() {
        part.scan = Some(scan.clone());
        part.part = number as u32;
    }
    if let Some(last) = parts.last_mut() {
        last.completed = Some(end);
    }
    out.append(&mut parts);
}

/// Cuts a list, in order, so that the sizes in each piece sum up to at most `bytes_max`; at least one piece, perhaps empty.
fn chunks<T>(items: Vec<T>, size_of: impl Fn(&T) -> usize, bytes_max: usize) -> Vec<Vec<T>> {
    let mut chunks = vec![Vec::new()];
    let mut bytes = 0;
    for item in items {
        let size = size_of(&item);
        if bytes + size > bytes_max && bytes > 0 {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(last) = chunks.last_mut() {
            last.push(item);
        }
    }
    chunks
}
