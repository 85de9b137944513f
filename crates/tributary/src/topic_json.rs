//! Topics as JSON lines: each record with its coordinates, decoded.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tributary_model::codec::{OfTopic, with_record};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::Message;
use tributary_stream::log::{Budget, Log, LogError, Start};

/// Walks a topic from its beginning, and with `follow` through what arrives afterwards. `take` gets whole lines, none when
/// nothing came for a while, and says whether to go on.
pub fn walk(
    log: &dyn Log,
    topic: Topic,
    limit: usize,
    follow: bool,
    mut take: impl FnMut(String) -> bool,
) -> Result<(), LogError> {
    let partitions: Vec<(Topic, u32)> = (0..log.partitions(topic)).map(|partition| (topic, partition)).collect();
    let mut reader = log.reader(&partitions, &Start::Beginning)?;
    let mut left = limit;
    loop {
        let wait = if follow { Duration::from_millis(500) } else { Duration::ZERO };
        let read = reader.read(Budget { records: left.min(1_000), bytes: 4 << 20, wait })?;
        let mut lines = String::new();
        for message in read.messages.iter().take(left) {
            lines.push_str(&line(message).to_string());
            lines.push('\n');
        }
        left = left.saturating_sub(read.messages.len());
        if !take(lines) || left == 0 || (read.at_end && !follow) {
            return Ok(());
        }
    }
}

/// The same for a receiver, until it goes away.
pub fn stream(
    log: &dyn Log,
    topic: Topic,
    limit: usize,
    follow: bool,
    sender: &tokio::sync::mpsc::Sender<Result<Bytes, std::io::Error>>,
) {
    let send = |lines: String| {
        let is_sent = lines.is_empty() || sender.blocking_send(Ok(Bytes::from(lines))).is_ok();
        is_sent && !sender.is_closed()
    };
    if let Err(error) = walk(log, topic, limit, follow, send) {
        // The receiver may be gone already; then nobody wants to know.
        let _ = sender.blocking_send(Err(std::io::Error::other(error.to_string())));
    }
}

/// One record with its coordinates.
#[must_use]
pub fn line(message: &Message) -> Value {
    let value = match message.value.as_deref() {
        None => Value::Null,
        Some(bytes) => decode(message.topic, bytes),
    };
    let mut line = json!({
        "topic": message.topic.name(),
        "partition": message.partition,
        "offset": message.offset,
        "key": message.key_str(),
        "value": value,
    });
    if !message.headers.is_empty() {
        let headers = message.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        line["headers"] = Value::Object(headers.collect());
    }
    line
}

fn decode(topic: Topic, bytes: &[u8]) -> Value {
    struct Decode<'a>(&'a [u8]);
    impl OfTopic for Decode<'_> {
        type Out = Value;
        fn of<T: AvroRecord>(self) -> Value {
            match T::decode(self.0) {
                Ok(record) => serde_json::to_value(record).unwrap_or(Value::Null),
                Err(error) => json!({"unreadable": error.to_string()}),
            }
        }
    }
    match topic {
        Topic::Tickets => serde_json::from_slice(bytes).unwrap_or(Value::Null),
        // Raw records may hold secrets: only their size is shown.
        _ => with_record(topic, Decode(bytes)).unwrap_or_else(|| json!({"bytes": bytes.len()})),
    }
}
