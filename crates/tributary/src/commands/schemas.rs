//! `schemas apply`: the schemas of the topics in a schema registry, as they should be.

use std::io::Write;

use anyhow::{Context, bail};
use tributary_stream::kafka::{SchemaStep, plan_schemas, register_schemas};

use crate::config::Config;

/// Registers what is missing, or says what would be. Nothing at all is done while anything is refused.
pub fn apply(dry_run: bool, config: &Config) -> anyhow::Result<u8> {
    let kafka = &config.kafka;
    if !kafka.schema_registry.is_configured() {
        bail!(
            "kafka.schema_registry.url is not configured: without a registry there is nothing to register; set \
             TRIBUTARY__KAFKA__SCHEMA_REGISTRY__URL"
        );
    }
    kafka.schema_registry.check().map_err(anyhow::Error::msg).context("[kafka]")?;
    let steps = plan_schemas(kafka)?;
    let is_refused = steps.iter().any(|step| matches!(step, SchemaStep::Refused(..)));
    let mut out = std::io::stdout().lock();
    if steps.is_empty() {
        writeln!(out, "nothing to do: every schema of this build is registered")?;
    }
    if dry_run || is_refused {
        for step in &steps {
            writeln!(out, "{}{step}", if matches!(step, SchemaStep::Refused(..)) { "" } else { "would " })?;
        }
    } else {
        for (subject, id) in register_schemas(kafka, &steps)? {
            writeln!(out, "registered {subject}: id {id}")?;
        }
    }
    if is_refused {
        writeln!(out, "nothing was done")?;
    }
    Ok(u8::from(is_refused))
}
