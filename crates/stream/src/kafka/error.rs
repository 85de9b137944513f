//! From what the client says to what the caller does next.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::log::LogError;

/// An error where nothing was sent or changed on the cluster: a query, a seek, a local step. Temporary ones may be tried again.
pub(super) fn here(what: impl Into<String>) -> impl FnOnce(KafkaError) -> LogError {
    let what = what.into();
    move |error| {
        if is_permanent(&error) {
            LogError::Fatal { what: said(&what, &error), source: Some(Box::new(error)) }
        } else {
            LogError::Retry { what: said(&what, &error), source: Some(Box::new(error)) }
        }
    }
}

/// An error that ends a handle.
pub(super) fn fatal(what: impl Into<String>) -> impl FnOnce(KafkaError) -> LogError {
    let what = what.into();
    move |error| LogError::Fatal { what: said(&what, &error), source: Some(Box::new(error)) }
}

/// A sentence with the client's own reason, which callers that only print the outermost error would otherwise lose.
pub(super) fn said(what: &str, error: &KafkaError) -> String {
    format!("{what}: {error}")
}

/// Whether waiting cannot help.
pub(super) fn is_permanent(error: &KafkaError) -> bool {
    match error {
        KafkaError::ClientConfig(..)
        | KafkaError::ClientCreation(_)
        | KafkaError::Nul(_)
        | KafkaError::MessageConsumptionFatal(_) => true,
        KafkaError::Transaction(error) => error.is_fatal() || error.code() == RDKafkaErrorCode::Fenced,
        error => error.rdkafka_error_code().is_some_and(is_permanent_code),
    }
}

fn is_permanent_code(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fatal
            | RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::FencedInstanceId
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::UnsupportedFeature
    )
}

#[cfg(test)]
mod tests {
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
}
