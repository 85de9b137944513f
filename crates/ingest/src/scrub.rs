//! Removes secrets from text that is kept or shown, in linear time, and bounds its length.
//! It may take too much from a title; it must not leave a credential in one.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};
use tributary_model::fact::{Attribute, Fact, value};
use tributary_model::sighting::Sighting;

/// Longest title, characters: what a ticket's summary field takes (Jira: 255) plus a little; longer is description.
pub const TITLE_CHARS_MAX: usize = 300;
/// Longest text with identity in it (paths, rules, resources), bytes. Real ones are below 1 KiB; a sighting must fit a batch.
const IDENTITY_BYTES_MAX: usize = 2048;
/// Longest entry of a list of ids, versions or path steps, bytes: with the lists' lengths, a sighting stays below 100 KiB.
const ENTRY_BYTES_MAX: usize = 512;
/// Most ids, versions or path steps of one sighting.
const LIST_MAX: usize = 64;
/// Most steps of a dependency path, as the model says.
const INTRODUCED_MAX: usize = 16;

/// What stands where a secret was.
pub const MARK: &str = "[redacted]";

/// Credentials that are recognised by their own form. Word boundaries are those of ASCII: Unicode ones keep the engine from
/// its fast path, and a sender could use that. Sources: the providers' documentation of token formats.
const TOKENS: &[&str] = &[
    // A block of a private key; cut ones have no end line.
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[\s\S]*)",
    // AWS key ids.
    r"(?-u:\b)(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}(?-u:\b)",
    // GitHub, GitLab, Slack, Google, Stripe, npm, PyPI, SendGrid, OpenAI and Anthropic, Hugging Face, DigitalOcean, Vault, age.
    r"(?-u:\b)(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    r"(?-u:\b)(?:glpat|gldt|glrt|glsoat)-[A-Za-z0-9_.-]{16,}",
    r"(?-u:\b)xox[a-z]-[A-Za-z0-9-]{10,}",
    r"(?-u:\b)AIza[A-Za-z0-9_-]{30,}",
    r"(?-u:\b)[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"(?-u:\b)npm_[A-Za-z0-9]{30,}",
    r"(?-u:\b)pypi-[A-Za-z0-9_-]{40,}",
    r"(?-u:\b)SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"(?-u:\b)sk-[A-Za-z0-9_-]{20,}",
    r"(?-u:\b)(?:hf|dop_v1|hvs|hvb)[_.][A-Za-z0-9_-]{24,}",
    r"(?-u:\b)AGE-SECRET-KEY-1[A-Z0-9]{50,}",
    // JSON web tokens.
    r"(?-u:\b)eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?",
    // Incoming webhooks carry their secret in the path.
    r"https://hooks\.slack\.com/[A-Za-z0-9/_+-]{20,}",
];

/// User information in a URL: keeps the scheme (1).
const URL_USER: &str = r"(?-u:\b)([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@\x22'<>]+@";
/// A credential behind its scheme: keeps the word (1); takes the value (2).
const BEARER: &str = r"(?i)(?-u:\b)((?:bearer|basic|token|apikey)\s+)([A-Za-z0-9._~+/=-]{8,})";
/// A value behind a name that says secret: keeps name and sign (1); takes the value (2).
const NAMED: &str = concat!(
    r"(?i)((?:passwd|password|passphrase|pwd|secret|token|api[_.-]?key|access[_.-]?key|private[_.-]?key",
    r"|account[_.-]?key|credentials?|signature|(?-u:\b)sig(?-u:\b)|(?-u:\b)auth(?-u:\b))[A-Za-z0-9_.-]{0,32}[\x22']?\s{0,4}(?:=>|:=|=|:)\s{0,4}[\x22']?)",
    r"([^\s\x22'&,;<>]{4,})",
);
/// Any other assignment of something long: keeps name and sign (1); takes the value (2) when it looks random.
const ASSIGNED: &str = r"([A-Za-z0-9_\x22']\s{0,4}[=:]\s{0,4}[\x22']?)([A-Za-z0-9+_=-][A-Za-z0-9+/_=-]{19,})";

#[allow(clippy::expect_used)] // the patterns are compiled in, and every test here runs them
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file is valid")
}

static ANY: LazyLock<RegexSet> = LazyLock::new(|| {
    #[allow(clippy::expect_used)] // as above
    RegexSet::new(TOKENS.iter().copied().chain([URL_USER, BEARER, NAMED, ASSIGNED])).expect("the patterns are valid")
});
static TOKEN: LazyLock<Regex> = LazyLock::new(|| regex(&TOKENS.join("|")));
static USER: LazyLock<Regex> = LazyLock::new(|| regex(URL_USER));
static SCHEME: LazyLock<Regex> = LazyLock::new(|| regex(BEARER));
static NAME: LazyLock<Regex> = LazyLock::new(|| regex(NAMED));
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| regex(ASSIGNED));

/// The text without secrets.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    scrub(text, false)
}

/// The text without secrets, taking also short and simple values behind names that say secret: for excerpts of raw input.
#[must_use]
pub fn strict(text: &str) -> Cow<'_, str> {
    scrub(text, true)
}

