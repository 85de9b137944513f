//! Bodies that are damaged, huge or hostile: events or exactly one reject, in any format.

use super::*;

/// Total: events or one reject, and every record encodes.
fn ingest_any(body: &[u8], ext: Extensions) -> Vec<Canonical> {
    let (grants, secrets) = (Grants::everything(), hasher());
    let context = Context { grants: &grants, secrets: &secrets, body_bytes_max: 4 << 20 };
    let record = record(body, ext);
    let records = ingest_total(&record, &context);
    let rejects = records.iter().filter(|record| matches!(record, Canonical::Reject(_))).count();
    assert!(rejects == 0 && !records.is_empty() || rejects == 1 && records.len() == 1);
    let outputs = outputs(&record, &context);
    assert_eq!(outputs.len(), records.len());
    records
}

fn code_of(body: &[u8], ext: Extensions) -> String {
    match ingest_any(body, ext).remove(0) {
        Canonical::Reject(reject) => reject.code,
        other => panic!("taken in: {other:?}"),
    }
}

#[test]
fn every_format_rejects_what_is_no_report() {
    let deep = "[".repeat(100_000);
    let deep_objects = r#"{"a":"#.repeat(100_000);
    let utf16: Vec<u8> = "\u{feff}{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for format in Format::ALL {
        let ext = || Extensions { format: Some(format.name().into()), ..Extensions::default() };
        for body in [&b""[..], b" ", b"\xef\xbb\xbf", b"{", b"[", b"<", b"{\"a\":", b"\"", b"caf\xe9", &utf16] {
            ingest_any(body, ext());
        }
        assert_eq!(code_of(b"", ext()), code::EMPTY, "{}", format.name());
        assert_eq!(code_of(b"{\"caf\xe9\": 1}", ext()), code::ENCODING, "{}", format.name());
        for body in [&deep, &deep_objects] {
            let is_lines = matches!(format, Format::CodeOwners | Format::Epss | Format::ProwlerCsv);
            let code = code_of(body.as_bytes(), ext());
            assert!(code == code::TOO_DEEP || is_lines, "{}: {code}", format.name());
        }
        for line in ["- ", "? ", "a: [", "- &a [*a,", "<a>"] {
            ingest_any(line.repeat(50_000).as_bytes(), ext());
        }
        assert_eq!(code_of(&vec![b' '; (4 << 20) + 1], ext()), code::TOO_LARGE, "{}", format.name());
    }
    assert_eq!(code_of(deep.as_bytes(), Extensions::default()), code::TOO_DEEP);
    assert_eq!(code_of(deep_objects.as_bytes(), Extensions::default()), code::TOO_DEEP);
}

#[test]
fn a_fault_is_a_reject_and_says_so() {
    let record = record(b"x", Extensions::default());
    let reject = caught(&record, || panic!("deliberate")).unwrap_err();
    assert_eq!((reject.code.as_str(), reject.origin.offset, reject.rejected_at), (code::INTERNAL, 41, 1000));
}

