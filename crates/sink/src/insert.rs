//! Batches into ClickHouse over HTTP, with the official client.

use clickhouse::{Client, RowOwned, RowWrite};

use crate::batch::Target;
use crate::rows::Row;

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
    let client = if config.database.is_empty() { client } else { client.with_database(&config.database) };
    if config.user.is_empty() { client } else { client.with_user(&config.user).with_password(&config.password) }
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// The engine is away or overloaded: the same batch later.
    #[error("ClickHouse does not take rows now, they wait: {0}")]
    Retry(String),
    /// The engine refuses this batch: a table is missing or has another shape.
    #[error("ClickHouse refuses the rows of {table}: {reason}; run `tributary migrate`")]
    Refused {
        /// Table.
        table: &'static str,
        /// The engine's words.
        reason: String,
    },
}

/// Inserts one batch: one table, one partition, one atomic block.
pub async fn insert(client: &Client, target: Target, rows: &[Row]) -> Result<(), InsertError> {
    let result = match rows.first() {
        None => Ok(()),
        Some(Row::Risk(_)) => {
            write(client, target, rows, |row| if let Row::Risk(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Finding(_)) => {
            write(client, target, rows, |row| if let Row::Finding(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Component(_)) => {
            write(client, target, rows, |row| if let Row::Component(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Deployment(_)) => {
            write(client, target, rows, |row| if let Row::Deployment(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Intel(_)) => {
            write(client, target, rows, |row| if let Row::Intel(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Ticket(_)) => {
            write(client, target, rows, |row| if let Row::Ticket(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Scan(_)) => {
            write(client, target, rows, |row| if let Row::Scan(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Sbom(_)) => {
            write(client, target, rows, |row| if let Row::Sbom(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Change(_)) => {
            write(client, target, rows, |row| if let Row::Change(row) = row { Some(&**row) } else { None }).await
        }
        Some(Row::Reject(_)) => {
            write(client, target, rows, |row| if let Row::Reject(row) = row { Some(&**row) } else { None }).await
        }
    };
    result.map_err(|error| classify(target.table, &error))
}

async fn write<T>(
    client: &Client,
    target: Target,
    rows: &[Row],
    of: impl Fn(&Row) -> Option<&T>,
) -> Result<(), clickhouse::error::Error>
where
    T: RowOwned + RowWrite + for<'a> clickhouse::Row<Value<'a> = T>,
{
    let mut insert = client.insert::<T>(target.table).await?;
    for row in rows.iter().filter_map(of) {
        insert.write(row).await?;
    }
    insert.end().await
}

/// The engine answered with a verdict on the batch (4xx, bad columns): refused. No answer, or overload: retry.
fn classify(table: &'static str, error: &clickhouse::error::Error) -> InsertError {
    use clickhouse::error::Error;
    let text = error.to_string();
    match error {
        Error::BadResponse(reason) if !is_transient(reason) => InsertError::Refused { table, reason: reason.clone() },
        Error::SchemaMismatch(reason) => InsertError::Refused { table, reason: reason.clone() },
        Error::InvalidParams(_) | Error::InvalidColumnsHeader(_) => InsertError::Refused { table, reason: text },
        _ => InsertError::Retry(text),
    }
}

/// Codes that pass by themselves: timeouts, memory limit, too many queries or parts, read-only, network, Keeper.
fn is_transient(reason: &str) -> bool {
    const CODES: [&str; 11] = ["159", "160", "164", "202", "203", "209", "210", "241", "242", "252", "999"];
    let code = reason.trim_start_matches("Code: ").split('.').next().unwrap_or_default();
    CODES.contains(&code) || !reason.starts_with("Code:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_told_from_weather() {
        assert!(is_transient("Code: 241. DB::Exception: Memory limit exceeded"));
        assert!(is_transient("upstream unavailable"));
        assert!(!is_transient("Code: 60. DB::Exception: Table default.risks does not exist. (UNKNOWN_TABLE)"));
    }
}
