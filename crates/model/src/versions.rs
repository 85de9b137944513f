//! Which versions of identity and model are in force. They are a record on the log and no property of a binary: two builds
//! that run side by side during an upgrade name and judge everything alike, because both read here how.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::id::IDENTITY_VERSION;
use crate::time::Millis;

/// Key of the one record of the topic `versions`.
pub const KEY: &str = "versions";

/// What is in force while nobody has ever activated anything. Fixed for all releases: a newer build that preferred its newest
/// model would judge otherwise than the older one beside it.
pub const FIRST_MODEL: &str = "tributary-1";

/// The versions in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
#[serde(default)]
pub struct Versions {
    /// How ids are made ([`crate::id`]).
    pub identity: String,
    /// How risks are judged: name of a decision model.
    pub model: String,
    /// Processing time of the activation; 0 if there was none.
    pub activated_at: Millis,
    /// Who activated it, as they named themselves.
    pub activated_by: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            identity: IDENTITY_VERSION.to_owned(),
            model: FIRST_MODEL.to_owned(),
            activated_at: 0,
            activated_by: String::new(),
        }
    }
}

/// What a build can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Implemented {
    /// Identity versions.
    pub identities: &'static [&'static str],
    /// Decision models.
    pub models: &'static [&'static str],
}

impl Implemented {
    /// Why a build that can do so much must not work while these are in force, and what to do; `None` if it may.
    #[must_use]
    pub fn obstacle(&self, versions: &Versions) -> Option<String> {
        let lacks = |what: &str, wanted: &str, has: &[&str]| {
            (!has.contains(&wanted)).then(|| {
                format!(
                    "the {what} {wanted} is in force and this build knows {} only: upgrade it, or put one of those in force",
                    has.join(", ")
                )
            })
        };
        lacks("identity", &versions.identity, self.identities).or_else(|| lacks("model", &versions.model, self.models))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_works_only_with_what_it_knows() {
        let build = Implemented { identities: &["kv1"], models: &["tributary-1", "bod-26-04"] };
        assert_eq!(build.obstacle(&Versions::default()), None, "nothing was ever activated");
        let newer = Versions { model: "tributary-2".into(), ..Versions::default() };
        let obstacle = build.obstacle(&newer).unwrap();
        assert!(obstacle.contains("model tributary-2") && obstacle.contains("tributary-1, bod-26-04"), "{obstacle}");
        let renamed = Versions { identity: "kv2".into(), ..newer };
        assert!(build.obstacle(&renamed).unwrap().contains("identity kv2"));
    }

    #[test]
    fn what_is_in_force_by_itself_never_changes() {
        let Versions { identity, model, .. } = Versions::default();
        assert_eq!((identity.as_str(), model.as_str()), ("kv1", "tributary-1"));
    }
}
