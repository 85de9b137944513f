//! What client libraries say, as log lines of ours; and what the first of them said when the cluster could not be reached.
//!
//! A client that cannot connect tries again for ever and says so every time, and a process has a dozen of them. So a cause is
//! logged once a minute, whoever meets it; and until the first answer of the cluster nothing is logged at all, but
//! kept, because then it is the reason why the process does not start.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::lock;
use super::security::SecuritySettings;
use super::settings::KafkaSettings;
use super::token;

/// The same cause is logged again after so long. A minute: a log reader sees that it goes on, and a day of it is 1 440 lines.
const AGAIN: Duration = Duration::from_secs(60);
/// So many causes are remembered. A cluster's troubles are few; addresses in their texts could make them many.
const CAUSES_MAX: usize = 64;

/// Callbacks of every client of a cluster.
#[derive(Clone)]
pub(super) struct Voice {
    security: SecuritySettings,
    trouble: Arc<Mutex<Trouble>>,
    is_connecting: Arc<AtomicBool>,
}

/// Why there is no connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What the client says, without what it says about itself.
    pub reason: String,
    /// Credentials or certificates were refused, here or there: waiting cannot help.
    pub is_refusal: bool,
    /// No broker is left to try.
    pub is_everywhere: bool,
}

impl Voice {
    /// Of a client that is made once the cluster has answered: it logs.
    pub(super) fn new(settings: &KafkaSettings) -> Self {
        Self { security: settings.security.clone(), trouble: Arc::default(), is_connecting: Arc::default() }
    }

    /// Of a client that meets the cluster first: it keeps to itself until [`Voice::is_connected`].
    pub(super) fn connecting(settings: &KafkaSettings) -> Self {
        let voice = Self::new(settings);
        voice.is_connecting.store(true, Ordering::SeqCst);
        voice
    }

    /// From now on it logs.
    pub(super) fn is_connected(&self) {
        self.is_connecting.store(false, Ordering::SeqCst);
    }

    /// What stood in the way so far.
    pub(super) fn trouble(&self) -> Trouble {
        lock(&self.trouble).clone()
    }

    /// A line from inside the client.
    pub(super) fn line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let is_problem = (level as i32) <= RDKafkaLogLevel::Error as i32;
        // What is said under these names comes as an error, too.
        let is_said_twice = matches!(facility, "FAIL" | "ERROR");
        if is_problem && !is_said_twice && !self.is_connecting.load(Ordering::SeqCst) {
            if is_news(&cause(message)) {
                tracing::warn!(target: "kafka", facility, message);
            }
        } else if matches!(level, RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice) {
            tracing::info!(target: "kafka", facility, message);
        } else {
            tracing::debug!(target: "kafka", facility, message);
        }
    }

    /// An error that the client deals with itself: it reconnects and tries again.
    pub(super) fn said(&self, error: &KafkaError, reason: &str) {
        let KafkaError::Global(code) = error else { return };
        let code = if is_lost_handshake(reason) { &RDKafkaErrorCode::BrokerTransportFailure } else { code };
        match code {
            // The end of a partition comes here too, as if it were an error; who reads gets it from the queue.
            RDKafkaErrorCode::PartitionEOF => return,
            RDKafkaErrorCode::AllBrokersDown => lock(&self.trouble).is_everywhere = true,
            _ => {
                let is_refusal = matches!(
                    code,
                    RDKafkaErrorCode::Authentication
                        | RDKafkaErrorCode::SaslAuthenticationFailed
                        | RDKafkaErrorCode::SSL
                );
                let mut trouble = lock(&self.trouble);
                // A broker that is merely away says less than one that refuses.
                if is_refusal || !trouble.is_refusal {
                    (trouble.reason, trouble.is_refusal) = (cause(reason), is_refusal);
                }
            }
        }
        // A connection that is lost is made again: it is trouble when no broker is left (`AllBrokersDown` says so), or when
        // lag grows. A client that is closed while it connects says it, too.
        let is_repaired = matches!(code, RDKafkaErrorCode::BrokerTransportFailure);
        if is_repaired || self.is_connecting.load(Ordering::SeqCst) {
            tracing::debug!(target: "kafka", %error, reason);
        } else if is_news(&cause(reason)) {
            tracing::warn!(target: "kafka", %error, reason);
        }
    }

    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let token = token::obtain(&self.security);
        if token.is_err() {
            // Without one the client does not even try to connect, so no broker is ever found to be away.
            lock(&self.trouble).is_everywhere = true;
        }
        token
    }
}

