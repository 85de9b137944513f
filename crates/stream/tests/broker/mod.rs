//! A real Kafka for a test binary: started once, on loopback, and gone with the process, however it ends.
#![allow(dead_code)] // every binary uses what it needs

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tributary_model::Topic;
use tributary_model::topic::Cleanup;
use tributary_stream::KafkaSettings;
use tributary_stream::kafka::{TopicSpec, create_topics};

/// Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A broker that is already there, `host:port`.
const GIVEN: &str = "TRIBUTARY_TEST_KAFKA";
/// The topics that tests of the log use.
pub(crate) const SUITE: [Topic; 6] =
    [Topic::Observations, Topic::Risks, Topic::Changes, Topic::RawScanner, Topic::Facts, Topic::Findings];

struct Broker {
    address: String,
    /// Its standard input ends with this process, and that ends the broker.
    _process: Option<Child>,
}

/// The bootstrap address.
pub(crate) fn address() -> &'static str {
    static BROKER: OnceLock<Result<Broker, String>> = OnceLock::new();
    match BROKER.get_or_init(start) {
        Ok(broker) => &broker.address,
        Err(reason) => panic!("{reason}"),
    }
}

/// A cluster of its own, whose brokers a test may end and start again.
pub(crate) struct Cluster {
    /// The bootstrap address: all brokers.
    pub(crate) address: String,
    /// Its standard input ends with this process, and that ends the brokers.
    process: Child,
}

impl Cluster {
    /// Three brokers on loopback.
    pub(crate) fn of_three() -> Self {
        Self::of(3)
    }

    /// One broker on loopback.
    pub(crate) fn of_one() -> Self {
        Self::of(1)
    }

    fn of(brokers: usize) -> Self {
        let (address, process) = launch(&[&brokers.to_string()]).unwrap_or_else(|reason| panic!("{reason}"));
        Self { address, process }
    }

    /// kill -9 of a broker, from 1.
    pub(crate) fn stop(&mut self, broker: usize) {
        self.tell("kill", broker);
    }

    /// Starts it again on the data that it had.
    pub(crate) fn start(&mut self, broker: usize) {
        self.tell("start", broker);
    }

    fn tell(&mut self, verb: &str, broker: usize) {
        let input = self.process.stdin.as_mut().expect("it is piped");
        writeln!(input, "{verb} {broker}").expect("the cluster runs");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// A broker with TLS, SASL and access rules; see `deploy/dev/kafka/start`.
pub(crate) struct Secure {
    /// Behind it, everybody may do everything.
    pub(crate) plaintext: String,
    /// TLS, and a password or a token.
    pub(crate) sasl_ssl: String,
    /// TLS, and a client's certificate.
    pub(crate) ssl: String,
    /// A password or a token without TLS.
    pub(crate) sasl_plaintext: String,
    /// Authorities, certificates and keys.
    pub(crate) directory: tempfile::TempDir,
    _broker: Broker,
}

/// The one of this test binary; always started, for none that is there has these certificates.
pub(crate) fn secure() -> &'static Secure {
    static SECURE: OnceLock<Result<Secure, String>> = OnceLock::new();
    let start = || {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (address, process) = launch(&["secure", &directory.path().display().to_string()])?;
        let broker = Broker { address, _process: Some(process) };
        let mut words = broker.address.split(' ');
        let plaintext = words.next().unwrap_or_default().to_owned();
        let mut next = |name: &str| {
            let word = words.next().and_then(|word| word.strip_prefix(name)).and_then(|word| word.strip_prefix('='));
            word.map(str::to_owned).ok_or_else(|| format!("no {name} in {:?}", broker.address))
        };
        let (sasl_ssl, ssl, sasl_plaintext) = (next("sasl_ssl")?, next("ssl")?, next("sasl_plaintext")?);
        Ok(Secure { plaintext, sasl_ssl, ssl, sasl_plaintext, directory, _broker: broker })
    };
    match SECURE.get_or_init(start) {
        Ok(secure) => secure,
        Err(reason) => panic!("{reason}"),
    }
}

fn start() -> Result<Broker, String> {
    if let Ok(address) = std::env::var(GIVEN) {
        return Ok(Broker { address, _process: None });
    }
    let (address, process) = launch(&["1"])?;
    Ok(Broker { address, _process: Some(process) })
}

/// Brokers by the script of this project: what it says of their addresses, and the process.
fn launch(arguments: &[&str]) -> Result<(String, Child), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev/kafka/start");
    let failed = |reason: &str| {
        format!(
            "Kafka did not start: {}\nsee why: deploy/dev/kafka/start   install what it needs: deploy/dev/check-tools   \
             or name a broker: {GIVEN}=host:port",
            reason.trim()
        )
    };
    let mut process = Command::new(&script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&format!("{}: {error}", script.display())))?;
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
    output.read_line(&mut line).map_err(|error| failed(&error.to_string()))?;
    if line.trim().is_empty() {
        let mut reason = String::new();
        let mut errors = process.stderr.take().expect("it is piped");
        drop(errors.read_to_string(&mut reason));
        drop(process.wait());
        return Err(failed(&reason));
    }
    Ok((line.trim().to_owned(), process))
}

