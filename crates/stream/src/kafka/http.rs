//! HTTP to what stands beside the cluster: authorization servers, schema registries.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// A client that waits at most so long for an answer, and follows no redirect: that would carry a secret elsewhere.
pub(super) fn agent(patience: Duration, authorities: RootCerts) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(authorities).build())
        .build()
        .into()
}

/// The authorities in a text in PEM; `None` if one cannot be read, or there is none.
pub(super) fn authorities(pem: &str) -> Option<RootCerts> {
    let items: Result<Vec<_>, _> = parse_pem(pem.as_bytes()).collect();
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    let certificates: Vec<Certificate<'static>> = items.ok()?.into_iter().filter_map(certificate).collect();
    (!certificates.is_empty()).then(|| RootCerts::from(certificates))
}

/// A name and a password (RFC 7617).
pub(super) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// What somebody else's error says, fit for a line of ours: printable, and not without end.
pub(super) fn brief(text: &str) -> String {
    let printable = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    printable.take(300).collect()
}

/// Host and port of an address `http://host:port/…`, if it has no TLS.
pub(super) fn unencrypted_host(url: &str) -> Option<&str> {
    url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default())
}
