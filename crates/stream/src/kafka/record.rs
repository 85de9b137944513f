//! A record of the cluster as a message of ours.

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers};
use tributary_model::Topic;

use super::Cluster;
use crate::log::LogError;
use crate::message::Message;

/// Approximate memory of a message beside its bytes, as the budget of a batch counts it.
const OVERHEAD_BYTES: usize = 128;

/// Copies a record out of the client's memory, as single-object encoding has it. Fails only while a schema registry is away.
pub(super) fn read(cluster: &Cluster, topic: Topic, record: &BorrowedMessage<'_>) -> Result<Message, LogError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
    });
    let value = record.payload().map(|value| match &cluster.framing {
        Some(framing) => framing.unframe(topic, value),
        None => Ok(Bytes::copy_from_slice(value)),
    });
    Ok(Message {
        topic,
        partition: record.partition() as u32,
        offset: record.offset() as u64,
        key: Bytes::copy_from_slice(record.key().unwrap_or_default()),
        value: value.transpose()?,
        headers: headers.unwrap_or_default(),
        timestamp: record.timestamp().to_millis().unwrap_or(0),
    })
}

/// What a message counts in a batch's budget of bytes.
pub(super) fn weight(message: &Message) -> usize {
    message.key.len() + message.value.as_ref().map_or(0, Bytes::len) + OVERHEAD_BYTES
}
