//! `publish`: reports to a running Tributary; with `--wait`, what the scan changed.

mod outcome;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use tributary_model::record::{Extensions, RawClass};

use super::check::dry_run;
use super::{extensions, name_format, progress, read_input};
use crate::cli::PublishArgs;
use crate::client::{Client, ce_headers, problem};
use crate::config::Config;

/// Sends every file. One that cannot be sent does not keep back the others: exit code 1 when a file was refused, 2 when
/// the outcome of a scan could not be told. Only a server that does not answer ends it at once.
pub fn run(args: &PublishArgs, config: &Config) -> anyhow::Result<u8> {
    let client = Client::new(&args.server, config);
    let class = class(args)?;
    let bar = progress(args.files.len() as u64);
    let mut code = 0;
    for file in &args.files {
        bar.set_message(file.display().to_string());
        let outcome = match prepare(args, file, class) {
            Ok(report) => send(args, file, &client, &report)?,
            Err(error) => refused(file, &format!("{error:#}")),
        };
        code = code.max(outcome.code);
        bar.suspend(|| print(args.json, &outcome.line))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(code)
}

/// A report ready to be sent.
struct Report {
    class: RawClass,
    ext: Extensions,
    scan_id: String,
    body: Bytes,
    /// It holds facts only (a catalogue, a feed, an event): no scan will come of it.
    is_context: bool,
}

/// What became of one file.
struct Outcome {
    code: u8,
    line: Value,
}

fn refused(file: &Path, why: &str) -> Outcome {
    Outcome { code: 1, line: json!({"file": file, "error": why}) }
}

fn class(args: &PublishArgs) -> anyhow::Result<Option<RawClass>> {
    let Some(name) = &args.about.class else { return Ok(None) };
    let class = RawClass::parse(name).with_context(|| {
        let names: Vec<&str> = RawClass::ALL.iter().map(|class| class.name()).collect();
        format!("--class {name}: one of {}", names.join(", "))
    })?;
    Ok(Some(class))
}

/// Reads a file and says what is wrong with it before it is sent: whoever ran the command can mend it now.
fn prepare(args: &PublishArgs, file: &Path, class: Option<RawClass>) -> anyhow::Result<Report> {
    let body = Bytes::from(read_input(file)?);
    let mut ext = extensions(&args.about);
    name_format(&mut ext, file);
    // The scan id is ours to give, so that we can ask for this scan's outcome.
    let scan_id = ext.scan_id.get_or_insert_with(|| content_id(&body)).clone();
    let checked = dry_run(file, &body, &ext, class)?;
    let class = class.or_else(|| checked.class.and_then(RawClass::parse));
    match class {
        Some(class) if checked.asset.is_some() || checked.facts > 0 => {
            Ok(Report { class, ext, scan_id, body, is_context: checked.asset.is_none() })
        }
        _ => {
            let reasons: Vec<&str> = checked.rejects.iter().map(|reject| reject.reason.as_str()).collect();
            bail!("{}", reasons.join("; "))
        }
    }
}

fn send(args: &PublishArgs, file: &Path, client: &Client, report: &Report) -> anyhow::Result<Outcome> {
    let path = format!("/v1/events/{}", report.class.name());
    let (status, answer) = client.post(&path, &ce_headers(&report.ext), &report.body)?;
    if status >= 300 {
        let text = problem(&answer.to_string()).unwrap_or_else(|| format!("the intake answered {status}: {answer}"));
        return Ok(refused(file, &text));
    }
    let accepted = Outcome { code: 0, line: json!({"file": file, "scan": report.scan_id, "accepted": answer}) };
    if !args.wait {
        return Ok(accepted);
    }
    let unknown =
        |code: u8, why: &str| Outcome { code, line: json!({"file": file, "scan": report.scan_id, "error": why}) };
    Ok(match outcome::wait(client, &report.scan_id, Duration::from_secs(args.timeout))? {
        outcome::Applied::Scan(delta) => Outcome { code: 0, line: outcome::line(file, &report.scan_id, &delta) },
        outcome::Applied::NoScan if report.is_context => accepted,
        outcome::Applied::NoScan => unknown(1, "rejected by the server: `tributary tail rejects` says why"),
        outcome::Applied::NotYet => unknown(2, "not applied in time; `tributary status` says what is behind"),
    })
}

/// The same bytes are the same scan, however often they are sent.
fn content_id(body: &[u8]) -> String {
    let mut hasher = tributary_model::id::IdHasher::new("published");
    hasher.field(body);
    hasher.finish().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn print(as_json: bool, outcome: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{outcome}")?;
        return Ok(());
    }
    let file = outcome["file"].as_str().unwrap_or_default();
    if let Some(error) = outcome["error"].as_str() {
        writeln!(out, "{file}: refused: {error}")?;
    } else if outcome["new"].is_null() {
        writeln!(out, "{file}: accepted as scan {}", outcome["scan"].as_str().unwrap_or_default())?;
    } else {
        writeln!(
            out,
            "{file}: {} new, {} gone, {} unchanged, {} reopened ({})",
            outcome["new"], outcome["gone"], outcome["unchanged"], outcome["reopened"], outcome["assets"]
        )?;
        if outcome["states"].as_array().is_some_and(|states| states.iter().any(|state| state == "suspect")) {
            writeln!(
                out,
                "  held: it would close most of what was known there; the next complete scan that agrees closes it"
            )?;
        }
        let risks = outcome["fix_first"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !risks.is_empty() {
            writeln!(out, "First to fix there:")?;
            crate::print::risks(&mut out, risks)?;
        }
    }
    Ok(())
}
