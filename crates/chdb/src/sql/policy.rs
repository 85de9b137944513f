//! What a statement may do. The reader may only ask, and nobody reaches files, networks or programs through SQL.
//! The engine's `readonly=1` stands behind this; it does not cover what is listed here (each was tried against it).

use super::denied;
use super::lexer::TokenKind;
use super::statement::{Kind, Statement, Word};
use crate::exec::Exception;
use std::collections::HashSet;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// May write.
    Writer,
    /// May only ask.
    Reader,
}

/// Table functions that reach outside, in lower case. The engine's own list is added when it starts, so that a newer
/// engine brings no new door.
const OUTSIDE: &[&str] = &[
    "arrowstream",
    "azureblobstorage",
    "cluster",
    "clusterallreplicas",
    "cosn",
    "deltalake",
    "executable",
    "file",
    "filecluster",
    "filesystem",
    "gcs",
    "hdfs",
    "hudi",
    "iceberg",
    "jdbc",
    "mongodb",
    "mysql",
    "odbc",
    "oss",
    "paimon",
    "postgresql",
    "prometheusquery",
    "python",
    "redis",
    "remote",
    "remotesecure",
    "s3",
    "s3cluster",
    "sqlite",
    "url",
    "urlcluster",
    "ytsaurus",
];

/// Table functions that the engine lists as unsafe for readers but that stay inside, or share their name with a
/// function that everybody uses (`format`). `readonly=1` still refuses the reader's use of them as tables.
const INSIDE: &[&str] = &["dictionary", "format", "loop", "viewexplain", "zeros", "zeros_mt"];

/// Functions that `readonly=1` lets through: `file` reads any file, also by reference (`APPLY file`,
/// `arrayMap(file, …)`); the `ai` ones call out; `hasColumnInTable` opens files and hosts; the others tell about the
/// machine or hold a thread. The reader may not name them, except after a dot, which makes it a column.
const READER_FUNCTIONS: &[&str] = &[
    "addresstoline",
    "addresstolinewithinlines",
    "addresstosymbol",
    "aiclassify",
    "aiembed",
    "aiextract",
    "aigenerate",
    "aitranslate",
    "catboostevaluate",
    "demangle",
    "file",
    "getclienthttpheader",
    "getmacro",
    "hascolumnintable",
    "sleep",
    "sleepeachrow",
];

/// Table engines that keep their data in the data directory or in memory.
const ENGINES: &[&str] = &[
    "atomic",
    "buffer",
    "dictionary",
    "generaterandom",
    "join",
    "log",
    "memory",
    "merge",
    "null",
    "ordinary",
    "set",
    "stripelog",
    "tinylog",
    "view",
];

/// Engines that reach outside.
const OUTSIDE_ENGINES: &[&str] = &[
    "arrowflight",
    "azureblobstorage",
    "azurequeue",
    "backup",
    "cosn",
    "datalakecatalog",
    "deltalake",
    "distributed",
    "executable",
    "executablepool",
    "externaldistributed",
    "file",
    "filelog",
    "filesystem",
    "gcs",
    "hdfs",
    "hudi",
    "iceberg",
    "icebergazure",
    "iceberghdfs",
    "iceberglocal",
    "icebergs3",
    "jdbc",
    "kafka",
    "keepermap",
    "materializedpostgresql",
    "mongodb",
    "mysql",
    "nats",
    "odbc",
    "oss",
    "paimon",
    "postgresql",
    "rabbitmq",
    "redis",
    "replicated",
    "s3",
    "s3queue",
    "sqlite",
    "url",
    "ytsaurus",
];

/// SYSTEM commands that touch tables only.
const SYSTEM: &[&str] = &["refresh", "wait", "stop", "start", "flush", "sync", "cancel", "drop", "clear", "reload"];

/// The rules, with the engine's list of table functions folded in.
#[derive(Debug)]
pub(crate) struct Policy {
    outside: HashSet<String>,
}

impl Policy {
    /// `table_functions`: those that the engine itself refuses to readers.
    pub(crate) fn new(table_functions: impl IntoIterator<Item = String>) -> Self {
        let stays_inside = |name: &String| INSIDE.contains(&name.as_str()) || name.starts_with("timeseries");
        let listed =
            table_functions.into_iter().map(|name| name.to_ascii_lowercase()).filter(|name| !stays_inside(name));
        Self { outside: OUTSIDE.iter().map(|name| (*name).to_owned()).chain(listed).collect() }
    }

    /// Whether `role` may run this statement.
    pub(crate) fn check(&self, role: Role, statement: &Statement) -> Result<(), Exception> {
        self.no_outside_functions(&statement.words)?;
        no_files(&statement.words)?;
        match (role, &statement.kind) {
            (Role::Reader, Kind::Read { .. }) => reader(&statement.words),
            (Role::Reader, _) => Err(Exception::new(164, "READONLY", "this account is for reading only")),
            (Role::Writer, Kind::Read { .. }) => Ok(()),
            (Role::Writer, _) => definitions(&statement.words),
        }
    }

