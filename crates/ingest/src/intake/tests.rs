//! The intake over real HTTP, in front of a log in memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;

use serde_json::Value;
use sha2::Digest;
use tokio::runtime::Runtime;
use tributary_stream::clock::ManualClock;
use tributary_stream::log::LogError;
use tributary_stream::{Message, Output, Position};

use super::*;
use crate::grant::{GrantConfig, Unlisted, Verb};
use crate::pipeline::RawRecord;
use crate::secret::HmacHasher;

const REPORT: &str = r#"{"version":"2.1.0","$schema":"sarif","runs":[]}"#;

/// A log that keeps what it is given, or refuses.
#[derive(Default)]
struct Memory {
    records: Mutex<Vec<Output>>,
    is_down: bool,
}

impl Producer for Memory {
    fn append(&self, records: Vec<Output>) -> Result<Vec<Position>, LogError> {
        if self.is_down {
            return Err(LogError::retry("down"));
        }
        self.records.lock().unwrap().extend(records);
        Ok(Vec::new())
    }
}

struct Server {
    runtime: Runtime,
    address: SocketAddr,
    log: Arc<Memory>,
    intake: Arc<Intake>,
}

struct Answer {
    status: u16,
    head: String,
    json: Value,
}

fn serve_with(settings: IntakeSettings, grants: Grants, log: Memory) -> Server {
    let runtime = Runtime::new().unwrap();
    let log = Arc::new(log);
    let secrets = Arc::new(HmacHasher::new(&[7; 32]).unwrap());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let intake = Arc::new(Intake::new(settings, log.clone(), Arc::new(grants), secrets, clock));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(Arc::clone(&intake));
    runtime.spawn(async move { axum::serve(listener, app).await });
    Server { runtime, address, log, intake }
}

fn serve(settings: IntakeSettings) -> Server {
    serve_with(settings, Grants::everything(), Memory::default())
}

impl Server {
    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            head = head + name + ": " + value + "\r\n";
        }
        if !headers.iter().any(|(name, _)| matches!(*name, "content-length" | "transfer-encoding")) {
            head = head + "content-length: " + &body.len().to_string() + "\r\n";
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat())
    }

    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), json: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    fn records(&self) -> Vec<Output> {
        self.log.records.lock().unwrap().clone()
    }

    /// The one record on the log, as INGEST will read it.
    fn record(&self) -> RawRecord {
        let records = self.records();
        assert_eq!(records.len(), 1);
        let Output { topic, key, value, headers, .. } = records[0].clone();
        RawRecord::from_message(&Message { topic, partition: 0, offset: 0, key, value, headers, timestamp: 1 }).unwrap()
    }
}

fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{} {}", answer.head, answer.json);
    assert_eq!(answer.json["error"], error, "{}", answer.json);
    assert!(!answer.json["fix"].as_str().unwrap().is_empty());
    assert!(answer.head.contains("application/problem+json"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_report_is_on_the_log_before_the_answer() {
    let server = serve(IntakeSettings::default());
    let headers = [
        ("ce-type", "io.acme.scan"),
        ("ce-source", "github-actions://acme/shop"),
        ("ce-time", "2026-11-20T09:00:00Z"),
        ("ce-id", "run-7"),
        ("ce-branch", "main"),
        ("ce-scanscope", "nightly%20build"),
        ("ce-traceparent", "00-x"),
        ("x-tributary-credential", "root"),
        ("content-type", "application/sarif+json"),
    ];
    let answer = server.post(
        "/v1/events/scanner?repo=https%3A%2F%2Fgithub.com%2Facme%2Fshop&complete=false",
        &headers,
        REPORT.as_bytes(),
    );
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json,
        serde_json::json!({"id": "run-7", "class": "scanner", "format": "sarif", "bytes": REPORT.len()})
    );
    let record = server.record();
    assert_eq!(record.body, REPORT.as_bytes());
    assert_eq!(record.class, RawClass::Scanner);
    let ext = record.ext;
    assert_eq!((ext.repo.as_deref(), ext.branch.as_deref()), (Some("https://github.com/acme/shop"), Some("main")));
    assert_eq!((ext.scan_scope.as_deref(), ext.complete, ext.backfill), (Some("nightly build"), Some(false), false));
    assert_eq!((ext.time, ext.received_at), (Some(1_795_165_200_000), 1_700_000_000_000));
    assert_eq!(ext.credential, None, "never taken from a client");
    assert_eq!(server.records()[0].partition_key, "github-actions://acme/shop|https://github.com/acme/shop");
}

#[test]
fn bodies_may_be_compressed_and_never_grow_beyond_the_limit() {
    let settings = IntakeSettings { body_bytes_max: 100_000, ..IntakeSettings::default() };
    let zlib = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(REPORT.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    for (encoding, body) in [
        ("gzip", gzip(REPORT.as_bytes())),
        ("x-gzip", gzip(REPORT.as_bytes())),
        ("deflate", zlib),
        ("zstd", zstd::encode_all(REPORT.as_bytes(), 1).unwrap()),
        ("identity", REPORT.as_bytes().to_vec()),
    ] {
        let server = serve(settings.clone());
        assert_eq!(
            server.post("/v1/events/scanner", &[("content-encoding", encoding)], &body).status,
            202,
            "{encoding}"
        );
        assert_eq!(server.record().body, REPORT.as_bytes(), "{encoding}");
    }
    let server = serve(settings);
    let bomb = gzip(&vec![b' '; 20 << 20]);
    refused(&server.post("/v1/events/scanner", &[("content-encoding", "gzip")], &bomb), 413, "too_large");
    refused(&server.post("/v1/events/scanner", &[("content-encoding", "br")], b"x"), 415, "unknown_encoding");
    refused(&server.post("/v1/events/scanner", &[("content-encoding", "gzip")], b"x"), 400, "truncated");
    let cut = gzip(REPORT.as_bytes());
    refused(
        &server.post("/v1/events/scanner", &[("content-encoding", "gzip")], &cut[..cut.len() - 9]),
        400,
        "truncated",
    );
    let large = vec![b'x'; 100_001];
    let answer = server.post("/v1/events/scanner", &[], &large);
    refused(&answer, 413, "too_large");
    assert!(answer.json["detail"].as_str().unwrap().contains("100000"), "says the limit");
    let chunked = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    refused(&server.post("/v1/events/scanner", &[("transfer-encoding", "chunked")], &chunked), 413, "too_large");
    assert!(server.records().is_empty());
    assert_eq!(server.post("/v1/events/scanner", &[], &large[..100_000]).status, 202, "exactly the limit");
}

fn granted() -> Grants {
    let token = sha2::Sha256::digest("t0p").iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let grant = GrantConfig {
        name: "ci-shop".into(),
        assets: vec!["repo:github.com/acme/shop".into()],
        classes: vec![],
        verbs: vec![Verb::Observe],
        token_sha256: Some(token),
    };
    Grants::new(&[grant], Unlisted::Nothing).unwrap()
}

#[test]
fn tokens_become_credentials() {
    let server = serve_with(IntakeSettings::default(), granted(), Memory::default());
    let post = |headers: &[(&str, &str)]| server.post("/v1/events/scanner", headers, REPORT.as_bytes());
    let missing = post(&[]);
    refused(&missing, 401, "unauthorised");
    assert!(missing.head.contains("www-authenticate: bearer"));
    refused(&post(&[("authorization", "Bearer nope")]), 401, "unauthorised");
    refused(&post(&[("authorization", "Basic t0p")]), 401, "unauthorised");
    assert!(server.records().is_empty());
    assert_eq!(post(&[("authorization", "bearer t0p")]).status, 202);
    assert_eq!(server.record().ext.credential.as_deref(), Some("ci-shop"));
    let open = serve(IntakeSettings { token_required: true, ..IntakeSettings::default() });
    refused(&open.post("/v1/events/scanner", &[], REPORT.as_bytes()), 401, "unauthorised");
}

#[test]
fn webhooks_of_github() {
    let settings = IntakeSettings {
        github_secret: Some(b"It's a Secret to Everybody".to_vec()),
        github_credential: Some("github".into()),
        ..IntakeSettings::default()
    };
    let server = serve_with(settings, granted(), Memory::default());
    // The example of GitHub's documentation of webhook signatures.
    let hello = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let post = |event: &str, signature: Option<&str>, body: &str| {
        let mut headers = vec![("x-github-event", event), ("content-type", "application/json")];
        headers.extend(signature.map(|signature| ("x-hub-signature-256", signature)));
        server.post("/v1/webhooks/github", &headers, body.as_bytes())
    };
    assert_eq!(post("ping", Some(hello), "Hello, World!").status, 200);
    refused(&post("ping", None, "Hello, World!"), 401, "bad_signature");
    refused(&post("push", Some(hello), "Hello, World?"), 401, "bad_signature");
    refused(&post("star", Some(hello), "Hello, World!"), 422, "unknown_format");
    assert!(server.records().is_empty());
    assert_eq!(post("push", Some(hello), "Hello, World!").status, 202);
    let record = server.record();
    assert_eq!(record.ext.event_type.as_deref(), Some("github.push"));
    assert_eq!((record.ext.credential.as_deref(), record.class), (Some("github"), RawClass::Cicd));
    refused(&server.post("/v1/webhooks/github", &[("authorization", "Bearer t0p")], b"{}"), 400, "no_event");
}

#[test]
fn webhooks_without_a_secret_keep_repositories_apart() {
    let server = serve(IntakeSettings::default());
    let body = r#"{"ref":"refs/heads/main","repository":{"id":7,"full_name":"acme/shop"}}"#;
    let answer = server.post("/v1/events/cicd", &[("x-github-event", "push")], body.as_bytes());
    assert_eq!((answer.status, &answer.json["format"]), (202, &Value::from("github.push")));
    assert_eq!(server.records()[0].partition_key, "github://github.com|acme/shop");
    let form = [("x-github-event", "push"), ("content-type", "application/x-www-form-urlencoded")];
    refused(&server.post("/v1/events/cicd", &form, b"payload=%7B%7D"), 415, "form");
}

#[test]
fn mistakes_are_named() {
    let server = serve(IntakeSettings::default());
    refused(&server.post("/v1/events/scans", &[], b"{}"), 404, "unknown_class");
    for query in ["repos=x", "complete=perhaps", "time=yesterday", "dry_run=2"] {
        refused(&server.post(&format!("/v1/events/scanner?{query}"), &[], b"{}"), 400, "bad_parameter");
    }
    refused(&server.post("/v1/events/scanner", &[("ce-repo", &"x".repeat(2000))], b"{}"), 400, "bad_parameter");
    refused(&server.post("/v1/events/scanner", &[("ce-repo", "a%0ab")], b"{}"), 400, "bad_parameter");
    assert!(server.records().is_empty());
    let unknown = server.post("/v1/events/scanner", &[], b"{\"took\": 1}");
    assert_eq!((unknown.status, &unknown.json["format"]), (202, &Value::Null), "the reject belongs on the log");
    assert!(unknown.json["warning"].as_str().unwrap().contains("took"));
}

#[test]
fn a_dry_run_stores_nothing() {
    let server = serve(IntakeSettings::default());
    let answer = server.post("/v1/events/scanner?dry_run=true", &[], b"{\"took\": 1}");
    assert_eq!(
        (answer.status, &answer.json["format"], &answer.json["class"]),
        (200, &Value::Null, &Value::from("scanner"))
    );
    assert!(answer.json["rejects"][0]["reason"].as_str().unwrap().starts_with("unknown_format: "));
    assert!(server.records().is_empty());
}

#[test]
fn structured_events_lose_their_envelope() {
    let server = serve(IntakeSettings::default());
    let kind = [("content-type", "application/cloudevents+json; charset=utf-8"), ("ce-branch", "release")];
    let event = r#"{"specversion":"1.0","id":"e1","type":"io.acme.scan","source":"ci","repo":"github.com/acme/shop","branch":"main","complete":true,
        "time":"2026-11-20T09:00:00Z","data":{"runs":[],"version":"2.1.0"}}"#;
    assert_eq!(server.post("/v1/events/scanner", &kind, event.as_bytes()).json["format"], "sarif");
    let record = server.record();
    assert_eq!(
        serde_json::from_slice::<Value>(&record.body).unwrap(),
        serde_json::json!({"runs": [], "version": "2.1.0"})
    );
    assert_eq!(
        (record.ext.repo.as_deref(), record.ext.branch.as_deref()),
        (Some("github.com/acme/shop"), Some("release"))
    );
    assert_eq!((record.ext.complete, record.ext.time), (Some(true), Some(1_795_165_200_000)));
    let encoded = br#"{"specversion":"1.0","data_base64":"bm90aGluZw=="}"#;
    assert_eq!(server.post("/v1/events/scanner", &kind, encoded).status, 202);
    assert_eq!(server.records()[1].value.as_deref(), Some(&b"nothing"[..]));
    for bad in ["[]", "{}", "{\"data_base64\": \"%\"}"] {
        refused(&server.post("/v1/events/scanner", &kind, bad.as_bytes()), 400, "malformed");
    }
    refused(
        &server.post("/v1/events/scanner", &[("content-type", "application/cloudevents-batch+json")], b"[]"),
        415,
        "batch",
    );
}

#[test]
fn when_the_log_is_away_or_memory_is_full_clients_are_told_to_come_back() {
    let server =
        serve_with(IntakeSettings::default(), Grants::everything(), Memory { is_down: true, ..Memory::default() });
    let answer = server.post("/v1/events/scanner", &[], REPORT.as_bytes());
    refused(&answer, 503, "log_busy");
    assert!(answer.head.contains("retry-after: 2"));
    let settings = IntakeSettings { in_flight_bytes_max: 10_240, ..IntakeSettings::default() };
    let server = serve(settings);
    let held = Arc::clone(&server.intake.in_flight).try_acquire_many_owned(10).unwrap();
    refused(&server.post("/v1/events/scanner", &[], REPORT.as_bytes()), 503, "busy");
    drop(held);
    assert_eq!(server.post("/v1/events/scanner", &[], REPORT.as_bytes()).status, 202);
    assert_eq!(server.intake.in_flight.available_permits(), 10, "everything reserved was given back");
}

#[test]
fn what_no_message_can_hold_is_compressed_or_normalised() {
    let settings = IntakeSettings { record_bytes_max: Some(2_000), ..IntakeSettings::default() };
    let server = serve(settings.clone());
    let repetitive = format!("{{\"version\":\"2.1.0\",\"runs\":[{}]}}", vec![" "; 10_000].concat());
    assert_eq!(server.post("/v1/events/scanner", &[], repetitive.as_bytes()).status, 202);
    let record = server.record();
    assert!(record.body.len() < 2_000);
    assert_eq!(*plain::text(&record.body, 1 << 20).unwrap(), *repetitive.as_bytes());
    let server = serve(settings);
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + (state >> 59) as u8 % 26)
    })
    .take(10_000)
    .collect();
    assert_eq!(server.post("/v1/events/scanner", &[], format!("{{\"took\":\"{noise}\"}}").as_bytes()).status, 202);
    let records = server.records();
    assert_eq!((records.len(), records[0].topic), (1, tributary_model::Topic::Rejects));
    drop(server.runtime);
}

#[test]
fn garbage_is_no_request() {
    let server = serve(IntakeSettings::default());
    assert_eq!(server.raw(b"\x16\x03\x01 not http\r\n\r\n").status, 400);
    let get = server.raw(b"GET /v1/events/scanner HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(get.status, 405);
    assert!(server.records().is_empty());
}
