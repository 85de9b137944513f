//! Prints how many sightings a report gives, by format: `count_scans FORMAT FILE…`. For comparing with other parsers' counts.
//! With `--assets` also what each report is about. Reports that name no asset get the placeholder that `check` uses.

use std::process::ExitCode;

use tributary_ingest::event::{Input, SecretHasher};
use tributary_ingest::format::Format;
use tributary_ingest::normalize::normalize;
use tributary_model::record::Extensions;
use tributary_model::reject::Origin;

/// Counts need no identity of secrets.
struct NoHasher;

impl SecretHasher for NoHasher {
    fn hmac(&self, _: &str) -> String {
        "counted".to_owned()
    }
    fn key_id(&self) -> &'static str {
        "none"
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr)] // a command line tool
fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let with_assets = args.next_if(|arg| arg == "--assets").is_some();
    let Some(format) = args.next().and_then(|name| Format::parse(&name)) else {
        eprintln!("usage: count_scans [--assets] FORMAT FILE…");
        return ExitCode::from(2);
    };
    let ext = Extensions { resource: Some("check/unknown".to_owned()), ..Extensions::default() };
    let origin = Origin::default();
    for file in args {
        let body = match std::fs::read(&file) {
            Ok(body) => body,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        match normalize(format, &Input { body: &body, ext: &ext, origin: &origin, secrets: &NoHasher }) {
            Ok(events) => {
                let sightings: usize = events.reports.iter().map(|report| report.sightings.len()).sum();
                println!("{file}\t{sightings}\t{} reports, {} facts", events.reports.len(), events.facts.len());
                for report in events.reports.iter().filter(|_| with_assets) {
                    println!("\t{}\t{}\t{:?}\t{}", report.asset, report.tool, report.scope, report.sightings.len());
                }
            }
            Err(rejection) => println!("{file}\t-\t{}: {rejection}", rejection.code),
        }
    }
    ExitCode::SUCCESS
}
