//! `check`: the dry run.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use indicatif::ProgressBar;
use tributary_ingest::check::{Check, check};
use tributary_ingest::grant::Grants;
use tributary_ingest::pipeline;
use tributary_ingest::secret::HmacHasher;
use tributary_model::record::{Extensions, RawClass};

use super::{extensions, name_format, progress, read_input};
use crate::cli::CheckArgs;

/// What is checked when nobody says what a report is about and it does not say so itself: the dry run still counts.
const UNKNOWN_ASSET: &str = "check/unknown";

/// Checks every file; exit code 1 when one would be rejected.
pub fn run(args: &CheckArgs) -> anyhow::Result<u8> {
    let class = match &args.about.class {
        Some(name) => Some(RawClass::parse(name).with_context(|| format!("--class {name} is not a class"))?),
        None => None,
    };
    // Lines on the same terminal show the progress themselves.
    let bar = if std::io::stdout().is_terminal() { ProgressBar::hidden() } else { progress(args.files.len() as u64) };
    let mut rejected = false;
    let mut out = std::io::stdout().lock();
    for file in &args.files {
        bar.set_message(file.display().to_string());
        let body = Bytes::from(read_input(file)?);
        let mut ext = extensions(&args.about);
        name_format(&mut ext, file);
        let says_nothing = ext.repo.is_none() && ext.image.is_none() && ext.resource.is_none();
        let mut line = dry_run(file, &body, &ext, class)?;
        let lacks_asset = line.rejects.iter().any(|reject| reject.reason.starts_with("no_asset"));
        if says_nothing && lacks_asset {
            ext.resource = Some(UNKNOWN_ASSET.to_owned());
            let counted = dry_run(file, &body, &ext, class)?;
            line.sightings = counted.sightings;
            line.facts = counted.facts;
        }
        rejected |= !line.rejects.is_empty();
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else {
            print(&mut out, &line)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(u8::from(rejected))
}

/// What would become of a report, were it sent by someone who may say everything.
pub fn dry_run(file: &Path, body: &Bytes, ext: &Extensions, class: Option<RawClass>) -> anyhow::Result<Check> {
    let grants = Grants::everything();
    // A dry run keeps nothing: any key will do.
    let secrets = HmacHasher::new(&[0; 32]).map_err(|_| anyhow::anyhow!("a key of 32 bytes is long enough"))?;
    let context = pipeline::Context { grants: &grants, secrets: &secrets, body_bytes_max: 1 << 30 };
    Ok(check(&file.display().to_string(), body, ext, class, &context))
}

fn print(out: &mut impl Write, line: &Check) -> std::io::Result<()> {
    let format = line.format.unwrap_or("unknown format");
    let asset = line.asset.as_deref().unwrap_or("no asset");
    writeln!(out, "{}: {format}, {} sightings, {} facts, about {asset}", line.file, line.sightings, line.facts)?;
    for reject in &line.rejects {
        let at = if reject.at.is_empty() { String::new() } else { format!(" (at {})", reject.at) };
        writeln!(out, "  would be rejected: {}{at}", reject.reason)?;
    }
    Ok(())
}
