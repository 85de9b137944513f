//! `demo`: the sample company through the whole pipeline, day by day; then the funnel and what to fix first.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tributary_ingest::grant::{GrantConfig, Grants, Unlisted};
use tributary_model::severity::Band;
use tributary_model::time::{DAY, Millis};
use tributary_stream::Clock;
use tributary_stream::clock::ManualClock;
use tributary_stream::stage_loop::PipelineSettings;

use crate::cli::DemoArgs;
use crate::client::agent;
use crate::config::Config;
use crate::engine::{self, Analytics, Source};
use crate::estate::{self, Estate};
use crate::print;
use crate::river::River;
use crate::versions;
use crate::view::Funnel;

/// Risks in the list: what a team can look at before its first coffee is cold.
const FIX_FIRST: usize = 12;
/// Longest that one day of the estate may take: far beyond a slow laptop, so that a hang is an error and not for ever.
const DAY_WAIT: Duration = Duration::from_secs(120);

/// Runs the demo.
pub fn run(args: &DemoArgs, config: &Config) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let estate = estate::load()?;
    let (directory, _guard) = directory(args)?;
    let clock = ManualClock::at(estate.records.first().and_then(|record| record.ext.time).unwrap_or(estate.as_of));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let grants = Arc::new(grants(&estate)?);
    let settings = PipelineSettings { workers: 1, implemented: versions::IMPLEMENTED, snapshots: None };
    let river = River::start(&directory, grants, 64 << 20, "", &settings, &shared)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (analytics, absent) = analytics(args, config, &directory, &river, &shared, &runtime)?;
    play(&estate, &river, &clock)?;
    let funnel = river.health.status().funnel;
    let elapsed = begun.elapsed();
    let sql_url = analytics.as_ref().filter(|_| args.serve).map(|analytics| analytics.url.clone());
    if args.json {
        print_json(&river, &funnel, elapsed, sql_url.as_deref())?;
    } else {
        print_page(&river, &funnel, elapsed, &estate)?;
        print_sql(analytics.as_ref(), absent.as_deref())?;
        print_next(args)?;
    }
    if args.serve {
        super::up::serve(&runtime, &river, config, None)?;
    }
    if let Some(analytics) = analytics {
        analytics.stop();
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    river.stop();
    Ok(0)
}

fn directory(args: &DemoArgs) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(directory) = &args.data {
        if directory.exists() && directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty: the demo wants a directory of its own", directory.display());
        }
        return Ok((directory.clone(), None));
    }
    let temporary =
        tempfile::Builder::new().prefix("tributary-demo-").tempdir().context("cannot make a temporary directory")?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn grants(estate: &Estate) -> anyhow::Result<Grants> {
    let configs: Vec<GrantConfig> = serde_json::from_value(json!(
        estate
            .grants
            .iter()
            .map(|grant| json!({"name": grant.name, "assets": grant.assets, "classes": grant.classes, "verbs": grant.verbs}))
            .collect::<Vec<_>>()
    ))
    .context("the estate's grants")?;
    Ok(Grants::new(&configs, Unlisted::Everything)?)
}

