//! `topics acls`: the access rules that each service needs on a cluster with authorization, and no others.
//!
//! Write and Read each include Describe, so Describe stands alone only where nothing else is needed. A transactional producer
//! needs no right to write idempotently beside Write on its id, and one without transactions none beside Write on a topic (KIP-679).

use std::io::Write;

use anyhow::bail;
use tributary_ingest::lane::BULK_GROUP;
use tributary_ingest::worker::GROUP;
use tributary_model::Topic;
use tributary_stream::kafka::Delivery;
use tributary_stream::stage::{ASSESS, RELATE, REMEDY, StageTopics, TRACK};

use super::services::{CANONICAL, CROWDED};
use crate::cli::AclsArgs;
use crate::config::Config;

/// What the stages write: their changelogs, what the next stage reads, and what they refuse.
const WRITTEN: [Topic; 12] = [
    Topic::Assertions,
    Topic::Context,
    Topic::Intel,
    Topic::Tracked,
    Topic::Scans,
    Topic::Assets,
    Topic::Findings,
    Topic::Risks,
    Topic::Changes,
    Topic::Remedies,
    Topic::Tickets,
    Topic::Rejects,
];

/// Resources of one kind on which one principal may do the same.
struct Rule {
    /// Kafka's names of the operations.
    operations: &'static [&'static str],
    /// The option of kafka-acls.sh.
    kind: &'static str,
    /// Without the tenant's prefix.
    names: Vec<String>,
    /// Whatever begins with the name.
    is_prefixed: bool,
}

/// Prints the lines.
pub fn print(args: &AclsArgs, config: &Config) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "# For kafka-acls.sh; KAFKA_ADMIN='--bootstrap-server HOST:PORT --command-config FILE'")?;
    let services = [
        ("topics apply", &args.apply, apply()),
        ("ingest", &args.ingest, ingest(config.kafka.delivery)),
        ("correlate", &args.correlate, correlate()),
        ("sink", &args.sink, sink(config.kafka.delivery)),
    ];
    for (service, principal, rules) in services {
        if !principal.contains(':') || principal.contains(['\'', '\n']) {
            bail!("{principal:?} is not a principal like User:{service}");
        }
        writeln!(out, "# {service}")?;
        for rule in rules {
            writeln!(out, "{}", line(&rule, principal, &config.kafka.prefix))?;
        }
    }
    Ok(0)
}

fn line(rule: &Rule, principal: &str, prefix: &str) -> String {
    let mut line = format!("kafka-acls.sh $KAFKA_ADMIN --add --allow-principal '{principal}'");
    for operation in rule.operations {
        line.push_str(&format!(" --operation {operation}"));
    }
    if rule.is_prefixed {
        line.push_str(" --resource-pattern-type prefixed");
    }
    for name in &rule.names {
        line.push_str(&format!(" --{} '{prefix}{name}'", rule.kind));
    }
    line
}

/// Which topics there are, and how they are set.
fn apply() -> Vec<Rule> {
    let operations = &["Create", "Describe", "DescribeConfigs", "AlterConfigs"];
    vec![Rule { operations, kind: "topic", names: vec![String::new()], is_prefixed: true }]
}

/// The intake writes what it takes, and the same process reads it.
fn ingest(delivery: Delivery) -> Vec<Rule> {
    let stages: [StageTopics; 4] = [RELATE, TRACK, ASSESS, REMEDY];
    let rules = [
        topics(&["Read", "Write"], &[Topic::RAW, Topic::BULK].concat()),
        topics(&["Write"], &CANONICAL),
        groups(&["Read"], &[GROUP, BULK_GROUP]),
        // Bulk waits until the stages have nothing to do: how far they are is asked, and where what they read ends.
        groups(&["Describe"], &stages.map(|stage| stage.name)),
        topics(&["Describe"], &CROWDED),
    ];
    rules.into_iter().chain(transacting(delivery, &["ingest.", "ingest-bulk.", "appends."])).collect()
}

fn correlate() -> Vec<Rule> {
    let stages: [StageTopics; 4] = [RELATE, TRACK, ASSESS, REMEDY];
    let mut both = WRITTEN.to_vec();
    let is_read = |topic: &Topic| {
        stages.iter().any(|stage| [stage.inputs, stage.broadcasts, stage.changelogs].concat().contains(topic))
    };
    let only_read: Vec<Topic> =
        Topic::ALL.into_iter().filter(|topic| is_read(topic) && !WRITTEN.contains(topic)).collect();
    both.retain(is_read);
    let only_written: Vec<Topic> = WRITTEN.into_iter().filter(|topic| !is_read(topic)).collect();
    let names = stages.map(|stage| stage.name);
    vec![
        topics(&["Read"], &only_read),
        topics(&["Read", "Write"], &both),
        topics(&["Write"], &only_written),
        groups(&["Read"], &names),
        // Restores and broadcasts are read by consumers that assign themselves.
        groups(&["Describe"], &["readers"]),
        transactions(&[&names.map(|name| format!("{name}."))[..], &["appends.".to_owned()]].concat()),
    ]
}

fn sink(delivery: Delivery) -> Vec<Rule> {
    let read: Vec<Topic> =
        tributary_sink::rows::TOPICS.iter().copied().filter(|topic| *topic != Topic::Rejects).collect();
    let rules = [
        topics(&["Read"], &read),
        // A row that cannot be written becomes a reject, and rejects are rows.
        topics(&["Read", "Write"], &[Topic::Rejects]),
        groups(&["Read"], &["sink"]),
    ];
    rules.into_iter().chain(transacting(delivery, &["sink."])).collect()
}

/// What a service needs that may do without.
fn transacting(delivery: Delivery, prefixes: &[&str]) -> Option<Rule> {
    (delivery == Delivery::ExactlyOnce).then(|| transactions(prefixes))
}

fn topics(operations: &'static [&'static str], topics: &[Topic]) -> Rule {
    let names = topics.iter().map(|topic| topic.name().to_owned()).collect();
    Rule { operations, kind: "topic", names, is_prefixed: false }
}

fn groups(operations: &'static [&'static str], groups: &[&str]) -> Rule {
    let names = groups.iter().map(|&group| group.to_owned()).collect();
    Rule { operations, kind: "group", names, is_prefixed: false }
}

/// Of every instance and slot.
fn transactions(prefixes: &[impl AsRef<str>]) -> Rule {
    let names = prefixes.iter().map(|prefix| prefix.as_ref().to_owned()).collect();
    Rule { operations: &["Write"], kind: "transactional-id", names, is_prefixed: true }
}
