//! How every client of the cluster is configured, and where what clients say goes: to the log of the process.

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

use super::error::fatal;
use super::settings::KafkaSettings;
use crate::log::LogError;

/// How long a call may wait for the cluster. 30 s: longer than a transaction may stay open and longer than a partition takes
/// to find a new leader; a cluster that does not answer by then is down, and the caller should say so.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Memory for records that were fetched and not yet taken, per consumer, KiB. 16 MiB: two batches.
const FETCHED_KIB: u32 = 16 << 10;

/// Settings of every client.
pub(super) fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
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
    config
}

/// Settings of every consumer that sees committed records only.
pub(super) fn consumer(settings: &KafkaSettings, group: &str) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("fetch.message.max.bytes", settings.message_bytes_max.max(1 << 20).to_string())
        .set("fetch.max.bytes", settings.message_bytes_max.max(16 << 20).to_string())
        .set("queued.max.messages.kbytes", FETCHED_KIB.to_string());
    config
}

/// Settings of a transactional producer.
pub(super) fn producer(settings: &KafkaSettings, transactional_id: &str) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", settings.transaction_timeout_ms.to_string())
        .set("message.timeout.ms", settings.transaction_timeout_ms.to_string())
        .set("compression.type", "lz4")
        // A transaction is handed over in one go: 1 ms gathers it, more only delays its end.
        .set("linger.ms", "1")
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", (128_u32 << 10).max(settings.message_bytes_max >> 9).to_string());
    config
}

/// A consumer that asks and assigns itself, without callbacks.
pub(super) type Asker = BaseConsumer<Voice>;

/// Makes one.
pub(super) fn asker(config: &ClientConfig) -> Result<Asker, LogError> {
    config.create_with_context(Voice).map_err(fatal("cannot make a Kafka consumer"))
}

/// What the client library says, as log lines of ours.
pub(super) struct Voice;

impl ClientContext for Voice {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        said(&error, reason);
    }
}

impl ConsumerContext for Voice {}

/// A line from inside the client.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(target: "kafka", facility, message);
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(target: "kafka", facility, message),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, message),
    }
}

/// An error that the client deals with itself: it reconnects and tries again.
pub(super) fn said(error: &KafkaError, reason: &str) {
    // The end of a partition comes here too, as if it were an error; who reads gets it from the queue.
    if matches!(error, KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
        return;
    }
    tracing::warn!(target: "kafka", %error, reason);
}
