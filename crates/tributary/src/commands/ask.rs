//! `top`, `show`, `explain`, `tail`, `status`: questions to a running Tributary.

use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, bail};
use serde_json::Value;
use tributary_correlate::assess::explain;
use tributary_model::Topic;
use tributary_model::risk::Risk;

use crate::cli::{RiskArgs, StatusArgs, TailArgs, TopArgs};
use crate::client::{Client, encode};
use crate::commands::{cluster, fleet};
use crate::config::Config;
use crate::ledger::Line;
use crate::print;
use crate::status::Status;
use crate::topic_json;

/// `top`: what to fix first.
pub fn top(args: &TopArgs, config: &Config) -> anyhow::Result<u8> {
    let mut path = format!("/v1/risks?limit={}", args.limit);
    for (name, value) in [("owner", &args.owner), ("component", &args.component)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    let risks: Vec<Value> = Client::new(&args.server, config).get(&path)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        for risk in &risks {
            writeln!(out, "{risk}")?;
        }
    } else if risks.is_empty() {
        writeln!(
            out,
            "No open risk is known. `tributary status` says what was received, and the page lists what nobody scans."
        )?;
    } else {
        print::risks(&mut out, &risks)?;
        writeln!(out, "\n`tributary explain ID` says why a risk is where it is.")?;
    }
    Ok(0)
}

fn risk(args: &RiskArgs, config: &Config) -> anyhow::Result<Risk> {
    Client::new(&args.server, config).get(&format!("/v1/risks/{}", encode(&args.risk)))
}

/// `show`: one risk.
pub fn show(args: &RiskArgs, config: &Config) -> anyhow::Result<u8> {
    let risk = risk(args, config)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&risk)?)?;
    } else {
        print::risk(&mut out, &risk)?;
    }
    Ok(0)
}

/// `explain`: the whole derivation in words.
pub fn explain(args: &RiskArgs, config: &Config) -> anyhow::Result<u8> {
    let risk = risk(args, config)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let object = serde_json::json!({
            "risk": risk.risk, "band": risk.band, "score": risk.score,
            "decision": risk.decision, "contributions": risk.contributions, "inputs_digest": risk.inputs_digest,
        });
        writeln!(out, "{object:#}")?;
    } else {
        writeln!(out, "{}", explain::explain(&risk))?;
    }
    Ok(0)
}

/// `tail`: a topic as JSON lines.
pub fn tail(args: &TailArgs, config: &Config) -> anyhow::Result<u8> {
    if !config.kafka.brokers.is_empty() && args.server.url.is_none() {
        return tail_of_cluster(args, config);
    }
    let mut path = format!("/v1/topics/{}?follow={}", encode(&args.topic), args.follow);
    if let Some(limit) = args.limit {
        path.push_str(&format!("&limit={limit}"));
    }
    let reader = BufReader::new(Client::new(&args.server, config).stream(&path)?);
    let mut out = std::io::stdout().lock();
    for line in reader.lines() {
        // A reader that went away (`| head`) is no error.
        if writeln!(out, "{}", line.context("the stream broke off")?).is_err() {
            break;
        }
    }
    Ok(0)
}

/// From Kafka itself.
fn tail_of_cluster(args: &TailArgs, config: &Config) -> anyhow::Result<u8> {
    let Some(topic) = Topic::parse(&args.topic) else {
        let names: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        bail!("no topic is called {:?}; there are: {}", args.topic, names.join(", "));
    };
    let log = cluster(config, &[topic])?;
    let mut out = std::io::stdout().lock();
    // A reader that went away (`| head`) is no error.
    let print = |lines: String| out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_ok();
    topic_json::walk(log.as_ref(), topic, args.limit.unwrap_or(usize::MAX), args.follow, print)?;
    Ok(0)
}

/// `status`: health of the pipeline; exit code 1 when it is not ready.
pub fn status(args: &StatusArgs, config: &Config) -> anyhow::Result<u8> {
    let services = if args.service.is_empty() { &config.status.services } else { &args.service };
    if !services.is_empty() && args.server.url.is_none() {
        return fleet::status(args, services, config);
    }
    let client = Client::new(&args.server, config);
    let mut text: Value = client.get("/v1/status")?;
    let scan: Vec<Line> = match &args.scan {
        Some(scan) => client.get(&format!("/v1/ledger/{}", encode(scan)))?,
        None => Vec::new(),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        if args.scan.is_some() {
            text["scan"] = serde_json::to_value(&scan)?;
        }
        writeln!(out, "{text:#}")?;
    } else {
        print::status(&mut out, &serde_json::from_value::<Status>(text.clone())?, &text["funnel"])?;
        if let Some(id) = &args.scan {
            print::ledger(&mut out, id, &scan)?;
        }
    }
    Ok(u8::from(text["ready"] != Value::Bool(true)))
}
