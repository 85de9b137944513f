//! The command line against a running `tributary up`: what people and pipelines type, what it prints, how it exits.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::up::Service;

const REPO: [&str; 4] = ["--repo", "https://github.com/acme/shop", "--branch", "main"];

/// A running service, and a directory for reports.
struct Desk {
    directory: TempDir,
    service: Service,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Small, so that a report over it is quickly made.
        std::fs::write(directory.path().join("tributary.toml"), "[intake]\nreport_max_mib = 2\n").unwrap();
        let service = Service::start(directory.path());
        Self { directory, service }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        tributary(self.directory.path(), &self.service.url, arguments)
    }

    /// Runs and parses every line of stdout.
    fn lines(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
    }

    fn publish(&self, file: &str, code: i32) -> Value {
        let arguments = [&["publish", file, "--wait", "--json"][..], &REPO].concat();
        self.lines(&arguments, code).remove(0)
    }
}

fn tributary(directory: &Path, url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(arguments)
        .current_dir(directory)
        .env("TRIBUTARY_URL", url)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A SARIF report with one weakness per line number; it names no repository.
fn sarif(lines: &[u32]) -> String {
    let result = |line: &u32| {
        json!({
            "ruleId": "sql", "level": "error", "message": {"text": "Query built from input"},
            "partialFingerprints": {"primaryLocationLineHash": format!("{line:016x}:1")},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/Search.java"}, "region": {"startLine": line}}}],
        })
    };
    let results: Vec<Value> = lines.iter().map(result).collect();
    let rules = json!([{"id": "sql", "properties": {"tags": ["external/cwe/cwe-089"], "security-severity": "8.8"}}]);
    json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scanner", "rules": rules}}, "results": results}]})
        .to_string()
}

#[test]
fn a_published_report_gives_its_delta_and_what_to_fix_first() {
    let desk = Desk::new();
    desk.write("first.sarif", &sarif(&[10, 20, 30]));
    let first = desk.publish("first.sarif", 0);
    assert_eq!(first["assets"], json!(["repo:github.com/acme/shop#main"]), "{first}");
    assert_eq!((&first["new"], &first["gone"], &first["unchanged"]), (&json!(3), &json!(0), &json!(0)), "{first}");
    assert_eq!(first["fix_first"].as_array().unwrap().len(), 3, "{first}");

    let again = desk.publish("first.sarif", 0);
    assert_eq!(again, first, "the same bytes are the same scan");

    desk.write("second.sarif", &sarif(&[10, 20, 40]));
    let second = desk.publish("second.sarif", 0);
    assert_eq!((&second["new"], &second["gone"], &second["unchanged"]), (&json!(1), &json!(1), &json!(2)), "{second}");

    let top = desk.lines(&["top", "--json"], 0);
    assert_eq!(top.len(), 3);
    let id = top[0]["risk"].as_str().unwrap();
    let short: String = id.split(':').nth(1).unwrap().chars().take(8).collect();
    for command in ["show", "explain"] {
        let output = desk.run(&[command, &short]);
        assert!(output.status.success() && text(&output).contains("CWE-89"), "{command}: {}", text(&output));
    }
    // Three are open, one is resolved.
    let ambiguous = desk.run(&["show", "kv1:"]);
    assert_eq!(ambiguous.status.code(), Some(2));
    assert!(text(&ambiguous).contains("4 risks"), "{}", text(&ambiguous));
    desk.service.stop();
}

#[test]
fn a_file_that_cannot_be_sent_says_why_and_keeps_back_no_other() {
    let desk = Desk::new();
    desk.write("good.sarif", &sarif(&[1]));
    desk.write("cut.sarif", &sarif(&[1])[..60]);
    desk.write("poem.txt", "Roses are red");
    // Valid, and beyond the configured limit of 2 MiB.
    desk.write("huge.sarif", &sarif(&(1..12_000).collect::<Vec<u32>>()));
    let arguments = ["publish", "cut.sarif", "poem.txt", "missing.json", "huge.sarif", "good.sarif", "--json"];
    let lines = desk.lines(&[&arguments[..], &REPO].concat(), 1);
    let said: Vec<&str> = lines.iter().map(|line| line["error"].as_str().unwrap_or("sent")).collect();
    let expected = ["truncated", "format is not recognised", "No such file", "report_max_mib", "sent"];
    assert_eq!(said.len(), expected.len());
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said:?} should say {expected:?}");
    }
    // Without a word about the repository, the report would be a reject: it is said before anything is sent.
    let orphan = desk.run(&["publish", "good.sarif"]);
    assert_eq!(orphan.status.code(), Some(1));
    assert!(text(&orphan).contains("--repo"), "{}", text(&orphan));
    desk.service.wait_idle(Duration::from_secs(60));
    assert_eq!(desk.lines(&["tail", "rejects"], 0), Vec::<Value>::new(), "nothing was sent in vain");
    desk.service.stop();
}

#[test]
fn context_needs_no_scan_and_reaches_the_risks() {
    let desk = Desk::new();
    desk.write("report.sarif", &sarif(&[7]));
    desk.publish("report.sarif", 0);
    desk.write(
        "catalog-info.yaml",
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: shop\n  annotations:\n    \
         github.com/project-slug: acme/shop\nspec:\n  type: service\n  lifecycle: production\n  owner: team-shop\n",
    );
    let output = desk.run(&["publish", "catalog-info.yaml", "--wait"]);
    assert!(output.status.success(), "{}", text(&output));
    desk.service.wait_idle(Duration::from_secs(60));
    let top = desk.lines(&["top", "--json"], 0);
    assert_eq!((&top[0]["owner"], &top[0]["component"]), (&json!("team-shop"), &json!("shop")), "{top:?}");
    desk.service.stop();
}

#[test]
fn a_server_that_does_not_answer_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.sarif"), sarif(&[1])).unwrap();
    for arguments in [&["status"][..], &["top"], &["publish", "a.sarif", "--resource", "x"], &["intel", "sync"]] {
        // A port of the reserved range that nothing listens on.
        let output = tributary(directory.path(), "http://127.0.0.1:1", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output).contains("tributary up"), "{arguments:?}: {}", text(&output));
    }
}
