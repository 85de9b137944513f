//! `query`: SQL to ClickHouse, the answer to stdout as it comes.

use std::io::{Read, Write};

use anyhow::{Context, bail};

use crate::cli::QueryArgs;
use crate::client::{agent, encode};
use crate::config::Config;

/// Sends the statement and copies the answer.
pub fn run(args: &QueryArgs, config: &Config) -> anyhow::Result<u8> {
    let mut sql = args.sql.clone();
    if sql == "-" {
        sql.clear();
        std::io::stdin().lock().read_to_string(&mut sql).context("cannot read stdin")?;
    }
    let clickhouse = &config.clickhouse;
    let (url, user, password) = if let Some(url) = &args.clickhouse {
        (url.clone(), clickhouse.user.as_str(), clickhouse.password.as_str())
    } else if clickhouse.url.is_empty() {
        (format!("http://{}", clickhouse.listen), "analyst", clickhouse.analyst_password.as_str())
    } else {
        (clickhouse.url.clone(), clickhouse.user.as_str(), clickhouse.password.as_str())
    };
    let full = format!("{}/?default_format={}", url.trim_end_matches('/'), encode(&args.format));
    let mut request = agent().post(&full);
    if !user.is_empty() {
        request = request.header("X-ClickHouse-User", user).header("X-ClickHouse-Key", password);
    }
    let response = request.send(sql.as_bytes()).map_err(|error| {
        anyhow::anyhow!(
            "no ClickHouse answers at {url} ({error}); `tributary up` starts one, `tributary status` says how it is"
        )
    })?;
    let status = response.status();
    let mut reader = response.into_body().into_reader();
    if !status.is_success() {
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        bail!("{}", text.trim());
    }
    let mut out = std::io::stdout().lock();
    std::io::copy(&mut reader, &mut out).context("the answer broke off")?;
    out.flush()?;
    Ok(0)
}
