//! What topics that delete forget, and when: consumed records by age and by size.
//! Runs on the committer's thread, so it never races with an append.

use fjall::PersistMode;
use tributary_model::Topic;
use tributary_model::time::Millis;
use tributary_model::topic::Cleanup;

use super::codec;
use super::committer::Committer;
use super::store::{unreadable, unwritable};
use crate::log::LogError;

/// Keys removed per batch. Bounds memory and the pause of commits that wait meanwhile.
const SWEEP_RECORDS: usize = 10_000;

/// Drops what has expired.
pub(super) fn expire(committer: &mut Committer) -> Result<(), LogError> {
    let now = committer.clock.now();
    let consumed = committer.consumed()?;
    for topic in Topic::ALL.into_iter().filter(|topic| topic.cleanup() == Cleanup::Delete) {
        for partition in 0..committer.tails.partitions() {
            let index = committer.tails.index(topic, partition);
            let Some(limit) = consumed.get(&index).copied() else { continue };
            while trim(committer, topic, partition, limit, now)? == SWEEP_RECORDS {}
        }
    }
    Ok(())
}

/// Removes the oldest records below `limit` that are too old or too many.
fn trim(committer: &mut Committer, topic: Topic, partition: u32, limit: u64, now: Millis) -> Result<usize, LogError> {
    let index = committer.tails.index(topic, partition);
    let (age, bytes) = committer.settings.retention(topic);
    let mut extent = committer.extents[index];
    let store = &committer.store;
    let range = codec::record_key(topic, partition, extent.start)..codec::record_key(topic, partition, limit);
    let mut batch = store.database.batch().durability(Some(PersistMode::SyncData));
    let mut trimmed = 0;
    for entry in store.records(topic).range(range).take(SWEEP_RECORDS) {
        let (key, stored) = entry.into_inner().map_err(unreadable)?;
        let (Some(offset), Some(timestamp)) = (codec::offset_of(&key), codec::timestamp_of(&stored)) else {
            return Err(LogError::fatal(format!("a record of {topic}/{partition} in the store is damaged")));
        };
        if timestamp >= now.saturating_sub(age) && extent.bytes <= bytes {
            break;
        }
        trimmed += 1;
        extent.bytes = extent.bytes.saturating_sub(stored.len() as u64);
        extent.start = offset + 1;
        batch.remove(store.records(topic), key);
    }
    if trimmed > 0 {
        batch.insert(&store.extents, codec::partition_key(topic, partition).to_vec(), extent.encode());
        batch.commit().map_err(unwritable)?;
        committer.extents[index] = extent;
    }
    Ok(trimmed)
}
