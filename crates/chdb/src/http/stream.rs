//! Runs a request and streams its rows: the engine writes them into a pipe, the answer reads from it, so that a slow
//! client slows the engine down instead of filling memory. A client that leaves takes its query with it.

use super::answer::{Answer, broken, marked};
use super::encode::Encoder;
use super::request::Request;
use crate::engine::{Engine, Lane};
use crate::exec::{self, Exception, Plan, Session};
use crate::ffi::Outcome;
use crate::sql::Kind;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// Answers up to this size are whole: their status says whether they failed, their summary is complete.
const WHOLE_BYTES: usize = 1 << 20;
/// The same, when the client asks to wait for the end (`wait_end_of_query`).
const WAITED_BYTES: usize = 64 << 20;
/// What the engine may write ahead of the answer: the largest pipe that an ordinary user may have.
const PIPE_BYTES: usize = 1 << 20;

/// Time for the exception to leave before the connection is cut: the server drops what it has not sent by then, and
/// the client would know that something failed, but not what.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the request to its answer, or to the beginning of one.
pub(super) async fn run(engine: &Arc<Engine>, answer: Answer, request: Request) -> Response {
    match request.statement {
        Kind::Read { head, format, tail } => {
            let default =
                if request.default_format.is_empty() { "TabSeparated".to_owned() } else { request.default_format };
            let format = format.unwrap_or(default);
            let whole = if request.wait_end { WAITED_BYTES } else { WHOLE_BYTES };
            match Rows::start(engine, request.session, head, format.clone(), tail).await {
                Ok(rows) => rows.answer(answer, &format, whole).await,
                Err(exception) => answer.exception(&exception),
            }
        }
        Kind::Insert { head, settings, format, .. } => {
            let default = if request.default_format.is_empty() { "Values".to_owned() } else { request.default_format };
            let format = format.unwrap_or(default);
            let Some(from) = request.data else {
                return answer.exception(&Exception::new(108, "NO_DATA_TO_INSERT", "No data to insert"));
            };
            finish(engine, answer, request.session, Lane::Inserts, Plan::Data { head, settings, format, from }).await
        }
        Kind::Write { sql } => finish(engine, answer, request.session, Lane::Queries, Plan::Plain { sql }).await,
    }
}

/// Runs a statement without rows. It is not stopped when the client leaves: half a change helps nobody.
async fn finish(engine: &Arc<Engine>, answer: Answer, session: Session, lane: Lane, plan: Plan) -> Response {
    let permit = match engine.turn(lane).await {
        Ok(permit) => permit,
        Err(exception) => return answer.exception(&exception),
    };
    let worker = Arc::clone(engine);
    let running = tokio::task::spawn_blocking(move || {
        let result = exec::run(&worker, &session, plan);
        drop(permit);
        result
    });
    match joined(running).await {
        Ok(outcome) => answer.rows("TabSeparated", &outcome.data, &outcome),
        Err(exception) => answer.exception(&exception),
    }
}

async fn joined(running: JoinHandle<Result<Outcome, Exception>>) -> Result<Outcome, Exception> {
    running.await.unwrap_or_else(|error| Err(Exception::new(1001, "STD_EXCEPTION", error)))
}

/// A running query and the pipe its rows come from.
struct Rows {
    pipe: Receiver,
    running: Option<JoinHandle<Result<Outcome, Exception>>>,
    engine: Arc<Engine>,
    tag: String,
    done: Arc<AtomicBool>,
}

