//! Snapshots: the state of a partition as it is in memory, kept beside the process, so that a restart reads of the changelogs only
//! what came since. A snapshot is never the truth: the log is, and a snapshot that does not fit is thrown away.
//!
//! ```text
//! <directory>/<stage>-<partition>.snapshot, an LZ4 frame of:
//!   length | about (what it was made of)
//!   length | piece                        as Stage::save gave them
//!   …
//!   0      | number of pieces             the end
//! and behind the frame the CRC-32 of all before it: a file that was not written to its end, or was changed since, is found out
//! ```
//!
//! # Why a restore from one is a restore from the log
//! - Its positions are those of the ends of the changelogs **before** a commit that the log accepted, and its state is that after
//!   this commit. The partition has one owner, so nobody else wrote to its changelogs in between: the state has everything below
//!   the positions. What is read again above them is the latest record of each key, once more.
//! - It is of this log ([`crate::Log::lineage`]), of this build (the state's form and its rules are those of the code), and younger
//!   than tombstones live: no deletion that it has not seen can be gone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Take, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crc32fast::Hasher;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};
use tributary_model::time::Millis;

use crate::log::COPY_AGE_MAX;

/// Largest piece. 256 MiB: a cell of a million findings; a length beyond it is damage.
const PIECE_BYTES_MAX: usize = 256 << 20;
const SNAPSHOT: &str = ".snapshot";
const UNFINISHED: &str = ".unfinished";
/// To write one takes seconds at most. An hour: whoever wrote it is gone.
const UNFINISHED_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of the checksum.
const SUM_BYTES: usize = 4;
/// Read from a file at once: a block.
const READ_BYTES: usize = 256 << 10;

/// The snapshots of a process.
#[derive(Debug, Clone)]
pub struct Snapshots {
    place: Arc<Place>,
    build: Arc<str>,
    pub(crate) rhythm: Rhythm,
}

/// Where they are.
#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    /// For simulation.
    Memory(Mutex<BTreeMap<String, Arc<[u8]>>>),
}

/// When to write one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rhythm {
    /// When so many bytes of records changed since the last one, at least.
    pub(crate) changed_bytes: u64,
    /// When so many parts of the last one changed: 8 means an eighth.
    pub(crate) parts: u64,
    /// When the worker had nothing to do for so long.
    pub(crate) idle: Millis,
    /// Not sooner after the last one.
    pub(crate) pause: Millis,
    /// If it always has something to do, after so long all the same.
    pub(crate) latest: Millis,
}

/// Five seconds of rest: what others still do of the same work is done by then, and wants the cores. Half a minute between two bounds
/// what a steady trickle writes, five minutes what a worker without any rest reads again; an eighth of a state is read from the
/// log in a fraction of a second.
const RHYTHM: Rhythm = Rhythm { changed_bytes: 64 << 10, parts: 8, idle: 5_000, pause: 30_000, latest: 5 * 60 * 1_000 };
/// For simulation: whenever there is a change and nothing else to do, and when the clock jumps.
const ALWAYS: Rhythm = Rhythm { changed_bytes: 1, parts: u64::MAX, idle: 0, pause: 0, latest: 60 * 1_000 };

/// What a snapshot was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The build that wrote it; [`Snapshots`] fills it in.
    pub(crate) build: String,
    /// Stage.
    pub(crate) stage: String,
    /// Partition.
    pub(crate) partition: u32,
    /// When, in milliseconds since the epoch.
    pub(crate) at: Millis,
    /// The changelogs.
    pub(crate) changelogs: Vec<Changelog>,
}

/// A changelog, and how far of it is in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changelog {
    /// Name of the topic.
    pub(crate) topic: String,
    /// See [`crate::Log::lineage`].
    pub(crate) lineage: String,
    /// The first record that may not be in it.
    pub(crate) next: u64,
}

/// Why a snapshot is of no use. `None` in [`Snapshots::open`] says that there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It is of another build, log or time.
    #[error("{0}")]
    Foreign(&'static str),
}

impl Snapshots {
    /// In this directory, which is made if it is not there and then is for nobody else to read: findings are confidential. `build` is
    /// what no other build calls itself.
    pub fn in_directory(directory: &Path, build: &str) -> io::Result<Self> {
        make_private(directory)?;
        sweep(directory)?;
        Ok(Self { place: Arc::new(Place::Directory(directory.to_owned())), build: build.into(), rhythm: RHYTHM })
    }

