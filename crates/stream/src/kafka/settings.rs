//! The knobs of the log on Kafka: one serialisable struct, checked by one function without I/O.

use serde::{Deserialize, Serialize};

use super::registry::RegistrySettings;
use super::security::SecuritySettings;

/// How to reach Kafka, and who this process is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// Brokers to begin with, `host:port`, separated by commas.
    pub brokers: String,
    /// Begins every topic, group and transactional id, so that one cluster holds several tenants apart.
    pub prefix: String,
    /// Name of this process among those of its deployment; stable over restarts (a pod's ordinal, a host's name). Two
    /// processes of one name fence each other.
    pub instance: String,
    /// A worker that is silent for so long has lost its partitions, milliseconds. 10 s: less moves partitions for a long
    /// pause of a virtual machine, more leaves them unserved after a crash.
    pub session_timeout_ms: u32,
    /// A worker that does not poll for so long has lost its partitions, milliseconds. 5 minutes: SINK waits for ClickHouse
    /// between two polls.
    pub poll_interval_ms_max: u32,
    /// A transaction that is open for so long is aborted by the broker, milliseconds. 10 s: after a crash readers
    /// wait for its end; with the usual minute they would stand still for a minute.
    pub transaction_timeout_ms: u32,
    /// What a service that stops does with its place in the group. False: it keeps it, and its partitions wait for its restart, for as long as
    /// `session_timeout_ms` allows; a restart moves nothing. True: it leaves, and others serve its partitions at once;
    /// every restart deals all partitions out twice. For deployments whose size changes by itself.
    pub leave_on_stop: bool,
    /// What a crash may repeat.
    pub delivery: Delivery,
    /// The largest record, bytes. The brokers' default; raise `max.message.bytes` of the topics and this together.
    pub message_bytes_max: u32,
    /// TLS and SASL.
    pub security: SecuritySettings,
    /// Where schemas are registered, if anywhere.
    pub schema_registry: RegistrySettings,
}

/// How outputs and positions belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Both in one transaction: nothing is lost and nothing comes twice.
    #[default]
    ExactlyOnce,
    /// Outputs first, then positions, without transactions, for clusters that forbid those: nothing is lost, and after a crash
    /// some outputs come twice. What INGEST says twice, TRACK takes once; what SINK writes twice replaces itself. The stages keep state
    /// and would count twice, so they refuse.
    AtLeastOnce,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            prefix: "tributary.".to_owned(),
            instance: String::new(),
            session_timeout_ms: 10_000,
            poll_interval_ms_max: 300_000,
            transaction_timeout_ms: 10_000,
            leave_on_stop: false,
            delivery: Delivery::default(),
            message_bytes_max: 1_048_576,
            security: SecuritySettings::default(),
            schema_registry: RegistrySettings::default(),
        }
    }
}

/// The longest topic name that Kafka takes is 249 bytes; what is left is for groups, instances and slots.
const NAME_BYTES_MAX: usize = 100;

impl KafkaSettings {
    /// What is wrong with them for a process that works on the log, in words for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        self.check_reach()?;
        if self.instance.is_empty() {
            return Err("kafka.instance is empty: give every process of the deployment a name that it keeps".to_owned());
        }
        Ok(())
    }

    /// The same for a command that looks at a cluster, or arranges it: it is nobody among the processes of the deployment.
    pub fn check_reach(&self) -> Result<(), String> {
        if self.brokers.trim().is_empty() {
            return Err("brokers is empty: name at least one, as host:port".to_owned());
        }
        for (name, value) in [("prefix", &self.prefix), ("instance", &self.instance)] {
            if value.len() > NAME_BYTES_MAX || !value.bytes().all(is_legal) {
                return Err(format!("{name} = {value:?}: at most {NAME_BYTES_MAX} letters, digits, '.', '_' or '-'"));
            }
        }
        if self.session_timeout_ms > self.poll_interval_ms_max {
            return Err(format!(
                "session_timeout_ms = {} is above poll_interval_ms_max = {}",
                self.session_timeout_ms, self.poll_interval_ms_max
            ));
        }
        if self.session_timeout_ms < 1_000 || self.transaction_timeout_ms < 1_000 {
            return Err("session_timeout_ms and transaction_timeout_ms: at least 1000".to_owned());
        }
        if !(1_024..=1_000_000_000).contains(&self.message_bytes_max) {
            return Err(format!("message_bytes_max = {}: choose 1024 to 1000000000", self.message_bytes_max));
        }
        self.schema_registry.check()?;
        self.security.check(&self.brokers)
    }
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut KafkaSettings)) -> Result<(), String> {
        let mut settings = KafkaSettings {
            brokers: "localhost:9092".to_owned(),
            instance: "ingest-0".to_owned(),
            ..KafkaSettings::default()
        };
        change(&mut settings);
        settings.check()
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(checked(|_| ()), Ok(()));
        assert!(checked(|settings| settings.brokers = " ".to_owned()).unwrap_err().contains("brokers"));
        assert!(checked(|settings| settings.prefix = "a b".to_owned()).unwrap_err().contains("prefix"));
        assert!(checked(|settings| settings.instance.clear()).unwrap_err().contains("instance"));
        let mut nobody = KafkaSettings { brokers: "localhost:9092".to_owned(), ..KafkaSettings::default() };
        assert_eq!(nobody.check_reach(), Ok(()), "a command that only looks needs no name");
        nobody.prefix = "a b".to_owned();
        assert!(nobody.check_reach().is_err());
        assert!(checked(|settings| settings.poll_interval_ms_max = 9_999).unwrap_err().contains("session_timeout_ms"));
        assert!(
            checked(|settings| settings.transaction_timeout_ms = 1).unwrap_err().contains("transaction_timeout_ms")
        );
        assert!(checked(|settings| settings.message_bytes_max = 1).unwrap_err().contains("message_bytes_max"));
    }
}
