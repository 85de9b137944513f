//! `estate`: a synthetic estate on disk, with a manifest that a load driver reads.

use std::fs;
use std::io::{BufWriter, IsTerminal, Write};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::cli::EstateArgs;
use crate::commands::intel::http_name;
use crate::synthetic::{Shape, generate};

/// Event time of the first record: fixed, so that the same seed gives the same bytes.
const BEGIN: i64 = 1_790_000_000_000;
/// Scans, builds and workloads of one component.
const RECORDS_PER_COMPONENT: u64 = 8;

/// Writes the estate; prints what was written.
pub fn run(args: &EstateArgs) -> anyhow::Result<u8> {
    let shape = Shape { components: args.components, findings: args.findings, seed: args.seed, begin: BEGIN };
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let manifest = args.out.join("manifest.jsonl");
    let mut lines =
        BufWriter::new(fs::File::create(&manifest).with_context(|| format!("cannot write {}", manifest.display()))?);
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} reports")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(1 + u64::from(args.components) * RECORDS_PER_COMPONENT).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let (mut files, mut bytes, mut findings) = (0_u64, 0_u64, 0_u64);
    generate(shape, |record| {
        let path = args.out.join(&record.file);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&path, &record.body).with_context(|| format!("cannot write {}", path.display()))?;
        let mut headers: Map<String, Value> = record
            .ext
            .to_headers()
            .into_iter()
            .filter(|(name, _)| !name.starts_with("x-tributary"))
            .map(|(name, value)| (http_name(name).to_owned(), Value::from(value)))
            .collect();
        if let Some(time) = record.ext.time {
            headers.insert("ce-time".to_owned(), Value::from(tributary_ingest::time::format(time)));
        }
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
