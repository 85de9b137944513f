//! Runs one statement on a connection of its own: results leave through a pipe, data comes in from an anonymous file.
//! Connections are cheap (0.4 ms) and used once, so that no setting, table or parameter can leak to the next caller.

use crate::engine::Engine;
use crate::ffi::{Connection, Outcome};
use crate::sql::Role;
use std::fmt;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// A ClickHouse exception: what went wrong with a statement, in the form that clients parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    /// ClickHouse's number for it.
    pub(crate) code: u32,
    text: String,
}

impl Exception {
    pub(crate) fn new(code: u32, name: &str, message: impl fmt::Display) -> Self {
        Self { code, text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }

    /// From the engine's own text.
    pub(crate) fn from_engine(text: String) -> Self {
        let digits = text.strip_prefix("Code: ").and_then(|rest| rest.split('.').next());
        Self { code: digits.and_then(|digits| digits.parse().ok()).unwrap_or(1000), text }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The session in which a statement runs.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) role: Role,
    pub(crate) database: Option<String>,
    /// Settings of the request; names are already checked.
    pub(crate) settings: Vec<(String, String)>,
    /// Values for `{name:Type}`.
    pub(crate) params: Vec<(String, String)>,
    /// Unique name under which the statement can be killed.
    pub(crate) tag: String,
}

/// Where the rows of a statement go or come from.
pub(crate) enum Plan {
    /// Rows go to this pipe in the named format.
    Rows { head: String, format: String, tail: String, into: std::os::fd::OwnedFd },
    /// Rows come from this anonymous file.
    Data { head: String, settings: String, format: String, from: std::fs::File },
    /// Neither.
    Plain { sql: String },
}

/// Runs a statement to its end; blocks.
pub(crate) fn run(engine: &Arc<Engine>, session: &Session, plan: Plan) -> Result<Outcome, Exception> {
    let mut connection = prepare(engine, session)?;
    // The file behind the number is opened by path, so it must stay open here until the statement is done.
    let (sql, _open): (String, Option<std::os::fd::OwnedFd>) = match plan {
        Plan::Plain { sql } => (sql, None),
        Plan::Rows { head, format, tail, into } => {
            let number = into.as_raw_fd();
            (format!("{head} INTO OUTFILE '/proc/self/fd/{number}' TRUNCATE FORMAT {format} {tail}"), Some(into))
        }
        Plan::Data { head, settings, format, from } => {
            let number = from.as_raw_fd();
            (format!("{head} FROM INFILE '/proc/self/fd/{number}' {settings} FORMAT {format}"), Some(from.into()))
        }
    };
    connection.query(&sql, "TabSeparated", &session.params).map_err(Exception::from_engine)
}

/// Stops the statement with this tag, from another connection.
pub(crate) fn kill(engine: &Arc<Engine>, tag: &str) {
    if let Some(mut connection) = engine.connect() {
        // Without SYNC: with it the engine waits for a connection that waits for us.
        let sql = format!("KILL QUERY WHERE Settings['log_comment'] = '{tag}' ASYNC");
        if let Err(error) = connection.query(&sql, "Null", &[]) {
            tracing::warn!(tag, error, "a query could not be stopped");
        }
    }
}

/// Stops every statement, because the engine is about to close.
pub(crate) fn kill_all(engine: &Arc<Engine>) {
    if let Some(mut connection) = engine.connect()
        && let Err(error) = connection.query("KILL QUERY WHERE 1 ASYNC", "Null", &[])
    {
        tracing::warn!(error, "the running statements could not be stopped");
    }
}

fn prepare(engine: &Arc<Engine>, session: &Session) -> Result<Connection, Exception> {
    let refused = || Exception::new(210, "NETWORK_ERROR", "the engine refused a connection");
    let mut connection = engine.connect().ok_or_else(refused)?;
    let mut base = engine.base_settings(session.role);
    base.push(("log_comment".into(), session.tag.clone()));
    set(&mut connection, &base)?;
    if let Some(database) = &session.database {
        // The name is checked to be plain; quotes keep a reserved word usable.
        query(&mut connection, &format!("USE `{database}`"))?;
    }
    if !session.settings.is_empty() {
        set(&mut connection, &session.settings)?;
    }
    if session.role == Role::Reader {
        // Last, because it also forbids to change any setting, in the statement's own SETTINGS clause too.
        query(&mut connection, "SET readonly = 1")?;
    }
    Ok(connection)
}

fn set(connection: &mut Connection, settings: &[(String, String)]) -> Result<(), Exception> {
    let assign = |(name, value): &(String, String)| format!("{name} = '{}'", escape(value));
    let assignments: Vec<String> = settings.iter().map(assign).collect();
    query(connection, &format!("SET {}", assignments.join(", ")))
}

fn query(connection: &mut Connection, sql: &str) -> Result<(), Exception> {
    connection.query(sql, "Null", &[]).map(|_| ()).map_err(Exception::from_engine)
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_engines_text() {
        let exception = Exception::from_engine("Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)".into());
        assert_eq!(exception.code, 60);
        assert_eq!(Exception::from_engine("odd".into()).code, 1000);
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(escape(r"a'\b"), r"a\'\\b");
    }
}
