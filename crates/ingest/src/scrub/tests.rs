//! What is taken out and what stays. All secrets are invented, and put together here so that no scanner finds them in this file.

use proptest::prelude::*;
use tributary_model::sighting::{Location, Package};

use super::*;

fn aws() -> String {
    ["AKIA", "QYLPMN5HHHFPZAM2"].concat()
}

fn github() -> String {
    ["ghp_", "wXyZ0123456789abcdefABCDEF0123456789"].concat()
}

fn check(input: &str, expected: &str) {
    assert_eq!(text(input), expected);
    assert_eq!(text(expected), expected, "scrubbing twice changes nothing");
}

#[test]
fn secrets_go() {
    check(&format!("AWS key {} in main.tf", aws()), "AWS key [redacted] in main.tf");
    check(&format!("found {}!", github()), "found [redacted]!");
    check("clone https://deploy:hunter2@git.example/a.git failed", "clone https://[redacted]@git.example/a.git failed");
    check("postgres://shop:p%40ss@db:5432/shop", "postgres://[redacted]@db:5432/shop");
    check("Authorization: Bearer abc123.def456-ghi", "Authorization: Bearer [redacted]");
    check("password = hunter2", "password = [redacted]");
    check("DB_PASSWORD='s3cr3t!' set", "DB_PASSWORD='[redacted]' set");
    check("{\"api_key\": \"a1b2c3d4\"}", "{\"api_key\": \"[redacted]\"}");
    check("session=Zm9vYmFy0123ABCDxyzQ8Lk", "session=[redacted]");
    let key = ["-----BEGIN RSA PRIVATE ", "KEY-----\nMIIE\nabc\n-----END RSA PRIVATE ", "KEY-----"].concat();
    check(&format!("a {key} b"), "a [redacted] b");
    check(&format!("cut {}", &key[..40]), "cut [redacted]");
    let token = ["eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxIn0", ".c2lnbmF0dXJl"].concat();
    check(&format!("jwt {token}."), "jwt [redacted].");
}

#[test]
fn words_stay() {
    for title in [
        "Use of hard-coded password in login()",
        "Missing authentication token: see the documentation",
        "password = os.getenv",
        "password: ${DB_PASSWORD}",
        "Basic authentication over HTTP",
        "secret: rotate-me-please",
        "log4j-core 2.14.1: remote code execution (CVE-2021-44228)",
        "image sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1",
        "commit=4bcff63911fcb4448bd4fdacec207030997caf25",
        "https://github.com/acme/shop/blob/main/src/a.rs#L10",
        "path=src/main/java/com/example/shop/OrderController",
        "bearer of bad news",
    ] {
        check(title, title);
        assert!(matches!(text(title), Cow::Borrowed(_)) || text(title) == title);
    }
}

#[test]
fn titles_are_one_short_line() {
    assert_eq!(title("  two\r\n lines\t"), "two lines");
    assert_eq!(title(&"é".repeat(300)).chars().count(), 300);
    let long = title(&"é".repeat(301));
    assert_eq!((long.chars().count(), long.ends_with('…')), (300, true));
    let across = format!("{} {}", "x".repeat(290), github());
    assert!(!title(&across).contains("ghp"), "a token across the limit goes as a whole");
    let behind = format!("{} {}", "x ".repeat(2000), github());
    assert!(!title(&behind).contains("ghp"));
}

#[test]
fn long_identities_stay_different_and_short() {
    let path = |end: &str| {
        let mut path = format!("{}{end}", "é/".repeat(4000));
        identity(&mut path);
        path
    };
    assert!(path("a").len() <= 2048);
    assert_ne!(path("a"), path("b"));
    let mut short = "src/é.rs".to_owned();
    identity(&mut short);
    assert_eq!(short, "src/é.rs");
}

#[test]
fn excerpts_are_strict() {
    assert_eq!(strict("\"Secret\": \"hunter\", \"n\": 1"), "\"Secret\": \"[redacted]\", \"n\": 1");
}

proptest! {
    #[test]
    fn no_token_survives_anywhere_in_a_sighting(before in "[ -~é]{0,40}", after in "[ -~é]{0,40}", which in 0..4_usize) {
        let token = match which {
            0 => aws(),
            1 => github(),
            2 => ["glpat-", "x1y2z3a4b5c6d7e8f9g0"].concat(),
            _ => "hunter2hunter2".to_owned(),
        };
        // A token glued to a word is another word; a password is found by what stands around it.
        let raw = if which == 3 { format!("{before} https://bob:{token}@h/ {after}") } else { format!("{before} {token} {after}") };
        let mut claim = Sighting {
            title: raw.clone(),
            resource: raw.clone(),
            package: Some(Package { file: raw.clone(), introduced_by: vec![raw.clone()], ..Package::default() }),
            location: Some(Location { path: raw.clone(), enclosing: raw.clone(), ..Location::default() }),
            ..Sighting::default()
        };
        sighting(&mut claim);
        prop_assert!(!format!("{claim:?}").contains(&token), "{claim:?}");
    }

    #[test]
    fn any_text_is_scrubbed_once(input in ".{0,200}") {
        let once = text(&input).into_owned();
        prop_assert_eq!(text(&once).into_owned(), once.clone());
        prop_assert!(title(&input).chars().count() <= TITLE_CHARS_MAX);
    }
}