    /// In memory, and written whenever something changed: for simulation.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { place: Arc::new(Place::Memory(Mutex::default())), build: "simulation".into(), rhythm: ALWAYS }
    }

    /// The same with another rhythm.
    #[cfg(test)]
    pub(crate) fn always(mut self) -> Self {
        self.rhythm = ALWAYS;
        self
    }

    /// Writes one, whole or not at all; answers bytes of its pieces.
    pub(crate) fn write(&self, mut about: About, save: impl FnOnce(&mut dyn FnMut(&[u8]))) -> io::Result<u64> {
        about.build = self.build.to_string();
        let name = name(&about.stage, about.partition);
        match self.place.as_ref() {
            Place::Directory(directory) => {
                // A reader finds the old one or the new one. No sync: what a power cut leaves of it is found to be damaged.
                let unfinished = directory.join(format!("{name}.{}{UNFINISHED}", std::process::id()));
                let written = write_to(BufWriter::new(File::create(&unfinished)?), &about, save)
                    .and_then(|bytes| fs::rename(&unfinished, directory.join(&name)).map(|()| bytes));
                if written.is_err() {
                    // What it left behind is of no use; the reason given is the first one.
                    let _ = fs::remove_file(&unfinished);
                }
                written
            }
            Place::Memory(all) => {
                let mut content = Vec::new();
                let bytes = write_to(&mut content, &about, save)?;
                all.lock().unwrap_or_else(PoisonError::into_inner).insert(name, content.into());
                Ok(bytes)
            }
        }
    }

    /// The one of a partition, if there is one that may be used at `now`: its build is this one and its age is right. Whether it is
    /// of this log is for the caller to see.
    pub(crate) fn open(&self, stage: &str, partition: u32, now: Millis) -> Result<Option<Snapshot>, SnapshotError> {
        let name = name(stage, partition);
        let (content, length): (Box<dyn Read>, u64) = match self.place.as_ref() {
            Place::Directory(directory) => match File::open(directory.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => {
                    let file = opened?;
                    let length = file.metadata()?.len();
                    (Box::new(BufReader::with_capacity(READ_BYTES, file)), length)
                }
            },
            Place::Memory(all) => {
                let Some(content) = all.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned() else {
                    return Ok(None);
                };
                let length = content.len() as u64;
                (Box::new(io::Cursor::new(content)), length)
            }
        };
        let mut pieces = Pieces::of(content, length)?;
        let about = pieces.next()?.ok_or_else(|| SnapshotError::Damaged("it is empty".to_owned()))?;
        let about: About = postcard::from_bytes(about).map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        if *about.build != *self.build {
            return Err(SnapshotError::Foreign("another build wrote it"));
        }
        if about.stage != stage || about.partition != partition {
            return Err(SnapshotError::Foreign("it is of another partition"));
        }
        if !(0..COPY_AGE_MAX).contains(&now.saturating_sub(about.at)) {
            return Err(SnapshotError::Foreign("it is too old, or from the future"));
        }
        Ok(Some(Snapshot { about, pieces }))
    }

    /// Removes the one of a partition: it was of no use.
    pub(crate) fn discard(&self, stage: &str, partition: u32) {
        let name = name(stage, partition);
        match self.place.as_ref() {
            // If it stays, it is refused again.
            Place::Directory(directory) => drop(fs::remove_file(directory.join(name))),
            Place::Memory(all) => drop(all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name)),
        }
    }
}

fn name(stage: &str, partition: u32) -> String {
    format!("{stage}-{partition}{SNAPSHOT}")
}

