//! What the page, `top` and `status` show without ClickHouse: a small summary of the topics, kept by one reader thread.
//! Full records stay on the log and are read from there by their coordinates.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tributary_model::context::EntityContext;
use tributary_model::fact::{Attribute, value};
use tributary_model::finding::{Finding, FindingEnd, FindingState};
use tributary_model::id::{FindingId, RiskId};
use tributary_model::remedy::TicketState;
use tributary_model::risk::{Risk, RiskState};
use tributary_model::scan::{ScanRun, ScanState};
use tributary_model::severity::Band;
use tributary_model::time::Millis;
use tributary_model::{AvroRecord, Topic, entity};
use tributary_stream::log::{Budget, Log, LogError, Start};
use tributary_stream::{Message, Position};

/// Topics that the view reads.
pub const TOPICS: [Topic; 6] =
    [Topic::Risks, Topic::Findings, Topic::Scans, Topic::Tickets, Topic::Context, Topic::Rejects];

/// Scans that can be asked about by id. Older ones are in ClickHouse; more would let memory grow with history.
const SCANS_KEPT: usize = 20_000;

/// Classes that a component is expected to be scanned for: what the coverage view of ClickHouse lists.
const EXPECTED: [&str; 3] = ["vulnerability", "weakness", "secret"];

/// One line of the list.
#[derive(Debug, Clone, Serialize)]
pub struct RiskSummary {
    /// Id.
    pub risk: RiskId,
    /// Urgency.
    pub band: Band,
    /// Rank inside the band.
    pub score: i32,
    /// One line.
    pub title: String,
    /// Component.
    pub component: String,
    /// Owning team; empty: nobody is known.
    pub owner: String,
    /// What to do.
    pub fix: String,
    /// Deadline, milliseconds since the epoch.
    pub due_at: Option<Millis>,
    /// Open, suppressed or resolved.
    pub state: RiskState,
    /// Where the full record is.
    #[serde(skip)]
    pub at: (u32, u64),
}

/// From what tools said to what people must do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Funnel {
    /// Raw records received.
    pub raw_records: u64,
    /// Sightings in all applied scans, each scan once.
    pub sightings: u64,
    /// Findings that are active and count.
    pub findings_active: u64,
    /// Open risks.
    pub risks_open: u64,
    /// Open risks by band, most urgent first.
    pub by_band: BTreeMap<&'static str, u64>,
    /// Open tickets.
    pub tickets_open: u64,
    /// Rejected records.
    pub rejects: u64,
}

/// A component that is not scanned for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// Component.
    pub component: String,
    /// Owning team.
    pub owner: String,
    /// Classes nobody scans for.
    pub missing: Vec<&'static str>,
}

/// What the summary takes from a risk.
#[derive(Deserialize)]
struct OfRisk<'a> {
    risk: RiskId,
    component: &'a str,
    state: RiskState,
    title: &'a str,
    band: Band,
    score: i32,
    #[serde(borrow)]
    owner: OfOwner<'a>,
    #[serde(borrow)]
    fix: OfFix<'a>,
    due_at: Option<Millis>,
}

#[derive(Deserialize)]
struct OfOwner<'a> {
    team: &'a str,
}

#[derive(Deserialize)]
struct OfFix<'a> {
    summary: &'a str,
}

/// What the summary takes from a finding.
#[derive(Deserialize)]
struct OfFinding<'a> {
    component: &'a str,
    end: FindingEnd,
    tracked: OfTracked,
}

#[derive(Deserialize)]
struct OfTracked {
    finding: FindingId,
    state: FindingState,
    counts: bool,
}

/// What the summary takes from a ticket.
#[derive(Deserialize)]
struct OfTicket {
    state: TicketState,
}

/// Sums that the funnel shows, kept as records come: it is asked for several times a second while somebody waits.
#[derive(Default)]
struct Counts {
    /// Open risks.
    open: BTreeMap<Band, u64>,
    tickets_open: u64,
    sightings: u64,
}

impl Counts {
    /// A risk was replaced; `None`: it was or is not there.
    fn risk(&mut self, before: Option<&RiskSummary>, after: Option<&RiskSummary>) {
        let open = |risk: Option<&RiskSummary>| risk.filter(|risk| risk.state == RiskState::Open).map(|risk| risk.band);
        if let Some(count) = open(before).and_then(|band| self.open.get_mut(&band)) {
            *count -= 1;
        }
        if let Some(band) = open(after) {
            *self.open.entry(band).or_default() += 1;
        }
    }
}