impl Rows {
    async fn start(
        engine: &Arc<Engine>,
        session: Session,
        head: String,
        format: String,
        tail: String,
    ) -> Result<Self, Exception> {
        let internal = |error: io::Error| Exception::new(1001, "STD_EXCEPTION", error);
        let permit = engine.turn(Lane::Queries).await?;
        let (reader, into) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| internal(error.into()))?;
        // Refused when the user has many pipes already; a small pipe is only slower.
        let _ = fcntl_setpipe_size(&into, PIPE_BYTES);
        let pipe = Receiver::from_owned_fd(reader).map_err(internal)?;
        let done = Arc::new(AtomicBool::new(false));
        let (worker, finished, tag) = (Arc::clone(engine), Arc::clone(&done), session.tag.clone());
        let running = tokio::task::spawn_blocking(move || {
            let result = exec::run(&worker, &session, Plan::Rows { head, format, tail, into });
            finished.store(true, Ordering::Release);
            drop(permit);
            result
        });
        Ok(Self { pipe, running: Some(running), engine: Arc::clone(engine), tag, done })
    }

    /// Reads up to `whole` bytes; a result that ends there is answered at once, a longer one is streamed.
    async fn answer(mut self, answer: Answer, format: &str, whole: usize) -> Response {
        let mut first = Vec::new();
        while first.len() < whole {
            match self.read(&mut first).await {
                Ok(0) => {
                    return match self.end().await {
                        Ok(outcome) => answer.rows(format, &first, &outcome),
                        Err(exception) => answer.exception(&exception),
                    };
                }
                Ok(_) => {}
                Err(error) => return answer.exception(&Exception::new(1001, "STD_EXCEPTION", error)),
            }
        }
        let (builder, encoder, marker, version) = answer.begin(format);
        let flow = Flow { rows: self, encoder: Some(encoder), first, marker, version, failed: false };
        builder.body(Body::from_stream(stream::unfold(flow, Flow::next))).unwrap_or_else(|error| broken(&error))
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        into.reserve(64 << 10);
        self.pipe.read_buf(into).await
    }

    async fn end(&mut self) -> Result<Outcome, Exception> {
        match self.running.take() {
            Some(running) => joined(running).await,
            None => Ok(Outcome::default()),
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if self.done.load(Ordering::Acquire) {
            return;
        }
        let (engine, tag, done) = (Arc::clone(&self.engine), std::mem::take(&mut self.tag), Arc::clone(&self.done));
        // Again and again, because a query that has just been sent is not in the engine's list yet.
        // A thread of its own, because this may run while the runtime shuts down.
        let killer = std::thread::Builder::new().name("kill-query".into()).spawn(move || {
            while !done.load(Ordering::Acquire) {
                exec::kill(&engine, &tag);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        if let Err(error) = killer {
            tracing::warn!(%error, "an abandoned query runs on");
        }
    }
}

/// The body of a streamed answer.
struct Flow {
    rows: Rows,
    /// `None` once the end is written.
    encoder: Option<Encoder>,
    first: Vec<u8>,
    marker: String,
    version: String,
    failed: bool,
}

impl Flow {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        loop {
            let Some(mut encoder) = self.encoder.take() else {
                if !self.failed {
                    return None;
                }
                // ClickHouse cuts the connection after an exception, so that no client takes the rows for complete.
                self.failed = false;
                tokio::time::sleep(LAST_WORDS).await;
                return Some((Err(io::Error::other("the query failed")), self));
            };
            let mut plain = std::mem::take(&mut self.first);
            let count = if plain.is_empty() { self.rows.read(&mut plain).await } else { Ok(plain.len()) };
            let bytes = match count {
                Err(error) => return Some((Err(error), self)),
                Ok(0) => match self.rows.end().await {
                    Ok(_) => encoder.finish(),
                    Err(exception) => {
                        self.failed = true;
                        last_words(encoder, &self.marker, &format!("{exception} (version {})\n", self.version))
                    }
                },
                Ok(_) => {
                    let bytes = encoder.push(&plain, false);
                    self.encoder = Some(encoder);
                    bytes
                }
            };
            match bytes {
                // An encoder that holds everything back, or an encoding without an end.
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some((Ok(bytes.into()), self)),
                Err(error) => return Some((Err(error), self)),
            }
        }
    }
}

/// The exception in a piece of its own: clients look for it at the end of a piece.
fn last_words(mut encoder: Encoder, marker: &str, text: &str) -> io::Result<Vec<u8>> {
    let mut bytes = encoder.push(&[], true)?;
    bytes.extend(encoder.push(&marked(marker, text), true)?);
    bytes.extend(encoder.finish()?);
    Ok(bytes)
}
