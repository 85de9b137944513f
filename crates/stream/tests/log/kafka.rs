//! The suite's log on a real broker, and what only Kafka promises.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use tributary_model::Topic;
use tributary_model::topic::Cleanup;
use tributary_stream::kafka::{
    KafkaSettings, Step, TopicSettings, TopicSpec, configure_topics, create_topics, plan, topic_states,
};
use tributary_stream::log::{Log, LogError, Polled, Subscription};
use tributary_stream::{KafkaLog, Message};

use crate::LogFactory;
use crate::broker::{self, SUITE};
use crate::rebalance::wait_until;
use crate::steps::{append, budget, commit, drain, is_drained, read, record, started, wait_without_lag};

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
        broker::close_segments(&self.settings, topics);
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

#[test]
fn an_aborted_transaction_is_never_read() {
    let factory = Kafka::new();
    let log = factory.log();
    append(&log, vec![record(Topic::Observations, "k", "before")]);
    factory.close_segments(&[Topic::Observations]);
    append(&log, vec![record(Topic::Observations, "k", "after")]);
    let values = |messages: Vec<Message>| messages.into_iter().filter_map(|message| message.value).collect::<Vec<_>>();
    assert_eq!(values(read(&log, Topic::Observations)), ["before", "after"]);
    let mut worker = started(&log, "g");
    assert_eq!(values(drain(worker.as_mut(), 2)), ["before", "after"]);
    assert!(is_drained(&log, worker.as_mut()));
}

#[test]
fn a_missing_topic_and_uneven_topics_are_named() {
    let factory = Kafka::new();
    let refused = KafkaLog::connect(factory.settings.clone(), &[Topic::Facts, Topic::Tickets]).err().unwrap();
    let missing = format!("topics apply` makes: {}tickets", factory.settings.prefix);
    assert!(refused.to_string().ends_with(&missing), "{refused}");
    let odd = TopicSpec { topic: Topic::Tickets, partitions: 3, replication: 1, config: Vec::new() };
    create_topics(&factory.settings, &[odd]).unwrap();
    let topics = [Topic::Facts, Topic::Tickets];
    let log = KafkaLog::connect(factory.settings.clone(), &topics).unwrap();
    let together = Subscription { group: "g".to_owned(), topics: topics.to_vec(), slot: 0, slots: 1 };
    let refused = log.worker(&together).err().unwrap().to_string();
    assert!(refused.contains("equally many partitions") && refused.contains("(3, "), "{refused}");
}

#[test]
fn a_record_that_is_too_large_harms_nobody_else() {
    let factory = Kafka::new();
    let settings = KafkaSettings { message_bytes_max: 10_000, ..factory.settings.clone() };
    let log: Arc<dyn Log> = Arc::new(KafkaLog::connect(settings, &SUITE).unwrap());
    let large = record(Topic::Observations, "k", &"x".repeat(10_000));
    let refused = log.producer().unwrap().append(vec![record(Topic::Observations, "k", "small"), large]).unwrap_err();
    assert!(matches!(&refused, LogError::Abort { what, .. } if what.contains("message_bytes_max")), "{refused}");
    append(&log, vec![record(Topic::Observations, "k", "next")]);
    assert_eq!(read(&log, Topic::Observations).len(), 1);
}

#[test]
fn a_cluster_that_is_not_there_is_one_clear_error() {
    // Port 1 of loopback: nobody listens there.
    let settings = KafkaSettings { brokers: "127.0.0.1:1".to_owned(), ..KafkaSettings::default() };
    let unnamed = KafkaLog::connect(settings.clone(), &[]).err().unwrap().to_string();
    assert!(unnamed.starts_with("kafka.instance is empty"), "{unnamed}");
    let settings = KafkaSettings { instance: "a".to_owned(), ..settings };
    let away = KafkaLog::connect(settings, &[]).err().unwrap();
    assert!(matches!(&away, LogError::Retry { what, .. } if what.contains("127.0.0.1:1")), "{away}");
}

