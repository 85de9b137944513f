//! One file per command; each returns the exit code: 0 done, 1 the answer is no. Errors become exit code 2.

pub mod ask;
pub mod check;
pub mod demo;
pub mod generate;
pub mod intel;
pub mod migrate;
pub mod publish;
pub mod query;
pub mod up;

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use tributary_model::record::Extensions;

use crate::cli::AboutArgs;

/// Reads a file, or stdin for `-`.
pub fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body).context("cannot read stdin")?;
        return Ok(body);
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
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
