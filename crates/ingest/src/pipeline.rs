//! One raw record → canonical records: detect → normalize → scrub → grant → cut into batches. Pure and total:
//! at least one event, or exactly one reject (I1).

mod batch;
mod reject;
mod scan;
mod size;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use tributary_model::CodecError;
use tributary_model::fact::Fact;
use tributary_model::observation::Observation;
use tributary_model::record::{Extensions, RawClass};
use tributary_model::reject::{Origin, Reject};
use tributary_model::scan::ScanRef;
use tributary_model::topic::Topic;
use tributary_stream::{Message, Outputs};

use crate::detect;
use crate::event::{Events, Input, Rejection, SecretHasher, code};
use crate::format::Format;
use crate::grant::{Grants, Rights, Verb};
use crate::normalize::normalize;
use crate::{depth, plain, scrub, time};

pub use batch::BATCH_BYTES_MAX;

/// Largest encoded record of any kind: a broker's default limit (1 MiB) with room for its own headers. Observations are cut
/// far below it; a fact (one CODEOWNERS file) cannot be cut.
pub const RECORD_BYTES_MAX: usize = 960 * 1024;

/// A record as received.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// The bytes.
    pub body: Bytes,
    /// What the producer said beside them.
    pub ext: Extensions,
    /// Class of source: the raw topic.
    pub class: RawClass,
    /// Coordinates on the log.
    pub origin: Origin,
}

impl RawRecord {
    /// The record that a message of a raw topic is; `None` for messages of other topics. A message without a value is an
    /// empty record, which is rejected as such: it must not vanish.
    #[must_use]
    pub fn from_message(message: &Message) -> Option<Self> {
        let class = RawClass::of_topic(message.topic)?;
        let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut ext = Extensions::from_headers(headers, time::parse);
        if ext.received_at == 0 {
            ext.received_at = message.timestamp;
        }
        // Whoever writes to the bulk lane says so by that.
        ext.backfill |= message.topic.is_bulk();
        Some(Self { body: message.value.clone().unwrap_or_default(), ext, class, origin: message.origin() })
    }
}

/// What the pipeline needs beside the record.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Who may say what.
    pub grants: &'a Grants,
    /// Turns secrets into HMACs.
    pub secrets: &'a dyn SecretHasher,
    /// Largest body after decompression, bytes ([`plain::BODY_BYTES_MAX`]).
    pub body_bytes_max: usize,
}

/// A record for the next stages.
#[derive(Debug, Clone, PartialEq)]
pub enum Canonical {
    /// Topic `facts`, by entity.
    Fact(Fact),
    /// Topic `observations`, by asset.
    Observation(Box<Observation>),
    /// Topic `rejects`, by coordinates.
    Reject(Box<Reject>),
}

impl Canonical {
    /// The topic it goes to.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self {
            Canonical::Fact(_) => Topic::Facts,
            Canonical::Observation(_) => Topic::Observations,
            Canonical::Reject(_) => Topic::Rejects,
        }
    }

    /// Its key, which is also its partition key.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Canonical::Fact(fact) => fact.entity.clone(),
            Canonical::Observation(observation) => observation.asset.clone(),
            Canonical::Reject(reject) => reject::key(reject),
        }
    }

    /// Appends it, encoded.
    ///
    /// # Errors
    /// When it does not follow its schema: a fault of this crate.
    pub fn to_outputs(&self, out: &mut Outputs) -> Result<(), CodecError> {
        let key = self.key();
        match self {
            Canonical::Fact(fact) => out.put(Topic::Facts, &key, key.clone(), fact),
            Canonical::Observation(observation) => {
                out.put(Topic::Observations, &key, key.clone(), observation.as_ref())
            }
            Canonical::Reject(reject) => out.put(Topic::Rejects, &key, key.clone(), reject.as_ref()),
        }
    }
}

/// The canonical records of a raw record, never none.
///
/// # Errors
/// The one reject that stands for the record.
pub fn ingest(record: &RawRecord, context: &Context<'_>) -> Result<Vec<Canonical>, Box<Reject>> {
    let mut format = None;
    steps(record, context, &mut format).map_err(|rejection| Box::new(reject::build(record, format, &rejection)))
}

