//! Test support: runs a normaliser over text and shows the facts, one line each.
//! `entity attribute [qualifier] = value`, with the asserter where it differs from the expected one.

use tributary_model::record::Extensions;
use tributary_model::reject::Origin;

use crate::event::{Events, Input, Rejection, SecretHasher};

/// Makes visible that a value went through it.
pub struct TestHasher;

impl SecretHasher for TestHasher {
    fn hmac(&self, secret: &str) -> String {
        format!("hmac-of-{}-bytes", secret.len())
    }
    fn key_id(&self) -> &'static str {
        "test-key"
    }
}

/// Event time of every test record: 2026-11-20T09:00:00Z.
pub const NOW: i64 = 1_795_165_200_000;

/// Runs a normaliser over text that came with these extensions.
pub fn run(
    normalize: fn(&Input<'_>) -> Result<Events, Rejection>,
    body: &str,
    mut ext: Extensions,
) -> Result<Events, Rejection> {
    ext.time = ext.time.or(Some(NOW));
    let origin = Origin { topic: "raw.cicd".into(), partition: 3, offset: 7 };
    normalize(&Input { body: body.as_bytes(), ext: &ext, origin: &origin, secrets: &TestHasher })
}

/// One line per fact, in order.
pub fn lines(events: &Events) -> Vec<String> {
    let mut lines = Vec::new();
    for fact in &events.facts {
        assert_eq!(fact.origin.offset, 7, "every fact names its origin");
        let qualifier = if fact.qualifier.is_empty() { String::new() } else { format!(" [{}]", fact.qualifier) };
        lines.push(format!(
            "{} {}{qualifier} = {} ({})",
            fact.entity,
            fact.attribute.name(),
            fact.value,
            fact.asserter
        ));
    }
    lines
}

/// Compares the facts of a record with the expected lines.
pub fn check(normalize: fn(&Input<'_>) -> Result<Events, Rejection>, body: &str, ext: Extensions, expected: &[&str]) {
    let events = run(normalize, body, ext).unwrap_or_else(|rejection| panic!("{rejection}"));
    let found = lines(&events);
    assert_eq!(found, expected, "found:\n{}", found.join("\n"));
}

/// Cuts and breaks a good input in many places: a normaliser answers, it never panics, and never with nothing.
pub fn check_robust(normalize: fn(&Input<'_>) -> Result<Events, Rejection>, body: &str) {
    let answers = |body: &str| match run(normalize, body, Extensions::default()) {
        Ok(events) => assert!(!events.is_empty(), "an empty answer to {body}"),
        Err(rejection) => assert!(!rejection.reason.is_empty()),
    };
    let step = (body.len() / 97).max(1);
    for at in (0..body.len()).step_by(step).filter(|at| body.is_char_boundary(*at)) {
        answers(&body[..at]);
        answers(&format!("{}\u{0}{}", &body[..at], &body[at..]));
        answers(&format!("{}{}", &body[..at], body[at..].replacen('"', "[", 1)));
        answers(&format!("{}{}", &body[..at], body[at..].replacen(':', ": null,", 1)));
    }
    for odd in
        ["", " ", "null", "[]", "{}", "[[]]", "\"\"", "7", "{\"\":1}", "é", "- - - -", "a: *b", &"[".repeat(4000)]
    {
        answers(odd);
    }
}