fn scrub(text: &str, strict: bool) -> Cow<'_, str> {
    if !ANY.is_match(text) {
        return Cow::Borrowed(text);
    }
    let keep_first = |captures: &Captures<'_>| format!("{}{MARK}@", &captures[1]);
    let when = |looks_secret: fn(&str) -> bool| {
        move |captures: &Captures<'_>| {
            let is_secret = looks_secret(&captures[2]) && &captures[2] != MARK;
            if is_secret { format!("{}{MARK}", &captures[1]) } else { captures[0].to_owned() }
        }
    };
    let text = TOKEN.replace_all(text, MARK);
    let text = USER.replace_all(&text, keep_first);
    let text = SCHEME.replace_all(&text, when(|value| value.bytes().any(|byte| byte.is_ascii_digit())));
    let named = if strict { |_: &str| true } else { is_value_of_secret };
    let text = NAME.replace_all(&text, when(named));
    let text = ASSIGNMENT.replace_all(&text, when(is_random));
    Cow::Owned(text.into_owned())
}

/// Behind `password =`: anything but a word or a reference to where the secret is kept.
fn is_value_of_secret(value: &str) -> bool {
    let is_reference = value.starts_with(['$', '%', '{', '<', '*']) || value.starts_with("secrets.");
    let is_word = value.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '_' | '.' | '(' | ')' | '/'));
    !is_reference && !is_word
}

/// Random enough to be a key: all of upper case, lower case and digits, and at least 3.5 bits per character. Hashes,
/// versions, paths and package names are not.
fn is_random(value: &str) -> bool {
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) && entropy_bits(value) >= 3.5
}

/// Shannon entropy of the bytes, bits per byte.
fn entropy_bits(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length).map(|p| -p * p.log2()).sum()
}

/// A title: one line, without secrets, at most [`TITLE_CHARS_MAX`] characters.
#[must_use]
pub fn title(text: &str) -> String {
    // Cut before scrubbing for the cost, far enough behind the limit that a secret across it is still whole; then cut again.
    let head = first_chars(text, TITLE_CHARS_MAX * 4);
    let clean = scrub(head, false);
    let is_line = !has_control(&clean) && clean.trim().len() == clean.len();
    let line = if is_line { clean.into_owned() } else { clean.split_whitespace().collect::<Vec<_>>().join(" ") };
    if first_chars(&line, TITLE_CHARS_MAX).len() == line.len() {
        return line;
    }
    format!("{}…", first_chars(&line, TITLE_CHARS_MAX - 1))
}

/// At most so many characters from the beginning.
fn first_chars(text: &str, count: usize) -> &str {
    // A character has at least one byte.
    if text.len() <= count {
        return text;
    }
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

fn has_control(text: &str) -> bool {
    if text.is_ascii() { text.bytes().any(|byte| byte.is_ascii_control()) } else { text.contains(char::is_control) }
}

/// Scrubs and bounds everything that a sighting carries.
pub fn sighting(sighting: &mut Sighting) {
    sighting.title = title(&sighting.title);
    for text in [&mut sighting.rule, &mut sighting.resource, &mut sighting.control, &mut sighting.cvss_vector] {
        identity(text);
    }
    bound_list(&mut sighting.aliases, LIST_MAX);
    sighting.cwes.truncate(LIST_MAX);
    if let Some(package) = &mut sighting.package {
        for text in [
            &mut package.purl,
            &mut package.name,
            &mut package.version,
            &mut package.ecosystem,
            &mut package.source_purl,
            &mut package.manifest_dir,
            &mut package.file,
        ] {
            identity(text);
        }
        bound_list(&mut package.fixed_versions, LIST_MAX);
        bound_list(&mut package.introduced_by, INTRODUCED_MAX);
    }
    if let Some(location) = &mut sighting.location {
        for text in [&mut location.path, &mut location.line_hash, &mut location.snippet_hash, &mut location.enclosing] {
            identity(text);
        }
    }
    if let Some(endpoint) = &mut sighting.endpoint {
        for text in [&mut endpoint.method, &mut endpoint.path_template, &mut endpoint.parameter] {
            identity(text);
        }
    }
    if let Some(secret) = &mut sighting.secret {
        for text in [&mut secret.hmac, &mut secret.key_id, &mut secret.family] {
            identity(text);
        }
    }
}

/// Scrubs what a fact says in words; other values are numbers, names and ids.
pub fn fact(fact: &mut Fact) {
    if matches!(fact.attribute, Attribute::Summary | Attribute::Title)
        && let Some(words) = value::parse::<value::Text>(&fact.value)
    {
        fact.value = value::json(&title(&words));
    }
}

/// Takes credentials that are recognised by their form out of a text with identity, and bounds it. A long one keeps its
/// beginning and gets a hash of the whole, so that two long ones stay different.
pub fn identity(text: &mut String) {
    bounded(text, IDENTITY_BYTES_MAX);
}

fn bounded(text: &mut String, bytes_max: usize) {
    if let Cow::Owned(clean) = credentials(text) {
        *text = clean;
    }
    if text.len() > bytes_max {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let end = (0..=bytes_max - 17).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('~');
        text.push_str(&hash[..16]);
    }
}

/// The text without user information in URLs and without tokens of known form; names of things stay whole.
#[must_use]
pub fn credentials(text: &str) -> Cow<'_, str> {
    // Nothing that these patterns find is shorter.
    if text.len() < 8 {
        return Cow::Borrowed(text);
    }
    let has_any = TOKEN.is_match(text) || text.contains("://") && USER.is_match(text);
    if !has_any {
        return Cow::Borrowed(text);
    }
    let text = TOKEN.replace_all(text, MARK);
    let keep_first = |captures: &Captures<'_>| format!("{}{MARK}@", &captures[1]);
    Cow::Owned(USER.replace_all(&text, keep_first).into_owned())
}

fn bound_list(list: &mut Vec<String>, length_max: usize) {
    list.truncate(length_max);
    for entry in list {
        bounded(entry, ENTRY_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests;
