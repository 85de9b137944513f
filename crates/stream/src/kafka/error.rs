//! From what the client says to what the caller does next.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::settings::KafkaSettings;
use crate::log::LogError;

/// An error where nothing was sent or changed on the cluster: a query, a seek, a local step. Temporary ones may be tried again.
pub(super) fn here(what: impl Into<String>) -> impl FnOnce(KafkaError) -> LogError {
    let what = what.into();
    move |error| {
        if is_permanent(&error) {
            fatal(what)(error)
        } else {
            LogError::Retry { what: said(&what, &error), source: Some(Box::new(error)) }
        }
    }
}

/// An error after which what was under way has to be done again from the committed positions.
pub(super) fn undone(what: &'static str) -> impl FnOnce(KafkaError) -> LogError {
    move |error| if is_permanent(&error) { fatal(what)(error) } else { LogError::abort(said(what, &error)) }
}

/// An error that ends a handle.
pub(super) fn fatal(what: impl Into<String>) -> impl FnOnce(KafkaError) -> LogError {
    let what = what.into();
    move |error| {
        let error = without_secrets(error);
        LogError::Fatal { what: said(&what, &error), source: Some(Box::new(error)) }
    }
}

/// A right on the cluster that a call needs.
#[derive(Debug, Clone)]
pub(super) struct Right {
    principal: String,
    /// Kafka's name of the operation.
    operation: &'static str,
    /// `topic x`, `group y`.
    on: String,
}

impl Right {
    pub(super) fn new(settings: &KafkaSettings, operation: &'static str, on: impl Into<String>) -> Self {
        Self { principal: settings.security.principal(), operation, on: on.into() }
    }

    /// What is said when the cluster's access rules lack it.
    pub(super) fn is_missing(&self) -> LogError {
        LogError::fatal(self.to_string())
    }

    /// Names the right if the error says that one is missing; else as [`here`].
    pub(super) fn or(self, what: impl Into<String>) -> impl FnOnce(KafkaError) -> LogError {
        let what = what.into();
        move |error| if is_denied(&error) { self.is_missing() } else { here(what)(error) }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} lacks the right {} on the {}; `tributary topics acls` prints the rules that each service needs",
            self.principal, self.operation, self.on
        )
    }
}

/// A sentence with the client's own reason, which callers that only print the outermost error would otherwise lose.
pub(super) fn said(what: &str, error: &KafkaError) -> String {
    format!("{what}: {error}")
}

/// The client quotes the setting that it does not take, and its value.
fn without_secrets(error: KafkaError) -> KafkaError {
    match error {
        KafkaError::ClientConfig(kind, _, name, _) if name.starts_with("sasl.") || name.starts_with("ssl.") => {
            KafkaError::ClientConfig(kind, "its value is not accepted".to_owned(), name, String::new())
        }
        error => error,
    }
}

/// Whether the cluster's access rules were in the way.
pub(super) fn is_denied(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(is_denial)
}

/// Whether this code says that access rules were in the way.
pub(super) fn is_denial(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
    )
}

/// Whether waiting cannot help.
pub(super) fn is_permanent(error: &KafkaError) -> bool {
    match error {
        KafkaError::ClientConfig(..)
        | KafkaError::ClientCreation(_)
        | KafkaError::Nul(_)
        | KafkaError::MessageConsumptionFatal(_) => true,
        KafkaError::Transaction(error) => {
            error.is_fatal() || error.code() == RDKafkaErrorCode::Fenced || is_denial(error.code())
        }
        error => error.rdkafka_error_code().is_some_and(is_permanent_code),
    }
}

fn is_permanent_code(code: RDKafkaErrorCode) -> bool {
    is_denial(code)
        || matches!(
            code,
            RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::FencedInstanceId
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::UnsupportedVersion
                | RDKafkaErrorCode::UnsupportedFeature
        )
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    #[test]
    fn the_kind_says_what_to_do() {
        let away = here("asking")(KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure));
        assert!(matches!(&away, LogError::Retry { what, .. } if what.starts_with("asking: ")), "{away:?}");
        let denied = here("asking")(KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(matches!(denied, LogError::Fatal { .. }), "{denied:?}");
        let fenced = KafkaError::MessageConsumption(RDKafkaErrorCode::FencedInstanceId);
        assert!(is_permanent(&fenced));
    }

    #[test]
    fn a_missing_right_is_named() {
        let right = || Right::new(&KafkaSettings::default(), "Write", "topic t.facts");
        let denied = right().or("asking")(KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(
            denied.to_string().starts_with("User:ANONYMOUS lacks the right Write on the topic t.facts"),
            "{denied}"
        );
        let away = right().or("asking")(KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure));
        assert!(matches!(away, LogError::Retry { .. }), "{away:?}");
    }

    /// The client does quote what it was given.
    #[test]
    fn what_the_client_does_not_take_is_not_quoted_if_it_is_secret() {
        for name in ["sasl.mechanism.of.nobody", "ssl.key.of.nobody"] {
            let made: Result<BaseConsumer, _> = ClientConfig::new().set(name, "hunter2").create();
            let error = made.err().unwrap();
            assert!(error.to_string().contains("hunter2"), "{error}");
            let error = fatal("cannot make a client")(error);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
