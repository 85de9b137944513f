//! I1 against bodies that no tool wrote: of every format one of the project's own records is cut, damaged and filled with values
//! of other types. Whatever comes, it is events or one reject that says why, and never a panic.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on should stop

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};
use tributary_ingest::event::code;
use tributary_ingest::format::Format;
use tributary_ingest::grant::Grants;
use tributary_ingest::pipeline::{Canonical, Context, RawRecord, ingest};
use tributary_ingest::secret::HmacHasher;
use tributary_ingest::{detect, plain};
use tributary_model::record::Extensions;
use tributary_model::reject::{Origin, Reject};

/// Cuts, flips and replaced values per record: enough to reach every field of a small record, few enough for seconds.
const CUTS: usize = 30;
const FLIPS: usize = 50;
const PLACES: usize = 20;
/// Larger records say the same things more often.
const BODY_BYTES_MAX: usize = 12 * 1024;

/// Formats of which the project keeps no file.
const INLINE: &[(Format, &str)] = &[
    (
        Format::GithubSecretScanningAlert,
        r#"{"action":"created","alert":{"number":1,"secret_type":"acme_key","secret":"acme-not-a-real-key","state":"open"},"repository":{"id":7,"full_name":"acme/shop","default_branch":"main"}}"#,
    ),
    (
        Format::GithubRegistryPackage,
        r#"{"registry_package":{"name":"till","namespace":"acme","package_version":{"version":"1","container_metadata":{"tag":{"name":"3"},"labels":{},"manifest":{"digest":"x"}}}},"repository":{"id":7,"full_name":"acme/shop","default_branch":"main"}}"#,
    ),
    (
        Format::GithubWorkflowRun,
        r#"{"action":"completed","workflow_run":{"head_branch":"release/1","updated_at":"2026-04-01T00:00:00Z"},"repository":{"id":7,"full_name":"acme/shop","default_branch":"main"}}"#,
    ),
    (
        Format::Falco,
        r#"{"output":"a shell","priority":"Warning","rule":"Shell in container","time":"2026-04-01T00:00:00Z","output_fields":{"container.id":"c1","container.image.repository":"r.example/till","k8s.ns.name":"shop","k8s.pod.name":"till-6d4cf56db6-x2x4z"},"tags":["shell"]}"#,
    ),
    (
        Format::Osv,
        r#"{"schema_version":"1.6.0","id":"GHSA-aaaa-2222-3333","modified":"2026-01-01T00:00:00Z","aliases":["CVE-2030-7"],"affected":[{"package":{"ecosystem":"npm","name":"x"}}]}"#,
    ),
];

/// Numbers that look random and are the same in every run (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % (limit.max(1) as u64)).unwrap()
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The largest record of each format that is not large: it has the most fields.
fn records() -> BTreeMap<Format, Vec<u8>> {
    let mut paths = Vec::new();
    for folder in ["tests/fixtures", "../../examples/estate"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut paths);
    }
    paths.sort();
    let inline = INLINE.iter().map(|(format, body)| (Some(*format), body.as_bytes().to_vec()));
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        let body = std::fs::read(&path).unwrap();
        let declared = if name.starts_with("CODEOWNERS") { Some(Format::CodeOwners) } else { None };
        (declared.or_else(|| detect::detect(&body, &Extensions::default(), None).ok()), body)
    };
    let mut records: BTreeMap<Format, Vec<u8>> = BTreeMap::new();
    for (format, body) in inline.chain(paths.into_iter().map(read)) {
        let Some(format) = format else { continue };
        let body = plain::text(&body, plain::BODY_BYTES_MAX).unwrap().into_owned();
        let held = records.get(&format).map_or(0, Vec::len);
        if body.len() > held && body.len() <= BODY_BYTES_MAX {
            records.insert(format, body);
        }
    }
    records
}

