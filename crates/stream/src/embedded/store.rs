//! The directory on disk: its version, its lock, its keyspaces, and what is read from them.
//! Everything is written by the committer alone ([`super::committer`]).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use bytes::Bytes;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions};
use tributary_model::Topic;
use tributary_model::topic::Cleanup;

use super::block;
use super::codec::{self, Extent};
use super::settings::{EmbeddedSettings, NEW_PARTITIONS};
use crate::log::{Checkpoint, LogError};
use crate::message::{Message, Position};

/// The layout this build writes. A directory of a newer one is refused; an older one is read, and is of this one from then on.
/// 2: large values are compressed; superseded records stay until they are cleaned. 3: blocks.
const FORMAT: u32 = 3;
const FORMAT_FILE: &str = "tributary-log-format";
const PARTITIONS: &[u8] = b"partitions";
const LINEAGE: &[u8] = b"lineage";
/// Memory of one write buffer; two keyspaces fill theirs. 64 MiB: a smaller one is flushed and compacted more often, which
/// costs the cores that the stages need; a larger one takes their memory and makes recovery longer.
const MEMTABLE_BYTES: u64 = 64 << 20;

/// Threads that flush and compact. 1: with more, the store keeps the first one free for flushes, and while the others compact
/// it takes and returns the waiting compactions without pause: a core for nothing.
const STORE_THREADS: usize = 1;

/// The open directory.
pub(super) struct Store {
    pub database: Database,
    /// (topic, partition, offset of the last one) → records, of topics that delete.
    records: Keyspace,
    /// The same of topics that compact; apart because their deletes are scattered, not at the front.
    compacted: Keyspace,
    /// (topic, partition) → [`Extent`].
    pub extents: Keyspace,
    /// (group, topic, partition) → next offset and note.
    pub positions: Keyspace,
}

impl Store {
    /// Opens or makes the directory; answers how many partitions it has. Fails if another process (or another handle of this one) has it open, if a newer
    /// version wrote it, or if it was made with another partition count.
    pub(super) fn open(directory: &Path, settings: &EmbeddedSettings) -> Result<(Self, u32), LogError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| LogError::fatal_from(format!("cannot make {}", directory.display()), error))?;
        check_format(directory)?;
        let database = Database::builder(directory.join("store"))
            .cache_size(settings.cache_bytes)
            .manual_journal_persist(true)
            // What is worth it is compressed before ([`super::block`]).
            .journal_compression(CompressionType::None)
            .worker_threads(STORE_THREADS)
            .open()
            .map_err(|error| cannot_open(directory, error))?;
        // Only now: another process, of an older version, may have had it open.
        raise_format(directory)?;
        let open = |name: &str| {
            database
                .keyspace(name, || {
                    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES).manual_journal_persist(true)
                })
                .map_err(|error| cannot_open(directory, error))
        };
        // What format 1 knew of each key.
        for name in ["latest", "tombstones"].into_iter().filter(|name| database.keyspace_exists(name)) {
            database.delete_keyspace(open(name)?).map_err(|error| cannot_open(directory, error))?;
        }
        let store = Self {
            records: open("records")?,
            compacted: open("compacted")?,
            extents: open("extents")?,
            positions: open("positions")?,
            database,
        };
        let partitions = store.partitions(directory, settings.partitions)?;
        Ok((store, partitions))
    }

    /// The partitions of the directory, if they are those that are wanted; of a new one they are fixed here.
    fn partitions(&self, directory: &Path, wanted: Option<u32>) -> Result<u32, LogError> {
        let Some(stored) = self.extents.get(PARTITIONS).map_err(unreadable)? else {
            let partitions = wanted.unwrap_or(NEW_PARTITIONS);
            self.extents.insert(PARTITIONS, partitions.to_be_bytes().to_vec()).map_err(unwritable)?;
            self.database.persist(fjall::PersistMode::SyncAll).map_err(unwritable)?;
            return Ok(partitions);
        };
        let made = <[u8; 4]>::try_from(stored.as_ref()).map_or(0, u32::from_be_bytes);
        match wanted {
            _ if made == 0 => Err(LogError::fatal(format!(
                "{} does not say how many partitions it has; restore the directory",
                directory.display()
            ))),
            Some(wanted) if wanted != made => Err(LogError::fatal(format!(
                "{} was made with {made} partitions, not {wanted}: set partitions = {made}, or start a new directory",
                directory.display()
            ))),
            _ => Ok(made),
        }
    }

    /// What no other directory has: made up when it is first asked for.
    pub(super) fn lineage(&self) -> Result<String, LogError> {
        if let Some(known) = self.extents.get(LINEAGE).map_err(unreadable)? {
            return Ok(String::from_utf8_lossy(&known).into_owned());
        }
        // Seeded by the system.
        let random = || RandomState::new().build_hasher().finish();
        let made = format!("{:016x}{:016x}", random(), random());
        self.extents.insert(LINEAGE, made.as_bytes()).map_err(unwritable)?;
        self.database.persist(fjall::PersistMode::SyncAll).map_err(unwritable)?;
        Ok(made)
    }

    /// The keyspace with the records of a topic.
    pub(super) fn records(&self, topic: Topic) -> &Keyspace {
        match topic.cleanup() {
            Cleanup::Delete => &self.records,
            Cleanup::Compact => &self.compacted,
        }
    }

    /// What is stored about a partition.
    pub(super) fn extent(&self, topic: Topic, partition: u32) -> Result<Extent, LogError> {
        let stored = self.extents.get(codec::partition_key(topic, partition)).map_err(unreadable)?;
        match stored {
            None => Ok(Extent::default()),
            Some(stored) => Extent::decode(&stored)
                .ok_or_else(|| LogError::fatal(format!("the extent of {topic}/{partition} is damaged"))),
        }
    }

    /// Stored records from `from` (inclusive) to `end` (exclusive), as many as the limits allow but at least one. Also
    /// answers where to read on: behind the last record, or at `end` when there are no more.
    pub(super) fn read(
        &self,
        (topic, partition): (Topic, u32),
        (from, end): (u64, u64),
        (records, bytes): (usize, usize),
        into: &mut Vec<Message>,
    ) -> Result<(u64, usize), LogError> {
        let range = codec::record_key(topic, partition, from)..codec::record_key(topic, partition, end);
        let (mut taken, mut size) = (0, 0);
        for entry in self.records(topic).range(range) {
            let (key, stored) = entry.into_inner().map_err(unreadable)?;
            let last = codec::offset_of(&key)
                .ok_or_else(|| LogError::fatal(format!("a record key of {topic}/{partition} is damaged")))?;
            let held = block::records(&Bytes::from(stored), last);
            let held = held.ok_or_else(|| block::damaged(topic, partition, last))?;
            for (offset, record) in held.into_iter().filter(|(offset, _)| *offset >= from) {
                if taken > 0 && (taken >= records || size + record.len() > bytes) {
                    return Ok((offset, size));
                }
                size += record.len();
                taken += 1;
                into.push(codec::decode(topic, partition, offset, &record)?);
            }
        }
        Ok((end, size))
    }

    /// The committed position of a group.
    pub(super) fn position(&self, group: &str, topic: Topic, partition: u32) -> Result<Option<Checkpoint>, LogError> {
        let stored = self.positions.get(codec::position_key(group, topic, partition)).map_err(unreadable)?;
        Ok(stored.and_then(|stored| checkpoint(topic, partition, &Bytes::from(stored))))
    }

    /// All committed positions: of one group, or of every group.
    pub(super) fn positions(&self, group: Option<&str>) -> Result<Vec<(String, Checkpoint)>, LogError> {
        let prefix = group.map(codec::position_prefix).unwrap_or_default();
        let mut found = Vec::new();
        for entry in self.positions.prefix(prefix) {
            let (key, stored) = entry.into_inner().map_err(unreadable)?;
            let place = codec::split_position_key(&key);
            let parsed = place.and_then(|(group, topic, partition)| {
                Some((group.to_owned(), checkpoint(topic, partition, &Bytes::from(stored))?))
            });
            found.push(parsed.ok_or_else(|| LogError::fatal("a committed position in the store is damaged"))?);
        }
        Ok(found)
    }
}