fn make_private(directory: &Path) -> io::Result<()> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// Removes what a killed process did not finish, and what is of partitions that others have had for long. Another process may be
/// writing in the same directory, so what is young stays.
fn sweep(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|about| about.modified()).ok().and_then(|at| at.elapsed().ok());
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left = name.ends_with(UNFINISHED) && age.is_some_and(|age| age > UNFINISHED_MAX);
        let is_old = name.ends_with(SNAPSHOT) && age.is_some_and(|age| age.as_millis() > COPY_AGE_MAX as u128);
        if is_left || is_old {
            // Another process may have been quicker.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn write_to(content: impl Write, about: &About, save: impl FnOnce(&mut dyn FnMut(&[u8]))) -> io::Result<u64> {
    let frame = FrameInfo::new().block_size(BlockSize::Max256KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(frame, Summed { inner: content, sum: Hasher::new() });
    let (mut written, mut count, mut bytes) = (Ok(()), 0_u64, 0);
    let mut put = |piece: &[u8]| {
        if written.is_ok() {
            written = put_piece(&mut encoder, piece);
            count += 1;
            bytes += piece.len() as u64;
        }
    };
    put(&postcard::to_allocvec(about).map_err(io::Error::other)?);
    save(&mut put);
    written?;
    encoder.write_all(&0_u32.to_le_bytes())?;
    encoder.write_all(&count.to_le_bytes())?;
    let Summed { inner: mut content, sum } = encoder.finish()?;
    content.write_all(&sum.finalize().to_le_bytes())?;
    content.flush()?;
    Ok(bytes)
}

fn put_piece(encoder: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    if piece.is_empty() || piece.len() > PIECE_BYTES_MAX {
        return Err(io::Error::other(format!("a piece of {} bytes: between 1 and {PIECE_BYTES_MAX}", piece.len())));
    }
    encoder.write_all(&(piece.len() as u32).to_le_bytes())?;
    encoder.write_all(piece)
}

/// A snapshot that is being read.
pub(crate) struct Snapshot {
    /// What it was made of.
    pub(crate) about: About,
    pub(crate) pieces: Pieces,
}

/// Bytes that go through, and their checksum.
struct Summed<T> {
    inner: T,
    sum: Hasher,
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.sum.update(&bytes[..read]);
        Ok(read)
    }
}

/// Its pieces. Whether they are those that were written is known at their end: until then, who takes them must be ready to let them go.
pub(crate) struct Pieces {
    content: FrameDecoder<Summed<Take<Box<dyn Read>>>>,
    /// One that does not lie in one block.
    piece: Vec<u8>,
    /// So many bytes of the block were given last.
    given: usize,
    count: u64,
    /// So many bytes of pieces were read.
    pub(crate) bytes: u64,
}

impl Pieces {
    fn of(content: Box<dyn Read>, length: u64) -> Result<Self, SnapshotError> {
        let framed = length.checked_sub(SUM_BYTES as u64);
        let framed = framed.ok_or_else(|| SnapshotError::Damaged("it is empty".to_owned()))?;
        let content = FrameDecoder::new(Summed { inner: content.take(framed), sum: Hasher::new() });
        Ok(Self { content, piece: Vec::new(), given: 0, count: 0, bytes: 0 })
    }

    /// The next one; `None` at the end, when all of them were given as they were written.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        self.content.consume(std::mem::take(&mut self.given));
        let mut length = [0; 4];
        self.content.read_exact(&mut length).map_err(damage)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            return self.end().map(|()| None);
        }
        if length > PIECE_BYTES_MAX {
            return Err(SnapshotError::Damaged(format!("a piece of {length} bytes")));
        }
        self.count += 1;
        self.bytes += length as u64;
        if self.content.fill_buf().map_err(damage)?.len() >= length {
            self.given = length;
            return Ok(Some(&self.content.fill_buf().map_err(damage)?[..length]));
        }
        // Not made as large as it says before that much is there.
        self.piece.clear();
        let read = (&mut self.content).take(length as u64).read_to_end(&mut self.piece).map_err(damage)?;
        if read < length {
            return Err(SnapshotError::Damaged("it ends in a piece".to_owned()));
        }
        Ok(Some(&self.piece))
    }

    /// Whether what was read is what was written.
    fn end(&mut self) -> Result<(), SnapshotError> {
        let mut count = [0; 8];
        self.content.read_exact(&mut count).map_err(damage)?;
        let is_all = u64::from_le_bytes(count) == self.count && self.content.fill_buf().map_err(damage)?.is_empty();
        let content = self.content.get_mut();
        let left = io::copy(content, &mut io::sink()).map_err(damage)?;
        let mut sum = [0; SUM_BYTES];
        content.inner.set_limit(SUM_BYTES as u64);
        content.inner.read_exact(&mut sum).map_err(damage)?;
        if is_all && left == 0 && u32::from_le_bytes(sum) == content.sum.clone().finalize() {
            return Ok(());
        }
        Err(SnapshotError::Damaged("its checksum is another".to_owned()))
    }
}

/// An end that comes too soon, or what is no frame, is damage; the rest is what the disk says.
fn damage(error: io::Error) -> SnapshotError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            SnapshotError::Damaged(error.to_string())
        }
        _ => SnapshotError::Io(error),
    }
}

#[cfg(test)]
mod tests;
