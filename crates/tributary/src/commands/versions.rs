//! `versions list`, `versions activate`: what is in force, and the step of an upgrade after which everybody judges by a newer model.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tributary_ingest::time;
use tributary_model::Topic;
use tributary_model::versions::Versions;
use tributary_stream::broadcast::InForce;
use tributary_stream::{Clock, clock::SystemClock};

use crate::cli::{ActivateArgs, VersionsArgs};
use crate::client::Client;
use crate::commands::cluster;
use crate::config::Config;
use crate::versions::{self, IMPLEMENTED};

/// `list`: what this build can do and what is in force. Exit code 1 when it must not work on this log.
pub fn list(args: &VersionsArgs, config: &Config) -> anyhow::Result<u8> {
    let in_force = if config.kafka.brokers.is_empty() || args.server.url.is_some() {
        served(args, config)?
    } else {
        InForce::read(cluster(config, &[Topic::Versions])?.as_ref())?
    };
    let obstacle = match &in_force {
        InForce::Known(versions) => IMPLEMENTED.obstacle(versions),
        InForce::Unreadable => Some("a newer build wrote what is in force: upgrade this one".to_owned()),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let known = match &in_force {
            InForce::Known(versions) => serde_json::to_value(versions.as_ref())?,
            InForce::Unreadable => Value::Null,
        };
        let can = json!({"identities": IMPLEMENTED.identities, "models": IMPLEMENTED.models});
        writeln!(out, "{}", json!({"in_force": known, "this_build": can, "obstacle": obstacle}))?;
        return Ok(u8::from(obstacle.is_some()));
    }
    if let InForce::Known(versions) = &in_force {
        let since = match versions.activated_at {
            0 => "from the beginning".to_owned(),
            at => format!("since {} by {}", time::format(at), versions.activated_by),
        };
        writeln!(out, "in force    identity {}, model {}, {since}", versions.identity, versions.model)?;
    }
    let (identities, models) = (IMPLEMENTED.identities.join(", "), IMPLEMENTED.models.join(", "));
    writeln!(out, "this build  identity {identities}, models {models}")?;
    if let Some(obstacle) = &obstacle {
        writeln!(out, "It must not work on this log: {obstacle}")?;
    }
    Ok(u8::from(obstacle.is_some()))
}

/// `activate`: says what it would do; with `--yes` it does it.
pub fn activate(args: &ActivateArgs, config: &Config) -> anyhow::Result<u8> {
    if config.kafka.brokers.is_empty() {
        bail!(
            "activation is for Kafka (kafka.brokers is not configured); for `tributary up`, set versions.model = \"{}\" in \
             tributary.toml and start it again",
            args.model
        );
    }
    let log = cluster(config, &[Topic::Versions])?;
    let in_force = InForce::read(log.as_ref())?;
    let by = if args.by.is_empty() { "unnamed" } else { &args.by };
    let wanted = versions::with_model(&in_force, &args.model, by, SystemClock.now())?;
    let mut out = std::io::stdout().lock();
    if let InForce::Known(versions) = &in_force
        && versions.model == wanted.model
    {
        writeln!(out, "{} is in force already", wanted.model)?;
        return Ok(0);
    }
    if !args.yes {
        writeln!(
            out,
            "{} would judge every risk anew, and builds that do not know it would stop working until they are upgraded.\n\
             Nothing was done. Upgrade all of them first, then repeat with --yes.",
            wanted.model
        )?;
        return Ok(0);
    }
    versions::put_in_force(log.producer()?.as_ref(), &wanted)?;
    writeln!(out, "{} is in force", wanted.model)?;
    Ok(0)
}

/// From a running `up`.
fn served(args: &VersionsArgs, config: &Config) -> anyhow::Result<InForce> {
    let reader = BufReader::new(Client::new(&args.server, config).stream("/v1/topics/versions?follow=false")?);
    let mut in_force = InForce::default();
    for line in reader.lines() {
        let mut line: Value = serde_json::from_str(&line.context("the stream broke off")?)?;
        let value = line["value"].take();
        let known = if value.get("model").is_some() { serde_json::from_value::<Versions>(value).ok() } else { None };
        in_force = known.map_or(InForce::Unreadable, |versions| InForce::Known(Arc::new(versions)));
    }
    Ok(in_force)
}
