//! A raw record as it stands on the log: bytes as received, what is known about them in headers, and the key that keeps
//! records of one source and asset in their order.

use bytes::Bytes;
use tributary_model::record::{Extensions, RawClass, header};
use tributary_stream::Output;

use crate::detect::shape;
use crate::{plain, time};

/// The record of a body, for the lane it belongs to; `id` is the producer's, where there is one.
#[must_use]
pub fn output(class: RawClass, ext: &Extensions, id: Option<&str>, body: Bytes) -> Output {
    let mut headers: Vec<(String, String)> =
        ext.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(id) = id {
        headers.push((header::ID.to_owned(), id.to_owned()));
    }
    if let Some(time) = ext.time {
        headers.push((header::TIME.to_owned(), time::format(time)));
    }
    let key = key(ext, &body);
    let topic = if ext.backfill { class.bulk_topic() } else { class.topic() };
    Output { topic, partition_key: key.clone(), key: Bytes::from(key), value: Some(body), headers }
}

/// Source and asset: what must stay in order stays in one partition.
fn key(ext: &Extensions, body: &[u8]) -> String {
    let named = [&ext.image, &ext.repo, &ext.resource].into_iter().flatten().next().cloned();
    let is_webhook = ext.event_type.as_deref().is_some_and(|event| event.starts_with("github."));
    let asset = named.or_else(|| is_webhook.then(|| repository_of(body)).flatten()).unwrap_or_default();
    let source = ext.source.as_deref().or(ext.credential.as_deref()).unwrap_or_default();
    format!("{source}|{asset}")
}

/// The repository of a webhook, which its headers do not say.
fn repository_of(body: &[u8]) -> Option<String> {
    // Never more than what is there already: GitHub sends no compressed files.
    let text = plain::text(body, body.len()).ok()?;
    let has_it = |outline: &shape::Outline| outline.below("repository", "full_name").is_some();
    let (outline, _) = shape::read(&text, &mut |outline| has_it(outline));
    outline.below("repository", "full_name").map(|node| node.text().to_owned())
}
