//! The parts without I/O: codec, normalise, track, assess. `make bench` prints them; throughput is per element or byte.
#![allow(missing_docs, clippy::expect_used)] // a bench that cannot run should stop

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tributary_correlate::assess::{Assess, Estate};
use tributary_correlate::graph::Graph;
use tributary_correlate::track::Track;
use tributary_ingest::event::Input;
use tributary_ingest::format::Format;
use tributary_ingest::normalize::normalize;
use tributary_ingest::secret::HmacHasher;
use tributary_model::finding::Finding;
use tributary_model::observation::Observation;
use tributary_model::record::Extensions;
use tributary_model::reject::Origin;
use tributary_model::scan::{ScanCompleted, ScanRef};
use tributary_model::sighting::FindingClass;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::{BroadcastStore, Message, Output, Outputs, Stage};

const FINDINGS: u64 = 1_000;
const NOW: i64 = 1_790_000_000_000;

/// A Trivy report of an image with so many vulnerabilities, about 2 KB each, as large ones are.
fn report() -> Vec<u8> {
    let entry = |n: u64| {
        json!({
            "VulnerabilityID": format!("CVE-2026-{:05}", 10_000 + n), "PkgName": format!("lib-{n}"),
            "PkgIdentifier": {"PURL": format!("pkg:npm/lib-{n}@1.2.3")}, "InstalledVersion": "1.2.3", "FixedVersion": "1.2.9",
            "Status": "fixed", "Severity": "HIGH", "Title": "unchecked frame length", "CweIDs": ["CWE-130"],
            "Description": "A frame whose declared size differs from its body is accepted. ".repeat(20),
            "CVSS": {"nvd": {"V3Vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "V3Score": 7.5}},
            "References": ["https://advisories.synthetic.example/a", "https://advisories.synthetic.example/b"],
        })
    };
    let entries: Vec<_> = (0..FINDINGS).map(entry).collect();
    json!({
        "SchemaVersion": 2, "ArtifactName": "registry.synthetic.example/app", "ArtifactType": "container_image",
        "Results": [{"Target": "package-lock.json", "Class": "lang-pkgs", "Type": "npm", "Vulnerabilities": entries}],
    })
    .to_string()
    .into_bytes()
}

fn extensions() -> Extensions {
    let image = format!("registry.synthetic.example/app@sha256:{}", "ab".repeat(32));
    Extensions { image: Some(image), time: Some(NOW), ..Extensions::default() }
}

fn observation(scan: &str, at: i64) -> Observation {
    let (body, ext, origin) = (report(), extensions(), Origin::default());
    let hasher = HmacHasher::new(&[7; 32]).expect("a key of 32 bytes");
    let events = normalize(Format::Trivy, &Input { body: &body, ext: &ext, origin: &origin, secrets: &hasher })
        .expect("a report");
    let report = &events.reports[0];
    Observation {
        asset: report.asset.clone(),
        observed_at: at,
        tool: "trivy".into(),
        format: "trivy".into(),
        scan: Some(ScanRef { scan_id: scan.into(), scope: "trivy".into(), started_at: at }),
        sightings: report.sightings.clone(),
        completed: Some(ScanCompleted {
            parts: 1,
            sightings: FINDINGS as u32,
            complete: true,
            classes: vec![FindingClass::Vulnerability],
            ..ScanCompleted::default()
        }),
        ..Observation::default()
    }
}

fn message<T: AvroRecord>(topic: Topic, key: &str, value: &T, offset: u64) -> Message {
    let value = Some(Bytes::from(value.encode().expect("it follows its schema")));
    Message {
        topic,
        partition: 0,
        offset,
        key: Bytes::from(key.to_owned()),
        value,
        headers: Vec::new(),
        timestamp: NOW,
    }
}

/// Applies one message, settles, commits; answers what was emitted.
fn step(stage: &mut dyn Stage, messages: &[Message]) -> Outputs {
    let mut out = Outputs::default();
    for message in messages {
        stage.apply(message, NOW).expect("it is taken");
    }
    stage.settle(NOW, &mut out).expect("it settles");
    stage.commit();
    out
}

fn track() -> Track {
    Track::new(Arc::new(Graph::new(Arc::new(BroadcastStore::new()))))
}

fn assess() -> Assess {
    let store = Arc::new(BroadcastStore::new());
    Assess::new(Arc::new(Estate::new(Arc::clone(&store), Arc::new(Graph::new(store)))))
}

/// What TRACK makes of the report: the input of ASSESS.
fn findings() -> Vec<Message> {
    let emitted = step(&mut track(), &[message(Topic::Observations, "a", &observation("s1", NOW), 0)]);
    of_topic(Topic::Findings, emitted).collect()
}

/// What of some outputs a reader of this topic gets.
fn of_topic(topic: Topic, outputs: Outputs) -> impl Iterator<Item = Message> {
    let records = outputs.into_records().into_iter().filter(move |record| record.topic == topic);
    records.enumerate().map(move |(n, Output { key, value, .. })| Message {
        topic,
        partition: 0,
        offset: n as u64,
        key,
        value,
        headers: Vec::new(),
        timestamp: NOW,
    })
}

fn codec(c: &mut Criterion) {
    let value = findings()[0].value.clone().expect("a finding");
    let finding = Finding::decode(&value).expect("a finding");
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.bench_function("finding/encode", |b| {
        let mut out = Vec::with_capacity(4096);
        b.iter(|| {
            out.clear();
            black_box(&finding).encode_into(&mut out).expect("it follows its schema");
        });
    });
    group.bench_function("finding/decode", |b| b.iter(|| Finding::decode(black_box(&value)).expect("a finding")));
    group.finish();
}

fn normalise(c: &mut Criterion) {
    let (body, ext, origin) = (report(), extensions(), Origin::default());
    let hasher = HmacHasher::new(&[7; 32]).expect("a key of 32 bytes");
    let mut group = c.benchmark_group("normalise (budget: 150 MB/s)");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("trivy", |b| {
        b.iter(|| {
            normalize(Format::Trivy, &Input { body: &body, ext: &ext, origin: &origin, secrets: &hasher })
                .expect("a report")
        });
    });
    group.finish();
}

fn tracking(c: &mut Criterion) {
    let first = [message(Topic::Observations, "a", &observation("s1", NOW), 0)];
    let mut group = c.benchmark_group("track (budget: cold 250 000/s, warm 500 000/s)");
    group.throughput(Throughput::Elements(FINDINGS));
    group.bench_function("cold", |b| {
        b.iter_batched(track, |mut stage| step(&mut stage, &first).len(), BatchSize::LargeInput);
    });
    let mut stage = track();
    step(&mut stage, &first);
    let mut night = 0;
    group.bench_function("warm", |b| {
        b.iter_batched(
            || {
                night += 1;
                [message(Topic::Observations, "a", &observation(&format!("night-{night}"), NOW + night), night as u64)]
            },
            |scan| step(&mut stage, &scan).len(),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn assessing(c: &mut Criterion) {
    let findings = findings();
    let mut group = c.benchmark_group("assess (budget: 100 000/s)");
    group.throughput(Throughput::Elements(findings.len() as u64));
    group.bench_function("cold", |b| {
        b.iter_batched(assess, |mut stage| step(&mut stage, &findings).len(), BatchSize::LargeInput);
    });
    group.finish();
}

/// What a restore reads: findings, and the risks that they were given to.
fn loading(c: &mut Criterion) {
    let findings = findings();
    let emitted = step(&mut assess(), &findings);
    let changelog: Vec<Message> = findings.iter().cloned().chain(of_topic(Topic::Risks, emitted)).collect();
    let load = |stage: &mut Assess| changelog.iter().for_each(|message| stage.load(message).expect("it is taken"));
    let mut group = c.benchmark_group("restore of assess (budget: loaded 300 000/s, and recomputed 120 000/s)");
    group.throughput(Throughput::Elements(findings.len() as u64));
    group.bench_function("load", |b| b.iter_batched_ref(assess, load, BatchSize::LargeInput));
    group.bench_function("load and recompute", |b| {
        b.iter_batched_ref(
            assess,
            |stage| {
                load(stage);
                stage.restored(NOW);
                stage.settle(NOW, &mut Outputs::default()).expect("it settles");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20);
    targets = codec, normalise, tracking, assessing, loading
}
criterion_main!(parts);
