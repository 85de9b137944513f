//! The protocol as curl sees it: formats, parameters, settings, compression, exceptions, inserts.

mod support;

use std::io::{Read, Write};
use std::process::Command;
use support::{ANALYST, Engine, SINK, run};

#[test]
fn ping_needs_no_account_and_statements_do() {
    let engine = Engine::shared();
    let mut ping = Command::new("curl");
    ping.args(["--silent", &format!("{}/ping", engine.handle.url())]);
    assert_eq!(run(ping, b"", "apt-get install curl").stdout, b"Ok.\n");
    let refused = engine.curl(("sink", "wrong"), &[], &[], b"SELECT 1");
    assert_eq!((refused.status, refused.code()), (403, Some(516)));
    assert!(refused.text().contains("AUTHENTICATION_FAILED"), "{}", refused.text());
}

#[test]
fn a_select_comes_in_the_format_asked_for() {
    let engine = Engine::shared();
    assert_eq!(engine.ask("SELECT 1, 'a' FORMAT CSV").text(), "1,\"a\"\n");
    let json = engine.curl(ANALYST, &[("default_format", "JSONEachRow"), ("query", "SELECT 1 AS one")], &[], b"");
    assert_eq!(json.text(), "{\"one\":1}\n");
    let header = engine.curl(ANALYST, &[], &["--header", "X-ClickHouse-Format: JSONCompactEachRow"], b"SELECT 1, 2");
    assert_eq!(header.text(), "[1, 2]\n");
    assert_eq!(header.header("X-ClickHouse-Format"), Some("jsoncompacteachrow"));
    assert_eq!(header.header("X-ClickHouse-Server-Display-Name"), Some("tributary"));
    let named = engine.curl(ANALYST, &[("query_id", "my-query")], &[], b"SELECT 1");
    assert_eq!(named.header("X-ClickHouse-Query-Id"), Some("my-query"));
    let split = engine.curl(ANALYST, &[("query", "SELECT count() FROM")], &[], b"numbers(10)");
    assert_eq!(split.text(), "10\n");
}

#[test]
fn parameters_are_values_not_sql() {
    let engine = Engine::shared();
    let parameters = [("param_id", "7"), ("param_name", "x' OR 1=1 --"), ("param_t", "numbers")];
    let reply = engine.curl(ANALYST, &parameters, &[], b"SELECT {id:UInt8} + 1, {name:String}");
    assert_eq!(reply.text(), "8\tx\\' OR 1=1 --\n");
    let path = [("param_t", "/etc/passwd")];
    assert_eq!(engine.curl(SINK, &path, &[], b"SELECT * FROM {t:Identifier}").code(), Some(497));
    assert_eq!(engine.ask("SELECT {id:UInt8}").code(), Some(456), "parameters leaked from an earlier request");
}

#[test]
fn settings_end_with_their_request() {
    let engine = Engine::shared();
    let ask = "SELECT getSetting('max_result_rows'), getSetting('join_use_nulls'), currentDatabase()";
    let plain = engine.ask(ask).text();
    let changed = engine.curl(
        ANALYST,
        &[("max_result_rows", "5"), ("join_use_nulls", "1"), ("database", "system")],
        &[],
        ask.as_bytes(),
    );
    assert_eq!(changed.text(), "5\ttrue\tsystem\n");
    for _ in 0..20 {
        assert_eq!(engine.ask(ask).text(), plain);
    }
    assert_eq!(engine.curl(SINK, &[("no_such_setting", "1")], &[], b"SELECT 1").code(), Some(115));
    assert_eq!(engine.curl(SINK, &[("max_threads = 1, x", "1")], &[], b"SELECT 1").code(), Some(115));
}

#[test]
fn exceptions_carry_their_number() {
    let engine = Engine::shared();
    for (sql, status, code) in [
        ("SELEC 1", 400, 62),
        ("SELECT nothing", 404, 47),
        ("SELECT * FROM nowhere", 404, 60),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT throwIf(1)", 500, 395),
    ] {
        let reply = engine.curl(SINK, &[], &[], sql.as_bytes());
        assert_eq!((reply.status, reply.code()), (status, Some(code)), "{sql}: {}", reply.text());
        let text = reply.text();
        assert!(
            text.starts_with(&format!("Code: {code}. DB::Exception: ")) && text.contains(" (version 26."),
            "{text}"
        );
    }
}

#[test]
fn a_late_exception_is_marked_and_cuts_the_connection() {
    let engine = Engine::shared();
    let reply = engine.ask("SELECT throwIf(number = 2000000) FROM numbers(3000000)");
    assert_eq!(reply.status, 200);
    let marker = reply.header("X-ClickHouse-Exception-Tag").unwrap();
    assert!(reply.text().ends_with(&format!(" {marker}\r\n__exception__\r\n")));
    assert!(reply.text().contains("Code: 395. DB::Exception"));
    assert_eq!(reply.curl, Some(18), "curl has to see a partial answer");
}