    /// Whether the value of an identifier parameter is a plain name. A path would be a file to the engine.
    pub(crate) fn check_identifier(role: Role, value: &str) -> Result<(), Exception> {
        let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b' '));
        if !plain || (role == Role::Reader && READER_FUNCTIONS.contains(&value.to_ascii_lowercase().as_str())) {
            return Err(denied(format!("`{value}` is not accepted as the value of an identifier")));
        }
        Ok(())
    }

    fn no_outside_functions(&self, words: &[Word]) -> Result<(), Exception> {
        let called =
            words.windows(2).filter(|pair| pair[0].names() && pair[1].is_punct(b'(')).map(|pair| &pair[0].text);
        for name in called {
            if self.outside.contains(name) {
                return Err(denied(format!("{name}() reaches outside of the tables")));
            }
        }
        Ok(())
    }
}

/// INTO OUTFILE and FROM INFILE are done by the client side of the library, which knows no access rights. A string
/// after FROM, JOIN or TABLE is a file if it has a slash in it.
fn no_files(words: &[Word]) -> Result<(), Exception> {
    for pair in words.windows(2) {
        let file_clause = (pair[0].is("into") && pair[1].is("outfile")) || (pair[0].is("from") && pair[1].is("infile"));
        let file_name =
            ["from", "join", "table", "into", "describe", "desc", "exists"].iter().any(|word| pair[0].is(word))
                && pair[1].kind == TokenKind::Text
                && pair[1].text.contains(['/', '\\']);
        if file_clause || file_name || (pair[0].is("into") && pair[1].is("function")) {
            return Err(denied("reading and writing files is not accepted here"));
        }
    }
    Ok(())
}

fn reader(words: &[Word]) -> Result<(), Exception> {
    for (index, word) in words.iter().enumerate() {
        let column = index > 0 && words[index - 1].is_punct(b'.');
        if word.names() && !column && READER_FUNCTIONS.contains(&word.text.as_str()) {
            let name = &word.text;
            return Err(denied(format!("{name} is not accepted here; if it is a column, write table.{name}")));
        }
    }
    let says = |index: usize, keyword: &str| words.get(index).is_some_and(|word| word.is(keyword));
    if words.windows(2).any(|pair| pair[0].is("parallel") && pair[1].is("with")) {
        return Err(denied("PARALLEL WITH is not accepted for this account"));
    }
    if says(0, "explain") && words.iter().any(|word| word.is("override")) {
        return Err(denied("EXPLAIN TABLE OVERRIDE is not accepted for this account"));
    }
    if says(0, "describe") || says(0, "desc") {
        return described(&words[if says(1, "table") { 2 } else { 1 }..]);
    }
    if says(0, "check") {
        return Err(Exception::new(164, "READONLY", "CHECK is not accepted for this account"));
    }
    Ok(())
}

/// DESCRIBE opens what it describes, also under `readonly=1`: a name or a query, never a function or a string.
fn described(what: &[Word]) -> Result<(), Exception> {
    let call = what.windows(2).any(|pair| pair[0].names() && pair[1].is_punct(b'('));
    match what.first() {
        Some(first) if first.is_punct(b'(') || first.is("select") || first.is("with") => Ok(()),
        Some(first) if (first.names() || first.is_punct(b'{')) && !call => Ok(()),
        _ => Err(denied("DESCRIBE takes the name of a table or a query here")),
    }
}

/// What the writer may define: engines, dictionary sources and disks could all reach outside.
fn definitions(words: &[Word]) -> Result<(), Exception> {
    if words[0].is("system") && !words.get(1).is_some_and(|word| SYSTEM.contains(&word.text.as_str())) {
        return Err(denied("this SYSTEM command is not accepted here"));
    }
    for (index, word) in words.iter().enumerate() {
        let next = |offset: usize| words.get(index + offset);
        if word.is("engine") && word.depth == 0 {
            engine(next(1), next(2))?;
        }
        let opens = next(1).is_some_and(|word| word.is_punct(b'('));
        let source = next(2).map_or("", |word| word.text.as_str());
        if (word.is("source") && opens && !["clickhouse", "null"].contains(&source)) || (word.is("disk") && opens) {
            return Err(denied(format!("{} is not accepted here", word.text.to_uppercase())));
        }
    }
    Ok(())
}