/// As [`ingest`], with the reject among the records, and with a fault of this crate (a panic) as a reject, too: one bad
/// record must never stop a partition.
#[must_use]
pub fn ingest_total(record: &RawRecord, context: &Context<'_>) -> Vec<Canonical> {
    caught(record, || ingest(record, context)).unwrap_or_else(|reject| vec![Canonical::Reject(reject)])
}

fn caught(
    record: &RawRecord,
    run: impl FnOnce() -> Result<Vec<Canonical>, Box<Reject>>,
) -> Result<Vec<Canonical>, Box<Reject>> {
    // Unwind safety: a normaliser borrows its input and keeps nothing; what it was building is dropped.
    let result = catch_unwind(AssertUnwindSafe(run));
    result.unwrap_or_else(|_| Err(Box::new(reject::internal(record, "a fault in the normaliser"))))
}

/// Every record for the log, encoded; a record that cannot be encoded becomes the reject of the whole.
#[must_use]
pub fn outputs(record: &RawRecord, context: &Context<'_>) -> Outputs {
    let mut out = Outputs::default();
    for canonical in ingest_total(record, context) {
        let before = out.bytes();
        if let Err(error) = canonical.to_outputs(&mut out) {
            tracing::error!(%error, topic = record.origin.topic, offset = record.origin.offset, "a canonical record cannot be encoded");
            return reject_outputs(reject::internal(record, "a canonical record cannot be encoded"));
        }
        let bytes = out.bytes() - before;
        if bytes > RECORD_BYTES_MAX {
            return too_large_outputs(record, bytes, RECORD_BYTES_MAX);
        }
    }
    out
}

/// The outputs that reject a record for a reason found after it was cut: the batch is too large for the log.
#[must_use]
pub fn too_large_outputs(record: &RawRecord, bytes: usize, bytes_max: usize) -> Outputs {
    let rejection = Rejection::new(
        code::TOO_LARGE,
        format!("the record makes {bytes} bytes of events and at most {bytes_max} fit the log: split it"),
    );
    reject_outputs(reject::build(record, None, &rejection))
}

/// The outputs that reject a record because of a fault of this crate outside of the normalisers.
#[must_use]
pub fn fault_outputs(record: &RawRecord) -> Outputs {
    reject_outputs(reject::internal(record, "a fault in the pipeline"))
}

fn reject_outputs(reject: Reject) -> Outputs {
    let mut out = Outputs::default();
    // A reject has no part that could fail to encode; if it does, the worker finds an empty batch and stops loudly.
    if let Err(error) = Canonical::Reject(Box::new(reject)).to_outputs(&mut out) {
        tracing::error!(%error, "a reject cannot be encoded");
    }
    out
}

/// The scans among canonical records, with the asset of each: what a publisher waits for.
#[must_use]
pub fn scans(records: &[Canonical]) -> Vec<(String, ScanRef)> {
    let mut scans: Vec<(String, ScanRef)> = records
        .iter()
        .filter_map(|record| match record {
            Canonical::Observation(observation) if observation.completed.is_some() => {
                observation.scan.clone().map(|scan| (observation.asset.clone(), scan))
            }
            _ => None,
        })
        .collect();
    scans.sort();
    scans
}

fn steps(record: &RawRecord, context: &Context<'_>, found: &mut Option<Format>) -> Result<Vec<Canonical>, Rejection> {
    let rights = context.grants.of(&record.ext, record.class);
    rights.class()?;
    let body = plain::text(&record.body, context.body_bytes_max)?;
    let format = detect::of_text(&body, &record.ext, Some(record.class))?;
    *found = Some(format);
    depth::check(&body, format)?;
    let input = Input { body: &body, ext: &record.ext, origin: &record.origin, secrets: context.secrets };
    let events = normalize(format, &input)?;
    records_of(record, format, &body, events, &rights)
}

