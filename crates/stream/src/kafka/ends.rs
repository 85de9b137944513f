//! Where partitions end: for readers of committed records, and for everybody.
//!
//! A commit is answered before its markers stand in every partition. Until they do, a reader of committed records
//! ends short of what was committed; the high mark does not. So "everything that was committed before" is: the end
//! for readers has reached the high mark of before.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tributary_model::Topic;

use super::client::{self, Asker, PATIENCE};
use super::error::here;
use super::names::Names;
use super::settings::KafkaSettings;
use crate::log::LogError;

/// Pause between two looks. 2 ms: about what a marker takes.
const PAUSE: Duration = Duration::from_millis(2);

/// How long leaders are looked for. 10 s: a partition finds a new one within a broker's session of 9 s.
const LEADERS_WAIT: Duration = Duration::from_secs(10);
/// Pause between two looks for them.
const LEADERS_PAUSE: Duration = Duration::from_millis(50);

/// Asks for ends.
pub(super) struct Ends {
    /// One asker at a time each: an answer takes a millisecond.
    committed: Mutex<Asker>,
    high: Mutex<Asker>,
}

impl Ends {
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self, LogError> {
        let mut config = client::base(settings);
        config.set("isolation.level", "read_committed");
        let committed = Mutex::new(client::asker(&config)?);
        config.set("isolation.level", "read_uncommitted");
        Ok(Self { committed, high: Mutex::new(client::asker(&config)?) })
    }

    /// One past the last record that readers of committed records can reach, in the order of the places.
    pub(super) fn committed(&self, names: &Names, places: &[(Topic, u32)]) -> Result<Vec<u64>, LogError> {
        ask(&self.committed, names, places, Offset::End)
    }

    /// The oldest record that is still there, or where the next one will be.
    pub(super) fn low(&self, names: &Names, places: &[(Topic, u32)]) -> Result<Vec<u64>, LogError> {
        ask(&self.high, names, places, Offset::Beginning)
    }

    /// One past the last record, committed or not.
    pub(super) fn high(&self, names: &Names, places: &[(Topic, u32)]) -> Result<Vec<u64>, LogError> {
        ask(&self.high, names, places, Offset::End)
    }

    /// Waits until readers of committed records can reach these ends: until every transaction that was open is decided.
    pub(super) fn wait(&self, names: &Names, places: &[(Topic, u32)], ends: &[u64]) -> Result<(), LogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reached = self.committed(names, places)?;
            if reached.iter().zip(ends).all(|(reached, end)| reached >= end) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(LogError::retry("a transaction on the cluster stays undecided"));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Partitions of the tenant's topics, by name.
    pub(super) fn topics(&self, names: &Names, brokers: &str) -> Result<Vec<(Topic, u32)>, LogError> {
        let asker = super::lock(&self.committed);
        let failed = here(format!("cannot ask Kafka at {brokers} for its topics"));
        let metadata = asker.fetch_metadata(None, PATIENCE).map_err(failed)?;
        let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(known.filter_map(|topic| Some((names.parse(topic.name())?, topic.partitions().len() as u32))).collect())
    }
}

/// Asks until who leads the partitions is known. A query goes to the leader that the client knows, and a query that is refused
/// does not make it look again, as a fetch would: it would be refused until the next refresh, a minute later.
fn ask(asker: &Mutex<Asker>, names: &Names, places: &[(Topic, u32)], which: Offset) -> Result<Vec<u64>, LogError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let asker = super::lock(asker);
    // Nobody else takes what this client has to say.
    while asker.poll(Duration::ZERO).is_some() {}
    let deadline = Instant::now() + LEADERS_WAIT;
    loop {
        match ask_once(&asker, names, places, which) {
            Err(Refused::OldLeader(_)) if Instant::now() < deadline => {
                asker.fetch_metadata(None, PATIENCE).map_err(here("cannot ask for the leaders of partitions"))?;
                std::thread::sleep(LEADERS_PAUSE);
            }
            Err(Refused::OldLeader(error) | Refused::Other(error)) => return Err(error),
            Ok(ends) => return Ok(ends),
        }
    }
}

/// Why a query was not answered.
enum Refused {
    /// The client asked a broker that does not lead the partition any more, or does so in a later epoch.
    OldLeader(LogError),
    Other(LogError),
}

fn refused(what: String) -> impl FnOnce(KafkaError) -> Refused {
    move |error| match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable,
        ) => Refused::OldLeader(here(what)(error)),
        _ => Refused::Other(here(what)(error)),
    }
}

fn ask_once(asker: &Asker, names: &Names, places: &[(Topic, u32)], which: Offset) -> Result<Vec<u64>, Refused> {
    let list = names.list(places.iter().map(|place| (*place, which))).map_err(Refused::Other)?;
    let answer = asker.offsets_for_times(list, PATIENCE);
    let answer = answer.map_err(refused("cannot ask for the ends of partitions".to_owned()))?;
    let mut ends = Vec::with_capacity(places.len());
    for (topic, partition) in places {
        let element = answer.find_partition(&names.topic(*topic), *partition as i32);
        let element =
            element.ok_or_else(|| Refused::Other(LogError::retry("an answer about ends lacks a partition")))?;
        element.error().map_err(refused(format!("cannot ask for the end of {topic}/{partition}")))?;
        match element.offset() {
            Offset::Offset(end) => ends.push(end as u64),
            other => {
                let what = format!("the end of {topic}/{partition} is not known: {other:?}");
                return Err(Refused::Other(LogError::retry(what)));
            }
        }
    }
    Ok(ends)
}
