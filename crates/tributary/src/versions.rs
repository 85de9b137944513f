//! The versions in force: what this build can do, and putting something else in force.

use anyhow::bail;
use bytes::Bytes;
use tributary_correlate::assess::decide::Model;
use tributary_model::id::IDENTITY_VERSION;
use tributary_model::time::Millis;
use tributary_model::versions::{Implemented, KEY, Versions};
use tributary_model::{AvroRecord, Topic};
use tributary_stream::Output;
use tributary_stream::broadcast::InForce;
use tributary_stream::log::Producer;

use crate::config::VersionsConfig;

/// What this build can do.
pub const IMPLEMENTED: Implemented = Implemented { identities: &[IDENTITY_VERSION], models: &Model::NAMES };

/// What it may do: all that it can, or what the configuration leaves of it.
pub fn implemented(config: &VersionsConfig) -> Implemented {
    let may = |name: &&'static str| config.known_models.is_empty() || config.known_models.iter().any(|may| may == name);
    let models: Vec<&'static str> = IMPLEMENTED.models.iter().copied().filter(may).collect();
    // Once a process.
    Implemented { models: models.leak(), ..IMPLEMENTED }
}

/// What would be in force with this model, if this build can do that.
pub fn with_model(in_force: &InForce, model: &str, by: &str, now: Millis) -> anyhow::Result<Versions> {
    let InForce::Known(versions) = in_force else {
        bail!("the versions in force were written by a newer build: use that one");
    };
    let wanted = Versions {
        model: model.to_owned(),
        activated_at: now,
        activated_by: by.to_owned(),
        ..Versions::clone(versions)
    };
    match IMPLEMENTED.obstacle(&wanted) {
        Some(_) => bail!("model {model:?}: this build knows {}", IMPLEMENTED.models.join(", ")),
        None => Ok(wanted),
    }
}

/// Puts them in force.
pub fn put_in_force(producer: &dyn Producer, versions: &Versions) -> anyhow::Result<()> {
    let (topic, key) = (Topic::Versions, KEY.to_owned());
    let value = Some(Bytes::from(versions.encode()?));
    producer.append(vec![Output { topic, partition_key: key.clone(), key: key.into(), value, headers: Vec::new() }])?;
    Ok(())
}