#[derive(Default)]
struct Known {
    risks: HashMap<RiskId, RiskSummary>,
    active: HashMap<FindingId, Vec<String>>,
    scans: BTreeMap<String, Vec<ScanRun>>,
    scan_order: std::collections::VecDeque<String>,
    sightings: HashMap<String, u32>,
    tickets_open: HashMap<String, bool>,
    counts: Counts,
    components: BTreeMap<String, (String, i64)>,
    covered: BTreeMap<String, Vec<&'static str>>,
    rejects: u64,
}

/// The summary; cheap to share.
#[derive(Clone, Default)]
pub struct View {
    known: Arc<RwLock<Known>>,
    read: Arc<(Mutex<Vec<Position>>, Condvar)>,
}

impl View {
    /// Waits until everything before these positions is in the summary.
    pub fn wait_for(&self, ends: &[Position], at_most: Duration) -> anyhow::Result<()> {
        let is_behind = |read: &mut Vec<Position>| {
            ends.iter().any(|end| {
                let at = read.iter().find(|p| (p.topic, p.partition) == (end.topic, end.partition));
                at.map_or(0, |p| p.next) < end.next
            })
        };
        let (positions, changed) = &*self.read;
        let guard = positions.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, at_most, is_behind).unwrap_or_else(PoisonError::into_inner);
        anyhow::ensure!(!waited.1.timed_out(), "the summary did not catch up within {} s", at_most.as_secs());
        Ok(())
    }

    /// Follows the topics on a thread of its own until told to stop.
    pub fn follow(&self, log: &Arc<dyn Log>, stop: &Arc<AtomicBool>) -> Result<std::thread::JoinHandle<()>, LogError> {
        let mut reader = log.reader(&partitions(log.as_ref()), &Start::Beginning)?;
        let (view, stop) = (self.clone(), Arc::clone(stop));
        let budget = Budget { records: 10_000, bytes: 16 << 20, wait: Duration::from_millis(200) };
        let work = move || {
            while !stop.load(Ordering::Relaxed) {
                match reader.read(budget) {
                    Ok(read) => {
                        view.absorb(&read.messages);
                        view.tell(reader.positions());
                    }
                    Err(error) => {
                        tracing::error!(%error, "the summary stops: the log cannot be read");
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("view".to_owned())
            .spawn(work)
            .map_err(|error| LogError::fatal_from("cannot start the summary's thread", error))
    }

    fn tell(&self, positions: Vec<Position>) {
        let (read, changed) = &*self.read;
        *read.lock().unwrap_or_else(PoisonError::into_inner) = positions;
        changed.notify_all();
    }

    fn absorb(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for message in messages {
            known.absorb(message);
        }
    }

    /// Open risks, most urgent first.
    #[must_use]
    pub fn top(&self, limit: usize, keep: impl Fn(&RiskSummary) -> bool) -> Vec<RiskSummary> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut open: Vec<&RiskSummary> =
            known.risks.values().filter(|risk| risk.state == RiskState::Open && keep(risk)).collect();
        open.sort_by(|a, b| {
            let urgency = |risk: &RiskSummary| (std::cmp::Reverse(risk.band), std::cmp::Reverse(risk.score));
            urgency(a).cmp(&urgency(b)).then_with(|| (&a.component, a.risk).cmp(&(&b.component, b.risk)))
        });
        open.into_iter().take(limit).cloned().collect()
    }

    /// Risks whose id begins so, with or without the version prefix.
    #[must_use]
    pub fn find(&self, prefix: &str) -> Vec<RiskSummary> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let matches = |risk: &RiskId| {
            let text = risk.to_string();
            text.starts_with(prefix) || text.split_once(':').is_some_and(|(_, hex)| hex.starts_with(prefix))
        };
        let mut found: Vec<RiskSummary> = known.risks.values().filter(|risk| matches(&risk.risk)).cloned().collect();
        found.sort_by_key(|risk| risk.risk);
        found
    }

    /// The ledger lines of a scan id.
    #[must_use]
    pub fn scan(&self, scan_id: &str) -> Vec<ScanRun> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.scans.get(scan_id).cloned().unwrap_or_default()
    }

    /// The funnel; `raw_records` comes from the log.
    #[must_use]
    pub fn funnel(&self, raw_records: u64) -> Funnel {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Counts { open, tickets_open, sightings } = &known.counts;
        let of_band = |band: Band| open.get(&band).copied().unwrap_or_default();
        Funnel {
            raw_records,
            sightings: *sightings,
            findings_active: known.active.len() as u64,
            risks_open: open.values().sum(),
            by_band: Band::ALL.into_iter().map(|band| (band.name(), of_band(band))).collect(),
            tickets_open: *tickets_open,
            rejects: known.rejects,
        }
    }

    /// Components that are not scanned for something, most critical first.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut gaps: Vec<(i64, Gap)> = Vec::new();
        for (component, (owner, tier)) in &known.components {
            let covered = known.covered.get(component).map(Vec::as_slice).unwrap_or_default();
            let missing: Vec<&'static str> = EXPECTED.into_iter().filter(|class| !covered.contains(class)).collect();
            if !missing.is_empty() {
                let tier = if *tier == 0 { i64::MAX } else { *tier };
                gaps.push((tier, Gap { component: component.clone(), owner: owner.clone(), missing }));
            }
        }
        gaps.sort_by(|a, b| (b.1.missing.len(), a.0, &a.1).cmp(&(a.1.missing.len(), b.0, &b.1)));
        gaps.into_iter().map(|(_, gap)| gap).collect()
    }
}

