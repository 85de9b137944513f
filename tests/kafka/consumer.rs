//! A consumer in another language, which knows only `schemas/`: what it reads is what stands on the log. Its packages live in a
//! virtual environment below the target directory, with pinned versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tributary_model::remedy::Ticket;
use tributary_model::risk::Risk;
use tributary_model::{AvroRecord, Topic};

use crate::broker;
use crate::check::{latest, read};
use crate::fleet::Fleet;
use crate::input::sample;

const PACKAGES: [&str; 3] = ["confluent-kafka[avro,schemaregistry]==2.16.1", "fastavro==1.13.1", "PyYAML==6.0.4"];

pub fn python() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-consumer");
    let (python, stamp) = (directory.join("bin/python"), directory.join("installed"));
    if std::fs::read_to_string(&stamp).ok().as_deref() != Some(&PACKAGES.join(" ")) {
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory).output();
        let made = made.expect("python3 is needed: apt-get install python3 python3-venv");
        assert!(made.status.success(), "{made:?}; apt-get install python3-venv");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
        let installed = pip.output().unwrap();
        assert!(installed.status.success(), "pip install {PACKAGES:?}: {installed:?}");
        std::fs::write(stamp, PACKAGES.join(" ")).unwrap();
    }
    python
}

#[test]
fn the_example_consumer_reads_what_is_there() {
    let python = python();
    let input = sample();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    for record in &input.records {
        fleet.post(record);
    }
    fleet.wait_done(&log);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(python)
        .arg(root.join("examples/consumer/consumer.py"))
        .args([broker::address(), fleet.prefix()])
        .arg(root.join("schemas"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |topic: &str| said.iter().find(|line| line["topic"] == topic).unwrap();

    let risks = latest(&log, Topic::Risks);
    assert_eq!(of("risks")["live"].as_object().unwrap().len(), risks.len());
    for (key, message) in &risks {
        let (ours, theirs) = (Risk::decode(message.value.as_deref().unwrap()).unwrap(), &of("risks")["live"][key]);
        let ours = serde_json::to_value(ours).unwrap();
        for field in [
            "risk",
            "component",
            "revision",
            "state",
            "title",
            "band",
            "score",
            "vulnerability_ids",
            "evidence_total",
            "kev",
            "due_at",
            "chain_head",
        ] {
            assert_eq!(theirs[field], ours[field], "{key} {field}");
        }
    }
    let tickets = latest(&log, Topic::Tickets);
    assert_eq!(of("tickets")["live"].as_object().unwrap().len(), tickets.len());
    assert!(!tickets.is_empty(), "the estate has tickets");
    for (key, message) in &tickets {
        let ours: Ticket = serde_json::from_slice(message.value.as_deref().unwrap()).unwrap();
        assert_eq!(of("tickets")["live"][key], serde_json::to_value(ours).unwrap(), "{key}");
    }
    assert_eq!(of("changes")["records"].as_u64(), Some(read(&log, Topic::Changes).len() as u64));
    assert_eq!(of("changes")["chains"].as_u64(), Some(risks.len() as u64), "one chain a risk");
}
