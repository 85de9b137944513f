//! `migrate`: ClickHouse migrations for an external server.

use std::io::Write;

use anyhow::bail;
use tributary_sink::insert::{self, ClickHouseConfig};

use crate::cli::MigrateArgs;
use crate::config::Config;

/// Applies what is missing, or says what would be.
pub fn run(args: &MigrateArgs, config: &Config) -> anyhow::Result<u8> {
    let clickhouse = &config.clickhouse;
    if clickhouse.url.is_empty() {
        bail!(
            "clickhouse.url is not configured: `tributary up` migrates its own engine; set TRIBUTARY__CLICKHOUSE__URL for a server"
        );
    }
    let client = insert::client(&ClickHouseConfig {
        url: clickhouse.url.clone(),
        database: clickhouse.database.clone(),
        user: clickhouse.user.clone(),
        password: clickhouse.password.clone(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let names = runtime.block_on(tributary_sink::migrate::migrate(&client, args.dry_run))?;
    let mut out = std::io::stdout().lock();
    if names.is_empty() {
        writeln!(out, "nothing to do: every migration is applied")?;
    }
    for name in names {
        writeln!(out, "{} {name}", if args.dry_run { "would apply" } else { "applied" })?;
    }
    Ok(0)
}