/// The engine, or the reason why it is not used.
fn analytics(
    args: &DemoArgs,
    config: &Config,
    directory: &std::path::Path,
    river: &River,
    clock: &Arc<dyn Clock>,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<(Option<Analytics>, Option<String>)> {
    if args.no_engine {
        return Ok((None, Some("not wanted (--no-engine)".to_owned())));
    }
    let library = match engine::library(&config.clickhouse) {
        Ok(library) => library,
        Err(reason) => return Ok((None, Some(reason))),
    };
    let mut clickhouse = config.clickhouse.clone();
    if !args.serve {
        // Nobody is told the address, so any free port will do, and a running `up` is not in the way.
        "127.0.0.1:0".clone_into(&mut clickhouse.listen);
    }
    let source = Source {
        log: Arc::clone(&river.log),
        clock: Arc::clone(clock),
        health: river.health.clone(),
        runtime: runtime.handle().clone(),
    };
    Ok((Some(Analytics::bundled(&clickhouse, library, directory, source)?), None))
}

/// Lets the estate's days pass: each day's records arrive at once, and are done before the next day begins.
fn play(estate: &Estate, river: &River, clock: &ManualClock) -> anyhow::Result<()> {
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} reports, {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(estate.records.len() as u64).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let mut today: Option<Millis> = None;
    for record in &estate.records {
        let time = record.ext.time.unwrap_or(estate.as_of);
        let day = time.div_euclid(DAY);
        if today.is_some_and(|today| day > today) {
            river.wait_stages(DAY_WAIT)?;
        }
        if today.is_none_or(|today| day > today) {
            today = Some(day);
            bar.set_message(tributary_ingest::time::format(time).chars().take(10).collect::<String>());
        }
        // Late records do not turn the clock back.
        clock.set(clock.now().max(time));
        river.append(record.class, &record.ext, record.body.clone())?;
        bar.inc(1);
    }
    river.wait_stages(DAY_WAIT)?;
    clock.set(estate.as_of);
    river.ring();
    river.wait_idle(DAY_WAIT)?;
    bar.finish_and_clear();
    Ok(())
}

fn print_json(river: &River, funnel: &Funnel, elapsed: Duration, sql_url: Option<&str>) -> anyhow::Result<()> {
    let object = json!({
        "raw_records": funnel.raw_records,
        "sightings": funnel.sightings,
        "findings_active": funnel.findings_active,
        "risks_open": funnel.risks_open,
        "by_band": funnel.by_band,
        "tickets_open": funnel.tickets_open,
        "rejects": funnel.rejects,
        "fix_first": river.view.top(FIX_FIRST, |_| true),
        "coverage_gaps": river.view.gaps(),
        "elapsed_ms": elapsed.as_millis() as u64,
        "sql_url": sql_url,
    });
    writeln!(std::io::stdout().lock(), "{object}")?;
    Ok(())
}

fn print_page(river: &River, funnel: &Funnel, elapsed: Duration, estate: &Estate) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let as_of: String = tributary_ingest::time::format(estate.as_of).chars().take(10).collect();
    writeln!(out, "Larkspur Ferries, an invented company, as of {as_of}\n")?;
    let band = |band: Band| funnel.by_band.get(band.name()).copied().unwrap_or(0);
    for (count, what) in [
        (funnel.raw_records, "raw records from scanners, CI/CD, clusters, sensors, catalogue and feeds"),
        (funnel.sightings, "sightings: what the tools claimed"),
        (funnel.findings_active, "active findings: the same claim about the same asset once"),
        (funnel.risks_open, "open risks: one per problem and component, whoever saw it wherever"),
        (band(Band::Immediate), "immediate"),
        (funnel.tickets_open, "tickets: one per fix"),
    ] {
        writeln!(out, "{count:>7}  {what}")?;
    }
    writeln!(
        out,
        "\n         {} immediate · {} out of cycle · {} scheduled · {} defer · {} records rejected · {:.1} s\n",
        band(Band::Immediate),
        band(Band::OutOfCycle),
        band(Band::Scheduled),
        band(Band::Defer),
        funnel.rejects,
        elapsed.as_secs_f64()
    )?;
    writeln!(out, "Fix first")?;
    let top: Vec<serde_json::Value> =
        river.view.top(FIX_FIRST, |_| true).iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    print::risks(&mut out, &top)?;
    let gaps = river.view.gaps();
    if !gaps.is_empty() {
        writeln!(out, "\nWhat nobody scans")?;
        for gap in gaps.iter().take(5) {
            writeln!(out, "  {:<22} not for {}", gap.component, gap.missing.join(", "))?;
        }
        if gaps.len() > 5 {
            writeln!(out, "  and {} more", gaps.len() - 5)?;
        }
    }
    Ok(())
}

/// The same answer from ClickHouse, as an analyst would ask for it.
fn print_sql(analytics: Option<&Analytics>, absent: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Some(analytics) = analytics else {
        let reason = absent.unwrap_or_default();
        writeln!(out, "\nWithout the ClickHouse engine there is no SQL here: {reason}")?;
        writeln!(
            out,
            "It would add: every table and view of schemas/clickhouse over HTTP, for curl, Grafana and notebooks."
        )?;
        return Ok(());
    };
    let sql = "SELECT owner, risks_open, immediate, out_of_cycle, scheduled, defer, components FROM by_owner LIMIT 8";
    writeln!(out, "\nBy owner, asked of ClickHouse: {sql}")?;
    let url = format!("{}/?default_format=PrettyCompactMonoBlock", analytics.url);
    let response = agent().post(&url).header("X-ClickHouse-User", "analyst").send(sql.as_bytes())?;
    let text = response.into_body().read_to_string()?;
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}

fn print_next(args: &DemoArgs) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if args.serve {
        writeln!(out, "\nServing until interrupted (Ctrl-C).")?;
        return Ok(());
    }
    writeln!(out, "\nTry next")?;
    writeln!(out, "  tributary demo --serve            the same, then a page and SQL to look around in")?;
    writeln!(out, "  tributary up                      your own: post reports to it, data stays under ./data")?;
    writeln!(out, "  tributary check REPORT…           what Tributary would make of a report of yours")?;
    Ok(())
}
