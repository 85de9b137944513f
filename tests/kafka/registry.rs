//! Confluent's wire format with a real schema registry (Apicurio, over the contract that Confluent published): the outcome is the
//! same, other clients read it, and neither ids that nobody knows nor a registry that goes away lose anything.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tributary_model::codec::{schema_of, split, with_header};
use tributary_model::context::EntityContext;
use tributary_model::fact::{Attribute, Fact};
use tributary_model::reject::Origin;
use tributary_model::topic::partition_of;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::log::{Budget, Log, LogError, Start};
use tributary_stream::{KafkaLog, Output as Record, Position};

use crate::broker;
use crate::check::{latest, read, rejects, risks_are, rows_are_records};
use crate::consumer::python;
use crate::engine::Engine;
use crate::fleet::{Fleet, REGISTRY, pass, wait_until};
use crate::input::sample;
use crate::up::agent;

/// A registry of its own, in memory.
struct Registry {
    url: String,
    process: Child,
}

impl Registry {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev/registry/start");
        let mut process = Command::new(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        if url.trim().is_empty() {
            let mut reason = String::new();
            process.stderr.take().unwrap().read_to_string(&mut reason).unwrap();
            panic!("the registry did not start: {reason}\nsee why: deploy/dev/registry/start");
        }
        Self { url: url.trim().to_owned(), process }
    }

    fn register(&self, subject: &str, schema: &Value) -> u32 {
        let body = json!({ "schema": schema.to_string() }).to_string();
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let answer = agent().post(url).header("Content-Type", "application/json").send(body).unwrap();
        assert_eq!(answer.status(), 200, "{subject}");
        let answer: Value = serde_json::from_str(&answer.into_body().read_to_string().unwrap()).unwrap();
        answer["id"].as_u64().unwrap() as u32
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// A way to the registry that can be shut: connections end at once then, those that are open, too.
struct Gate {
    url: String,
    passing: Arc<Mutex<Passing>>,
}

struct Passing {
    is_open: bool,
    connections: Vec<TcpStream>,
}

impl Gate {
    fn before(registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (host, path) = registry.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let passing = Arc::new(Mutex::new(Passing { is_open: true, connections: Vec::new() }));
        let (host, shared) = (host.to_owned(), Arc::clone(&passing));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut passing = shared.lock().unwrap();
                if !passing.is_open {
                    continue;
                }
                let server = TcpStream::connect(&host).unwrap();
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    // One that was cut is what the gate is for.
                    std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
                }
                passing.connections.extend([client, server]);
            }
        });
        Self { url, passing }
    }

    fn set(&self, is_open: bool) {
        let mut passing = self.passing.lock().unwrap();
        passing.is_open = is_open;
        if !is_open {
            for connection in passing.connections.drain(..) {
                // It may be gone already.
                drop(connection.shutdown(Shutdown::Both));
            }
        }
    }
}