/// What a normaliser made → what goes on the log.
fn records_of(
    record: &RawRecord,
    format: Format,
    body: &[u8],
    mut events: Events,
    rights: &Rights<'_>,
) -> Result<Vec<Canonical>, Rejection> {
    clean(&mut events);
    scan::name_assets(&mut events, &record.ext)?;
    granted(&events, rights)?;
    let records = canonical(record, format, body, events, rights);
    if records.is_empty() {
        let reason = format!("the {} record holds nothing to take in", format.name());
        return Err(Rejection::new(code::NOTHING_IN_IT, reason));
    }
    Ok(records)
}

fn clean(events: &mut Events) {
    events.facts.iter_mut().for_each(scrub::fact);
    let inventoried = events.inventories.iter_mut().map(|inventory| &mut inventory.asset);
    inventoried.chain(events.runtime.iter_mut().map(|runtime| &mut runtime.asset)).for_each(scrub::identity);
    for report in &mut events.reports {
        scrub::identity(&mut report.asset);
        report.sightings.iter_mut().for_each(scrub::sighting);
        for text in
            report.scope.iter_mut().chain(&mut report.scan_id).chain([&mut report.tool, &mut report.tool_version])
        {
            scrub::identity(text);
        }
    }
    for item in events.inventories.iter_mut().flat_map(|inventory| &mut inventory.items) {
        for text in [&mut item.purl, &mut item.name, &mut item.version, &mut item.ecosystem, &mut item.licence] {
            scrub::identity(text);
        }
        item.files.truncate(32); // as the model says
        item.files.iter_mut().for_each(scrub::identity);
    }
    for usage in events.runtime.iter_mut().flat_map(|runtime| &mut runtime.uses) {
        scrub::identity(&mut usage.workload);
        scrub::identity(&mut usage.path);
    }
}

/// The producer's name for itself, without credentials.
fn source(ext: &Extensions) -> String {
    let mut source = ext.source.clone().unwrap_or_default();
    scrub::identity(&mut source);
    source
}

/// All or nothing: a record that speaks beyond its grant about one asset is rejected, so that nothing of it is dropped silently.
fn granted(events: &Events, rights: &Rights<'_>) -> Result<(), Rejection> {
    use tributary_model::sighting::ToolStatus;
    for report in &events.reports {
        rights.asset(Verb::Observe, &report.asset)?;
        if report.sightings.iter().any(|sighting| sighting.status == ToolStatus::Fixed) {
            rights.asset(Verb::Withdraw, &report.asset)?;
        }
    }
    for asset in events.runtime.iter().map(|r| &r.asset).chain(events.inventories.iter().map(|i| &i.asset)) {
        rights.asset(Verb::Observe, asset)?;
    }
    events.facts.iter().try_for_each(|fact| rights.fact(fact))
}

fn canonical(record: &RawRecord, format: Format, body: &[u8], events: Events, rights: &Rights<'_>) -> Vec<Canonical> {
    let frame = batch::Frame {
        format: format.name(),
        source: source(&record.ext),
        backfill: record.ext.backfill,
        origin: &record.origin,
    };
    let mut records: Vec<Canonical> = events.facts.into_iter().map(Canonical::Fact).collect();
    let mut observations = Vec::new();
    let (alerts, reports): (Vec<_>, Vec<_>) = events.reports.into_iter().partition(|report| report.is_alert);
    for alert in alerts {
        batch::alert(&frame, alert, record, &mut observations);
    }
    let body_hash = blake3::hash(body);
    for report in scan::merge(reports, &record.ext) {
        let scan = scan::reference(&report, &record.ext, &body_hash);
        let may_withdraw = rights.allows(Verb::Withdraw, &report.asset);
        let is_complete = scan::is_complete(&report, &record.ext) && may_withdraw;
        batch::report(&frame, report, &scan, is_complete, &mut observations);
    }
    for inventory in events.inventories {
        let scan = scan::of_inventory(&inventory, &record.ext, &body_hash);
        batch::inventory(&frame, inventory, &scan, &mut observations);
    }
    for runtime in events.runtime {
        batch::runtime(&frame, runtime, &mut observations);
    }
    records.extend(observations.into_iter().map(|observation| Canonical::Observation(Box::new(observation))));
    records
}

#[cfg(test)]
mod tests;