#[test]
fn topics_are_made_once_set_back_and_never_repartitioned() {
    let settings = broker::settings(&broker::fresh_prefix(), "a");
    let wanted = TopicSettings { partitions: 2, replication: 1, ..TopicSettings::default() };
    let steps = |wanted: &TopicSettings| plan(wanted.specs(&settings), &topic_states(&settings, &Topic::ALL).unwrap());
    let specs = wanted.specs(&settings);
    assert_eq!(steps(&wanted), specs.iter().cloned().map(Step::Make).collect::<Vec<_>>());
    create_topics(&settings, &specs).unwrap();
    assert_eq!(steps(&wanted), []);
    let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let drifted = [own("cleanup.policy", "delete"), own("compression.type", "zstd")];
    configure_topics(&settings, &[(Topic::Risks, drifted.to_vec())]).unwrap();
    // A cluster answers a change before every part of it has heard.
    wait_until("the drift shows", || !steps(&wanted).is_empty());
    let back = steps(&wanted);
    let [Step::Set { topic: Topic::Risks, config, .. }] = &back[..] else { panic!("{back:?}") };
    assert!(back[0].to_string().contains("cleanup.policy delete → compact"), "{}", back[0]);
    configure_topics(&settings, &[(Topic::Risks, config.clone())]).unwrap();
    wait_until("it is set back", || steps(&wanted).is_empty());
    assert_eq!(topic_states(&settings, &[Topic::Risks]).unwrap()[&Topic::Risks].config["compression.type"], "zstd");
    let more = TopicSettings { partitions: 3, ..wanted };
    assert!(steps(&more).iter().all(|step| matches!(step, Step::Refused(..))), "{:?}", steps(&more));
}

/// What is committed behind an open transaction is invisible until that is decided, and until then no reader may say that it
/// read everything: a restore would begin without it.
#[test]
fn an_end_waits_for_what_is_undecided() {
    let factory = Kafka::new();
    let log = factory.log();
    let open = broker::open_transaction(&factory.settings, "slow", &[Topic::Risks]);
    append(&log, vec![record(Topic::Risks, "k", "behind")]);
    let (begun, begins) = std::sync::mpsc::channel();
    let reading = {
        let log = Arc::clone(&log);
        std::thread::spawn(move || {
            begun.send(()).unwrap();
            read(&log, Topic::Risks).len()
        })
    };
    begins.recv().unwrap();
    // Some work of the cluster's elsewhere, which a reader that does not wait would outrun.
    factory.close_segments(&[Topic::Changes]);
    open.commit_transaction(PATIENCE).unwrap();
    assert_eq!(reading.join().unwrap(), 4 + 1);
}

/// Neither markers nor records of aborted transactions keep a group behind, also where it never was given a record; and what
/// it was given and did not commit is not passed.
#[test]
fn what_no_reader_is_given_is_no_lag_and_what_is_not_committed_is() {
    let factory = Kafka::new();
    let log = factory.log();
    let mut worker = started(&log, "g");
    factory.close_segments(&[Topic::Observations]);
    wait_without_lag(&log, worker.as_mut(), "g");
    append(&log, vec![record(Topic::Observations, "k", "1"), record(Topic::Observations, "k", "2")]);
    let messages = drain(worker.as_mut(), 2);
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        let polled = worker.poll(budget(1)).unwrap();
        assert_eq!(polled, Polled::Batch(Vec::new()));
    }
    assert!(log.lag("g", &[Topic::Observations]).unwrap().iter().any(|lag| lag.behind >= 2));
    worker.rewind().unwrap();
    assert_eq!(drain(worker.as_mut(), 2), messages, "they come again");
    commit(worker.as_mut(), Vec::new(), &messages).unwrap();
    factory.close_segments(&[Topic::Observations]);
    wait_without_lag(&log, worker.as_mut(), "g");
    assert!(is_drained(&log, worker.as_mut()));
}

#[test]
fn a_topic_that_was_made_anew_has_another_lineage() {
    let mut kafka = Kafka::new();
    let place = (Topic::Risks, 0);
    let of = |kafka: &Kafka| kafka.log().lineage(&[place, (Topic::Facts, 1)]).unwrap().unwrap();
    let first = of(&kafka);
    assert_ne!(first[0], first[1], "each topic has its own");
    append(&kafka.log(), vec![record(Topic::Risks, "k", "v")]);
    kafka.reopen();
    assert_eq!(of(&kafka), first, "what is appended changes nothing");
    broker::delete_topic(&kafka.settings, Topic::Risks);
    broker::make_topics(&kafka.settings);
    kafka.reopen();
    let second = of(&kafka);
    assert_ne!(second[0], first[0]);
    assert_eq!(second[1], first[1]);
}

#[test]
fn a_partition_that_lost_its_beginning_has_another_lineage() {
    let kafka = Kafka::new();
    let place = (Topic::Facts, 0);
    append(&kafka.log(), (0..20).map(|n| record(Topic::Facts, &format!("k{n}"), "v")).collect());
    let first = kafka.log().lineage(&[place]).unwrap();
    broker::delete_records(&kafka.settings, place, 2);
    assert_ne!(kafka.log().lineage(&[place]).unwrap(), first);
}
