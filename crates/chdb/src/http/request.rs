//! Reads an HTTP request into who asks, which statement, which data, and how the answer shall look.
//! Statement and data come in the query string, the body, or both, as ClickHouse joins them.

use super::answer::Answer;
use super::encode::Encoder;
use super::{Endpoint, body, multipart, settings};
use crate::exec::{Exception, Session};
use crate::sql::{Kind, Policy, Role, Statement, denied};
use axum::body::Body;
use axum::http::{HeaderMap, Method, request::Parts};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// A form is held in memory twice; parameters larger than this belong into a table.
const FORM_BYTES_MAX: u64 = 16 << 20;
/// A client that takes longer than this for its body has gone or means harm.
const BODY_MAX: Duration = Duration::from_secs(300);

/// A request that may run.
pub(super) struct Request {
    pub(super) session: Session,
    pub(super) statement: Kind,
    /// The rows of an INSERT.
    pub(super) data: Option<File>,
    pub(super) default_format: String,
    /// Whether the whole answer is wanted before its head is sent.
    pub(super) wait_end: bool,
}

impl Request {
    /// Reads and checks a request. What the answer needs is set in `answer` as soon as it is known.
    pub(super) async fn read(
        endpoint: &Endpoint,
        answer: &mut Answer,
        parts: &Parts,
        body: Body,
    ) -> Result<Self, Exception> {
        let limits = endpoint.engine.limits();
        let mut query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        let mut role = endpoint.accounts.role(&parts.headers, &query)?;
        answer.query_id(query.get("query_id").map(String::as_str));
        let flag = |query: &HashMap<String, String>, name| query.get(name).is_some_and(|value| value != "0");
        let http_compression = query.get("enable_http_compression").is_none_or(|value| value != "0");
        let encoder = Encoder::choose(&parts.headers, flag(&query, "compress"), http_compression);
        answer.encoder(encoder.map_err(|error| Exception::new(1000, "STD_EXCEPTION", error))?);

        let content_type = header(&parts.headers, "content-type");
        let form = content_type.to_ascii_lowercase().starts_with("multipart/form-data");
        let small = form || role == Role::Reader;
        let limit = if small { limits.body_bytes.min(FORM_BYTES_MAX) } else { limits.body_bytes };
        let encoding = header(&parts.headers, "content-encoding");
        let slot = endpoint.engine.body_slot(role).await?;
        let collected = body::collect(body, encoding, flag(&query, "decompress"), limit);
        let late = |_| Exception::new(209, "SOCKET_TIMEOUT", "the body did not arrive in time");
        let mut file = tokio::time::timeout(BODY_MAX, collected).await.map_err(late)??;
        drop(slot);
        if form {
            file = read_form(content_type, file, &mut query)?;
        }
        let (statement, data) = assemble(query.get("query").map_or("", String::as_str), file, limits.sql_bytes)?;

        let changes = !matches!(statement.kind, Kind::Read { .. });
        if changes && (parts.method == Method::GET || parts.method == Method::HEAD) {
            let message = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. \
                You should use method POST for modifying queries";
            return Err(Exception::new(164, "READONLY", message));
        }
        if query.get("readonly").is_some_and(|value| value != "0") {
            role = Role::Reader;
        }
        endpoint.engine.policy.check(role, &statement)?;
        let session = session(role, &query, &statement, limits.reader_seconds, answer.tag())?;
        let default_format = match header(&parts.headers, "x-clickhouse-format") {
            "" => query.get("default_format").map_or("", String::as_str),
            format => format,
        };
        Ok(Self {
            session,
            statement: statement.kind,
            data,
            default_format: format_name(default_format)?,
            wait_end: flag(&query, "wait_end_of_query"),
        })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn pairs(encoded: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(encoded).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Moves the fields of a form to the query parameters; what is left as a body is empty.
fn read_form(content_type: &str, mut file: File, query: &mut HashMap<String, String>) -> Result<File, Exception> {
    let bad = || Exception::new(36, "BAD_ARGUMENTS", "the multipart form cannot be read");
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(internal)?;
    for (name, value) in multipart::fields(content_type, &bytes).ok_or_else(bad)? {
        if name != "query" && !name.starts_with("param_") {
            return Err(Exception::new(48, "NOT_IMPLEMENTED", "external tables are not supported"));
        }
        query.insert(name, String::from_utf8(value.to_vec()).map_err(|_| bad())?);
    }
    body::anonymous_file().map_err(internal)
}

/// Finds the statement, and for an INSERT the data: what follows the statement, then the body.
fn assemble(query: &str, mut body: File, sql_bytes: usize) -> Result<(Statement, Option<File>), Exception> {
    let length = body.seek(SeekFrom::End(0)).map_err(internal)?;
    let too_long = || Exception::new(62, "SYNTAX_ERROR", format!("Max query size exceeded: {sql_bytes} bytes"));
    if query.len() > sql_bytes {
        return Err(too_long());
    }
    if !query.trim().is_empty()
        && let Ok(statement) = Statement::parse(query.as_bytes())
        && let Kind::Insert { data_at, .. } = statement.kind
    {
        let inline = &query.as_bytes()[data_at.min(query.len())..];
        let data = if inline.trim_ascii().is_empty() { body } else { joined(inline, &mut body, 0)? };
        return Ok((statement, Some(data)));
    }
    // The body is SQL, or begins with it: read as much of it as SQL may have.
    let mut text = query.as_bytes().to_vec();
    if !text.is_empty() && length > 0 {
        text.push(b'\n');
    }
    let joint = text.len();
    body.rewind().map_err(internal)?;
    (&mut body).take(sql_bytes as u64 + 1).read_to_end(&mut text).map_err(internal)?;
    let statement = match Statement::parse(&text) {
        Ok(statement) => statement,
        Err(_) if text.len() > sql_bytes => return Err(too_long()),
        Err(exception) => return Err(exception),
    };
    match statement.kind {
        Kind::Insert { data_at, .. } => {
            let data = joined(&text[data_at.min(joint)..joint], &mut body, data_at.saturating_sub(joint) as u64)?;
            Ok((statement, Some(data)))
        }
        _ if text.len() > sql_bytes => Err(too_long()),
        _ => Ok((statement, None)),
    }
}

/// A new file with `inline`, then the body from an offset on: the engine reads a file from its beginning.
fn joined(inline: &[u8], body: &mut File, from: u64) -> Result<File, Exception> {
    let mut data = body::anonymous_file().map_err(internal)?;
    io::copy(&mut &inline[..], &mut data).map_err(internal)?;
    body.seek(SeekFrom::Start(from)).map_err(internal)?;
    io::copy(body, &mut data).map_err(internal)?;
    Ok(data)
}

fn session(
    role: Role,
    query: &HashMap<String, String>,
    statement: &Statement,
    reader_seconds: u64,
    tag: &str,
) -> Result<Session, Exception> {
    let database = query.get("database").filter(|name| !name.is_empty()).cloned();
    if let Some(name) = &database
        && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    {
        return Err(Exception::new(
            81,
            "UNKNOWN_DATABASE",
            format!("Database {} does not exist", name.escape_default()),
        ));
    }
    let mut params = Vec::new();
    let mut accepted = Vec::new();
    for (name, value) in query {
        if let Some(param) = name.strip_prefix("param_") {
            params.push((param.to_owned(), value.clone()));
        } else if name != "readonly"
            && !settings::is_protocol(name)
            && let Some(value) = settings::accept(role, name, value, reader_seconds)?
        {
            accepted.push((name.clone(), value));
        }
    }
    for name in &statement.identifier_params {
        let value = params.iter().find(|(param, _)| param == name);
        let (_, value) = value.ok_or_else(|| denied(format!("the parameter {name} is not set")))?;
        Policy::check_identifier(role, value)?;
    }
    params.sort_unstable();
    accepted.sort_unstable();
    Ok(Session { role, database, settings: accepted, params, tag: tag.to_owned() })
}

fn format_name(name: &str) -> Result<String, Exception> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(name.to_owned())
    } else {
        Err(Exception::new(73, "UNKNOWN_FORMAT", format!("Unknown format {}", name.escape_default())))
    }
}

#[allow(clippy::needless_pass_by_value)] // the shape that map_err wants
fn internal(error: io::Error) -> Exception {
    Exception::new(1001, "STD_EXCEPTION", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn assembled(query: &str, body: &[u8]) -> (Kind, Option<Vec<u8>>) {
        let mut file = body::anonymous_file().unwrap();
        file.write_all(body).unwrap();
        let (statement, data) = assemble(query, file, 1000).unwrap();
        let data = data.map(|mut file| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        });
        (statement.kind, data)
    }

    #[test]
    fn the_body_is_data_when_the_query_is_an_insert() {
        let (_, data) = assembled("INSERT INTO t(a) FORMAT RowBinary", b"\n\n\x00;");
        assert_eq!(data.unwrap(), b"\n\n\x00;");
        let (_, data) = assembled("INSERT INTO t VALUES (1)", b"");
        assert_eq!(data.unwrap(), b"(1)");
        let (_, data) = assembled("INSERT INTO t FORMAT CSV\n1,2\n", b"3,4\n");
        assert_eq!(data.unwrap(), b"1,2\n3,4\n");
    }

    #[test]
    fn the_body_may_hold_statement_and_data() {
        let (kind, data) = assembled("", b"INSERT INTO t FORMAT RowBinary\n\n\n\xff");
        assert!(matches!(kind, Kind::Insert { .. }));
        assert_eq!(data.unwrap(), b"\n\n\xff");
        let large = vec![b'7'; 5000];
        let (_, data) = assembled("", &[b"INSERT INTO t FORMAT CSV\n".as_slice(), &large].concat());
        assert_eq!(data.unwrap(), large);
        let (_, data) = assembled("INSERT INTO t(a)", b"FORMAT CSV\n1\n");
        assert_eq!(data.unwrap(), b"FORMAT CSV\n1\n");
    }

    #[test]
    fn a_query_may_be_split_between_both() {
        let (kind, data) = assembled("SELECT 1", b"+ 1 FORMAT CSV");
        assert_eq!(kind, Kind::Read { head: "SELECT 1 + 1".into(), format: Some("CSV".into()), tail: String::new() });
        assert!(data.is_none());
    }

    #[test]
    fn sql_has_a_limit() {
        let file = body::anonymous_file().unwrap();
        assert!(assemble(&format!("SELECT '{}'", "x".repeat(1000)), file, 1000).is_err());
    }
}