fn partitions(log: &dyn Log) -> Vec<(Topic, u32)> {
    TOPICS.iter().flat_map(|topic| (0..log.partitions(*topic)).map(|partition| (*topic, partition))).collect()
}

impl Known {
    /// Takes one record. One that this build cannot read is left out here; the sink rejects it visibly.
    fn absorb(&mut self, message: &Message) {
        let value = message.value.as_deref();
        match message.topic {
            Topic::Risks => match value.map(Risk::decode_as) {
                Some(Ok(risk)) => self.risk(&risk, (message.partition, message.offset)),
                Some(Err(_)) => {}
                None => self.forget_risk(message.key_str()),
            },
            Topic::Findings => {
                if let Some(Ok(finding)) = value.map(Finding::decode_as) {
                    self.finding(&finding);
                }
            }
            Topic::Scans => {
                if let Some(Ok(run)) = value.map(ScanRun::decode) {
                    self.scan_run(message.key_str().to_owned(), run);
                }
            }
            Topic::Tickets => {
                let state = value.and_then(|v| serde_json::from_slice::<OfTicket>(v).ok()).map(|ticket| ticket.state);
                let is_open = state == Some(TicketState::Open);
                let was_open = self.tickets_open.insert(message.key_str().to_owned(), is_open) == Some(true);
                self.counts.tickets_open = self.counts.tickets_open + u64::from(is_open) - u64::from(was_open);
            }
            Topic::Context if entity::kind(message.key_str()) == "component" => {
                let name = entity::name(message.key_str()).to_owned();
                match value.map(EntityContext::decode) {
                    Some(Ok(context)) => drop(self.components.insert(name, ownership(&context))),
                    Some(Err(_)) => {}
                    None => drop(self.components.remove(&name)),
                }
            }
            Topic::Rejects => self.rejects += 1,
            _ => {}
        }
    }

    fn risk(&mut self, risk: &OfRisk<'_>, at: (u32, u64)) {
        let id = risk.risk;
        let summary = RiskSummary {
            risk: id,
            band: risk.band,
            score: risk.score,
            title: risk.title.to_owned(),
            component: risk.component.to_owned(),
            owner: risk.owner.team.to_owned(),
            fix: risk.fix.summary.to_owned(),
            due_at: risk.due_at,
            state: risk.state,
            at,
        };
        self.counts.risk(self.risks.get(&id), Some(&summary));
        self.risks.insert(id, summary);
    }

    fn forget_risk(&mut self, id: &str) {
        let Ok(id) = id.parse::<RiskId>() else { return };
        let gone = self.risks.remove(&id);
        self.counts.risk(gone.as_ref(), None);
    }

    fn finding(&mut self, finding: &OfFinding<'_>) {
        let tracked = &finding.tracked;
        let id = tracked.finding;
        let is_active = finding.end == FindingEnd::None
            && tracked.counts
            && !matches!(tracked.state, FindingState::Fixed | FindingState::Superseded);
        if is_active {
            let components = self.active.entry(id).or_default();
            if !components.iter().any(|component| component == finding.component) {
                components.push(finding.component.to_owned());
            }
        } else if let Some(components) = self.active.get_mut(&id) {
            components.retain(|component| component != finding.component);
            if components.is_empty() {
                self.active.remove(&id);
            }
        }
    }

