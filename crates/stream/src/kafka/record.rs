//! A record of the cluster as a message of ours.

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers};
use tributary_model::Topic;

use crate::message::Message;

/// Approximate memory of a message beside its bytes, as the budget of a batch counts it.
const OVERHEAD_BYTES: usize = 128;

/// Copies a record out of the client's memory.
pub(super) fn read(topic: Topic, record: &BorrowedMessage<'_>) -> Message {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
    });
    Message {
        topic,
        partition: record.partition() as u32,
        offset: record.offset() as u64,
        key: Bytes::copy_from_slice(record.key().unwrap_or_default()),
        value: record.payload().map(Bytes::copy_from_slice),
        headers: headers.unwrap_or_default(),
        timestamp: record.timestamp().to_millis().unwrap_or(0),
    }
}

/// What a message counts in a batch's budget of bytes.
pub(super) fn weight(message: &Message) -> usize {
    message.key.len() + message.value.as_ref().map_or(0, Bytes::len) + OVERHEAD_BYTES
}
