//! Versioned migrations: `schemas/clickhouse/NNN_*.sql`, applied once each, in order, under a lock.

use std::fmt::Write;

use clickhouse::Client;
use sha2::{Digest, Sha256};

/// One migration file.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// File name; its first three digits order it.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// Every migration, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "001_current_state", sql: include_str!("../../../schemas/clickhouse/001_current_state.sql") },
    Migration { name: "002_history", sql: include_str!("../../../schemas/clickhouse/002_history.sql") },
    Migration { name: "003_views", sql: include_str!("../../../schemas/clickhouse/003_views.sql") },
];

/// Why migrating failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A statement failed.
    #[error("migration {name} failed: {reason}")]
    Statement {
        /// File.
        name: &'static str,
        /// The engine's words.
        reason: String,
    },
    /// An applied migration differs from the file of this build.
    #[error(
        "migration {name} was applied with other contents: this database belongs to another build; use that build, or another database"
    )]
    Changed {
        /// File.
        name: String,
    },
    /// The database is ahead of this build.
    #[error("the database has migration {name}, which this build does not know: use the newer build")]
    Newer {
        /// File.
        name: String,
    },
    /// Somebody else is migrating.
    #[error(
        "another process is migrating since {since}; try again: a lock without a sign of life for a minute is taken over"
    )]
    Locked {
        /// When it took it.
        since: String,
    },
    /// The engine does not answer.
    #[error("ClickHouse does not answer: {0}")]
    Unreachable(String),
}

/// Applies what is missing; returns the names of what was (or with `dry_run` would be) applied.
///
/// The lock is a table: its creation succeeds for one process only, on a node and on a cluster alike.
pub async fn migrate(client: &Client, dry_run: bool) -> Result<Vec<&'static str>, MigrateError> {
    let applied = applied(client).await?;
    let missing = plan(&applied)?;
    if dry_run || missing.is_empty() {
        return Ok(missing.iter().map(|migration| migration.name).collect());
    }
    lock(client).await?;
    let result = apply_missing(client).await;
    let unlocked = execute(client, "lock", "DROP TABLE IF EXISTS tributary_migration_lock").await;
    result.and_then(|names| unlocked.map(|()| names))
}

/// Looked at again under the lock: somebody else may have applied them until it was free.
async fn apply_missing(client: &Client) -> Result<Vec<&'static str>, MigrateError> {
    let missing = plan(&applied(client).await?)?;
    apply(client, &missing).await
}

/// Which migrations are missing, given (name, checksum) of those applied.
fn plan(applied: &[(String, String)]) -> Result<Vec<Migration>, MigrateError> {
    for (name, checksum) in applied {
        match MIGRATIONS.iter().find(|migration| migration.name == name) {
            None => return Err(MigrateError::Newer { name: name.clone() }),
            Some(migration) if *checksum != self::checksum(migration.sql) => {
                return Err(MigrateError::Changed { name: name.clone() });
            }
            Some(_) => {}
        }
    }
    let is_missing = |migration: &&Migration| !applied.iter().any(|(name, _)| name == migration.name);
    Ok(MIGRATIONS.iter().filter(is_missing).copied().collect())
}

async fn applied(client: &Client) -> Result<Vec<(String, String)>, MigrateError> {
    const LEDGER: &str = "CREATE TABLE IF NOT EXISTS tributary_migrations \
        (name String, checksum String, applied_at DateTime DEFAULT now()) \
        ENGINE = ReplacingMergeTree ORDER BY name COMMENT 'Which migrations were applied.'";
    execute(client, "ledger", LEDGER).await?;
    client
        .query("SELECT name, checksum FROM tributary_migrations FINAL ORDER BY name")
        .fetch_all::<(String, String)>()
        .await
        .map_err(|error| MigrateError::Unreachable(error.to_string()))
}

/// A lock without a sign of life for so long is of a process that was killed, seconds. 60: a statement takes milliseconds, and
/// before each there is a sign.
const DEAD_S: u64 = 60;

async fn lock(client: &Client) -> Result<(), MigrateError> {
    let create =
        "CREATE TABLE tributary_migration_lock (since DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY since";
    let Err(error) = client.query(create).execute().await else { return sign(client).await };
    let seen = client
        .query("SELECT count(), toUInt64(dateDiff('second', max(since), now())), toString(max(since)) FROM tributary_migration_lock")
        .fetch_one::<(u64, u64, String)>()
        .await;
    match seen {
        Err(_) => Err(MigrateError::Unreachable(error.to_string())),
        Ok((0, ..)) => {
            // Its owner was killed before its first sign, or is about to give it: from now on it counts.
            sign(client).await?;
            Err(MigrateError::Locked { since: "now".to_owned() })
        }
        Ok((_, age, since)) if age < DEAD_S => Err(MigrateError::Locked { since }),
        Ok(_) => {
            tracing::warn!("the migration lock is of a process that is gone; it is taken over");
            execute(client, "lock", "DROP TABLE IF EXISTS tributary_migration_lock").await?;
            client.query(create).execute().await.map_err(|_| MigrateError::Locked { since: "now".to_owned() })?;
            sign(client).await
        }
    }
}

/// Says that the owner of the lock lives.
async fn sign(client: &Client) -> Result<(), MigrateError> {
    execute(client, "lock", "INSERT INTO tributary_migration_lock SELECT now()").await
}

async fn apply(client: &Client, missing: &[Migration]) -> Result<Vec<&'static str>, MigrateError> {
    let mut names = Vec::with_capacity(missing.len());
    for migration in missing {
        for statement in statements(migration.sql) {
            sign(client).await?;
            execute(client, migration.name, &statement).await?;
        }
        client
            .query("INSERT INTO tributary_migrations (name, checksum) SELECT {name:String}, {checksum:String}")
            .param("name", migration.name)
            .param("checksum", checksum(migration.sql))
            .execute()
            .await
            .map_err(|error| MigrateError::Statement { name: migration.name, reason: error.to_string() })?;
        names.push(migration.name);
    }
    Ok(names)
}

async fn execute(client: &Client, name: &'static str, sql: &str) -> Result<(), MigrateError> {
    // `?` is the client's placeholder: doubled it stands for itself.
    let sql = sql.replace('?', "??");
    client.query(&sql).execute().await.map_err(|error| match error {
        clickhouse::error::Error::Network(error) => MigrateError::Unreachable(error.to_string()),
        error => MigrateError::Statement { name, reason: error.to_string() },
    })
}

/// Statements end with `;` at the end of a line; comment lines are dropped.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    code.join("\n").split(";\n").map(|s| s.trim().trim_end_matches(';').to_owned()).filter(|s| !s.is_empty()).collect()
}

fn checksum(sql: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(sql.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_in_order_and_have_statements() {
        assert!(MIGRATIONS.is_sorted_by_key(|migration| migration.name));
        for migration in MIGRATIONS {
            let statements = statements(migration.sql);
            assert!(statements.iter().all(|s| s.starts_with("CREATE ")), "{}", migration.name);
        }
    }

    #[test]
    fn plan_applies_what_is_missing_and_refuses_what_differs() {
        let first = (MIGRATIONS[0].name.to_owned(), checksum(MIGRATIONS[0].sql));
        assert_eq!(plan(&[]).unwrap().len(), MIGRATIONS.len());
        assert_eq!(plan(std::slice::from_ref(&first)).unwrap().len(), MIGRATIONS.len() - 1);
        assert!(matches!(plan(&[(first.0, "other".into())]), Err(MigrateError::Changed { .. })));
        assert!(matches!(plan(&[("999_future".into(), String::new())]), Err(MigrateError::Newer { .. })));
    }
}
