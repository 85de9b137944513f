//! Batches into ClickHouse over HTTP, with the official client.

use clickhouse::{Client, Compression, Row, RowWrite};

/// Where ClickHouse is and who we are there.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// `http://host:port`.
    pub url: String,
    /// Database.
    pub database: String,
    /// User that may write.
    pub user: String,
    /// Password. Never logged.
    #[serde(skip_serializing)]
    pub password: String,
}

/// A client for this configuration.
#[must_use]
pub fn client(config: &ClickHouseConfig) -> Client {
    let client = Client::default().with_url(&config.url).with_product_info("tributary", env!("CARGO_PKG_VERSION"));
    // Compressing what never leaves the machine only costs both sides their cores.
    let client = if is_here(&config.url) { client.with_compression(Compression::None) } else { client };
    let client = if config.database.is_empty() { client } else { client.with_database(&config.database) };
    if config.user.is_empty() { client } else { client.with_user(&config.user).with_password(&config.password) }
}

/// Whether the URL names this machine by a loopback address.
fn is_here(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// The engine is away or overloaded: the same batch later.
    #[error("ClickHouse does not take rows now, they wait: {0}")]
    Retry(String),
    /// The engine has no memory for so many rows in one statement, or for anything: fewer, or later.
    #[error("ClickHouse lacks the memory for these rows: {0}")]
    TooMuch(String),
    /// The engine refuses this batch: a table is missing or has another shape.
    #[error("ClickHouse refuses the rows of {table}: {reason}; run `tributary migrate`")]
    Refused {
        /// Table.
        table: &'static str,
        /// The engine's words.
        reason: String,
    },
}

/// Inserts rows of one table in one statement; answers how many. Atomic per partition of the table; a batch that was written in part is repeated,
/// and what was there replaces itself.
///
/// # Errors
/// See [`InsertError`].
pub async fn insert<'a, R: Row + RowWrite>(
    client: &Client,
    table: &'static str,
    rows: impl Iterator<Item = R::Value<'a>>,
) -> Result<usize, InsertError> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(0);
    }
    let write = async {
        let (mut insert, mut count) = (client.insert::<R>(table).await?, 0);
        for row in rows {
            insert.write(&row).await?;
            count += 1;
        }
        insert.end().await?;
        Ok(count)
    };
    write.await.map_err(|error| classify(table, &error))
}

/// The engine answered with a verdict on the batch (4xx, bad columns): refused. No answer, or overload: retry.
fn classify(table: &'static str, error: &clickhouse::error::Error) -> InsertError {
    use clickhouse::error::Error;
    let text = error.to_string();
    match error {
        Error::BadResponse(reason) if code(reason) == MEMORY_LIMIT_EXCEEDED => InsertError::TooMuch(text),
        Error::BadResponse(reason) if !is_transient(reason) => InsertError::Refused { table, reason: reason.clone() },
        Error::SchemaMismatch(reason) => InsertError::Refused { table, reason: reason.clone() },
        Error::InvalidParams(_) | Error::InvalidColumnsHeader(_) => InsertError::Refused { table, reason: text },
        _ => InsertError::Retry(text),
    }
}

/// The engine's code for memory that a statement may not have, or that it does not have itself.
const MEMORY_LIMIT_EXCEEDED: &str = "241";

fn code(reason: &str) -> &str {
    reason.trim_start_matches("Code: ").split('.').next().unwrap_or_default()
}

/// Codes that pass by themselves: timeouts, too many queries or parts, read-only, network, Keeper.
fn is_transient(reason: &str) -> bool {
    const CODES: [&str; 10] = ["159", "160", "164", "202", "203", "209", "210", "242", "252", "999"];
    CODES.contains(&code(reason)) || !reason.starts_with("Code:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_uncompressed() {
        for here in ["http://127.0.0.1:8123", "http://localhost:8123/", "http://[::1]:8123", "http://127.0.0.1"] {
            assert!(is_here(here), "{here}");
        }
        for far in ["https://click.example.org:8443", "http://10.0.0.7:8123", "http://localhost.example.org"] {
            assert!(!is_here(far), "{far}");
        }
    }

    #[test]
    fn verdicts_are_told_from_weather() {
        let verdict = |reason: &str| classify("risks", &clickhouse::error::Error::BadResponse(reason.to_owned()));
        let memory = verdict("Code: 241. DB::Exception: Query memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)");
        assert!(matches!(memory, InsertError::TooMuch(_)), "{memory}");
        assert!(matches!(verdict("Code: 252. DB::Exception: Too many parts"), InsertError::Retry(_)));
        assert!(is_transient("Code: 252. DB::Exception: Too many parts"));
        assert!(is_transient("upstream unavailable"));
        assert!(!is_transient("Code: 60. DB::Exception: Table default.risks does not exist. (UNKNOWN_TABLE)"));
    }
}
