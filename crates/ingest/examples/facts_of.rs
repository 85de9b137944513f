//! Prints what one file says, one line per fact, use or sighting:
//! `cargo run -p tributary-ingest --example facts_of -- kubernetes objects.json --resource cluster/prod-eu`.
#![allow(clippy::print_stdout, clippy::expect_used)]

use tributary_ingest::event::{Input, SecretHasher};
use tributary_ingest::format::Format;
use tributary_ingest::{normalize, time};
use tributary_model::record::Extensions;
use tributary_model::reject::Origin;

/// Hides every secret; a look at a file needs no key.
struct Hidden;

impl SecretHasher for Hidden {
    fn hmac(&self, _: &str) -> String {
        "hidden".to_owned()
    }
    fn key_id(&self) -> &'static str {
        "none"
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [format, file, options @ ..] = arguments.as_slice() else {
        println!("usage: facts_of FORMAT FILE [--repo R] [--resource R] [--source S] [--time T]");
        return;
    };
    let mut ext = Extensions::default();
    for pair in options.chunks(2) {
        let value = pair.get(1).cloned();
        match pair[0].as_str() {
            "--repo" => ext.repo = value,
            "--resource" => ext.resource = value,
            "--source" => ext.source = value,
            "--time" => ext.time = value.as_deref().and_then(time::parse),
            other => println!("unknown option {other}"),
        }
    }
    let format = Format::parse(format).expect("a format name, as in crates/ingest/src/format.rs");
    let body = std::fs::read(file).expect("a file that can be read");
    let origin = Origin::default();
    let events =
        match normalize::normalize(format, &Input { body: &body, ext: &ext, origin: &origin, secrets: &Hidden }) {
            Ok(events) => events,
            Err(rejection) => {
                println!("REJECT {}: {rejection}", rejection.code);
                return;
            }
        };
    for fact in &events.facts {
        let at = time::format(fact.observed_at);
        println!(
            "{} {} [{}] = {} ({}, {at})",
            fact.entity,
            fact.attribute.name(),
            fact.qualifier,
            fact.value,
            fact.asserter
        );
    }
    for report in &events.runtime {
        for used in &report.uses {
            println!("{} {:?} {} x{} in {}", report.asset, used.level, used.path, used.count, used.workload);
        }
    }
    for report in &events.reports {
        for sighting in &report.sightings {
            let package = sighting.package.as_ref().map_or("", |package| &package.purl);
            let place = sighting.location.as_ref().map_or("", |location| &location.path);
            println!(
                "{} {} {} {} {package}{place}{} x{} {:?} {:?}",
                report.asset,
                report.tool,
                sighting.class.name(),
                sighting.rule,
                sighting.resource,
                sighting.count,
                sighting.severity,
                sighting.status,
            );
        }
    }
}