/// How a position is stored: next offset, note.
pub(super) fn position_value(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut value = Vec::with_capacity(8 + checkpoint.note.len());
    value.extend_from_slice(&checkpoint.position.next.to_le_bytes());
    value.extend_from_slice(&checkpoint.note);
    value
}

fn checkpoint(topic: Topic, partition: u32, stored: &Bytes) -> Option<Checkpoint> {
    let next = u64::from_le_bytes(stored.get(..8)?.try_into().ok()?);
    Some(Checkpoint { position: Position { topic, partition, next }, note: stored.slice(8..) })
}

/// Whether this build can read the directory; a new one is of this build's format.
fn check_format(directory: &Path) -> Result<(), LogError> {
    let file = directory.join(FORMAT_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(found) if found <= FORMAT => Ok(()),
            Ok(found) => Err(LogError::fatal(format!(
                "{} has format {found}, this build reads up to {FORMAT}: it was written by a newer version; use that one",
                directory.display()
            ))),
            Err(_) => Err(LogError::fatal(format!("{} does not hold a number; restore the directory", file.display()))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => raise_format(directory),
        Err(error) => Err(cannot_use(&file, error)),
    }
}

/// From now on the directory is of this build's format. At once or not at all: half a file would be no format.
fn raise_format(directory: &Path) -> Result<(), LogError> {
    let (file, next) = (directory.join(FORMAT_FILE), directory.join("tributary-log-format.next"));
    std::fs::write(&next, format!("{FORMAT}\n"))
        .and_then(|()| std::fs::rename(&next, &file))
        .map_err(|error| cannot_use(&file, error))
}

fn cannot_use(file: &Path, error: std::io::Error) -> LogError {
    LogError::fatal_from(format!("cannot use {}", file.display()), error)
}

fn cannot_open(directory: &Path, error: fjall::Error) -> LogError {
    match error {
        fjall::Error::Locked => LogError::fatal(format!(
            "{} is in use by another tributary process; stop it, or choose another directory",
            directory.display()
        )),
        error => LogError::fatal_from(format!("cannot open the log in {}", directory.display()), error),
    }
}

/// The store cannot be read.
pub(super) fn unreadable(error: fjall::Error) -> LogError {
    LogError::fatal_from("cannot read the log's store", error)
}

/// The store cannot be written: what was asked may or may not be on disk.
pub(super) fn unwritable(error: fjall::Error) -> LogError {
    LogError::fatal_from("cannot write the log's store; check the disk, then restart", error)
}
