//! Reads a request's body within limits: memory is reserved before it is used.

use std::error::Error;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::Intake;
use super::answer::Refusal;
use crate::event::code;
use crate::metrics;
use crate::plain::read_limited;

/// Unit of reservation, bytes: a semaphore counts to 2^32 at most.
const UNIT: usize = 1024;
/// Bodies decompressed at one time: each may briefly take more than it reserved, up to the limit.
pub(super) const DECOMPRESSING_MAX: usize = 2;
/// What a compressed body is first reserved for. JSON reports compress about tenfold; more is reserved when it is known.
const RATIO: usize = 8;

/// A body with its reservation, which ends when this is dropped.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _reserved: Vec<Reservation>,
}

/// Bytes of the bound that a request holds; they are given back when this is dropped.
struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
    intake: Arc<Intake>,
}

impl Reservation {
    fn make(intake: &Arc<Intake>, bytes: usize) -> Result<Self, Refusal> {
        // One body may always go, however small the bound is configured.
        let wanted = permits(bytes).min(permits(intake.settings.in_flight_bytes_max));
        let permit = Arc::clone(&intake.in_flight).try_acquire_many_owned(wanted).map_err(|_| Refusal::busy())?;
        let reservation = Self { permit: Some(permit), intake: Arc::clone(intake) };
        reservation.tell();
        Ok(reservation)
    }

    fn tell(&self) {
        let free = self.intake.in_flight.available_permits() * UNIT;
        metrics::in_flight(self.intake.settings.in_flight_bytes_max.saturating_sub(free));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.tell();
    }
}

impl Received {
    /// The same reservation for other bytes (the event inside the envelope).
    pub(super) fn with(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }
}

/// Reservation units of a number of bytes.
pub(super) fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Reads and decompresses the body.
pub(super) async fn receive(intake: &Arc<Intake>, headers: &HeaderMap, body: Body) -> Result<Received, Refusal> {
    let limit = intake.settings.body_bytes_max;
    let encoding = Encoding::of(headers)?;
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if announced.is_some_and(|length: usize| length > limit) {
        return Err(too_large(limit));
    }
    let factor = if encoding == Encoding::Identity { 1 } else { RATIO };
    // A chunked body does not say how long it is: it may be as long as the limit.
    let expected = announced.map_or(limit, |length| length.saturating_mul(factor).min(limit));
    let mut reserved = vec![Reservation::make(intake, expected)?];
    let wire = axum::body::to_bytes(body, limit).await.map_err(|error| {
        if is_limit(&error) {
            return too_large(limit);
        }
        Refusal::new(400, "incomplete", "the connection ended before the body did", "send the whole body again")
    })?;
    let bytes = decompress(intake, encoding, wire, limit).await?;
    if bytes.len() > expected {
        reserved.push(Reservation::make(intake, bytes.len() - expected)?);
    }
    Ok(Received { bytes, _reserved: reserved })
}

fn is_limit(error: &axum::Error) -> bool {
    error.source().is_some_and(<dyn Error>::is::<http_body_util::LengthLimitError>)
}

async fn decompress(intake: &Intake, encoding: Encoding, wire: Bytes, limit: usize) -> Result<Bytes, Refusal> {
    if encoding == Encoding::Identity {
        return Ok(wire);
    }
    let turn = Arc::clone(&intake.decompressing).acquire_owned().await.map_err(|_| Refusal::internal())?;
    let work = move || {
        let _turn = turn;
        encoding.decompress(&wire, limit)
    };
    let result = tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::internal())?;
    result.map(Bytes::from).map_err(|rejection| match rejection.code {
        code::TOO_LARGE => too_large(limit),
        error => Refusal::new(400, error, rejection.reason, "compress the report again and send the whole of it"),
    })
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        413,
        code::TOO_LARGE,
        format!("the body is larger than the limit of {limit} bytes, before or after decompression"),
        "split the report by target (one image or directory each), or raise intake.report_max_mib",
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Refusal::new(
                415,
                "unknown_encoding",
                "this Content-Encoding is not understood",
                "use gzip, zstd, deflate or none",
            )),
        }
    }

    fn decompress(self, wire: &[u8], limit: usize) -> Result<Vec<u8>, crate::event::Rejection> {
        match self {
            Self::Identity => Ok(wire.to_vec()),
            Self::Gzip => read_limited(flate2::read::MultiGzDecoder::new(wire), "gzip", limit),
            // HTTP's deflate is a zlib stream; some clients send the bare one.
            Self::Deflate if wire.first().is_some_and(|byte| byte & 0x0f == 8) => {
                read_limited(flate2::read::ZlibDecoder::new(wire), "deflate", limit)
            }
            Self::Deflate => read_limited(flate2::read::DeflateDecoder::new(wire), "deflate", limit),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(wire);
                let decoder = decoder
                    .map_err(|_| crate::event::Rejection::new(code::MALFORMED, "the zstd stream cannot be read"))?;
                read_limited(decoder, "zstd", limit)
            }
        }
    }
}
