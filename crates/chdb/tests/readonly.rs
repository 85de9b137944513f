//! What an attacker with the analyst's account would try, against the real engine.

mod support;

use support::{ANALYST, Engine};

#[test]
fn the_analyst_reads_and_nothing_else() {
    let engine = Engine::shared();
    engine.sql("CREATE TABLE guarded (a UInt8, file String) ENGINE = MergeTree ORDER BY a");
    engine.sql("INSERT INTO guarded VALUES (1, 'x')");
    for sql in [
        "SELECT g.file FROM guarded AS g",
        "SHOW TABLES",
        "DESCRIBE TABLE guarded",
        "EXPLAIN SELECT a FROM guarded",
        "SHOW CREATE TABLE guarded",
        "EXISTS TABLE guarded",
        "WITH 1 AS x SELECT x",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SELECT name FROM system.tables LIMIT 1",
        "SELECT name, value, readonly FROM system.settings LIMIT 1",
    ] {
        let reply = engine.ask(sql);
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    for sql in [
        "INSERT INTO guarded VALUES (2, 'y')",
        "DROP TABLE guarded",
        "TRUNCATE TABLE guarded",
        "ALTER TABLE guarded DELETE WHERE 1",
        "CREATE TABLE mine (a UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (a UInt8)",
        "SET readonly = 0",
        "KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "OPTIMIZE TABLE guarded",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1; DROP TABLE guarded",
        "USE system",
        "exit",
        "WITH 1 AS x INSERT INTO guarded SELECT x, ''",
        "EXPLAIN PLAN INSERT INTO guarded SELECT 1, ''",
    ] {
        assert!(engine.ask(sql).status >= 400, "{sql}");
    }
    assert_eq!(engine.sql("SELECT count() FROM guarded"), "1\n");
}

#[test]
fn no_statement_reaches_a_file_or_a_network() {
    let engine = Engine::shared();
    for sql in [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT \"fi\\x6ce\"('/etc/passwd')",
        "SELECT FILE/**/('/etc/passwd')",
        "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT COLUMNS('a') APPLY(x -> file(x)) FROM (SELECT '/etc/passwd' AS a)",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM default.\"/etc/passwd\"",
        "DESCRIBE TABLE file('/etc/passwd')",
        "DESCRIBE '/etc/passwd'",
        "DESC \"/etc/passwd\"",
        "SELECT 1 INTO OUTFILE '/tmp/tributary-test'",
        "SELECT * FROM url('http://127.0.0.1:1/')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/')",
        "SELECT * FROM s3('http://127.0.0.1:1/a')",
        "DESC s3('http://127.0.0.1:1/a')",
        "SELECT * FROM remote('127.0.0.1', 'a.b')",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM sqlite('/tmp/a', 'b')",
        "SELECT * FROM cluster('default', system.one)",
        "SELECT hasColumnInTable('127.0.0.1', 'a', 'b', 'c', 'd', 'e')",
        "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1') PARTITION BY a",
        "SELECT $$a$$",
        "SELECT ‘a’",
        "SELECT 1 # file('/etc/passwd')",
        "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/passwd'",
        "INSERT INTO FUNCTION file('/tmp/tributary-test', 'CSV', 'a UInt8') VALUES (1)",
        "SELECT * FROM file('/proc/self/fd/3', 'RawBLOB')",
    ] {
        let reply = engine.ask(sql);
        assert!(reply.status >= 400 && !reply.text().contains("root:"), "{sql}: {}", reply.text());
    }
    assert!(!std::path::Path::new("/tmp/tributary-test").exists());
    for parameter in
        ["output_format_schema", "format_template_resultset", "max_memory_usage", "max_threads", "log_comment"]
    {
        let reply = engine.curl(ANALYST, &[(parameter, "0")], &[], b"SELECT getSetting('log_comment')");
        assert!(reply.status >= 400 || reply.text() != "0\n", "{parameter}");
    }
}

#[test]
fn the_kernel_refuses_what_the_rules_would_miss() {
    // The sink is trusted, so the rules let it name functions by reference; the sandbox does not.
    let engine = Engine::shared();
    let reply = engine.curl(support::SINK, &[], &[], b"SELECT * APPLY(file) FROM (SELECT '/etc/passwd')");
    assert!(reply.status >= 400 && reply.text().contains("Permission denied"), "{}", reply.text());
}
