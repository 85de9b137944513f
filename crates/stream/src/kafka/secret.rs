//! A text that must never be shown: passwords and keys of the configuration.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret. It can be read and used, but neither printed nor written: `Debug` and `Serialize` give a placeholder, so that no
/// log line, error text or dump of the configuration carries it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands for a secret wherever one would be shown.
const HIDDEN: &str = "…";

impl Secret {
    /// Whether none is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, for the one place that hands it to the client.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { HIDDEN })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "…");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"…\"");
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(serde_json::from_str::<Secret>("\"hunter2\"").unwrap(), secret);
    }
}
