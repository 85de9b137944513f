//! Where partitions end: for readers of committed records, and for everybody.
//!
//! A commit is answered before its markers stand in every partition. Until they do, a reader of committed records
//! ends short of what was committed; the high mark does not. So "everything that was committed before" is: the end
//! for readers has reached the high mark of before.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use tributary_model::Topic;

use super::client::{self, Asker, PATIENCE};
use super::error::{Right, here};
use super::lineage;
use super::names::Names;
use super::reach;
use super::settings::KafkaSettings;
use super::voice::Voice;
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
    settings: KafkaSettings,
}

impl Ends {
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self, LogError> {
        let mut config = client::base(settings)?;
        config.set("isolation.level", "read_committed");
        let committed = Mutex::new(client::asker(&config, Voice::connecting(settings))?);
        config.set("isolation.level", "read_uncommitted");
        let high = Mutex::new(client::asker(&config, Voice::new(settings))?);
        Ok(Self { committed, high, settings: settings.clone() })
    }

    /// One past the last record that readers of committed records can reach, in the order of the places.
    pub(super) fn committed(&self, names: &Names, places: &[(Topic, u32)]) -> Result<Vec<u64>, LogError> {
        self.ask(&self.committed, names, places, Offset::End)
    }

    /// The oldest record that is still there, or where the next one will be.
    pub(super) fn low(&self, names: &Names, places: &[(Topic, u32)]) -> Result<Vec<u64>, LogError> {
        self.ask(&self.high, names, places, Offset::Beginning)
    }

    /// The ids of topics, by their names; see [`lineage::topic_ids`].
    pub(super) fn topic_ids(&self, called: &[String]) -> Result<BTreeMap<String, String>, LogError> {
        let asker = super::lock(&self.high);
        client::hear(&asker);
        lineage::topic_ids(&asker, called)
    }

    /// One past the last record, committed or not.
    pub(super) fn high(&self, names: &Names, places: &[(Topic, u32)]) -> Result<Vec<u64>, LogError> {
        self.ask(&self.high, names, places, Offset::End)
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

    /// Partitions of the tenant's topics that this principal may see. The first that is asked of the cluster.
    pub(super) fn topics(&self, names: &Names) -> Result<Vec<(Topic, u32)>, LogError> {
        let asker = super::lock(&self.committed);
        let metadata = reach::metadata(&self.settings, asker.context(), |wait| client::fetch_metadata(&asker, wait))?;
        let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(known.filter_map(|topic| Some((names.parse(topic.name())?, topic.partitions().len() as u32))).collect())
    }

    /// Fails with the missing right if the cluster's access rules hide this topic.
    pub(super) fn check_visible(&self, names: &Names, topic: Topic) -> Result<(), LogError> {
        let name = names.topic(topic);
        let asker = super::lock(&self.committed);
        let metadata = asker.fetch_metadata(Some(&name), PATIENCE).map_err(here("cannot ask for a topic"))?;
        let code = metadata.topics().first().and_then(MetadataTopic::error).map(RDKafkaErrorCode::from);
        match code {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(Right::new(&self.settings, "Describe", format!("topic {name}")).is_missing())
            }
            _ => Ok(()),
        }
    }

    /// Asks until who leads the partitions is known. A query goes to the leader that the client knows, and a query that is
    /// refused does not make it look again, as a fetch would: it would be refused until the next refresh, a minute later.
    fn ask(
        &self,
        asker: &Mutex<Asker>,
        names: &Names,
        places: &[(Topic, u32)],
        which: Offset,
    ) -> Result<Vec<u64>, LogError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let asker = super::lock(asker);
        // Nobody else takes what this client has to say.
        client::hear(&asker);
        let deadline = Instant::now() + LEADERS_WAIT;
        loop {
            match self.ask_once(&asker, names, places, which) {
                Err(Refused::OldLeader(_)) if Instant::now() < deadline => {
                    asker.fetch_metadata(None, PATIENCE).map_err(here("cannot ask for the leaders of partitions"))?;
                    std::thread::sleep(LEADERS_PAUSE);
                }
                Err(Refused::OldLeader(error) | Refused::Other(error)) => return Err(error),
                Ok(ends) => return Ok(ends),
            }
        }
    }

    fn ask_once(
        &self,
        asker: &Asker,
        names: &Names,
        places: &[(Topic, u32)],
        which: Offset,
    ) -> Result<Vec<u64>, Refused> {
        let list = names.list(places.iter().map(|place| (*place, which))).map_err(Refused::Other)?;
        let answer = asker.offsets_for_times(list, PATIENCE);
        let answer = answer.map_err(|error| refused(error, here("cannot ask for the ends of partitions")))?;
        let mut ends = Vec::with_capacity(places.len());
        for (topic, partition) in places {
            let element = answer.find_partition(&names.topic(*topic), *partition as i32);
            let element =
                element.ok_or_else(|| Refused::Other(LogError::retry("an answer about ends lacks a partition")))?;
            let right = Right::new(&self.settings, "Describe", format!("topic {}", names.topic(*topic)));
            let why = right.or(format!("cannot ask for the end of {topic}/{partition}"));
            element.error().map_err(|error| refused(error, why))?;
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
}

/// Why a query was not answered.
enum Refused {
    /// The client asked a broker that does not lead the partition any more, or does so in a later epoch.
    OldLeader(LogError),
    Other(LogError),
}

fn refused(error: KafkaError, why: impl FnOnce(KafkaError) -> LogError) -> Refused {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable,
        ) => Refused::OldLeader(why(error)),
        _ => Refused::Other(why(error)),
    }
}
