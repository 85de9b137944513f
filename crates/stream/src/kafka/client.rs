//! How every client of the cluster is configured.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;

use super::error::fatal;
use super::settings::KafkaSettings;
use super::voice::Voice;
use crate::log::LogError;

/// How long a call may wait for the cluster. 30 s: longer than a transaction may stay open and longer than a partition takes
/// to find a new leader; a cluster that does not answer by then is down, and the caller should say so.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// For what a client has queued already: nothing but the queue is waited for.
const A_MOMENT: Duration = Duration::from_millis(2);

/// Memory for records that were fetched and not yet taken, per consumer, KiB. 16 MiB: two batches.
const FETCHED_KIB: u32 = 16 << 10;

/// Settings of every client. Reads the files of `settings.security`: a password that was replaced counts from here on.
pub(super) fn base(settings: &KafkaSettings) -> Result<ClientConfig, LogError> {
    let mut config = ClientConfig::new();
    settings.security.apply(&mut config)?;
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", format!("tributary.{}", settings.instance))
        .set("message.max.bytes", settings.message_bytes_max.to_string())
        // Topics are made on purpose, with the right partitions, or not at all.
        .set("allow.auto.create.topics", "false")
        // The default of 100 ms is what the first record after a commit waits when the cluster is still finishing it.
        .set("retry.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "60000");
    Ok(config)
}

/// Settings of every consumer that sees committed records only.
pub(super) fn consumer(settings: &KafkaSettings, group: &str) -> Result<ClientConfig, LogError> {
    let mut config = base(settings)?;
    config
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("fetch.message.max.bytes", settings.message_bytes_max.max(1 << 20).to_string())
        .set("fetch.max.bytes", settings.message_bytes_max.max(16 << 20).to_string())
        .set("queued.max.messages.kbytes", FETCHED_KIB.to_string())
        // The default lets a partition rest for a second after that memory was full, whoever waits for its records.
        .set("fetch.queue.backoff.ms", "10");
    Ok(config)
}

/// Settings of a producer: of a transactional one, if it is given an id.
pub(super) fn producer(settings: &KafkaSettings, transactional_id: Option<&str>) -> Result<ClientConfig, LogError> {
    let mut config = base(settings)?;
    match transactional_id {
        Some(id) => config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", settings.transaction_timeout_ms.to_string())
            .set("connections.max.idle.ms", idle_ms_max(settings).to_string()),
        None => config.set("enable.idempotence", "true"),
    };
    config
        .set("message.timeout.ms", settings.transaction_timeout_ms.to_string())
        .set("compression.type", "lz4")
        // A transaction is handed over in one go: 1 ms gathers it, more only delays its end.
        .set("linger.ms", "1")
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", (128_u32 << 10).max(settings.message_bytes_max >> 9).to_string());
    Ok(config)
}

/// When a producer closes a connection on which nothing happens.
///
/// librdkafka 2.10 to 2.14 waits for ever in adding positions to a transaction, if the broker that coordinates the group left the
/// cluster meanwhile: it looks for another one only when some connection comes or goes, and heeds no timeout (its issues 5511
/// and 5456). While it waits all its connections are idle, so closing them wakes it; half the time that a transaction may be
/// open, so that the transaction is still there. Below 4 s all would close at one moment.
fn idle_ms_max(settings: &KafkaSettings) -> u32 {
    (settings.transaction_timeout_ms / 2).max(4_000)
}

/// A consumer that asks and assigns itself, without callbacks.
pub(super) type Asker = BaseConsumer<Voice>;

/// Makes one.
pub(super) fn asker(config: &ClientConfig, voice: Voice) -> Result<Asker, LogError> {
    let asker: Asker = config.create_with_context(voice).map_err(fatal("cannot make a Kafka consumer"))?;
    // A client that needs a token asks for it as soon as it is made, and gets it only while somebody polls; the calls that ask
    // the cluster do not.
    hear(&asker);
    Ok(asker)
}

/// Hands what the client has to say to its [`Voice`], up to the last word. It waits a moment even when there is nothing: a poll
/// without patience ends at the first log line and leaves the error behind it for another time.
pub(super) fn hear(asker: &Asker) {
    while asker.poll(A_MOMENT).is_some() {}
}

/// All topics that may be seen.
pub(super) fn fetch_metadata(asker: &Asker, wait: Duration) -> KafkaResult<Metadata> {
    let answer = asker.fetch_metadata(None, wait);
    // What went wrong is told while polling.
    hear(asker);
    answer
}
