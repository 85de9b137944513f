//! What goes through the services: the sample estate, and a synthetic one beside it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::check::Expected;
use crate::up::{Post, estate};

/// Findings of the synthetic estate. Small enough for every test here to end within minutes on two cores.
const FINDINGS: u32 = 600;
/// Set to run a larger one.
const GIVEN: &str = "TRIBUTARY_TEST_KAFKA_FINDINGS";
/// Findings of one component: two reports of a few hundred KB.
const FINDINGS_PER_COMPONENT: u32 = 100;

/// Records, and what an undisturbed process makes of them.
pub struct Input {
    pub records: Vec<Post>,
    pub expected: Expected,
}

/// The sample estate followed by the synthetic one. Made once: every test sends the same.
pub fn both() -> &'static Input {
    static BOTH: OnceLock<Input> = OnceLock::new();
    BOTH.get_or_init(|| {
        let findings = std::env::var(GIVEN).map_or(FINDINGS, |given| given.parse().expect("a number of findings"));
        let mut records = estate();
        records.extend(synthetic(findings));
        Input { expected: Expected::of(&records), records }
    })
}

/// The sample estate alone, for tests in which the way matters more than the load.
pub fn sample() -> &'static Input {
    static SAMPLE: OnceLock<Input> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let records = estate();
        Input { expected: Expected::of(&records), records }
    })
}

/// What is disturbed: the sample estate, and both where a size is named, which takes its time.
pub fn disturbed() -> &'static Input {
    if std::env::var_os(GIVEN).is_some() { both() } else { sample() }
}

/// Generated records of so many findings.
pub fn synthetic(findings: u32) -> Vec<Post> {
    let directory = tempfile::tempdir().unwrap();
    let components = (findings / FINDINGS_PER_COMPONENT).max(1).to_string();
    let made = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["estate", "--seed", "7", "--findings", &findings.to_string(), "--components", &components, "--out"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let manifest = std::fs::read_to_string(directory.path().join("manifest.jsonl")).unwrap();
    let post = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let headers: BTreeMap<String, String> = serde_json::from_value(line["headers"].clone()).unwrap();
        Post {
            path: format!("/v1/events/{}", line["class"].as_str().unwrap()),
            headers: headers.into_iter().collect(),
            body: std::fs::read(directory.path().join(line["file"].as_str().unwrap())).unwrap(),
        }
    };
    manifest.lines().map(post).collect()
}
