//! Where `correlate` keeps snapshots of its state, and what tells one build from another.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use tributary_stream::Snapshots;

/// Below the directory that holds everything.
const DIRECTORY: &str = "snapshots";

/// The snapshots below `data`. `None` if there can be none: then a restart reads the whole log, as it would without a disk.
pub fn below(data: &Path) -> Option<Snapshots> {
    let directory = data.join(DIRECTORY);
    let opened = build().and_then(|build| Ok(Snapshots::in_directory(&directory, &build)?));
    opened
        .inspect_err(|error| {
            let directory = directory.display();
            tracing::warn!(%directory, "no snapshots: {error:#}; a restart reads the whole log. Set data to a directory that can be written");
        })
        .ok()
}

/// A hash of the running program: a snapshot holds what the code made of the log, and means nothing to other code.
fn build() -> anyhow::Result<String> {
    let program = std::env::current_exe().context("cannot find the running program")?;
    let mut hasher = blake3::Hasher::new();
    let read = File::open(&program).and_then(|file| hasher.update_reader(file).map(drop));
    read.with_context(|| format!("cannot read {}", program.display()))?;
    Ok(hasher.finalize().to_string())
}