fn apply(fleet: &Fleet, options: &[&str]) -> Output {
    fleet.command("setup").args(["schemas", "apply"]).args(options).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A record as it stands on the cluster.
fn framed(topic: Topic, key: &str, id: u32, body: &[u8]) -> Record {
    let value = [&[0][..], &id.to_be_bytes(), body].concat();
    Record {
        topic,
        partition_key: key.to_owned(),
        key: key.to_owned().into(),
        value: Some(value.into()),
        headers: vec![],
    }
}

/// A fact that makes a context of this entity, and its body.
fn fact(entity: &str) -> Vec<u8> {
    let fact = Fact {
        entity: entity.to_owned(),
        attribute: Attribute::DefaultBranch,
        qualifier: String::new(),
        value: json!("main").to_string(),
        asserter: "test".to_owned(),
        observed_at: 1_700_000_000_000,
        expires_at: None,
        origin: Origin::default(),
    };
    split(&fact.encode().unwrap()).unwrap().1.to_vec()
}

/// The schema of facts as a later release might have it: with one field more, at the end.
fn future(of_facts: impl FnOnce(&mut Vec<Value>)) -> Value {
    let mut schema: Value = serde_json::from_str(schema_of(Topic::Facts).unwrap().text).unwrap();
    of_facts(schema["fields"].as_array_mut().unwrap());
    schema
}

fn has_context(log: &KafkaLog, entity: &str) -> bool {
    let context = latest(log, Topic::Context).remove(entity);
    context.is_some_and(|message| !EntityContext::decode(&message.value.unwrap()).unwrap().attributes.is_empty())
}

#[test]
fn with_a_registry_the_outcome_is_the_same_and_others_read_it() {
    let (registry, engine, input) = (Registry::start(), Engine::start(), sample());
    let mut fleet = Fleet::new(Some(&engine));
    fleet.settings.push((REGISTRY, registry.url.clone()));

    // Nothing is registered by the way.
    let mut early = fleet.command("correlate-0");
    let early = early.args(["correlate", "--listen", "127.0.0.1:0"]).output().unwrap();
    let why = text(&early.stderr);
    assert!(!early.status.success() && why.contains("`tributary schemas apply`"), "{why}");
    let subject = format!("{}risks-value", fleet.prefix());
    let dry = apply(&fleet, &["--dry-run"]);
    assert!(dry.status.success() && text(&dry.stdout).contains(&format!("would register {subject}")), "{dry:?}");
    let made = apply(&fleet, &[]);
    assert!(made.status.success() && text(&made.stdout).contains(&format!("registered {subject}: id ")), "{made:?}");
    assert_eq!(text(&apply(&fleet, &[]).stdout), "nothing to do: every schema of this build is registered\n");

    for name in ["ingest-0", "correlate-0", "sink-0"] {
        fleet.start(name);
    }
    let log = fleet.log();
    let half = input.records.len() / 2;
    input.records[..half].iter().for_each(|record| fleet.post(record));
    fleet.wait_done(&log);
    // Its changelogs have ids, too.
    fleet.kill("correlate-0");
    fleet.start("correlate-0");
    input.records[half..].iter().for_each(|record| fleet.post(record));
    risks_are(&mut fleet, &log, &input.expected);
    rows_are_records(&engine, &log);
    assert_eq!(fleet.ended, 0, "nobody ended by itself");

    let plain = KafkaLog::connect(broker::settings(fleet.prefix(), "plain"), &Topic::ALL).unwrap();
    let mut seen = BTreeSet::new();
    for topic in Topic::ALL.into_iter().filter(|topic| schema_of(*topic).is_some()) {
        for message in read(&plain, topic) {
            let Some(value) = message.value else { continue };
            assert_eq!(value[0], 0, "{topic}: the first byte of the wire format");
            seen.insert(topic);
        }
    }
    for topic in [Topic::Facts, Topic::Observations, Topic::Tracked, Topic::Findings, Topic::Risks, Topic::Changes] {
        assert!(seen.contains(&topic), "{topic} has records");
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let said = Command::new(python())
        .arg(root.join("examples/consumer/consumer.py"))
        .args([broker::address(), fleet.prefix()])
        .arg(root.join("schemas"))
        .arg(&registry.url)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", text(&said.stderr));
    let said = text(&said.stdout);
    let risks = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let risks = risks.into_iter().find(|line| line["topic"] == "risks").unwrap();
    let ours: BTreeSet<String> = latest(&log, Topic::Risks).into_keys().collect();
    let theirs: BTreeSet<String> = risks["live"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(ours, theirs, "what Confluent's own client reads");
}

#[test]
fn ids_that_nobody_knows_are_rejected_and_later_releases_are_read() {
    let registry = Registry::start();
    let gate = Gate::before(&registry);
    let mut fleet = Fleet::new(None);
    fleet.settings.push((REGISTRY, gate.url.clone()));
    let facts = format!("{}facts-value", fleet.prefix());
    assert!(apply(&fleet, &[]).status.success());
    let later = future(|fields| fields.push(json!({"name": "mood", "type": "string", "default": ""})));
    let other = future(Vec::clear);
    let (later, other) = (registry.register(&facts, &later), registry.register("elsewhere", &other));
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    fleet.wait_ready();

    let plain = KafkaLog::connect(broker::settings(fleet.prefix(), "plain"), &Topic::ALL).unwrap();
    let producer = plain.producer().unwrap();
    let of_later = |entity: &str| [&fact(entity)[..], &[8], b"good"].concat();
    // Rubbish that begins like an id, of which no registry says what it makes of it.
    let mut records = vec![framed(Topic::Facts, "repo:host/r0", u32::MAX, b"not avro")];
    for n in 0..4 {
        let entity = format!("repo:host/r{n}");
        records.push(framed(Topic::Facts, &entity, 7_777, b"body"));
        records.push(framed(Topic::Facts, &entity, other, b""));
        records.push(framed(Topic::Facts, &entity, later, &of_later(&entity)));
    }
    producer.append(records).unwrap();
    let log = fleet.log();
    fleet.wait_done(&log);
    for n in 0..4 {
        assert!(has_context(&log, &format!("repo:host/r{n}")), "a field more is no obstacle");
    }
    let rejects = rejects(&log);
    let of = |what: &str| rejects.iter().filter(|reject| reject.reason.contains(what)).count();
    let counts = (rejects.len(), of("schema id 7777"), of("unknown schema fingerprint"), of("schema id 4294967295"));
    assert_eq!(counts, (9, 4, 4, 1), "{rejects:?}");

    let again = apply(&fleet, &[]);
    assert!(again.status.success(), "the same schemas are still registered: {again:?}");
    what_this_build_could_not_read_is_refused(&registry, &gate);

    // The registry goes away: what is known goes on, what is new waits, and nothing is lost.
    gate.set(false);
    let newer = future(|fields| fields.push(json!({"name": "tune", "type": "string", "default": ""})));
    let newer = registry.register(&facts, &newer);
    producer.append(vec![framed(Topic::Facts, "repo:host/known", later, &of_later("repo:host/known"))]).unwrap();
    fleet.wait_done(&log);
    assert!(has_context(&log, "repo:host/known"));
    // Before it in the same partition, one that needs no registry.
    let partition = |key: &str| partition_of(key, plain.partitions(Topic::Facts));
    let before =
        (0..1_000).map(|n| format!("repo:host/before{n}")).find(|key| partition(key) == partition("repo:host/new"));
    let before = before.unwrap();
    let schema = schema_of(Topic::Facts).unwrap();
    let value = Some(Bytes::from(with_header(schema.fingerprint, &fact(&before))));
    let unframed = Record { value, ..framed(Topic::Facts, &before, 0, b"") };
    let placed = producer.append(vec![unframed]).unwrap();
    let waiting = framed(Topic::Facts, "repo:host/new", newer, &of_later("repo:host/new"));
    producer.append(vec![waiting]).unwrap();
    pass(Duration::from_secs(4));
    assert!(!has_context(&log, "repo:host/new"), "it cannot be read yet");
    a_reader_waits_too(&fleet, &gate, Position { next: placed[0].next - 1, ..placed[0] }, &before);
    wait_until("the registry is back", || has_context(&log, "repo:host/new"));
    fleet.wait_done(&log);
    assert_eq!(crate::check::rejects(&log).len(), 9, "no more than before");
    assert_eq!(fleet.ended, 0, "nobody ended by itself");

    gate.set(false);
    let mut late = fleet.command("correlate-1");
    let late = late.args(["correlate", "--listen", "127.0.0.1:0"]).output().unwrap();
    let why = text(&late.stderr);
    assert!(!late.status.success() && why.contains("schema_registry.url") && why.contains("does not answer"), "{why}");
}

/// Another release has registered what must not be followed.
fn what_this_build_could_not_read_is_refused(registry: &Registry, gate: &Gate) {
    let mut fresh = Fleet::new(None);
    fresh.settings.push((REGISTRY, gate.url.clone()));
    let strange = format!("{}risks-value", fresh.prefix());
    registry
        .register(&strange, &json!({"type": "record", "name": "Risk", "fields": [{"name": "mood", "type": "string"}]}));
    let refused = apply(&fresh, &[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stdout).contains(&format!("refused {strange}, version 1: ")), "{refused:?}");
    assert!(text(&refused.stdout).ends_with("nothing was done\n"), "{refused:?}");
    assert!(text(&apply(&fresh, &["--dry-run"]).stdout).contains("would register"), "nothing was registered");
}

/// From here: a record that needs no registry is given, then the reader says why it does not go on, then it goes on. Opens the gate.
fn a_reader_waits_too(fleet: &Fleet, gate: &Gate, from: Position, first: &str) {
    let log = fleet.log();
    let mut reader = log.reader(&[(from.topic, from.partition)], &Start::At(vec![from])).unwrap();
    let mut read = || {
        let read = reader.read(Budget { records: 1000, bytes: 4 << 20, wait: Duration::ZERO });
        read.map(|read| (read.messages.into_iter().map(|message| message.key).collect::<Vec<Bytes>>(), read.at_end))
    };
    let mut given = Vec::new();
    while given.is_empty() {
        given = read().unwrap().0;
    }
    assert_eq!(given, [first], "what comes before it is given");
    for _ in 0..2 {
        let why = loop {
            match read() {
                Ok((none, at_end)) => assert!(none.is_empty() && !at_end, "{none:?}"),
                Err(why) => break why,
            }
        };
        assert!(matches!(&why, LogError::Retry { what, .. } if what.contains("does not answer")), "{why}");
    }
    gate.set(true);
    loop {
        let (keys, at_end) = read().unwrap();
        given.extend(keys);
        if at_end {
            break;
        }
    }
    assert_eq!(given, [first, "repo:host/new"], "nothing is left out and nothing comes twice");
}
