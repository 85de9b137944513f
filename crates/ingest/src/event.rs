//! The boundary of INGEST: what goes into a normaliser and what comes out.

use tributary_model::fact::Fact;
use tributary_model::observation::{InventoryItem, RuntimeUse};
use tributary_model::record::Extensions;
use tributary_model::reject::Origin;
use tributary_model::time::Millis;

use crate::report::Report;

/// A raw record on its way through a normaliser. Borrowed: a normaliser keeps nothing.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The bytes, decompressed.
    pub body: &'a [u8],
    /// What the producer said beside them.
    pub ext: &'a Extensions,
    /// Coordinates of the record.
    pub origin: &'a Origin,
    /// Turns secrets into keyed HMACs at parse.
    pub secrets: &'a dyn SecretHasher,
}

impl Input<'_> {
    /// Event time when the report itself has none: the producer's, else the time of receipt.
    #[must_use]
    pub fn default_time(&self) -> Millis {
        self.ext.time.unwrap_or(self.ext.received_at)
    }
}

/// Keyed HMAC of secrets. A trait so that normalisers cannot hold a key.
pub trait SecretHasher: Sync {
    /// Keyed HMAC-SHA-256 of the secret, hex.
    fn hmac(&self, secret: &str) -> String;
    /// Which key made it.
    fn key_id(&self) -> &str;
}

/// Use at run time of one asset.
#[derive(Debug, Clone, PartialEq)]
pub struct RuntimeReport {
    /// Asset key: the image digest where known, else the workload.
    pub asset: String,
    /// Tool name.
    pub tool: String,
    /// Event time.
    pub observed_at: Millis,
    /// What was used.
    pub uses: Vec<RuntimeUse>,
}

/// An inventory of one asset.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryReport {
    /// Asset key.
    pub asset: String,
    /// Tool name.
    pub tool: String,
    /// Event time.
    pub observed_at: Millis,
    /// Its packages.
    pub items: Vec<InventoryItem>,
}

/// Everything one raw record says. Empty is not allowed: a normaliser that finds nothing returns a [`Rejection`]
/// (or, for a clean scan, a [`Report`] with no sightings).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Events {
    /// Claims about entities.
    pub facts: Vec<Fact>,
    /// Scans, one per covered asset, also with zero sightings.
    pub reports: Vec<Report>,
    /// Use at run time.
    pub runtime: Vec<RuntimeReport>,
    /// Inventories.
    pub inventories: Vec<InventoryReport>,
}

impl Events {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.reports.is_empty() && self.runtime.is_empty() && self.inventories.is_empty()
    }
}

/// Why a record yields no event. Becomes a [`tributary_model::reject::Reject`]; must not quote input that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", if at.is_empty() { String::new() } else { format!(" (at {at})") })]
pub struct Rejection {
    /// Short machine-readable reason; one of the constants in [`code`].
    pub code: &'static str,
    /// One sentence a person can act on, naming the fix.
    pub reason: String,
    /// Where in the input.
    pub at: String,
}

impl Rejection {
    /// A rejection of the whole input.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), at: String::new() }
    }

    /// A rejection at a place.
    pub fn at(code: &'static str, reason: impl Into<String>, at: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), at: at.into() }
    }

    /// A JSON error of a typed parse: truncated, wrong type, too deep; with line and column.
    #[must_use]
    pub fn json(format: &str, error: &serde_json::Error) -> Self {
        let at = format!("line {} column {}", error.line(), error.column());
        if error.is_eof() {
            return Self::at(
                code::TRUNCATED,
                format!("the {format} report ends in the middle: send the whole file"),
                at,
            );
        }
        if error.is_syntax() && error.to_string().starts_with("recursion limit") {
            return Self::at(code::TOO_DEEP, format!("the {format} report nests deeper than 128 levels"), at);
        }
        let kind = if error.is_data() { "has another shape than the format" } else { "is not valid JSON" };
        Self::at(code::MALFORMED, format!("the {format} report {kind}"), at)
    }
}

/// Reject codes. Documented in docs/rejects.md; stable.
pub mod code {
    #![allow(missing_docs)]
    pub const EMPTY: &str = "empty";
    pub const TRUNCATED: &str = "truncated";
    pub const MALFORMED: &str = "malformed";
    pub const TOO_DEEP: &str = "too_deep";
    pub const TOO_LARGE: &str = "too_large";
    pub const ENCODING: &str = "encoding";
    pub const UNKNOWN_FORMAT: &str = "unknown_format";
    pub const UNSUPPORTED_VERSION: &str = "unsupported_version";
    pub const NO_ASSET: &str = "no_asset";
    pub const NOTHING_IN_IT: &str = "nothing_in_it";
    pub const NOT_GRANTED: &str = "not_granted";
    /// A fault of Tributary itself; never of the input.
    pub const INTERNAL: &str = "internal";
}