#[test]
fn rejects_have_coordinates_and_no_secrets() {
    let ext = || Extensions { source: Some("https://u:p@ci.example".into()), ..Extensions::default() };
    let reject = |body: &str| match ingest_any(body.as_bytes(), ext()).remove(0) {
        Canonical::Reject(reject) => *reject,
        other => panic!("taken in: {other:?}"),
    };
    let unknown = reject(r#"{"took": 3, "url": "https://bob:hunter2@db.example/x"}"#);
    assert_eq!(unknown.source, "https://[redacted]@ci.example");
    assert_eq!(unknown.excerpt, r#"{"took": 3, "url": "https://[redacted]@db.example/x"}"#);
    assert_eq!((unknown.stage.as_str(), unknown.class.as_str(), unknown.size_bytes), ("ingest", "scanner", 54));
    assert_eq!(reject(r#"{"took": 3, "password": "hunter2"}"#).excerpt, "");
    assert!(reject(&format!(r#"{{"took": "{}"}}"#, "é".repeat(4000))).excerpt.len() <= 256);
    assert_eq!(Canonical::Reject(Box::new(unknown)).key(), "raw.scanner/3/41");
}

#[test]
fn a_fact_too_large_for_the_log_is_a_reject() {
    let body = format!("* @acme/platform\n{}", "/very/long/path/of/a/generated/tree @acme/platform\n".repeat(40_000));
    let (grants, secrets) = (Grants::everything(), hasher());
    let context = Context { grants: &grants, secrets: &secrets, body_bytes_max: 4 << 20 };
    let ext = Extensions { repo: Some("github.com/acme/shop".into()), ..Extensions::default() };
    let outputs = outputs(&record(body.as_bytes(), ext), &context);
    assert_eq!((outputs.len(), outputs.records()[0].topic), (1, Topic::Rejects));
}

/// A SARIF log with so many results, each with a snippet.
fn sarif(results: usize) -> String {
    let result = |n: usize| {
        format!(
            r#"{{"ruleId":"rule-{}","level":"error","message":{{"text":"finding number {n}, {}"}},"locations":[{{"physicalLocation":
            {{"artifactLocation":{{"uri":"src/module{}/file{n}.rs"}},"region":{{"startLine":{n},"snippet":{{"text":"let x = call({n});"}}}}}}}}]}}"#,
            n % 40,
            "with a long explanation ".repeat(8),
            n % 17,
        )
    };
    let results: Vec<String> = (1..=results).map(result).collect();
    format!(
        r#"{{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"Example"}}}},"results":[{}]}}]}}"#,
        results.join(",")
    )
}

fn of_shop() -> Extensions {
    Extensions { repo: Some("github.com/acme/shop".into()), branch: Some("main".into()), ..Extensions::default() }
}

#[test]
fn a_report_cut_anywhere_yields_nothing_but_a_reject() {
    let report = sarif(200);
    let mut cut = 1;
    while cut < report.len() {
        for ext in [of_shop(), Extensions { format: Some("sarif".into()), ..of_shop() }] {
            let code = code_of(&report.as_bytes()[..cut], ext);
            assert!(["truncated", "malformed", "unknown_format"].contains(&code.as_str()), "{cut}: {code}");
        }
        cut *= 2;
    }
    let code = code_of(&report.as_bytes()[..report.len() - 1], of_shop());
    assert_eq!(code, code::TRUNCATED, "one bracket is missing");
}

#[test]
fn a_report_at_the_limit_is_taken_in_and_one_byte_more_is_not() {
    let report = sarif(9000);
    let (grants, secrets) = (Grants::everything(), hasher());
    let run = |body_bytes_max: usize| {
        ingest(&record(report.as_bytes(), of_shop()), &Context { grants: &grants, secrets: &secrets, body_bytes_max })
    };
    let parts = observations(run(report.len()).unwrap());
    assert!(parts.len() > 4, "{} bytes made {} parts", report.len(), parts.len());
    assert!(parts.iter().all(|part| part.encode().unwrap().len() <= BATCH_BYTES_MAX));
    assert_eq!(parts.iter().map(|part| part.sightings.len()).sum::<usize>(), 9000);
    assert_eq!(parts.last().unwrap().completed.as_ref().unwrap().sightings, 9000);
    assert_eq!(run(report.len() - 1).unwrap_err().code, code::TOO_LARGE);
}

#[test]
fn a_bomb_in_a_record_is_a_reject() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'['; 16 << 20]).unwrap();
    assert_eq!(code_of(&encoder.finish().unwrap(), Extensions::default()), code::TOO_LARGE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_in_any_format(body in prop::collection::vec(any::<u8>(), 0..300), which in 0..Format::ALL.len(), prefix in "[\\[{<\":a-z@,\\]}\n]{0,30}") {
        let body = [prefix.as_bytes(), &body].concat();
        ingest_any(&body, Extensions { format: Some(Format::ALL[which].name().into()), ..Extensions::default() });
        ingest_any(prefix.as_bytes(), Extensions { format: Some(Format::ALL[which].name().into()), ..Extensions::default() });
    }
}
