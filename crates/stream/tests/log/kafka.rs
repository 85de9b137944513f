//! The suite's log on a real broker, and what only Kafka promises.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tributary_model::Topic;
use tributary_model::topic::Cleanup;
use tributary_stream::kafka::{KafkaSettings, configure_topics};
use tributary_stream::log::Log;
use tributary_stream::{KafkaLog, Message};

use crate::LogFactory;
use crate::broker::{self, SUITE};
use crate::suite::read;

const PATIENCE: Duration = Duration::from_secs(60);
const TOMBSTONE_DAYS: i64 = 7;

pub(crate) struct Kafka {
    settings: KafkaSettings,
    log: Option<KafkaLog>,
    days: std::cell::Cell<i64>,
}

impl Kafka {
    fn connect(&self, instance: &str) -> KafkaLog {
        let settings = KafkaSettings { instance: instance.to_owned(), ..self.settings.clone() };
        KafkaLog::connect(settings, &SUITE).unwrap()
    }

    /// An aborted transaction in every partition of these topics: nobody reads it, and it closes segments that are due, which
    /// is what lets the cluster compact them.
    fn close_segments(&self, topics: &[Topic]) {
        let id = format!("{}filler", self.settings.prefix);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.brokers).set("transactional.id", id);
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for topic in topics {
            let name = format!("{}{}", self.settings.prefix, topic.name());
            for partition in 0..4 {
                let record = BaseRecord::to(&name).partition(partition).key("filler").payload("filler");
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        producer.flush(PATIENCE).unwrap();
        producer.abort_transaction(PATIENCE).unwrap();
    }
}

impl LogFactory for Kafka {
    fn new() -> Self {
        let settings = broker::settings(&broker::fresh_prefix(), "a");
        broker::make_topics(&settings);
        let mut new = Self { settings, log: None, days: std::cell::Cell::new(0) };
        new.reopen();
        new
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone().unwrap())
    }

    fn reopen(&mut self) {
        self.log = None;
        self.log = Some(self.connect("a"));
    }

    /// A broker's clock cannot be set, but what it may forget can: nothing is compacted while a tombstone has days to live
    /// (its first compaction would fix when it goes), and at once when it has none.
    fn age(&self, days: i64) {
        self.days.set(self.days.get() + days);
        let has_tombstones = |messages: &[Message]| messages.iter().any(|message| message.value.is_none());
        let compacted: Vec<_> = SUITE.into_iter().filter(|topic| topic.cleanup() == Cleanup::Compact).collect();
        let log = self.log();
        let is_due = self.days.get() >= TOMBSTONE_DAYS;
        if !is_due && compacted.iter().any(|topic| has_tombstones(&read(&log, *topic))) {
            return;
        }
        configure_topics(&self.settings, &compacted.iter().map(|topic| broker::forgetful(*topic)).collect::<Vec<_>>())
            .unwrap();
        let is_compact = |topic: &Topic| {
            let messages = read(&log, *topic);
            let keys: BTreeSet<_> = messages.iter().map(|message| message.key.clone()).collect();
            keys.len() == messages.len() && !(is_due && has_tombstones(&messages))
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.close_segments(&compacted);
            if compacted.iter().all(is_compact) {
                return;
            }
            assert!(Instant::now() < deadline, "the broker does not compact");
        }
    }
}
