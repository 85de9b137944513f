//! The first meeting with the cluster: an answer, or the one reason why there is none.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;

use super::client::PATIENCE;
use super::error::{here, is_permanent};
use super::security::is_loopback;
use super::settings::KafkaSettings;
use super::voice::{Trouble, Voice};
use crate::log::LogError;

/// How long brokers may all be away when a process starts. 10 s: a broker that restarts is back by then; whoever waits for an
/// error should not wait longer, and a supervisor starts the process again anyway.
const AWAY: Duration = Duration::from_secs(10);
/// The first try; later ones take twice as long each, for a cluster with very many topics answers slowly.
const FIRST_TRY: Duration = Duration::from_millis(500);

/// Asks a client that was just made for all topics, again and again while that may help. Refused credentials and
/// certificates end it at once, absent brokers after [`AWAY`].
pub(super) fn metadata(
    settings: &KafkaSettings,
    voice: &Voice,
    mut ask: impl FnMut(Duration) -> KafkaResult<Metadata>,
) -> Result<Metadata, LogError> {
    let (begun, mut step) = (Instant::now(), FIRST_TRY);
    loop {
        let error = match ask(step) {
            Ok(metadata) => {
                check_brokers(settings, &metadata)?;
                voice.is_connected();
                return Ok(metadata);
            }
            Err(error) => error,
        };
        let trouble = voice.trouble();
        if trouble.is_refusal && trouble.is_everywhere {
            return Err(LogError::fatal(refused(settings, &trouble)));
        }
        let at_most = if trouble.is_everywhere { AWAY } else { PATIENCE };
        if is_permanent(&error) || begun.elapsed() >= at_most {
            return Err(match trouble.reason.as_str() {
                "" => here(format!("Kafka at {} does not answer", settings.brokers))(error),
                reason => LogError::retry(format!("Kafka at {} cannot be reached: {reason}", settings.brokers)),
            });
        }
        step = (step * 2).min(at_most.saturating_sub(begun.elapsed())).max(FIRST_TRY);
    }
}

fn refused(settings: &KafkaSettings, trouble: &Trouble) -> String {
    let reason = &trouble.reason;
    let what = if reason.contains("certificate verify failed") || reason.contains("could not be verified") {
        // The client says the same of both.
        "the broker's certificate comes from no authority of kafka.security.ca_file (without it: of the system), or does not \
         name the host that kafka.brokers names"
    } else if reason.contains("SSL") || reason.contains("ssl://") && !reason.contains("SASL") {
        "TLS failed: see kafka.security.protocol, ca_file, certificate_file and key_file"
    } else {
        "the credentials of kafka.security do not work"
    };
    format!("Kafka at {} cannot be used as {}: {what}: {reason}", settings.brokers, settings.security.principal())
}

/// Without TLS, credentials stay on this machine: brokers that the cluster names elsewhere are never spoken to.
fn check_brokers(settings: &KafkaSettings, metadata: &Metadata) -> Result<(), LogError> {
    if !settings.security.is_for_loopback_only() {
        return Ok(());
    }
    let away = metadata.brokers().iter().find(|broker| !is_loopback(&format!("{}:{}", broker.host(), broker.port())));
    match away {
        None => Ok(()),
        Some(broker) => Err(LogError::fatal(format!(
            "the cluster names a broker at {}:{}, where security.protocol = sasl_plaintext would send credentials \
             unencrypted: use sasl_ssl",
            broker.host(),
            broker.port()
        ))),
    }
}
