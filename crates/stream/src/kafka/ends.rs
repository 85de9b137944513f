//! Where partitions end: for readers of committed records, and for everybody.
//!
//! A commit is answered before its markers stand in every partition. Until they do, a reader of committed records
//! ends short of what was committed; the high mark does not. So "everything that was committed before" is: the end
//! for readers has reached the high mark of before.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use tributary_model::Topic;

use super::client::{self, Asker, PATIENCE};
use super::error::here;
use super::names::Names;
use super::settings::KafkaSettings;
use crate::log::LogError;

/// Pause between two looks. 2 ms: about what a marker takes.
const PAUSE: Duration = Duration::from_millis(2);

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

fn ask(asker: &Mutex<Asker>, names: &Names, places: &[(Topic, u32)], which: Offset) -> Result<Vec<u64>, LogError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let asker = super::lock(asker);
    // Nobody else takes what this client has to say.
    while asker.poll(Duration::ZERO).is_some() {}
    let list = names.list(places.iter().map(|place| (*place, which)))?;
    let answer = asker.offsets_for_times(list, PATIENCE).map_err(here("cannot ask for the ends of partitions"))?;
    let mut ends = Vec::with_capacity(places.len());
    for (topic, partition) in places {
        let element = answer.find_partition(&names.topic(*topic), *partition as i32);
        let element = element.ok_or_else(|| LogError::retry("an answer about ends lacks a partition"))?;
        element.error().map_err(here(format!("cannot ask for the end of {topic}/{partition}")))?;
        match element.offset() {
            Offset::Offset(end) => ends.push(end as u64),
            other => return Err(LogError::retry(format!("the end of {topic}/{partition} is not known: {other:?}"))),
        }
    }
    Ok(ends)
}
