//! `check`: the dry run.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_ingest::check::{Check, check};
use tributary_ingest::detect;
use tributary_ingest::grant::Grants;
use tributary_ingest::pipeline;
use tributary_ingest::secret::HmacHasher;
use tributary_model::record::RawClass;

use super::{extensions, read_input};
use crate::cli::CheckArgs;

/// What is checked when nobody says what a report is about and it does not say so itself: the dry run still counts.
const UNKNOWN_ASSET: &str = "check/unknown";

/// Checks every file; exit code 1 when one would be rejected.
pub fn run(args: &CheckArgs) -> anyhow::Result<u8> {
    let grants = Grants::everything();
    // A dry run keeps nothing: any key will do.
    let hasher = HmacHasher::new(&[0; 32]).map_err(|_| anyhow::anyhow!("a key of 32 bytes is long enough"))?;
    let context = pipeline::Context { grants: &grants, secrets: &hasher, body_bytes_max: 1 << 30 };
    let class = match &args.about.class {
        Some(name) => Some(RawClass::parse(name).with_context(|| format!("--class {name} is not a class"))?),
        None => None,
    };
    let bar = if args.files.len() > 20 && std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() {
        let style =
            ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(args.files.len() as u64).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let mut rejected = false;
    let mut out = std::io::stdout().lock();
    for file in &args.files {
        let name = file.display().to_string();
        bar.set_message(name.clone());
        let body = Bytes::from(read_input(file)?);
        let mut ext = extensions(&args.about);
        if ext.format.is_none() {
            ext.format = detect::of_file_name(&name).map(|format| format.name().to_owned());
        }
        let says_nothing = ext.repo.is_none() && ext.image.is_none() && ext.resource.is_none();
        let mut line = check(&name, &body, &ext, class, &context);
        let lacks_asset = line.rejects.iter().any(|reject| reject.reason.starts_with("no_asset"));
        if says_nothing && lacks_asset {
            ext.resource = Some(UNKNOWN_ASSET.to_owned());
            let counted = check(&name, &body, &ext, class, &context);
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
