//! The four stages as they run in production, on a simulated log, and what is on the log afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tributary_correlate::graph::Graph;
use tributary_correlate::{assess, relate, remedy, track};
use tributary_model::finding::{Finding, TrackedFinding};
use tributary_model::id::RemedyId;
use tributary_model::remedy::{RemedyMember, Ticket, TicketState};
use tributary_model::risk::{Change, Risk, RiskState};
use tributary_model::scan::ScanRun;
use tributary_model::time::{DAY, Millis};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::BroadcastStore;
use tributary_stream::message::{Message, Output};
use tributary_stream::sim::{Chaos, Rng, World, WorldSettings};
use tributary_stream::stage::{ASSESS, RELATE, REMEDY, TRACK};
use tributary_stream::stage_loop::StageSpec;

use crate::workload::{T0, Workload};

/// When the stories end: late enough for every jump of the clock, early enough that nothing is forgotten.
pub const END: Millis = T0 + 2 * DAY;
/// Turns after which a river that still has something to do is taken to be stuck.
const TURNS_MAX: usize = 40_000;

type Shared = (Arc<BroadcastStore>, Arc<Graph>, Arc<assess::Estate>);

/// The four stages. In a simulation several processes live side by side, and each shares a graph and an estate among its
/// own partitions only: they are found by the store, which is one per process.
pub fn stages() -> Vec<StageSpec> {
    let made: Arc<Mutex<Vec<Shared>>> = Arc::default();
    let of_store = move |store: Arc<BroadcastStore>| {
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.iter().find(|known| Arc::ptr_eq(&known.0, &store)) {
            return known.clone();
        }
        let graph = Arc::new(Graph::new(Arc::clone(&store)));
        let estate = Arc::new(assess::Estate::new(Arc::clone(&store), Arc::clone(&graph)));
        made.push((store, graph, estate));
        made[made.len() - 1].clone()
    };
    let for_assess = of_store.clone();
    vec![
        StageSpec::new(RELATE, |_, _| Box::new(relate::Relate::new())),
        StageSpec::new(TRACK, move |_, store| Box::new(track::Track::new(of_store(store).1))),
        StageSpec::new(ASSESS, move |_, store| Box::new(assess::Assess::new(for_assess(store).2))),
        StageSpec::new(REMEDY, |_, _| Box::new(remedy::Remedy::new())),
    ]
}

/// A world in which nothing has arrived.
pub fn world(seed: u64, chaos: Chaos) -> World {
    World::new(WorldSettings { seed, partitions: 2, processes: 2, now: T0, chaos, snapshots: seed % 2 == 1 }, stages())
}

/// Everything arrives in order and each batch is worked through before the next.
pub fn calm(seed: u64, workload: &Workload) -> Result<World, String> {
    let mut world = world(seed, Chaos::NONE);
    for batch in &workload.batches {
        world.inject(batch.clone()).map_err(text)?;
        rest(&mut world)?;
    }
    end(&mut world)?;
    Ok(world)
}

/// Everything arrives in order, some of it twice, while everything goes wrong.
pub fn rough(world: &mut World, seed: u64, workload: &Workload) -> Result<(), String> {
    let mut rng = Rng::new(!seed);
    let mut before: Vec<Output> = Vec::new();
    for batch in &workload.batches {
        let again = before.iter().filter(|_| rng.percent(5)).cloned();
        let records: Vec<Output> = batch.iter().cloned().chain(again).collect();
        for part in records.chunks(1 + rng.below(records.len())) {
            world.inject(part.to_vec()).map_err(text)?;
            let steps = rng.below(60);
            world.run(steps).map_err(text)?;
        }
        before.extend(batch.iter().cloned());
    }
    world.run(150).map_err(text)?;
    end(world)
}

/// Everything is processed at the time at which the stories end.
pub fn end(world: &mut World) -> Result<(), String> {
    assert!(world.clock_now() <= END, "the clock was let run past the end");
    world.clock().set(END);
    rest(world)
}

/// Everything is processed.
pub fn rest(world: &mut World) -> Result<(), String> {
    world.quiesce(TURNS_MAX).map_err(text)
}

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What the time is, without the trait in every caller.
trait Now {
    fn clock_now(&self) -> Millis;
}

impl Now for World {
    fn clock_now(&self) -> Millis {
        tributary_stream::Clock::now(self.clock())
    }
}

/// What stands on the compacted topics, decoded.
pub struct Outcome {
    pub tracked: Vec<TrackedFinding>,
    pub findings: Vec<Finding>,
    pub risks: Vec<Risk>,
    pub changes: Vec<Change>,
    pub tickets: BTreeMap<RemedyId, Ticket>,
    /// By remedy: the risks that it would close now.
    pub members: BTreeMap<RemedyId, Vec<RemedyMember>>,
    /// Lines of the ledger; the parts of unfinished scans are not among them.
    pub runs: BTreeMap<String, ScanRun>,
}

impl Outcome {
    pub fn of(world: &World) -> Self {
        let runs = world.latest(Topic::Scans).into_iter();
        let runs = runs.map(|(key, value)| (string(&key), ScanRun::decode(&value).unwrap()));
        let tickets = world.latest(Topic::Tickets).into_iter();
        let tickets = tickets.map(|(_, value)| serde_json::from_slice::<Ticket>(&value).unwrap());
        let mut members: BTreeMap<RemedyId, Vec<RemedyMember>> = BTreeMap::new();
        for member in latest::<RemedyMember>(world, Topic::Remedies) {
            members.entry(member.remedy).or_default().push(member);
        }
        Self {
            tracked: latest(world, Topic::Tracked),
            findings: latest(world, Topic::Findings),
            risks: latest(world, Topic::Risks),
            changes: world.records(Topic::Changes).iter().map(change).collect(),
            tickets: tickets.map(|ticket| (ticket.key, ticket)).collect(),
            members,
            runs: runs.filter(|(_, run)| run.seen.is_empty()).collect(),
        }
    }

    pub fn open(&self) -> impl Iterator<Item = &Risk> {
        self.risks.iter().filter(|risk| risk.state != RiskState::Resolved)
    }

    /// Whether a remedy has an open ticket.
    pub fn is_open(&self, key: &RemedyId) -> bool {
        self.tickets.get(key).is_some_and(|ticket| ticket.state == TicketState::Open)
    }

    /// Open risks under a remedy.
    pub fn open_members(&self, key: &RemedyId) -> impl Iterator<Item = &RemedyMember> {
        let members = self.members.get(key).into_iter().flatten();
        members.filter(|member| member.state == RiskState::Open)
    }
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn latest<T: AvroRecord>(world: &World, topic: Topic) -> Vec<T> {
    world.latest(topic).iter().map(|(_, value)| T::decode(value).unwrap()).collect()
}

pub fn change(message: &Message) -> Change {
    Change::decode(message.value.as_ref().unwrap()).unwrap()
}
