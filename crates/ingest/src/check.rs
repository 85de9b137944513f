//! The dry run: what would be taken in from a file, and what rejected and why. Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use tributary_model::record::{Extensions, RawClass};
use tributary_model::reject::Origin;

use crate::detect;
use crate::event::Rejection;
use crate::format::Format;
use crate::pipeline::{Canonical, Context, RawRecord, ingest_total};
use crate::plain;

/// One line of `tributary check --json`. The field names are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The file as named by the caller.
    pub file: String,
    /// Detected or declared format; `null` when none.
    pub format: Option<&'static str>,
    /// Class it would be sent as.
    pub class: Option<&'static str>,
    /// Asset that is covered; several are separated by `, `; `null` when there is none.
    pub asset: Option<String>,
    /// Sightings that would be taken in.
    pub sightings: usize,
    /// Facts that would be taken in.
    pub facts: usize,
    /// What would be rejected.
    pub rejects: Vec<CheckReject>,
}

/// Why a file would be rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReject {
    /// Code and sentence: `no_asset: the report does not …`.
    pub reason: String,
    /// Where in the file; empty when it is the whole.
    pub at: String,
}

/// Detects the format of a body; the body may be compressed or UTF-16.
///
/// # Errors
/// As [`detect::detect`].
pub fn format_of(
    body: &[u8],
    ext: &Extensions,
    class: Option<RawClass>,
    context: &Context<'_>,
) -> Result<Format, Rejection> {
    detect::of_text(&plain::text(body, context.body_bytes_max)?, ext, class)
}

/// Checks one file. Without a class, that of its format is taken. `ext.format` should come from the file's name
/// ([`detect::of_file_name`]) where nobody declared it.
#[must_use]
pub fn check(file: &str, body: &Bytes, ext: &Extensions, class: Option<RawClass>, context: &Context<'_>) -> Check {
    let format = format_of(body, ext, class, context);
    let class = class.or_else(|| format.as_ref().ok().map(|format| format.class()));
    let mut line = Check {
        file: file.to_owned(),
        format: format.as_ref().ok().map(|format| format.name()),
        class: class.map(RawClass::name),
        asset: None,
        sightings: 0,
        facts: 0,
        rejects: Vec::new(),
    };
    let class = match (format, class) {
        (Err(rejection), _) => {
            line.reject(rejection.code, &rejection.reason, &rejection.at);
            return line;
        }
        (Ok(format), class) => class.unwrap_or(format.class()),
    };
    let origin = Origin { topic: class.topic().name().to_owned(), partition: 0, offset: 0 };
    let record = RawRecord { body: body.clone(), ext: ext.clone(), class, origin };
    line.count(&ingest_total(&record, context));
    line
}

impl Check {
    fn count(&mut self, records: &[Canonical]) {
        let mut assets = BTreeSet::new();
        for record in records {
            match record {
                Canonical::Fact(_) => self.facts += 1,
                Canonical::Observation(observation) => {
                    self.sightings += observation.sightings.len();
                    assets.insert(observation.asset.as_str());
                }
                Canonical::Reject(reject) => self.reject(&reject.code, &reject.reason, &reject.at),
            }
        }
        let assets: Vec<&str> = assets.into_iter().collect();
        self.asset = (!assets.is_empty()).then(|| assets.join(", "));
    }

    fn reject(&mut self, code: &str, reason: &str, at: &str) {
        self.rejects.push(CheckReject { reason: format!("{code}: {reason}"), at: at.to_owned() });
    }
}
