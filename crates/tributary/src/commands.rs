//! One file per command; each returns the exit code: 0 done, 1 the answer is no. Errors become exit code 2.

pub mod acls;
pub mod ask;
pub mod check;
pub mod demo;
pub mod fleet;
pub mod generate;
pub mod intel;
pub mod migrate;
pub mod publish;
pub mod query;
pub mod rejects;
pub mod schemas;
pub mod services;
pub mod topics;
pub mod up;
pub mod versions;

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tributary_ingest::detect;
use tributary_model::Topic;
use tributary_model::record::Extensions;
use tributary_stream::KafkaLog;
use tributary_stream::log::Log;

use crate::cli::AboutArgs;
use crate::config::Config;

/// Reads a file, or stdin for `-`.
pub fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body).context("cannot read stdin")?;
        return Ok(body);
    }
    if path.is_dir() {
        bail!("{0} is a directory: name the files in it, as {0}/*", path.display());
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The cluster's log, for a command that is no service: under a name of its own, so that it fences none that appends.
pub fn cluster(config: &Config, topics: &[Topic]) -> anyhow::Result<Arc<dyn Log>> {
    let mut settings = config.kafka.clone();
    settings.instance = format!("command-{}", std::process::id());
    Ok(Arc::new(KafkaLog::connect(settings, topics)?))
}

/// What the options say about a report.
pub fn extensions(about: &AboutArgs) -> Extensions {
    Extensions {
        format: about.format.clone(),
        repo: about.repo.clone(),
        branch: about.branch.clone(),
        commit: about.commit.clone(),
        image: about.image.clone(),
        resource: about.resource.clone(),
        scan_id: about.scan_id.clone(),
        scan_scope: about.scope.clone(),
        complete: about.partial.then_some(false),
        backfill: about.backfill,
        ..Extensions::default()
    }
}

/// Some formats are told by the name of the file alone (`CODEOWNERS`).
pub fn name_format(ext: &mut Extensions, file: &Path) {
    if ext.format.is_none() {
        ext.format = detect::of_file_name(&file.display().to_string()).map(|format| format.name().to_owned());
    }
}

/// A bar over so many files, on a terminal only.
pub fn progress(files: u64) -> ProgressBar {
    if files < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(files).with_style(style)
}
