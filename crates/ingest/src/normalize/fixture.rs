//! Test support of the normalisers: an input around bytes, and the property that every one of them must have.

use tributary_model::record::Extensions;
use tributary_model::reject::Origin;

use crate::event::{Events, Input, Rejection, SecretHasher, code};
use crate::format::Format;
use crate::report::Report;

/// A hasher whose results are readable and do not contain the secret.
pub struct Hasher;

impl SecretHasher for Hasher {
    fn hmac(&self, secret: &str) -> String {
        format!("hmac-{}", super::code_evidence::of(secret).snippet_hash)
    }
    fn key_id(&self) -> &'static str {
        "test"
    }
}

/// Extensions of a repository branch.
pub fn repository() -> Extensions {
    Extensions {
        repo: Some("github.com/acme/shop".to_owned()),
        branch: Some("main".to_owned()),
        received_at: 1_000,
        ..Extensions::default()
    }
}

/// Normalises bytes.
pub fn normalize(format: Format, body: &[u8], ext: &Extensions) -> Result<Events, Rejection> {
    let origin = Origin::default();
    super::normalize(format, &Input { body, ext, origin: &origin, secrets: &Hasher })
}

/// The one report of an input.
pub fn report(format: Format, body: &str, ext: &Extensions) -> Report {
    let events = normalize(format, body.as_bytes(), ext).unwrap_or_else(|rejection| panic!("{rejection}"));
    assert_eq!(events.reports.len(), 1, "{:#?}", events.reports);
    events.reports.into_iter().next().expect("one")
}

/// Every truncation and many mutations of a good input give events or a rejection, never a panic, and never an accepted
/// truncation of JSON. Every string in the result is free of the given secrets.
pub fn survives(format: Format, body: &str, secrets: &[&str]) {
    let ext = repository();
    let whole = normalize(format, body.as_bytes(), &ext).unwrap_or_else(|rejection| panic!("{rejection}"));
    let text = format!("{whole:?}");
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the events");
    }
    let bytes = body.trim_end().as_bytes();
    let step = (bytes.len() / 400).max(1);
    for cut in (0..bytes.len()).step_by(step) {
        let result = normalize(format, &bytes[..cut], &ext);
        if let Err(rejection) = &result {
            assert!(!rejection.reason.is_empty() && secrets.iter().all(|secret| !rejection.reason.contains(secret)));
        }
        let mut mutated = bytes.to_vec();
        for replacement in [b'"', b'0', b'[', b'{', b'<', 0xff] {
            mutated[cut] = replacement;
            let _ = normalize(format, &mutated, &ext);
        }
    }
    assert_eq!(normalize(format, b"", &ext).map_err(|rejection| rejection.code == code::NO_ASSET).err(), Some(false));
}
