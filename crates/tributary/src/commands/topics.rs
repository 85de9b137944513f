//! `topics apply`: the topics of the log on Kafka, as they should be.

use std::io::Write;

use anyhow::bail;
use tributary_model::Topic;
use tributary_stream::kafka::{Step, configure_topics, create_topics, plan, topic_states};

use crate::config::Config;

/// Makes and sets what is to be, or says what would be. Nothing at all is done while anything is refused: a half-applied
/// change of partitions would be worse than none.
pub fn apply(dry_run: bool, config: &Config) -> anyhow::Result<u8> {
    if config.kafka.brokers.is_empty() {
        bail!(
            "kafka.brokers is not configured: `tributary up` keeps its own log; set TRIBUTARY__KAFKA__BROKERS for a cluster"
        );
    }
    let kafka = &config.kafka;
    let steps = plan(config.topics.specs(kafka), &topic_states(kafka, &Topic::ALL)?);
    let is_refused = steps.iter().any(|step| matches!(step, Step::Refused(..)));
    let mut out = std::io::stdout().lock();
    if steps.is_empty() {
        writeln!(out, "nothing to do: every topic is as it should be")?;
    }
    if !dry_run && !is_refused {
        let made = steps.iter().filter_map(|step| match step {
            Step::Make(spec) => Some(spec.clone()),
            _ => None,
        });
        create_topics(kafka, &made.collect::<Vec<_>>())?;
        let set = steps.iter().filter_map(|step| match step {
            Step::Set { topic, config, .. } => Some((*topic, config.clone())),
            _ => None,
        });
        configure_topics(kafka, &set.collect::<Vec<_>>())?;
    }
    let would = if dry_run || is_refused { "would " } else { "" };
    for step in &steps {
        let would = if matches!(step, Step::Make(_) | Step::Set { .. }) { would } else { "" };
        writeln!(out, "{would}{step}")?;
    }
    if is_refused {
        writeln!(out, "nothing was done")?;
    }
    let is_as_it_should_be = steps.iter().all(|step| matches!(step, Step::Make(_) | Step::Set { .. }));
    Ok(u8::from(!is_as_it_should_be))
}
