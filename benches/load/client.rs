//! What a producer and an analyst do: send records, ask ClickHouse.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::estate::{Entry, Estate};

/// Addresses, and connections to them.
pub struct Client {
    /// The intake.
    pub url: String,
    /// ClickHouse.
    pub sql_url: String,
    /// Who asks it, and with which password.
    pub account: (&'static str, &'static str),
    agent: ureq::Agent,
}

impl Client {
    pub fn new(url: String, sql_url: String, account: (&'static str, &'static str)) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120)));
        Self { url, sql_url, account, agent: config.build().into() }
    }

    /// Sends every record, so many at a time; `pace` waits until it is the turn of the nth.
    pub fn send(&self, estate: &Estate, senders: usize, pace: impl Fn(usize) + Sync) -> anyhow::Result<()> {
        let next = AtomicUsize::new(0);
        let send = || -> anyhow::Result<()> {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(entry) = estate.entries.get(index) else { return Ok(()) };
                let body = estate.body(entry)?;
                pace(index);
                self.post(entry, &body)?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..senders).map(|_| scope.spawn(send)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a sender ended"))?)
        })
    }

    /// Sends one record; again when the intake says "later".
    pub fn post(&self, entry: &Entry, body: &[u8]) -> anyhow::Result<()> {
        loop {
            let mut request = self.agent.post(format!("{}/v1/events/{}", self.url, entry.class));
            for (name, value) in &entry.headers {
                request = request.header(name, value);
            }
            let response = request.send(body)?;
            match response.status().as_u16() {
                202 => return Ok(()),
                429 | 503 => std::thread::park_timeout(Duration::from_millis(5)),
                status => bail!("{}: {status} {}", entry.file, response.into_body().read_to_string()?),
            }
        }
    }

    /// Status and text of a page.
    pub fn page(&self, url: &str) -> anyhow::Result<(u16, String)> {
        let response = self.agent.get(url).call()?;
        Ok((response.status().as_u16(), response.into_body().read_to_string()?))
    }

    /// Asks ClickHouse.
    pub fn sql(&self, sql: &str) -> anyhow::Result<String> {
        let (user, password) = self.account;
        let request = self.agent.post(&self.sql_url).header("X-ClickHouse-User", user);
        let response = request.header("X-ClickHouse-Key", password).send(sql.as_bytes())?;
        let status = response.status();
        let text = response.into_body().with_config().limit(64 << 20).read_to_string()?;
        ensure!(status.is_success(), "{sql}: {text}");
        Ok(text)
    }

    /// Asks ClickHouse for one number.
    pub fn count(&self, sql: &str) -> anyhow::Result<u64> {
        self.sql(sql)?.trim().parse().with_context(|| format!("{sql}: not a number"))
    }
}