    fn scan_run(&mut self, key: String, run: ScanRun) {
        let before = self.sightings.insert(key, run.sightings).unwrap_or_default();
        self.counts.sightings = self.counts.sightings + u64::from(run.sightings) - u64::from(before);
        if run.state == ScanState::Applied {
            for component in &run.components {
                let covered = self.covered.entry(component.clone()).or_default();
                for class in &run.classes {
                    if !covered.contains(&class.name()) {
                        covered.push(class.name());
                    }
                }
            }
        }
        let runs = self.scans.entry(run.scan_id.clone()).or_default();
        if runs.is_empty() {
            self.scan_order.push_back(run.scan_id.clone());
        }
        runs.retain(|known| (&known.asset, &known.scope) != (&run.asset, &run.scope));
        // The ids seen so far are TRACK's business, and large.
        runs.push(ScanRun { seen: Vec::new(), ..run });
        while self.scan_order.len() > SCANS_KEPT {
            if let Some(oldest) = self.scan_order.pop_front() {
                self.scans.remove(&oldest);
            }
        }
    }
}

fn ownership(context: &EntityContext) -> (String, i64) {
    let owner = context.get(Attribute::Owner).and_then(|a| value::parse::<String>(&a.value)).unwrap_or_default();
    let tier = context.get(Attribute::Tier).and_then(|a| value::parse::<i64>(&a.value)).unwrap_or(0);
    (owner, tier)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn told(topic: Topic, key: &str, value: Option<Vec<u8>>) -> Message {
        Message {
            topic,
            partition: 0,
            offset: 0,
            key: Bytes::from(key.to_owned()),
            value: value.map(Bytes::from),
            headers: Vec::new(),
            timestamp: 0,
        }
    }

    fn risk(id: RiskId, band: Band, state: RiskState) -> Message {
        let risk = Risk { risk: id, band, state, ..Risk::default() };
        told(Topic::Risks, &id.to_string(), Some(risk.encode().unwrap()))
    }

    fn scan(key: &str, sightings: u32) -> Message {
        let run = ScanRun { scan_id: key.into(), sightings, ..ScanRun::default() };
        told(Topic::Scans, key, Some(run.encode().unwrap()))
    }

    fn ticket(key: &str, state: Option<&str>) -> Message {
        told(Topic::Tickets, key, state.map(|state| format!(r#"{{"state":"{state}"}}"#).into_bytes()))
    }

    /// The sums after every record, which replaces, closes, reopens or removes one before it: bands, tickets, sightings.
    #[test]
    fn sums_follow_what_replaces_and_what_removes() {
        let (one, other) = (RiskId([1; 16]), RiskId([2; 16]));
        let (open, closed, suppressed) = (RiskState::Open, RiskState::Resolved, RiskState::Suppressed);
        let steps = [
            (risk(one, Band::Defer, open), (0, 1, 0, 0)),
            (risk(one, Band::Immediate, open), (1, 0, 0, 0)),
            (risk(other, Band::Immediate, open), (2, 0, 0, 0)),
            (risk(other, Band::Immediate, suppressed), (1, 0, 0, 0)),
            (risk(other, Band::Defer, open), (1, 1, 0, 0)),
            (risk(one, Band::Immediate, closed), (0, 1, 0, 0)),
            (told(Topic::Risks, &one.to_string(), None), (0, 1, 0, 0)),
            (told(Topic::Risks, &other.to_string(), None), (0, 0, 0, 0)),
            (told(Topic::Risks, &other.to_string(), None), (0, 0, 0, 0)),
            (ticket("t", Some("open")), (0, 0, 1, 0)),
            (ticket("t", Some("open")), (0, 0, 1, 0)),
            (ticket("t", None), (0, 0, 0, 0)),
            (scan("a", 7), (0, 0, 0, 7)),
            (scan("b", 2), (0, 0, 0, 9)),
            (scan("a", 4), (0, 0, 0, 6)),
        ];
        let view = View::default();
        for (at, (message, (immediate, defer, tickets, sightings))) in steps.into_iter().enumerate() {
            view.absorb(&[message]);
            let funnel = view.funnel(0);
            let found = (funnel.by_band["immediate"], funnel.by_band["defer"], funnel.tickets_open, funnel.sightings);
            assert_eq!(found, (immediate, defer, tickets, sightings), "after step {at}");
            assert_eq!(funnel.risks_open, immediate + defer, "after step {at}");
        }
    }
}
