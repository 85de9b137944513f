//! TruffleHog JSON lines: credentials in repositories, images, buckets and file systems, each tried against its provider
//! where that is possible. `Raw` becomes an HMAC; `RawV2`, which joins several values, and `Redacted` are not read.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Sighting};
use tributary_model::{asset, path};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{Entries, Flag, Number, Object, Text, first};
use crate::normalize::{secret_of, title};
use crate::report::Report;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Line<'a> {
    #[serde(borrow)]
    source_metadata: Object<SourceMetadata<'a>>,
    #[serde(borrow)]
    detector_name: Text<'a>,
    #[serde(borrow)]
    detector_description: Text<'a>,
    verified: Flag,
    #[serde(borrow)]
    raw: Text<'a>,
    /// Only on lines of its log, which share the stream.
    #[serde(rename = "logger", borrow)]
    logger: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SourceMetadata<'a> {
    /// One entry, named after the source: `Git`, `Github`, `Docker`, `Filesystem`, `S3` …
    #[serde(rename = "Data", borrow)]
    data: Entries<'a, Object<Place<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow)]
    repository: Text<'a>,
    #[serde(borrow)]
    file: Text<'a>,
    line: Number,
    #[serde(borrow)]
    image: Text<'a>,
    #[serde(borrow)]
    tag: Text<'a>,
    #[serde(borrow)]
    bucket: Text<'a>,
}

/// One report per repository, image or bucket.
///
/// # Errors
/// A line that is not JSON or not TruffleHog's, no line at all, or nothing says what was scanned.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut by_asset: BTreeMap<String, Vec<Sighting>> = BTreeMap::new();
    let mut lines = serde_json::Deserializer::from_slice(input.body).into_iter::<Line<'_>>();
    let mut has_log = false;
    while let Some(line) = lines.next() {
        let line = line.map_err(|error| Rejection::json("TruffleHog", &error))?;
        if line.detector_name.is_empty() {
            if line.logger.is_empty() {
                let at = format!("byte {}", lines.byte_offset());
                return Err(Rejection::at(
                    code::MALFORMED,
                    "a line is no TruffleHog result: it has no DetectorName",
                    at,
                ));
            }
            has_log = true;
            continue;
        }
        let none = Object::default();
        let place = line.source_metadata.data.0.first().map_or(&none, |(_, place)| place);
        by_asset.entry(asset_of_place(input, place)?).or_default().push(sighting(input, &line, place));
    }
    if by_asset.is_empty() {
        if !has_log {
            let reason = "it is empty: TruffleHog prints nothing when it finds nothing; send its log lines with it, or `[]` as Gitleaks JSON";
            return Err(Rejection::new(code::EMPTY, reason));
        }
        by_asset.insert(asset_of::choose(input, Subject::Repository, None)?, Vec::new());
    }
    let reports = by_asset.into_iter().map(|(asset, sightings)| Report {
        asset,
        tool: "trufflehog".to_owned(),
        classes: vec![FindingClass::Secret],
        sightings,
        ..Report::default()
    });
    Ok(Events { reports: reports.collect(), ..Events::default() })
}

fn asset_of_place(input: &Input<'_>, place: &Place<'_>) -> Result<String, Rejection> {
    if let Some(image) = place.image.given() {
        let separator = if place.tag.starts_with("sha256:") { '@' } else { ':' };
        let reference =
            if place.tag.is_empty() { image.to_owned() } else { format!("{image}{separator}{}", &*place.tag) };
        return asset_of::choose(input, Subject::Image, asset::image(&reference));
    }
    let bucket = || place.bucket.given().map(|bucket| format!("other:s3/{bucket}"));
    let reported = asset::repository(&place.repository, asset_of::branch(input, "")).or_else(bucket);
    asset_of::choose(input, Subject::Repository, reported)
}

fn sighting(input: &Input<'_>, line: &Line<'_>, place: &Place<'_>) -> Sighting {
    let start_line = place.line.line();
    let verified = line.verified.0;
    Sighting {
        class: FindingClass::Secret,
        rule: line.detector_name.to_string(),
        title: title::line(first([&*line.detector_description, &*line.detector_name])),
        severity: if verified { Severity::Critical } else { Severity::Medium },
        confidence: if verified { Severity::High } else { Severity::Unknown },
        location: Some(Location {
            path: path::canonical(&place.file),
            start_line,
            end_line: start_line,
            ..Location::default()
        }),
        secret: Some(secret_of::of(input, &line.raw, &line.detector_name, verified)),
        ..Sighting::default()
    }
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::format::Format::{Gitleaks, Trufflehog};
    use crate::normalize::fixture;

    const LINES: &str = include_str!("../../tests/fixtures/trufflehog/lines.jsonl");

    #[test]
    fn one_report_per_place_and_verified_is_critical() {
        let events = fixture::normalize(Trufflehog, LINES.as_bytes(), &Extensions::default()).unwrap();
        let assets: Vec<_> = events.reports.iter().map(|r| (r.asset.as_str(), r.sightings.len())).collect();
        assert_eq!(assets, [("image:r.example/shop:1", 1), ("repo:github.com/acme/shop#", 1)]);
        let found = &events.reports[1].sightings[0];
        let secret = found.secret.as_ref().unwrap();
        assert!(secret.verified);
        assert_eq!((secret.family.as_str(), found.severity), ("aws-access-key", Severity::Critical));
        assert_eq!(found.location.as_ref().unwrap().start_line, 11);
    }

    #[test]
    fn gitleaks_and_trufflehog_agree_on_the_secret() {
        let leak = r#"[{"RuleID":"aws-access-token","Secret":"AKIAFAKEFIXTUREKEY02","File":"other.env"}]"#;
        let theirs = fixture::report(Gitleaks, leak, &fixture::repository()).sightings.remove(0).secret.unwrap();
        let events = fixture::normalize(Trufflehog, LINES.as_bytes(), &Extensions::default()).unwrap();
        let ours = events.reports[1].sightings[0].secret.clone().unwrap();
        assert_eq!((ours.hmac, ours.family), (theirs.hmac, theirs.family));
    }

    #[test]
    fn a_clean_scan_needs_its_log() {
        let log = r#"{"level":"info-0","ts":"2026-11-06T09:30:00Z","logger":"trufflehog","msg":"finished scanning"}"#;
        assert_eq!(fixture::report(Trufflehog, log, &fixture::repository()).sightings.len(), 0);
        let reject =
            |body: &str| fixture::normalize(Trufflehog, body.as_bytes(), &fixture::repository()).unwrap_err().code;
        assert_eq!((reject("\n"), reject("{}")), (code::EMPTY, code::MALFORMED));
        assert_eq!(reject(&LINES[..LINES.len() / 2]), code::TRUNCATED);
    }

    #[test]
    fn no_secret_gets_out_and_no_input_panics() {
        fixture::survives(Trufflehog, LINES, &["FAKEFIXTUREKEY", "fakeFixtureSecret"]);
    }
}
