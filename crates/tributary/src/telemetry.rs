//! Logs on stderr and metrics in a recorder; both set up once, before anything runs.

use std::io::IsTerminal;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::config::Log;

/// Starts logging: text for a terminal, JSON lines elsewhere, unless configured.
pub fn logs(config: &Log, level: Option<&str>) -> anyhow::Result<()> {
    let level = level.unwrap_or(&config.level);
    let filter = EnvFilter::try_new(level).with_context(|| format!("log level {level:?} is not understood"))?;
    let format =
        config.format.unwrap_or(if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_target(false).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// Starts recording metrics; the handle renders them for `/metrics`.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().context("cannot start metrics")
}
