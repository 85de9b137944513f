//! `publish`: reports to a running Tributary; with `--wait`, what the scan changed.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tributary_ingest::detect;
use tributary_model::record::{Extensions, RawClass};
use tributary_model::scan::{ScanRun, ScanState};

use super::{extensions, read_input};
use crate::cli::PublishArgs;
use crate::client::{Client, problem};
use crate::config::Config;

/// Sends every file; exit code 1 when one was refused.
pub fn run(args: &PublishArgs, config: &Config) -> anyhow::Result<u8> {
    let client = Client::new(&args.server, config);
    let bar = progress(args.files.len() as u64);
    let mut refused = false;
    for file in &args.files {
        bar.set_message(file.display().to_string());
        let body = read_input(file)?;
        let mut ext = extensions(&args.about);
        // The scan id is ours to give, so that we can ask for this scan's outcome.
        let scan_id = ext.scan_id.get_or_insert_with(|| content_id(&body)).clone();
        let class = class_of(args, file, &body, &ext)?;
        let (status, answer) = client.post(&format!("/v1/events/{}", class.name()), &headers(&ext), &body)?;
        let outcome = if status >= 300 {
            refused = true;
            let text =
                problem(&answer.to_string()).unwrap_or_else(|| format!("the intake answered {status}: {answer}"));
            json!({"file": file, "error": text})
        } else if args.wait {
            let runs = wait(&client, &scan_id, Duration::from_secs(args.timeout))?;
            delta(file, &scan_id, &runs)
        } else {
            json!({"file": file, "scan": scan_id, "accepted": answer})
        };
        bar.suspend(|| report(args.json, &outcome))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(u8::from(refused))
}

fn progress(files: u64) -> ProgressBar {
    if files < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(files).with_style(style)
}

fn class_of(args: &PublishArgs, file: &Path, body: &[u8], ext: &Extensions) -> anyhow::Result<RawClass> {
    if let Some(name) = &args.about.class {
        return RawClass::parse(name).with_context(|| {
            let names: Vec<&str> = RawClass::ALL.iter().map(|class| class.name()).collect();
            format!("--class {name}: one of {}", names.join(", "))
        });
    }
    match detect::detect(body, ext, None) {
        Ok(format) => Ok(format.class()),
        Err(rejection) => bail!("{}: {rejection}", file.display()),
    }
}

/// The same bytes are the same scan, however often they are sent.
fn content_id(body: &[u8]) -> String {
    let mut hasher = tributary_model::id::IdHasher::new("published");
    hasher.field(body);
    hasher.finish().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn headers(ext: &Extensions) -> Vec<(&'static str, String)> {
    let sent = ext.to_headers().into_iter().filter(|(name, _)| !name.starts_with("x-tributary"));
    sent.map(|(name, value)| (super::intel::http_name(name), value)).collect()
}

/// Polls the ledger until every part of the scan is applied.
fn wait(client: &Client, scan_id: &str, timeout: Duration) -> anyhow::Result<Vec<ScanRun>> {
    let begun = Instant::now();
    let pause = tributary_stream::log::Waker::default();
    loop {
        let runs: Vec<ScanRun> = client.get(&format!("/v1/scans/{}", crate::client::encode(scan_id)))?;
        if !runs.is_empty() && runs.iter().all(|run| run.state != ScanState::Receiving) {
            return Ok(runs);
        }
        if begun.elapsed() > timeout {
            bail!(
                "the scan {scan_id} was not applied within {} s; `tributary tail rejects` says whether it was refused",
                timeout.as_secs()
            );
        }
        pause.wait(Duration::from_millis(100));
    }
}

fn delta(file: &Path, scan_id: &str, runs: &[ScanRun]) -> Value {
    let sum = |of: fn(&ScanRun) -> u32| runs.iter().map(|run| u64::from(of(run))).sum::<u64>();
    let assets: Vec<&str> = runs.iter().map(|run| run.asset.as_str()).collect();
    let states: Vec<Value> = runs.iter().map(|run| serde_json::to_value(run.state).unwrap_or(Value::Null)).collect();
    json!({
        "file": file, "scan": scan_id, "assets": assets, "states": states, "sightings": sum(|r| r.sightings),
        "new": sum(|r| r.new), "gone": sum(|r| r.gone), "unchanged": sum(|r| r.unchanged), "reopened": sum(|r| r.reopened),
    })
}

fn report(as_json: bool, outcome: &Value) -> anyhow::Result<()> {
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
    }
    Ok(())
}
