//! Rejects of the inner stages: a record that does not decode, or a bound that it would exceed.

use std::fmt::Display;

use tributary_model::AvroRecord;
use tributary_model::reject::Reject;
use tributary_stream::message::Message;

/// A reject with the message's coordinates. `reason` names the fix and quotes no input.
pub(crate) fn refuse(stage: &str, message: &Message, code: &str, reason: impl Into<String>) -> Reject {
    Reject {
        origin: message.origin(),
        stage: stage.to_owned(),
        code: code.to_owned(),
        reason: reason.into(),
        size_bytes: message.value.as_ref().map_or(0, |value| value.len() as i64),
        rejected_at: message.timestamp,
        ..Reject::default()
    }
}

/// The reject of a record that is not what its topic holds.
pub(crate) fn malformed(stage: &str, message: &Message, error: impl Display) -> Reject {
    refuse(stage, message, "malformed", error.to_string())
}

/// The record in a message; `None` is a tombstone.
pub(crate) fn decode<T: AvroRecord>(stage: &str, message: &Message) -> Result<Option<T>, Reject> {
    let Some(value) = &message.value else { return Ok(None) };
    T::decode(value).map(Some).map_err(|error| malformed(stage, message, error))
}
