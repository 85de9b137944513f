//! A ticket's revision as a CloudEvent in Kafka's binary mode: attributes in headers, the ticket as JSON in the value.

use bytes::Bytes;
use tributary_model::remedy::Ticket;
use tributary_model::topic::Topic;
use tributary_stream::message::Output;

use super::date;

/// Prefix of every event type.
pub const TYPE_PREFIX: &str = "io.tributary.";

/// CloudEvents source of tickets.
pub const SOURCE: &str = "/tributary/remedy";

/// Room for a ticket while it is written: hardly one is larger, and what REMEDY keeps of it is a copy of its size.
const TICKET_BYTES: usize = 4 << 10;

/// The record on the log. Keyed by the ticket, so that compaction keeps each ticket's last revision.
pub fn record(ticket: &Ticket) -> Result<Output, serde_json::Error> {
    let key = ticket.key.to_string();
    let header = |name: &str, value: String| (name.to_owned(), value);
    let mut json = Vec::with_capacity(TICKET_BYTES);
    serde_json::to_writer(&mut json, ticket)?;
    Ok(Output {
        topic: Topic::Tickets,
        partition_key: key.clone(),
        value: Some(Bytes::copy_from_slice(&json)),
        headers: vec![
            header("ce_specversion", "1.0".to_owned()),
            header("ce_id", format!("{key}:{}", ticket.revision)),
            header("ce_type", format!("{TYPE_PREFIX}{}", ticket.event)),
            header("ce_source", SOURCE.to_owned()),
            header("ce_subject", key.clone()),
            header("ce_time", date::timestamp(ticket.updated_at)),
            header("content-type", "application/json".to_owned()),
        ],
        key: key.into(),
    })
}
