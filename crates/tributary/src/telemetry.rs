//! Logs on stderr and metrics in a recorder; both set up once, before anything runs.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::config::Log;

/// Starts logging: text for a terminal, JSON lines elsewhere, unless configured.
pub fn logs(config: &Log, level: Option<&str>) -> anyhow::Result<()> {
    let level = level.unwrap_or(&config.level);
    let filter =
        EnvFilter::try_new(directives(level)).with_context(|| format!("log level {level:?} is not understood"))?;
    let format =
        config.format.unwrap_or(if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_target(false).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// A bare level is about us: what libraries say at `info` (the store's files, connections) drowns what an operator looks
/// for. `debug` and `trace` are for those who want everything, and a filter with modules is taken as it is.
fn directives(level: &str) -> String {
    match level.trim().to_ascii_lowercase().as_str() {
        ours @ ("info" | "warn") => {
            let crates = ["", "_chdb", "_correlate", "_ingest", "_model", "_sink", "_stream"];
            let ours: Vec<String> = crates.iter().map(|name| format!("tributary{name}={ours}")).collect();
            format!("warn,{}", ours.join(","))
        }
        other => other.to_owned(),
    }
}

/// How often what was observed is folded into its summaries, if nobody asks for `/metrics`: unfolded it would only grow.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Starts recording metrics; the handle renders them for `/metrics`.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().context("cannot start metrics")?;
    let upkeep = handle.clone();
    let work = move || loop {
        std::thread::sleep(UPKEEP_EVERY);
        upkeep.run_upkeep();
    };
    std::thread::Builder::new().name("metrics".to_owned()).spawn(work).context("cannot start a thread")?;
    Ok(handle)
}
