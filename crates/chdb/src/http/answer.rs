//! The head of an answer, and exceptions in the form that ClickHouse clients parse.
//! An answer knows its encoding and its query id before the statement is known, so that every error is readable.

use super::encode::Encoder;
use crate::engine::Engine;
use crate::exec::Exception;
use crate::ffi::Outcome;
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::response::Builder;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use std::sync::Arc;
use std::time::Instant;

/// Collects what the head of the answer needs.
pub(super) struct Answer {
    encoder: Option<Encoder>,
    query_id: String,
    tag: String,
    version: String,
    timezone: String,
    started: Instant,
}

impl Answer {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        let tag = random_letters(24);
        Self {
            encoder: None,
            query_id: tag.clone(),
            tag,
            version: engine.version.clone(),
            timezone: engine.timezone.clone(),
            started: Instant::now(),
        }
    }

    /// The client's own id for this query; without one, or with an odd one, ours is used.
    pub(super) fn query_id(&mut self, id: Option<&str>) {
        let plain = |id: &&str| !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(id) = id.filter(plain) {
            id.clone_into(&mut self.query_id);
        }
    }

    pub(super) fn encoder(&mut self, encoder: Encoder) {
        self.encoder = Some(encoder);
    }

    /// A name that no other statement has: letters only, so that it is safe inside SQL.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The text of an exception, as it stands in a body.
    pub(super) fn text(&self, exception: &Exception) -> String {
        format!("{exception} (version {})\n", self.version)
    }

    /// An answer that is nothing but an exception.
    pub(super) fn exception(self, exception: &Exception) -> Response {
        tracing::debug!(query_id = self.query_id, %exception, "statement refused or failed");
        let status = status(exception.code);
        let text = self.text(exception);
        let mut builder = self.head(status, "text/plain; charset=UTF-8", None);
        builder = builder.header("X-ClickHouse-Exception-Code", exception.code);
        if status == StatusCode::UNAUTHORIZED {
            builder = builder.header(WWW_AUTHENTICATE, "Basic realm=\"ClickHouse HTTP API\"");
        }
        self.whole(builder, text.as_bytes())
    }

    /// A whole answer.
    pub(super) fn rows(self, format: &str, rows: &[u8], outcome: &Outcome) -> Response {
        let builder =
            self.head(StatusCode::OK, content_type(format), Some(outcome)).header("X-ClickHouse-Format", format);
        self.whole(builder, rows)
    }

    /// The head of an answer whose rows follow, with the tag that marks an exception among them.
    pub(super) fn begin(self, format: &str) -> (Builder, Encoder, String, String) {
        let marker = random_letters(16);
        let builder = self
            .head(StatusCode::OK, content_type(format), None)
            .header("X-ClickHouse-Format", format)
            .header("X-ClickHouse-Exception-Tag", &marker);
        (builder, self.encoder.unwrap_or(Encoder::Identity(Vec::new())), marker, self.version)
    }

    fn head(&self, status: StatusCode, content_type: &'static str, outcome: Option<&Outcome>) -> Builder {
        let outcome = outcome.cloned().unwrap_or_default();
        let summary = format!(
            "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
             \"total_rows_to_read\":\"0\",\"result_rows\":\"{}\",\"result_bytes\":\"0\",\"elapsed_ns\":\"{}\"}}",
            outcome.read_rows,
            outcome.read_bytes,
            outcome.written_rows,
            outcome.written_bytes,
            outcome.result_rows,
            self.started.elapsed().as_nanos()
        );
        let mut builder = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, content_type)
            .header("X-ClickHouse-Query-Id", &self.query_id)
            .header("X-ClickHouse-Server-Display-Name", "tributary")
            .header("X-ClickHouse-Timezone", &self.timezone)
            .header("X-ClickHouse-Summary", summary);
        if let Some(coding) = self.encoder.as_ref().and_then(Encoder::content_encoding) {
            builder = builder.header(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        builder
    }

    fn whole(self, builder: Builder, plain: &[u8]) -> Response {
        let mut encoder = self.encoder.unwrap_or(Encoder::Identity(Vec::new()));
        let encoded = encoder.push(plain, false).and_then(|mut bytes| {
            bytes.extend(encoder.finish()?);
            Ok(bytes)
        });
        let encoded = encoded.unwrap_or_else(|error| format!("the answer cannot be encoded: {error}\n").into_bytes());
        builder.body(Body::from(encoded)).unwrap_or_else(|error| broken(&error))
    }
}