/// `ENGINE = name` takes the engines above; `ENGINE name` may also be a column in a query, so there only the names of
/// engines that are known to reach outside are refused.
fn engine(first: Option<&Word>, second: Option<&Word>) -> Result<(), Exception> {
    let inside = |name: &Word| ENGINES.contains(&name.text.as_str()) || name.text.ends_with("mergetree");
    let refused = match (first, second) {
        (Some(equals), Some(name)) if equals.is_punct(b'=') && name.names() => Some(name).filter(|name| !inside(name)),
        (Some(name), _) if name.names() => Some(name).filter(|name| OUTSIDE_ENGINES.contains(&name.text.as_str())),
        _ => None,
    };
    match refused {
        Some(name) => Err(denied(format!("the table engine {} is not accepted here", name.text))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(role: Role, sql: &str) -> bool {
        let policy = Policy::new(["newFromTheFuture".to_owned(), "format".to_owned()]);
        Statement::parse(sql.as_bytes()).and_then(|statement| policy.check(role, &statement)).is_ok()
    }

    #[test]
    fn the_reader_may_ask() {
        for sql in [
            "SELECT * FROM risks FINAL WHERE path = '/etc/passwd' FORMAT JSON",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "select f.file, format('{}', 1), trim(both '/' from 'x') from findings as f",
            "SHOW TABLES",
            "DESCRIBE TABLE risks",
            "DESC (SELECT 1)",
            "EXPLAIN SELECT 1",
            "EXISTS TABLE risks",
            "describe {t:Identifier}",
            "SELECT count() FROM system.tables",
            "SHOW CREATE TABLE risks",
        ] {
            assert!(allowed(Role::Reader, sql), "{sql}");
        }
    }

    #[test]
    fn the_reader_may_do_nothing_else() {
        for sql in [
            "INSERT INTO t VALUES (1)",
            "DROP TABLE t",
            "KILL QUERY WHERE 1",
            "SYSTEM SHUTDOWN",
            "OPTIMIZE TABLE t",
            "SELECT file('/etc/passwd')",
            "SELECT `file`('/etc/passwd')",
            "SELECT FiLe /* */ ('/etc/passwd')",
            "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
            "SELECT * APPLY(file) FROM t",
            "SELECT arrayMap(file, ['/etc/passwd'])",
            "SELECT * FROM url('http://x')",
            "DESCRIBE TABLE s3('http://x')",
            "DESCRIBE TABLE newFromTheFuture('x')",
            "DESC 'x.csv'",
            "DESCRIBE anything('x')",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "SELECT 1 INTO/**/OUTFILE '/tmp/x'",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT 1; DROP TABLE t",
            "SELECT sleep(3)",
            "CHECK TABLE t",
            "SELECT 1 PARALLEL WITH DROP TABLE t",
            "EXPLAIN TABLE OVERRIDE mysql('h:1') PARTITION BY x",
            "SELECT hasColumnInTable('h', 'u', 'p', 'd', 't', 'c')",
            "WITH 1 AS x INSERT INTO t SELECT x",
        ] {
            assert!(!allowed(Role::Reader, sql), "{sql}");
        }
    }

    #[test]
    fn the_writer_stays_inside_the_tables() {
        for sql in [
            "CREATE TABLE t (a Int8, file String, url String) ENGINE = ReplacingMergeTree(v) ORDER BY (a, url)",
            "CREATE TABLE t (engine String) ENGINE = Memory",
            "CREATE VIEW v AS SELECT engine FROM system.tables",
            "CREATE DATABASE d ENGINE = Atomic",
            "INSERT INTO t (a) FORMAT RowBinary",
            "ALTER TABLE t ADD COLUMN engine String",
            "CREATE MATERIALIZED VIEW v REFRESH EVERY 1 MINUTE ENGINE = MergeTree ORDER BY a AS SELECT file AS a FROM t",
            "SYSTEM REFRESH VIEW v",
            "OPTIMIZE TABLE t FINAL",
            "INSERT INTO t SELECT * FROM u",
        ] {
            assert!(allowed(Role::Writer, sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE t (a String) ENGINE = File(CSV, '/etc/passwd')",
            "CREATE TABLE t ENGINE URL('http://x')",
            "INSERT INTO FUNCTION file('/tmp/x') SELECT 1",
            "INSERT INTO t SELECT * FROM url('http://x')",
            "CREATE DICTIONARY d (a Int8) PRIMARY KEY a SOURCE(EXECUTABLE(command 'id'))",
            "SYSTEM SHUTDOWN",
            "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '/tmp/')",
            "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
        ] {
            assert!(!allowed(Role::Writer, sql), "{sql}");
        }
    }

    #[test]
    fn identifier_values_are_plain_names() {
        assert!(Policy::check_identifier(Role::Reader, "db.risks").is_ok());
        assert!(Policy::check_identifier(Role::Reader, "/etc/passwd").is_err());
        assert!(Policy::check_identifier(Role::Reader, "FILE").is_err());
    }
}
