//! A ticket's revision as a CloudEvent in Kafka's binary mode: attributes in headers, the ticket as JSON in the value.

use tributary_model::remedy::Ticket;
use tributary_model::topic::Topic;
use tributary_stream::message::Output;

use super::date;

/// Prefix of every event type.
pub const TYPE_PREFIX: &str = "io.tributary.";

/// CloudEvents source of tickets.
pub const SOURCE: &str = "/tributary/remedy";

/// The record on the log. Keyed by the ticket, so that compaction keeps each ticket's last revision.
pub fn record(ticket: &Ticket) -> Result<Output, serde_json::Error> {
    let key = ticket.key.to_string();
    let header = |name: &str, value: String| (name.to_owned(), value);
    Ok(Output {
        topic: Topic::Tickets,
        partition_key: key.clone(),
        value: Some(serde_json::to_vec(ticket)?.into()),
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