/// A header that cannot be written is an error of ours; the client still gets an answer.
pub(super) fn broken(error: &axum::http::Error) -> Response {
    let mut response = Response::new(Body::from(format!("Code: 1001. DB::Exception: {error}. (STD_EXCEPTION)\n")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// An exception among rows that are already sent, in the form of ClickHouse 25.11 and later.
pub(super) fn marked(marker: &str, text: &str) -> Vec<u8> {
    format!("\r\n__exception__\r\n{marker}\r\n{text}{} {marker}\r\n__exception__\r\n", text.len()).into_bytes()
}

/// ClickHouse's own table from exceptions to HTTP, with 403 for what the account may not do.
fn status(code: u32) -> StatusCode {
    match code {
        194 => StatusCode::UNAUTHORIZED,
        164 | 192 | 193 | 291 | 452 | 497 | 516 => StatusCode::FORBIDDEN,
        36 | 53 | 62 | 6 | 26 | 27 | 38 | 41 | 72 | 89 | 117 | 130 | 131 | 271 | 349 | 457 => StatusCode::BAD_REQUEST,
        16 | 46 | 47 | 50 | 56 | 60 | 73 | 81 | 115 | 456 => StatusCode::NOT_FOUND,
        159 => StatusCode::REQUEST_TIMEOUT,
        307 => StatusCode::PAYLOAD_TOO_LARGE,
        48 => StatusCode::NOT_IMPLEMENTED,
        202 | 209 | 210 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn content_type(format: &str) -> &'static str {
    let lower = format.to_ascii_lowercase();
    if lower.contains("json") {
        if lower.contains("eachrow") {
            "application/x-ndjson; charset=UTF-8"
        } else {
            "application/json; charset=UTF-8"
        }
    } else if lower.starts_with("csv") {
        "text/csv; charset=UTF-8"
    } else if lower.starts_with("tsv") || lower.starts_with("tab") {
        "text/tab-separated-values; charset=UTF-8"
    } else if ["native", "rowbinary", "parquet", "arrow", "orc", "avro", "msgpack"]
        .iter()
        .any(|name| lower.starts_with(name))
    {
        "application/octet-stream"
    } else {
        "text/plain; charset=UTF-8"
    }
}

/// Letters from the system's random source; ids and markers must not be guessable from each other.
fn random_letters(count: usize) -> String {
    let mut bytes = vec![0_u8; count];
    // Without the random source the letters are all `a`: ids repeat, and nothing else depends on them.
    let _ = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_among_rows_can_be_cut_out_again() {
        let text = "Code: 159. DB::Exception: Timeout. (TIMEOUT_EXCEEDED) (version 26.5)\n";
        let bytes = String::from_utf8(marked("abcdefghijklmnop", text)).unwrap();
        let rest = bytes.strip_suffix(" abcdefghijklmnop\r\n__exception__\r\n").unwrap();
        let (body, length) = rest.rsplit_once('\n').unwrap();
        let length: usize = length.parse().unwrap();
        assert_eq!(&format!("{body}\n")[body.len() + 1 - length..], text);
    }

    #[test]
    fn content_types() {
        assert_eq!(content_type("JSONEachRow"), "application/x-ndjson; charset=UTF-8");
        assert_eq!(content_type("JSONCompact"), "application/json; charset=UTF-8");
        assert_eq!(content_type("RowBinary"), "application/octet-stream");
    }
}
