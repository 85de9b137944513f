//! The knobs of the embedded log: one serialisable struct, checked by one function without I/O.

use serde::{Deserialize, Serialize};
use tributary_model::Topic;
use tributary_model::time::{DAY, Millis};

/// Partitions of the topics of a new directory. 2: every insert into ClickHouse makes a part of each table for each of them, and a part
/// is a directory of a dozen files. `up` has one worker a stage; a later one may have two.
pub const NEW_PARTITIONS: u32 = 2;

/// How the embedded log is sized and how long it remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// Partitions of every topic; fixed when the directory is made. Absent: what the directory has, and for a new one
    /// [`NEW_PARTITIONS`].
    pub partitions: Option<u32>,
    /// A tombstone of a compacted topic is readable for at least so long. 7 days: a consumer that was away for a long weekend
    /// still learns of the removal; much longer keeps dead keys in every restore.
    pub tombstone_ms: Millis,
    /// Consumed records of `raw.*`, `facts`, `observations` and `rejects` are kept so long, for replay after a mistake.
    pub retention_ms: Millis,
    /// Consumed records of `changes` are kept so long: 13 months, so that a year can be audited after it ended.
    pub changes_retention_ms: Millis,
    /// Consumed records of one partition of a topic that deletes (but `changes`) are kept up to so many bytes.
    pub retention_bytes: u64,
    /// Memory for the newest records, from which readers that keep up are served without touching the store. 64 MiB:
    /// seconds of full load; less sends a reader to disk for one slow step, more belongs to the state of the stages.
    pub tail_bytes: usize,
    /// Block cache of the store. Restore and lookups of superseded records use it.
    pub cache_bytes: u64,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            partitions: None,
            tombstone_ms: 7 * DAY,
            retention_ms: 2 * DAY,
            changes_retention_ms: 396 * DAY,
            retention_bytes: 512 << 20,
            tail_bytes: 64 << 20,
            cache_bytes: 64 << 20,
        }
    }
}

impl EmbeddedSettings {
    /// What is wrong with them, in words for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        if let Some(partitions) = self.partitions.filter(|partitions| !(1..=1024).contains(partitions)) {
            return Err(format!("partitions = {partitions}: choose 1 to 1024"));
        }
        if self.tombstone_ms < 7 * DAY {
            return Err(format!("tombstone_ms = {}: at least 7 days ({})", self.tombstone_ms, 7 * DAY));
        }
        if self.retention_ms < 0 || self.changes_retention_ms < 0 {
            return Err("retention must not be negative".to_owned());
        }
        Ok(())
    }

    /// How long consumed records of a topic are kept, and up to how many bytes a partition.
    #[must_use]
    pub fn retention(&self, topic: Topic) -> (Millis, u64) {
        match topic {
            Topic::Changes => (self.changes_retention_ms, u64::MAX),
            _ => (self.retention_ms, self.retention_bytes),
        }
    }
}