/// What is asked of every body. Declared, so that detection does not keep it from its normaliser.
fn holds(format: Format, body: &[u8], what: impl Fn() -> String) {
    match taken(format, body) {
        Ok(events) => {
            let is_event = |event: &Canonical| !matches!(event, Canonical::Reject(_));
            assert!(!events.is_empty() && events.iter().all(is_event), "{}: {}: no event", format.name(), what());
        }
        Err(reject) => {
            let says_why = !reject.reason.is_empty() && reject.code != code::INTERNAL;
            assert!(says_why, "{}: {}: {} {}", format.name(), what(), reject.code, reject.reason);
        }
    }
}

fn taken(format: Format, body: &[u8]) -> Result<Vec<Canonical>, Box<Reject>> {
    let (grants, secrets) = (Grants::everything(), HmacHasher::new(&[7; 32]).unwrap());
    let context = Context { grants: &grants, secrets: &secrets, body_bytes_max: plain::BODY_BYTES_MAX };
    let ext = Extensions {
        format: Some(format.name().to_owned()),
        repo: Some("github.com/acme/shop".to_owned()),
        branch: Some("main".to_owned()),
        received_at: 1_795_165_200_000,
        ..Extensions::default()
    };
    let record =
        RawRecord { body: Bytes::copy_from_slice(body), ext, class: format.class(), origin: Origin::default() };
    ingest(&record, &context)
}

/// The pointers of all values of a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(at.clone());
        pointers(value, &at, found);
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| below(&n.to_string(), item)),
        Value::Object(keys) => keys.iter().for_each(|(key, value)| below(key, value)),
        _ => {}
    }
}

fn nest(depth: usize) -> Value {
    (0..depth).fold(json!("x"), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) })
}

#[test]
fn the_records_as_they_are_make_events_in_every_format() {
    let records = records();
    let missing: Vec<&str> =
        Format::ALL.iter().filter(|format| !records.contains_key(format)).map(|format| format.name()).collect();
    assert!(missing.is_empty(), "no record of {missing:?}: put one into tests/fixtures");
    for (format, body) in records {
        let events = taken(format, &body).unwrap_or_else(|reject| panic!("{}: {}", format.name(), reject.reason));
        assert!(!events.is_empty(), "{}", format.name());
    }
}

#[test]
fn cut_and_damaged() {
    let mut random = Seeded(1);
    for (format, body) in records() {
        let step = (body.len() / CUTS).max(1);
        for cut in (0..body.len()).step_by(step) {
            holds(format, &body[..cut], || format!("cut at {cut}"));
        }
        for _ in 0..FLIPS {
            let mut damaged = body.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] ^= 1 << random.below(8);
            }
            holds(format, &damaged, || format!("flipped: {}", String::from_utf8_lossy(&damaged)));
        }
    }
}

#[test]
fn values_of_other_types() {
    let others = [
        json!(null),
        json!(true),
        json!(-1.5e300),
        json!(u64::MAX),
        json!(""),
        json!("é\u{0}\n"),
        json!([]),
        json!([null, 7]),
        json!({}),
        nest(60),
        nest(110),
    ];
    let mut random = Seeded(2);
    for (format, body) in records() {
        let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&body).into_iter().collect();
        let Ok(documents) = documents else { continue };
        let whole = Value::Array(documents);
        let mut places = Vec::new();
        pointers(&whole, "", &mut places);
        let text =
            |changed: &Value| changed.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        for n in 0..PLACES.min(places.len()) {
            let place = if places.len() <= PLACES { &places[n] } else { &places[random.below(places.len())] };
            for other in &others {
                let mut changed = whole.clone();
                *changed.pointer_mut(place).unwrap() = other.clone();
                holds(format, text(&changed).as_bytes(), || format!("{other} at {place}"));
            }
        }
    }
}

#[test]
fn a_megabyte_where_a_word_was() {
    let mut random = Seeded(3);
    let much = "x".repeat(1 << 20);
    for (format, body) in records() {
        let text = String::from_utf8(body).unwrap();
        let words: Vec<(usize, &str)> = text.match_indices(|c: char| c.is_ascii_lowercase()).collect();
        for _ in 0..3 {
            let at = words[random.below(words.len())].0;
            holds(format, format!("{}{much}{}", &text[..at], &text[at..]).as_bytes(), || format!("1 MiB at {at}"));
        }
    }
}
