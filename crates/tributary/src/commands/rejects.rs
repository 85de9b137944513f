//! `rejects list`, `rejects replay`: what could not be taken in, and sending it again once the cause is gone.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;
use tributary_ingest::time;
use tributary_model::Topic;
use tributary_model::reject::Reject;
use tributary_model::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use tributary_stream::log::Log;
use tributary_stream::{Clock, clock::SystemClock};

use crate::cli::{RejectsArgs, ReplayArgs};
use crate::client::Client;
use crate::commands::cluster;
use crate::config::Config;
use crate::print;
use crate::rejects::{self, Filter, Original};

/// `list`: a table, or JSON lines.
pub fn list(args: &RejectsArgs, config: &Config) -> anyhow::Result<u8> {
    let filter = filter(args)?;
    let rejects = if config.kafka.brokers.is_empty() || args.server.url.is_some() {
        served(args, &filter, config)?
    } else {
        rejects::list(connect(config)?.as_ref(), &filter, args.limit)?
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        for reject in &rejects {
            writeln!(out, "{}", serde_json::to_string(reject)?)?;
        }
    } else if rejects.is_empty() {
        writeln!(out, "Nothing was rejected that fits.")?;
    } else {
        print::rejects(&mut out, &rejects)?;
    }
    Ok(0)
}

/// `replay`: says what it would do; with `--yes` it does it. Exit code 1 when something could not be sent again.
pub fn replay(args: &ReplayArgs, config: &Config) -> anyhow::Result<u8> {
    if config.kafka.brokers.is_empty() || args.of.server.url.is_some() {
        bail!("replay works on Kafka (kafka.brokers is not configured); with `tributary up`, publish the report again");
    }
    let filter = filter(&args.of)?;
    let log = connect(config)?;
    let rejects = rejects::list(log.as_ref(), &filter, args.of.limit)?;
    let producer = if args.yes { Some(log.producer()?) } else { None };
    let (mut sent, mut left) = (0_usize, 0_usize);
    let mut out = std::io::stdout().lock();
    for reject in &rejects {
        let place = format!("{}/{}/{}", reject.origin.topic, reject.origin.partition, reject.origin.offset);
        match rejects::original(log.as_ref(), &reject.origin)? {
            Original::There(output) => {
                let bytes = output.value.as_ref().map_or(0, bytes::Bytes::len);
                let what = if let Some(producer) = &producer {
                    // One at a time: each may be as large as a record may be, and what is sent is said.
                    producer.append(vec![*output]).with_context(|| format!("{place} was not sent again"))?;
                    "sent again"
                } else {
                    "would be sent again"
                };
                sent += 1;
                writeln!(out, "{place}  {what} ({}, {bytes} bytes)", reject.code)?;
            }
            Original::Gone => {
                left += 1;
                writeln!(out, "{place}  gone: retention has removed it; send it from where it came")?;
            }
            Original::Kept(why) => {
                left += 1;
                writeln!(out, "{place}  not sent: {why}")?;
            }
        }
    }
    let would = if args.yes { "" } else { "would be " };
    writeln!(out, "{sent} {would}sent again, {left} not")?;
    if !args.yes && sent > 0 {
        writeln!(out, "Nothing was done. Repair the cause first, then repeat with --yes.")?;
    }
    Ok(u8::from(left > 0))
}

/// From a running `up`.
fn served(args: &RejectsArgs, filter: &Filter, config: &Config) -> anyhow::Result<Vec<Reject>> {
    let reader = BufReader::new(Client::new(&args.server, config).stream("/v1/topics/rejects?follow=false")?);
    let mut rejects = Vec::new();
    for line in reader.lines() {
        let mut line: Value = serde_json::from_str(&line.context("the stream broke off")?)?;
        // One of another version cannot be read: `tail rejects` shows it.
        if let Ok(reject) = serde_json::from_value::<Reject>(line["value"].take()) {
            rejects.push(reject);
        }
    }
    Ok(rejects::chosen(rejects, filter, args.limit))
}

fn connect(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    let topics = [&Topic::RAW[..], &Topic::BULK, &[Topic::Facts, Topic::Observations, Topic::Rejects]].concat();
    cluster(config, &topics)
}

fn filter(args: &RejectsArgs) -> anyhow::Result<Filter> {
    if let Some(topic) = args.topic.as_deref().filter(|topic| Topic::parse(topic).is_none()) {
        bail!("--topic {topic}: no topic is called so; `raw.scanner`, `facts`, `observations` … (without prefix)");
    }
    let now = SystemClock.now();
    let at = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| when(text, now).with_context(|| format!("{name} {text}"))).transpose()
    };
    Ok(Filter {
        code: args.reason.clone(),
        topic: args.topic.clone(),
        since: at("--since", &args.since)?,
        until: at("--until", &args.until)?,
    })
}

/// A time, or so long ago: `2026-11-25T08:00:00Z`, `90m`, `2h`, `7d`.
fn when(text: &str, now: Millis) -> anyhow::Result<Millis> {
    let ago = text.char_indices().last().and_then(|(at, unit)| {
        let unit = match unit {
            's' => SECOND,
            'm' => MINUTE,
            'h' => HOUR,
            'd' => DAY,
            _ => return None,
        };
        text[..at].parse::<u32>().ok().map(|count| i64::from(count) * unit)
    });
    match ago {
        Some(ago) => Ok(now - ago),
        None => {
            time::parse(text).context("is neither a time like 2026-11-25T08:00:00Z nor so long ago like 90m, 2h, 7d")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_so_long_ago() {
        assert_eq!(when("2h", 10 * HOUR).unwrap(), 8 * HOUR);
        assert_eq!(when("1970-01-02T00:00:00Z", 0).unwrap(), DAY);
        assert!(when("soon", 0).is_err() && when("", 0).is_err() && when("-1h", 0).is_err());
    }
}
