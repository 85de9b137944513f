//! Results for people: plain tables that fit a terminal and survive a pipe.

use std::io::{self, Write};

use serde_json::Value;
use tributary_model::reject::Reject;
use tributary_model::risk::Risk;

use crate::ledger::Line;
use crate::status::{Engine, Status};

/// A table of risk summaries.
pub fn risks(out: &mut impl Write, risks: &[Value]) -> io::Result<()> {
    let text = |risk: &Value, key: &str| risk[key].as_str().unwrap_or_default().to_owned();
    let rows: Vec<[String; 7]> = risks
        .iter()
        .map(|risk| {
            let owner = text(risk, "owner");
            [
                text(risk, "risk").split(':').nth(1).unwrap_or_default().chars().take(8).collect(),
                text(risk, "band"),
                risk["score"].to_string(),
                text(risk, "component"),
                if owner.is_empty() { "(nobody)".to_owned() } else { owner },
                text(risk, "title"),
                text(risk, "fix"),
            ]
        })
        .collect();
    table(out, ["ID", "BAND", "SCORE", "COMPONENT", "OWNER", "RISK", "FIX"], &rows, [8, 12, 5, 22, 18, 52, 60])
}

/// Left-aligned columns, cut at their maximum widths.
pub fn table<const N: usize>(
    out: &mut impl Write,
    titles: [&str; N],
    rows: &[[String; N]],
    widths_max: [usize; N],
) -> io::Result<()> {
    let mut widths = titles.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (width, most) in widths.iter_mut().zip(widths_max) {
        *width = (*width).min(most);
    }
    line(out, &titles.map(str::to_owned), &widths)?;
    for row in rows {
        line(out, row, &widths)?;
    }
    Ok(())
}

fn line<const N: usize>(out: &mut impl Write, cells: &[String; N], widths: &[usize; N]) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let count = cell.chars().count();
        if count > *width {
            text.extend(cell.chars().take(width.saturating_sub(1)));
            text.push('…');
        } else {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - count));
        }
        text.push_str("  ");
    }
    writeln!(out, "{}", text.trim_end())
}

/// One risk, for reading.
pub fn risk(out: &mut impl Write, risk: &Risk) -> io::Result<()> {
    let date = |time: i64| tributary_ingest::time::format(time).chars().take(10).collect::<String>();
    let or_dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    writeln!(out, "{}\n", risk.title)?;
    let state = serde_json::to_value(risk.state)?;
    let mut rows = vec![
        ("id", risk.risk.to_string()),
        ("state", format!("{}, revision {}", state.as_str().unwrap_or_default(), risk.revision)),
        ("band", format!("{} (score {})", risk.band.name(), risk.score)),
        ("component", risk.component.clone()),
        ("owner", format!("{} (from {})", or_dash(&risk.owner.team), or_dash(&risk.owner.source))),
        ("fix", or_dash(&risk.fix.summary)),
        ("first seen", date(risk.first_seen)),
        ("due", risk.due_at.map_or("–".to_owned(), date)),
        ("ids", or_dash(&risk.vulnerability_ids.join(", "))),
        ("package", or_dash(format!("{} {}", risk.package, risk.installed_versions.join(", ")).trim())),
        ("where", or_dash(&risk.place)),
        ("environments", or_dash(&risk.environments.join(", "))),
        ("seen by", risk.tools.join(", ")),
    ];
    if !risk.suppressed_by.is_empty() {
        rows.push(("suppressed", risk.suppressed_by.clone()));
    }
    for (name, value) in rows {
        writeln!(out, "  {name:<13}{value}")?;
    }
    writeln!(out, "\n  evidence ({} of {})", risk.evidence.len(), risk.evidence_total)?;
    for evidence in &risk.evidence {
        let state = serde_json::to_value(evidence.state)?;
        let tools = evidence.tools.join(", ");
        let state = state.as_str().unwrap_or_default();
        writeln!(out, "    {} {} [{}] {}", evidence.asset, evidence.location, tools, state)?;
    }
    Ok(())
}

/// Health, for reading.
pub fn status(out: &mut impl Write, status: &Status, funnel: &Value) -> io::Result<()> {
    writeln!(out, "{}", if status.ready { "ready" } else { "not ready" })?;
    for group in &status.groups {
        writeln!(
            out,
            "  {:<8} {}",
            group.name,
            if group.lag == 0 { "up to date".to_owned() } else { format!("{} behind", group.lag) }
        )?;
    }
    let engine = match status.engine {
        Engine::Serving => format!("serving at {}", status.sql_url),
        Engine::Waiting => "not serving yet; rows wait".to_owned(),
        Engine::Absent => "absent; `make engine` fetches it".to_owned(),
    };
    writeln!(out, "  clickhouse {engine}")?;
    for (key, name) in [
        ("raw_records", "raw records"),
        ("sightings", "sightings"),
        ("findings_active", "active findings"),
        ("risks_open", "open risks"),
        ("tickets_open", "open tickets"),
        ("rejects", "rejects"),
    ] {
        writeln!(out, "  {:>10} {name}", funnel[key])?;
    }
    for problem in &status.problems {
        writeln!(out, "  ! {problem}")?;
    }
    Ok(())
}

/// Rejects, for reading.
pub fn rejects(out: &mut impl Write, rejects: &[Reject]) -> io::Result<()> {
    let rows: Vec<[String; 5]> = rejects
        .iter()
        .map(|reject| {
            let origin = &reject.origin;
            [
                tributary_ingest::time::format(reject.rejected_at),
                reject.stage.clone(),
                reject.code.clone(),
                format!("{}/{}/{}", origin.topic, origin.partition, origin.offset),
                if reject.at.is_empty() { reject.reason.clone() } else { format!("{}: {}", reject.at, reject.reason) },
            ]
        })
        .collect();
    table(out, ["AT", "BY", "REASON", "RECORD", "WHAT"], &rows, [24, 8, 20, 30, 120])
}

/// How far a scan is, for reading.
pub fn ledger(out: &mut impl Write, scan: &str, lines: &[Line]) -> io::Result<()> {
    writeln!(out)?;
    if lines.is_empty() {
        return writeln!(out, "scan {scan}: not known; it was not received, or its report was rejected");
    }
    let mark = |is_so: bool| if is_so { "yes" } else { "not yet" }.to_owned();
    let rows: Vec<[String; 8]> = lines
        .iter()
        .map(|line| {
            let state = serde_json::to_value(line.state).ok();
            let state = state.as_ref().and_then(Value::as_str).unwrap_or_default();
            [
                line.asset.clone(),
                line.tool.clone(),
                if line.expected == 0 { "?".to_owned() } else { line.expected.to_string() },
                line.received.to_string(),
                mark(line.tracked),
                mark(line.assessed),
                mark(line.stored),
                state.to_owned(),
            ]
        })
        .collect();
    let titles = ["SCAN OF", "BY", "EXPECTED", "RECEIVED", "TRACKED", "ASSESSED", "STORED", "STATE"];
    table(out, titles, &rows, [60, 16, 8, 8, 8, 8, 8, 10])
}
