//! Hostile and broken input against a running `tributary up`: an answer that says what and where, bounded memory, and a
//! service that goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::up::Service;

/// Far above what the service needs for a body at its limit, far below what an unbounded reader of these would take.
const RESIDENT_MIB_MAX: u64 = 700;

/// Sends a request with a body that is made while it is sent; answers the status and the answer's text.
fn send(service: &Service, head: &str, body: impl FnOnce(&mut TcpStream) -> std::io::Result<()>) -> (u16, String) {
    let address = service.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let request =
        format!("POST /v1/events/scanner?resource=x HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{head}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // The service may answer and hang up before it has everything: that is an answer, too.
    let _ = body(&mut stream);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), answer)
}

fn post(service: &Service, body: &[u8], extra: &str) -> (u16, String) {
    send(service, &format!("content-length: {}\r\n{extra}", body.len()), |stream| stream.write_all(body))
}

#[test]
fn broken_bodies_become_rejects_and_too_large_ones_errors() {
    let directory = tempfile::tempdir().unwrap();
    let service = Service::start(directory.path());
    let deep = "[".repeat(100_000);
    let nested = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let utf16: Vec<u8> = "\u{feff}{\"hello\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let broken: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"{\"version\":\"2.1.0\",\"runs\":[{\"tool\":", "truncated"),
        (deep.as_bytes(), "too_deep"),
        (nested.as_bytes(), "too_deep"),
        (&utf16, "unknown_format"),
        (b"{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"caf\xe9\"}}}]}", "encoding"),
        (b"Roses are red", "unknown_format"),
        (b"\x00\x01\x02\xff\xfe\xfd", "encoding"),
    ];
    for (body, code) in &broken {
        let (status, answer) = post(&service, body, "");
        assert_eq!(status, 202, "{code}: {answer}");
    }
    service.wait_idle(Duration::from_secs(60));
    let rejects = service.tail("rejects");
    let mut codes: Vec<String> =
        rejects.iter().map(|line| line["value"]["code"].as_str().unwrap().to_owned()).collect();
    let mut expected: Vec<&str> = broken.iter().map(|(_, code)| *code).collect();
    codes.sort();
    expected.sort_unstable();
    assert_eq!(codes, expected, "each one exactly once, by its reason");
    for reject in &rejects {
        let value = &reject["value"];
        assert!(!value["reason"].as_str().unwrap().is_empty() && value["origin"]["topic"] == "raw.scanner", "{value}");
    }
    service.stop();
}

#[test]
fn bombs_and_giants_are_refused_within_bounds_and_the_service_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let service = Service::start(directory.path());
    let megabyte = vec![b' '; 1 << 20];

    // 200 MB that say how long they are, and 200 MB that do not.
    let (status, answer) = send(&service, "content-length: 209715200\r\n", |stream| {
        (0..200).try_for_each(|_| stream.write_all(&megabyte))
    });
    assert!(status == 413 && answer.contains("report_max_mib"), "{answer}");
    let (status, answer) = send(&service, "transfer-encoding: chunked\r\n", |stream| {
        (0..200).try_for_each(|_| {
            stream.write_all(b"100000\r\n")?;
            stream.write_all(&megabyte)?;
            stream.write_all(b"\r\n")
        })
    });
    assert_eq!(status, 413, "{answer}");

    // 2 GB of zeros in 2 MB.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    (0..2_000).for_each(|_| bomb.write_all(&megabyte).unwrap());
    let bomb = bomb.finish().unwrap();
    for _ in 0..4 {
        let (status, answer) = post(&service, &bomb, "content-encoding: gzip\r\n");
        assert_eq!(status, 413, "{answer}");
    }
    // The same as a plain body, as a tool that writes compressed files would be posted: a reject.
    assert_eq!(post(&service, &bomb, "").0, 202);
    let cut = post(&service, &bomb[..1_000], "content-encoding: gzip\r\n");
    assert_eq!(cut.0, 400, "{}", cut.1);

    let good = b"{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"t\"}},\"results\":[]}]}";
    assert_eq!(post(&service, good, "").0, 202);
    service.wait_idle(Duration::from_secs(120));
    assert_eq!(service.tail("rejects").len(), 1);
    assert_eq!(service.latest("scans").len(), 1, "the good report behind them is applied");
    let resident = service.peak_resident_mib();
    assert!(resident <= RESIDENT_MIB_MAX, "{resident} MiB at the peak");
    service.stop();
}

#[test]
fn a_web_page_from_elsewhere_can_neither_post_nor_read() {
    let directory = tempfile::tempdir().unwrap();
    let service = Service::start(directory.path());
    let (status, _) = post(&service, b"{}", "origin: https://evil.example\r\n");
    assert_eq!(status, 403);
    service.wait_idle(Duration::from_secs(60));
    assert!(service.tail("rejects").is_empty(), "it is not taken in");
    service.stop();
}
