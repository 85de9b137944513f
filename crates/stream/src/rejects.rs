//! How a refusal becomes a record on `rejects`.

use bytes::Bytes;
use tributary_model::reject::{Origin, Reject};
use tributary_model::time::Millis;
use tributary_model::{AvroRecord, Topic};

use crate::message::{Message, Output};

/// The record of a refused message: its coordinates, the stage and the time are filled in here, so that no stage can forget
/// or invent them.
pub(crate) fn output(mut reject: Reject, message: &Message, stage: &str, now: Millis) -> Output {
    reject.origin = message.origin();
    reject.size_bytes = message.value.as_ref().map_or(0, |value| value.len() as i64);
    finish(reject, stage, now)
}

/// The record of a refusal that no message caused: a timer, a notice.
pub(crate) fn output_without_message(mut reject: Reject, stage: &str, partition: u32, now: Millis) -> Output {
    if reject.origin == Origin::default() {
        reject.origin = Origin { topic: stage.to_owned(), partition, offset: -1 };
    }
    finish(reject, stage, now)
}

fn finish(mut reject: Reject, stage: &str, now: Millis) -> Output {
    if reject.stage.is_empty() {
        stage.clone_into(&mut reject.stage);
    }
    reject.rejected_at = now;
    let Origin { topic, partition, offset } = &reject.origin;
    let key = format!("{topic}/{partition}/{offset}");
    // A reject is strings and numbers: its encoding cannot fail. If it did, the coordinates still arrive.
    let value = reject.encode().map_or_else(|_| Bytes::new(), Bytes::from);
    Output {
        topic: Topic::Rejects,
        partition_key: key.clone(),
        key: Bytes::from(key),
        value: Some(value),
        headers: Vec::new(),
    }
}