#[test]
fn a_large_result_streams_and_is_complete() {
    let engine = Engine::shared();
    let expected: String = (0..2_000_000).flat_map(|number: u32| [number.to_string(), "\n".to_owned()]).collect();
    let plain = engine.ask("SELECT number FROM numbers(2000000)");
    assert!(plain.body == expected.as_bytes());
    for encoding in ["gzip", "deflate"] {
        let header = format!("Accept-Encoding: {encoding}");
        let reply =
            engine.curl(ANALYST, &[], &["--compressed", "--header", &header], b"SELECT number FROM numbers(2000000)");
        assert_eq!(reply.header("Content-Encoding"), Some(encoding));
        assert!(reply.body == expected.as_bytes(), "{encoding}");
    }
    let lz4 = engine.curl(ANALYST, &[], &["--header", "Accept-Encoding: lz4"], b"SELECT number FROM numbers(2000000)");
    let mut decoded = Vec::new();
    lz4_flex::frame::FrameDecoder::new(&lz4.body[..]).read_to_end(&mut decoded).unwrap();
    assert!(decoded == expected.as_bytes());
}

#[test]
fn inserts_take_every_way_of_sending_rows() {
    let engine = Engine::shared();
    engine.sql("CREATE TABLE ways (a UInt64, s String) ENGINE = MergeTree ORDER BY a");
    let insert = |format: &str, parameters: &[(&str, &str)], arguments: &[&str], body: &[u8]| {
        let statement = format!("INSERT INTO ways (a, s) FORMAT {format}");
        let parameters: Vec<_> =
            [("query", statement.as_str())].into_iter().chain(parameters.iter().copied()).collect();
        let reply = engine.curl(SINK, &parameters, arguments, body);
        assert_eq!(reply.status, 200, "{format}: {}", reply.text());
        assert!(reply.header("X-ClickHouse-Summary").unwrap().contains("\"written_rows\":\"2\""), "{format}");
    };
    let json = b"{\"a\":1,\"s\":\"json\"}\n{\"a\":2,\"s\":\"json\"}\n";
    insert("JSONEachRow", &[], &[], json);
    insert("CSV", &[], &[], b"3,csv\n4,\"c\n\nsv\"\n");
    insert("TSV", &[], &["--header", "Expect: 100-continue"], b"5\ttsv\n6\ttsv\n");
    insert("Values", &[], &[], b"(7,'values'), (8,'; values')");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(json).unwrap();
    insert("JSONEachRow", &[], &["--header", "Content-Encoding: gzip"], &gzip.finish().unwrap());
    let zstd = zstd::encode_all(&json[..], 1).unwrap();
    insert("JSONEachRow", &[("max_insert_block_size", "1")], &["--header", "Content-Encoding: zstd"], &zstd);
    insert("JSONEachRow", &[], &["--header", "Transfer-Encoding: chunked"], json);
    let native = engine.ask("SELECT a, s FROM ways WHERE a IN (3, 4) ORDER BY a FORMAT Native").body;
    insert("Native", &[], &[], &native);
    engine.sql("INSERT INTO ways VALUES (9, 'inline')");
    engine.sql("INSERT INTO ways SELECT 10, 'select'");
    assert_eq!(engine.sql("SELECT count(), uniqExact(a), max(a) FROM ways"), "18\t10\t10\n");
    let broken = engine.curl(SINK, &[("query", "INSERT INTO ways FORMAT JSONEachRow")], &[], b"{\"a\":\"x\"}");
    assert!(broken.status >= 400 && broken.code().is_some());
}

#[test]
fn binary_rows_with_blank_lines_survive() {
    let engine = Engine::shared();
    engine.sql("CREATE TABLE blank (a UInt16, s String) ENGINE = MergeTree ORDER BY a");
    // Every row begins and ends with line ends: 2570 is 0A 0A.
    let row = [&2570_u16.to_le_bytes()[..], &[4], b"\n\n\n\n"].concat();
    let rows = row.repeat(1000);
    let by_query = engine.curl(SINK, &[("query", "INSERT INTO blank FORMAT RowBinary")], &[], &rows);
    assert_eq!(by_query.status, 200, "{}", by_query.text());
    let by_body = engine.curl(SINK, &[], &[], &[b"INSERT INTO blank FORMAT RowBinary\n".as_slice(), &rows].concat());
    assert_eq!(by_body.status, 200, "{}", by_body.text());
    assert_eq!(engine.sql("SELECT count(), countIf(a = 2570 AND s = '\\n\\n\\n\\n') FROM blank"), "2000\t2000\n");
}

#[test]
fn a_get_changes_nothing() {
    let engine = Engine::shared();
    let parameters = [("query", "CREATE TABLE by_get (a UInt8) ENGINE = Memory")];
    let reply = engine.curl(SINK, &parameters, &["--get"], b"");
    assert_eq!((reply.status, reply.code()), (403, Some(164)), "{}", reply.text());
    let asked = engine.curl(SINK, &[("query", "SELECT 1")], &["--get"], b"");
    assert_eq!(asked.text(), "1\n");
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let engine = Engine::start_with(|config| config.limits.body_bytes = 1 << 20);
    let bomb = zstd::encode_all(&vec![b'1'; 64 << 20][..], 1).unwrap();
    let query = [("query", "INSERT INTO t FORMAT CSV")];
    let reply = engine.curl(SINK, &query, &["--header", "Content-Encoding: zstd"], &bomb);
    assert_eq!((reply.status, reply.code()), (413, Some(307)), "{}", reply.text());
    assert_eq!(engine.sql("SELECT 1"), "1\n");
}
