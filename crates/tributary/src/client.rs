//! The command line's side of HTTP: a running Tributary, ClickHouse, a mirror of feeds.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use tributary_model::record::{Extensions, header};

use crate::cli::ServerArgs;
use crate::config::Config;

/// A larger body is sent only once the server says that it wants it: one that is refused for its size would otherwise
/// break the connection before the refusal could be read.
const ASK_FIRST_BYTES: usize = 1 << 20;

/// A running Tributary.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client for the address given on the command line, else the configured one.
    pub fn new(server: &ServerArgs, config: &Config) -> Self {
        let base = server.url.clone().unwrap_or_else(|| format!("http://{}", config.intake.listen));
        Self { agent: agent(), base: base.trim_end_matches('/').to_owned(), token: server.token.clone() }
    }

    /// A client for this address.
    pub fn at(url: &str, token: Option<String>) -> Self {
        Self { agent: agent(), base: url.trim_end_matches('/').to_owned(), token }
    }

    /// GETs JSON.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let mut body = Vec::new();
        self.stream(path)?.read_to_end(&mut body).with_context(|| format!("{}{path}", self.base))?;
        serde_json::from_slice(&body).with_context(|| format!("{}{path} answered something else than JSON", self.base))
    }

    /// GETs a stream of bytes.
    pub fn stream(&self, path: &str) -> anyhow::Result<Box<dyn Read>> {
        let url = format!("{}{path}", self.base);
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("authorization", &format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        self.answer(response)
    }

    /// POSTs a body with headers; answers status and JSON.
    pub fn post(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> anyhow::Result<(u16, serde_json::Value)> {
        let url = format!("{}{path}", self.base);
        let mut request = self.agent.post(&url).header("content-type", "application/octet-stream");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", &format!("Bearer {token}"));
        }
        if body.len() > ASK_FIRST_BYTES {
            request = request.header("expect", "100-continue");
        }
        let response = request.send(body).map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let mut text = String::new();
        response.into_body().into_reader().read_to_string(&mut text)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))))
    }

    fn answer(&self, response: ureq::http::Response<ureq::Body>) -> anyhow::Result<Box<dyn Read>> {
        let status = response.status();
        let mut reader = response.into_body().into_reader();
        if status.is_success() || status.as_u16() == 503 {
            return Ok(Box::new(reader));
        }
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        bail!("{}", problem(&text).unwrap_or(format!("{} answered {status}", self.base)))
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        anyhow::anyhow!(
            "no Tributary answers at {} ({error}); start one with `tributary up`, or name it with --url",
            without_credentials(&self.base)
        )
    }
}

/// What is known about a record as CloudEvents writes it over HTTP: `ce-image` and its like, percent-encoded, where the log
/// has `image` and `ce_source`. What the intake itself sets is not sent.
pub fn ce_headers(ext: &Extensions) -> Vec<(String, String)> {
    let sent = ext.to_headers().into_iter().filter(|(name, _)| !name.starts_with("x-tributary"));
    let time = ext.time.map(|time| (header::TIME, tributary_ingest::time::format(time)));
    sent.chain(time)
        .map(|(name, value)| match name {
            header::CONTENT_TYPE => (name.to_owned(), value),
            name => (format!("ce-{}", name.trim_start_matches("ce_")), ascii(&value)),
        })
        .collect()
}

/// A header value in ASCII; CloudEvents percent-encodes the rest.
fn ascii(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if (0x21..0x7f).contains(&byte) && byte != b'%' && byte != b'"' {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What a JSON error says is wrong, and its fix, as one sentence.
pub fn problem(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let error = value.get("detail").or_else(|| value.get("error"))?.as_str()?;
    Some(match value.get("fix").and_then(|fix| fix.as_str()).filter(|fix| !fix.is_empty()) {
        Some(fix) => format!("{error}; {fix}"),
        None => error.to_owned(),
    })
}

/// An address as it may be shown: what stands before an `@` is nobody else's business.
pub fn without_credentials(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}

/// An HTTP client that treats statuses as answers and never waits for ever.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_global(None)
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Percent-encodes a query value.
pub fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
