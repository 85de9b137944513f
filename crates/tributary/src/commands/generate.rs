//! `estate`: a synthetic estate on disk, with a manifest that a load driver reads.

use std::fs;
use std::io::{BufWriter, Write};

use anyhow::Context;
use serde_json::{Map, Value};

use crate::cli::EstateArgs;
use crate::client::ce_headers;
use crate::synthetic::{Shape, generate};

/// Event time of the first record: fixed, so that the same seed gives the same bytes.
const BEGIN: i64 = 1_790_000_000_000;
/// Scans, builds and workloads of one component.
const RECORDS_PER_COMPONENT: u64 = 8;

/// Writes the estate; prints what was written.
pub fn run(args: &EstateArgs) -> anyhow::Result<u8> {
    let EstateArgs { components, first, night, findings, seed, .. } = *args;
    let shape = Shape { components, first, night, findings, seed, begin: BEGIN };
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let manifest = args.out.join("manifest.jsonl");
    let mut lines =
        BufWriter::new(fs::File::create(&manifest).with_context(|| format!("cannot write {}", manifest.display()))?);
    let bar = super::progress(1 + u64::from(args.components) * RECORDS_PER_COMPONENT);
    let (mut files, mut bytes, mut findings) = (0_u64, 0_u64, 0_u64);
    generate(shape, |record| {
        let path = args.out.join(&record.file);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&path, &record.body).with_context(|| format!("cannot write {}", path.display()))?;
        let headers: Map<String, Value> =
            ce_headers(&record.ext).into_iter().map(|(name, value)| (name, Value::from(value))).collect();
        let line = serde_json::json!({
            "file": record.file, "class": record.class.name(), "findings": record.findings, "headers": headers,
        });
        writeln!(lines, "{line}")?;
        files += 1;
        bytes += record.body.len() as u64;
        findings += u64::from(record.findings);
        bar.inc(1);
        Ok(())
    })?;
    lines.flush()?;
    bar.finish_and_clear();
    writeln!(
        std::io::stdout().lock(),
        "{files} records, {findings} findings, {bytes} bytes in {}",
        args.out.display()
    )?;
    Ok(0)
}
