//! `rejects list` and `rejects replay` on a real cluster: what was refused for a setting goes through once the setting is right.

use std::process::Output;

use bytes::Bytes;
use serde_json::{Value, json};
use tributary_model::Topic;
use tributary_stream::Output as Record;
use tributary_stream::kafka::configure_topics;
use tributary_stream::log::Log;

use crate::check::{latest, read, rejects};
use crate::fleet::{Fleet, wait_until};

/// A SARIF report of more than a MiB about this repository.
fn large_report(repository: &str) -> Record {
    let result = json!({
        "ruleId": "sql", "level": "error", "message": {"text": "x".repeat(1 << 20)},
        "partialFingerprints": {"primaryLocationLineHash": "00000000000000aa:1"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/Search.java"}, "region": {"startLine": 7}}}],
    });
    let report = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scanner"}}, "results": [result]}]});
    let key = format!("test|{repository}");
    Record {
        topic: Topic::RawScanner,
        partition_key: key.clone(),
        key: Bytes::from(key),
        value: Some(Bytes::from(report.to_string())),
        headers: vec![("repo".to_owned(), repository.to_owned()), ("branch".to_owned(), "main".to_owned())],
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn what_was_rejected_for_a_setting_is_listed_and_sent_again() {
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.settings = vec![("TRIBUTARY__INTAKE__REPORT_MAX_MIB", "1".to_owned())];
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    log.producer().unwrap().append(vec![large_report("https://github.com/acme/shop")]).unwrap();
    wait_until("it is rejected", || !rejects(&log).is_empty());
    let reject = rejects(&log).remove(0);
    let run = |fleet: &Fleet, arguments: &[&str]| fleet.command("ask").arg("rejects").args(arguments).output().unwrap();

    let listed = run(&fleet, &["list", "--json", "--topic", "raw.scanner", "--reason", &reject.code, "--since", "1h"]);
    let lines: Vec<Value> = text(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["origin"]["offset"], reject.origin.offset);
    assert!(text(&run(&fleet, &["list", "--reason", "no_such"])).starts_with("Nothing was rejected"));
    assert_eq!(run(&fleet, &["list", "--topic", "raw.scaner"]).status.code(), Some(2));

    fleet.stop("ingest-0");
    fleet.settings.clear();
    fleet.start("ingest-0");
    let dry = run(&fleet, &["replay", "--topic", "raw.scanner"]);
    assert!(dry.status.success() && text(&dry).contains("1 would be sent again, 0 not"), "{}", text(&dry));
    assert_eq!(read(&log, Topic::RawScanner).len(), 1, "a dry run sends nothing");
    let done = run(&fleet, &["replay", "--topic", "raw.scanner", "--yes"]);
    assert!(done.status.success() && text(&done).contains("1 sent again, 0 not"), "{}", text(&done));
    wait_until("the finding is there", || !latest(&log, Topic::Findings).is_empty());
    fleet.wait_done(&log);
    assert_eq!(rejects(&log).len(), 1, "it is rejected no more");

    // What retention has removed is said to be gone.
    let drop_all =
        [("retention.ms", "1"), ("segment.ms", "100"), ("cleanup.policy", "delete"), ("max.message.bytes", "19922944")];
    let drop_all = drop_all.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    configure_topics(&fleet.kafka(), &[(Topic::RawScanner, drop_all)]).unwrap();
    wait_until("retention removes it", || {
        // A segment is closed by a later record.
        log.producer()
            .unwrap()
            .append(vec![Record { value: Some(Bytes::from_static(b"{}")), ..large_report("x") }])
            .unwrap();
        read(&log, Topic::RawScanner)
            .iter()
            .all(|message| message.value.as_ref().is_some_and(|value| value.len() < 100))
    });
    let gone = run(&fleet, &["replay", "--reason", &reject.code]);
    assert!(gone.status.code() == Some(1) && text(&gone).contains("gone: retention"), "{}", text(&gone));
}