/// A prefix that no other test uses, nor another run on the same broker.
pub(crate) fn fresh_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}.", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Settings for tests: short sessions, and records as large as the suite's.
pub(crate) fn settings(prefix: &str, instance: &str) -> KafkaSettings {
    settings_at(address(), prefix, instance)
}

/// The same for a process that did not start the broker.
pub(crate) fn settings_at(address: &str, prefix: &str, instance: &str) -> KafkaSettings {
    KafkaSettings {
        brokers: address.to_owned(),
        prefix: prefix.to_owned(),
        instance: instance.to_owned(),
        session_timeout_ms: 6_000,
        poll_interval_ms_max: 60_000,
        message_bytes_max: 18 << 20,
        ..KafkaSettings::default()
    }
}

/// The topics of the suite, with 4 partitions. Compacted ones are not compacted before [`forgetful`].
pub(crate) fn make_topics(settings: &KafkaSettings) {
    let with_policy = |topic: Topic| {
        let policy = if topic.cleanup() == Cleanup::Compact { "compact" } else { "delete" };
        spec(topic, &[("cleanup.policy", policy), ("min.cleanable.dirty.ratio", "1.0"), ("segment.ms", "50")])
    };
    create_topics(settings, &SUITE.map(with_policy)).unwrap();
}

/// A compacted topic that is compacted at once, tombstones included.
pub(crate) fn forgetful(topic: Topic) -> (Topic, Vec<(String, String)>) {
    forgetful_after(topic, 50)
}

/// The same with segments that live so long, milliseconds.
pub(crate) fn forgetful_after(topic: Topic, segment_ms: u32) -> (Topic, Vec<(String, String)>) {
    let segment_ms = segment_ms.to_string();
    let at_once = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.0"),
        ("segment.ms", &segment_ms),
        ("delete.retention.ms", "0"),
    ];
    (topic, spec(topic, &at_once).config)
}

/// Somebody else's open transaction, with a record in every one of 4 partitions of these topics.
pub(crate) fn open_transaction(settings: &KafkaSettings, id: &str, topics: &[Topic]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.brokers);
    config.set("transactional.id", format!("{}{id}", settings.prefix));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for topic in topics {
        let name = format!("{}{}", settings.prefix, topic.name());
        for partition in 0..4 {
            let record = BaseRecord::to(&name).partition(partition).key("filler").payload("filler");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }
    producer.flush(PATIENCE).unwrap();
    producer
}

/// An aborted transaction in every partition of these topics: nobody reads it, and it closes segments that are due, which
/// is what lets the cluster compact them.
pub(crate) fn close_segments(settings: &KafkaSettings, topics: &[Topic]) {
    open_transaction(settings, "filler", topics).abort_transaction(PATIENCE).unwrap();
}

fn spec(topic: Topic, config: &[(&str, &str)]) -> TopicSpec {
    let large = ("max.message.bytes", "19922944");
    let config = config.iter().chain([&large]).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    TopicSpec { topic, partitions: 4, replication: 1, config }
}

fn admin(settings: &KafkaSettings) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap()
}

/// Deletes a topic, and waits until the cluster knows it no more.
pub(crate) fn delete_topic(settings: &KafkaSettings, topic: Topic) {
    let (admin, name) = (admin(settings), format!("{}{}", settings.prefix, topic.name()));
    let deleted = block_on(admin.delete_topics(&[&name], &AdminOptions::new())).unwrap();
    for outcome in deleted {
        outcome.unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        if metadata.topics().iter().all(|topic| topic.name() != name) {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is still there");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Deletes the records of a partition below this offset.
pub(crate) fn delete_records(settings: &KafkaSettings, (topic, partition): (Topic, u32), below: i64) {
    let mut list = TopicPartitionList::new();
    let name = format!("{}{}", settings.prefix, topic.name());
    list.add_partition_offset(&name, partition as i32, Offset::Offset(below)).unwrap();
    block_on(admin(settings).delete_records(&list, &AdminOptions::new())).unwrap();
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(std::thread::current())).into();
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        std::thread::park();
    }
}