impl ClientContext for Voice {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.said(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.token()
    }
}

impl ConsumerContext for Voice {}

/// The cause in what a client says: without the client's own name in front and without how long it took.
/// `[thrd:ssl://k:9093/1]: ssl://k:9093/1: SSL handshake failed: … (after 3ms in state SSL_HANDSHAKE)`
fn cause(said: &str) -> String {
    let mut rest = said;
    while let Some((first, second)) = rest.split_once(": ")
        && (first.starts_with("[thrd:") || first.contains("://") || is_address(first))
    {
        rest = second;
    }
    rest.split(" (after ").next().unwrap_or(rest).trim().to_owned()
}

/// Whether the connection was lost while client and broker agreed on how to authenticate. The client calls that a failed
/// authentication, too, as it calls a broker that refuses (`rd_kafka_broker_handle_SaslHandshake`): only its text tells a broker that
/// restarts from credentials that are wrong.
fn is_lost_handshake(reason: &str) -> bool {
    ["Broker transport failure", "Timed out"]
        .iter()
        .any(|lost| reason.contains(&format!("mechanism handshake failed: Local: {lost}")))
}

/// `host:port/id`, as clients call brokers.
fn is_address(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port.split('/').next().unwrap_or_default());
    !text.contains(' ') && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether this was not said for a while, by any client of the process.
fn is_news(cause: &str) -> bool {
    static SAID: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let (mut said, now) = (lock(&SAID), Instant::now());
    if said.get(cause).is_some_and(|at| now.duration_since(*at) < AGAIN) {
        return false;
    }
    if said.len() >= CAUSES_MAX {
        said.clear();
    }
    said.insert(cause.to_owned(), now);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_the_same_whoever_says_it() {
        for (said, expected) in [
            (
                "ssl://k:9093/bootstrap: SSL handshake failed: x: y (after 3ms in state SSL_HANDSHAKE)",
                "SSL handshake failed: x: y",
            ),
            (
                "[thrd:k:9093/1]: k:9093/1: Connect to ipv4#10.0.0.1:9093 failed: refused",
                "Connect to ipv4#10.0.0.1:9093 failed: refused",
            ),
            ("1/1 brokers are down", "1/1 brokers are down"),
        ] {
            assert_eq!(cause(said), expected);
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        assert!(is_news("of this test"));
        assert!(!is_news("of this test"));
        assert!((0..CAUSES_MAX).all(|n| is_news(&format!("cause {n}"))), "others are news");
    }

    #[test]
    fn a_handshake_that_was_cut_off_is_no_refusal() {
        let say = |reason: &str| {
            let voice = Voice::connecting(&KafkaSettings::default());
            voice.said(&KafkaError::Global(RDKafkaErrorCode::Authentication), reason);
            voice.trouble().is_refusal
        };
        let handshake = |why: &str| {
            format!(
                "GroupCoordinator: SASL SCRAM-SHA-512 mechanism handshake failed: {why}: broker's supported mechanisms: (n/a)"
            )
        };
        assert!(!say(&handshake("Local: Broker transport failure")));
        assert!(!say(&handshake("Local: Timed out")));
        assert!(say(&handshake("Broker: Unsupported SASL mechanism")));
        assert!(say("sasl_ssl://k:9093/1: SASL authentication error: Authentication failed during authentication"));
    }

    #[test]
    fn a_refusal_outweighs_an_absence() {
        let voice = Voice::connecting(&KafkaSettings::default());
        let say = |code, reason: &str| voice.said(&KafkaError::Global(code), reason);
        say(RDKafkaErrorCode::BrokerTransportFailure, "k:1/1: Connect failed");
        assert!(!voice.trouble().is_refusal);
        say(RDKafkaErrorCode::Authentication, "k:2/2: wrong password");
        say(RDKafkaErrorCode::BrokerTransportFailure, "k:1/1: Connect failed");
        say(RDKafkaErrorCode::AllBrokersDown, "2/2 brokers are down");
        let expected = Trouble { reason: "wrong password".to_owned(), is_refusal: true, is_everywhere: true };
        assert_eq!(voice.trouble(), expected);
    }
}
