//! Prowler CSV (`;` between cells, one row per check and resource, versions 3 to 5).

use tributary_model::asset;

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::posture::{Outcome, Posture, Row};
use crate::normalize::{lenient, workload_name};
use crate::time;

/// One report per account or cluster.
///
/// # Errors
/// Not Prowler's columns, a broken row, or nothing says which account was looked at.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').flexible(true).from_reader(input.body);
    let headers = reader.headers().map_err(|error| malformed(&error))?.clone();
    let columns = Columns::of(&headers)?;
    let mut posture = Posture::default();
    let mut version = String::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| malformed(&error))? {
        if record.len() < headers.len() {
            let at = record.position().map_or_else(String::new, |position| format!("line {}", position.line()));
            return Err(Rejection::at(
                code::TRUNCATED,
                "a row of the Prowler CSV has too few cells: send the whole file",
                at,
            ));
        }
        let cell = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or_default().trim();
        let row = Row {
            rule: cell(columns.check),
            title: cell(columns.title),
            severity: cell(columns.severity),
            resource: lenient::first([cell(columns.resource), cell(columns.resource_name)]),
            outcome: Outcome::parse(cell(columns.status)),
            is_muted: cell(columns.muted).eq_ignore_ascii_case("true"),
            time: time::parse(cell(columns.time)),
        };
        cell(columns.version).clone_into(&mut version);
        let reported = account(input, cell(columns.provider), cell(columns.account));
        posture.add(asset_of::choose(input, Subject::Running, reported)?, &row);
    }
    if posture.is_empty() {
        return Err(Rejection::new(code::NOTHING_IN_IT, "the Prowler CSV has a header and no row: no check ran"));
    }
    Ok(Events { reports: posture.into_reports("prowler", &version), ..Events::default() })
}

/// The account that a row is about; a cluster is named by the producer, since its context is called anything.
pub fn account(input: &Input<'_>, provider: &str, account: &str) -> Option<String> {
    match provider.trim().to_ascii_lowercase().as_str() {
        "kubernetes" => Some(asset_of::cluster(&workload_name::cluster(input, Some(account)))),
        "" => None,
        provider => (!account.trim().is_empty()).then(|| asset::cloud(provider, account)),
    }
}

fn malformed(error: &csv::Error) -> Rejection {
    let at = error.position().map_or_else(String::new, |position| format!("line {}", position.line()));
    Rejection::at(code::MALFORMED, "the Prowler CSV cannot be read", at)
}

/// Where the columns are; names differ between versions.
struct Columns {
    provider: Option<usize>,
    account: Option<usize>,
    check: Option<usize>,
    title: Option<usize>,
    status: Option<usize>,
    muted: Option<usize>,
    severity: Option<usize>,
    resource: Option<usize>,
    resource_name: Option<usize>,
    time: Option<usize>,
    version: Option<usize>,
}

impl Columns {
    fn of(headers: &csv::StringRecord) -> Result<Self, Rejection> {
        let find = |names: &[&str]| {
            names.iter().find_map(|name| headers.iter().position(|header| header.trim().eq_ignore_ascii_case(name)))
        };
        let columns = Self {
            provider: find(&["PROVIDER"]),
            account: find(&["ACCOUNT_UID", "ACCOUNT_ID", "SUBSCRIPTION_ID", "PROJECT_ID"]),
            check: find(&["CHECK_ID"]),
            title: find(&["CHECK_TITLE"]),
            status: find(&["STATUS"]),
            muted: find(&["MUTED"]),
            severity: find(&["SEVERITY"]),
            resource: find(&["RESOURCE_UID", "RESOURCE_ARN"]),
            resource_name: find(&["RESOURCE_NAME", "RESOURCE_ID"]),
            time: find(&["TIMESTAMP", "ASSESSMENT_START_TIME"]),
            version: find(&["PROWLER_VERSION"]),
        };
        if columns.check.is_none() || columns.status.is_none() {
            let reason = "the CSV has no CHECK_ID and STATUS columns separated by `;`, as Prowler writes them";
            return Err(Rejection::new(code::MALFORMED, reason));
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;
    use tributary_model::severity::Severity;
    use tributary_model::sighting::ToolStatus;

    use super::*;
    use crate::format::Format::ProwlerCsv;
    use crate::normalize::fixture;

    const ROWS: &str = include_str!("../../tests/fixtures/prowler_csv/rows.csv");

    #[test]
    fn failed_rows_are_findings_and_passed_ones_name_the_rules() {
        let events = fixture::normalize(ProwlerCsv, ROWS.as_bytes(), &Extensions::default()).unwrap();
        let assets: Vec<_> = events.reports.iter().map(|r| (r.asset.as_str(), r.sightings.len(), r.complete)).collect();
        assert_eq!(assets, [("cloud:aws/111122223333", 2, None), ("cloud:aws/444455556666", 1, Some(false))]);
        let report = &events.reports[0];
        assert_eq!(
            report.rules_enabled,
            ["iam_root_mfa_enabled", "kms_cmk_rotation_enabled", "s3_bucket_public_access"]
        );
        assert_eq!((report.started_at, report.tool_version.as_str()), (Some(1_793_957_400_000), "5.3.0"));
        let bucket = &report.sightings[0];
        assert_eq!((bucket.resource.as_str(), bucket.severity), ("arn:aws:s3:::logs", Severity::Critical));
        assert_eq!((bucket.control.as_str(), bucket.title.as_str()), ("s3-bucket-public-read", "Public; bucket"));
        assert_eq!(report.sightings[1].status, ToolStatus::Dismissed, "muted is a proposal");
    }

    #[test]
    fn a_cluster_is_named_by_the_producer() {
        let rows =
            "PROVIDER;CHECK_ID;STATUS;ACCOUNT_UID;RESOURCE_UID\nkubernetes;core_x;FAIL;context: admin@kind;pod-1\n";
        let ext = Extensions { resource: Some("cluster/prod-eu".into()), ..Extensions::default() };
        assert_eq!(fixture::report(ProwlerCsv, rows, &ext).asset, "cloud:kubernetes/prod-eu");
    }

    #[test]
    fn bad_input_is_a_rejection() {
        let reject =
            |body: &str| fixture::normalize(ProwlerCsv, body.as_bytes(), &Extensions::default()).unwrap_err().code;
        assert_eq!(reject("A;B\n1;2\n"), code::MALFORMED);
        assert_eq!(reject("CHECK_ID;STATUS\n"), code::NOTHING_IN_IT);
        assert_eq!(reject("CHECK_ID;STATUS\nx;FAIL\n"), code::NO_ASSET);
        assert_eq!(reject("PROVIDER;CHECK_ID;STATUS;ACCOUNT_UID\naws;x;FA"), code::TRUNCATED);
        fixture::survives(ProwlerCsv, ROWS, &[]);
    }
}
