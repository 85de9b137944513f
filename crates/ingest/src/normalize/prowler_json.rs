//! Prowler's own JSON of version 3 (an array of checks on resources), from before it wrote OCSF.

use serde::Deserialize;
use tributary_model::asset;

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{Flag, List, Text, first};
use crate::normalize::posture::{Outcome, Posture, Row};
use crate::normalize::prowler_csv;
use crate::time;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Check<'a> {
    #[serde(rename = "CheckID", borrow)]
    id: Text<'a>,
    #[serde(rename = "CheckTitle", borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    muted: Flag,
    #[serde(borrow)]
    severity: Text<'a>,
    #[serde(borrow)]
    provider: Text<'a>,
    /// Of AWS.
    #[serde(borrow)]
    account_id: Text<'a>,
    /// Of Azure.
    #[serde(borrow)]
    subscription: Text<'a>,
    /// Of Google Cloud.
    #[serde(borrow)]
    project_id: Text<'a>,
    #[serde(borrow)]
    resource_arn: Text<'a>,
    #[serde(borrow)]
    resource_id: Text<'a>,
    #[serde(borrow)]
    resource_name: Text<'a>,
    #[serde(rename = "AssessmentStartTime", borrow)]
    started: Text<'a>,
}

impl Check<'_> {
    /// The allowlist of version 3 overwrites the outcome, first with `WARNING` and later with `MUTED`. It is read as a failure: a
    /// row that was left out would count as fixed, and what is dismissed is only proposed.
    fn is_muted(&self) -> bool {
        self.muted.0 || ["MUTED", "WARNING"].iter().any(|word| self.status.trim().eq_ignore_ascii_case(word))
    }

    fn outcome(&self) -> Outcome {
        if self.status.trim().eq_ignore_ascii_case("MUTED") { Outcome::Failed } else { Outcome::parse(&self.status) }
    }

    fn reported_asset(&self, input: &Input<'_>) -> Option<String> {
        let account = first([&*self.account_id, &*self.subscription, &*self.project_id]);
        let of_arn = || asset_of::account_of_arn(&self.resource_arn).map(|account| asset::cloud("aws", account));
        prowler_csv::account(input, &self.provider, account).or_else(of_arn)
    }
}

/// One report per account.
///
/// # Errors
/// Not JSON, a row without a check id, no row, or nothing says which account was looked at.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let checks: List<Check<'_>> =
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("Prowler JSON", &error))?;
    if checks.is_empty() {
        return Err(Rejection::new(code::NOTHING_IN_IT, "the Prowler JSON has no row: no check ran"));
    }
    let mut posture = Posture::default();
    for (at, check) in checks.iter().enumerate() {
        let Some(rule) = check.id.given() else {
            let reason = "the row has no CheckID, as every row of Prowler's JSON has";
            return Err(Rejection::at(code::MALFORMED, reason, format!("$[{at}].CheckID")));
        };
        let asset = asset_of::choose(input, Subject::Running, check.reported_asset(input))?;
        // A check that is about no resource is about the account.
        let resource = first([&*check.resource_arn, &*check.resource_id, &*check.resource_name, &asset]).to_owned();
        let row = Row {
            rule,
            title: &check.title,
            severity: &check.severity,
            resource: &resource,
            outcome: check.outcome(),
            is_muted: check.is_muted(),
            time: time::parse(&check.started),
        };
        posture.add(asset, &row);
    }
    // This form says no version.
    Ok(Events { reports: posture.into_reports("prowler", ""), ..Events::default() })
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;
    use tributary_model::severity::Severity;
    use tributary_model::sighting::ToolStatus;

    use super::*;
    use crate::format::Format::ProwlerJson;
    use crate::normalize::fixture;

    const ROWS: &str = include_str!("../../tests/fixtures/prowler_json/rows.json");

    #[test]
    fn failed_rows_are_findings_and_passed_ones_name_the_rules() {
        let events = fixture::normalize(ProwlerJson, ROWS.as_bytes(), &Extensions::default()).unwrap();
        let assets: Vec<_> = events.reports.iter().map(|r| (r.asset.as_str(), r.sightings.len(), r.complete)).collect();
        assert_eq!(assets, [("cloud:aws/111122223333", 3, None), ("cloud:aws/444455556666", 1, Some(false))]);
        let report = &events.reports[0];
        assert_eq!(
            report.rules_enabled,
            [
                "ec2_ebs_default_encryption",
                "iam_root_mfa_enabled",
                "kms_cmk_rotation_enabled",
                "s3_bucket_public_access"
            ]
        );
        assert_eq!((report.tool.as_str(), report.started_at), ("prowler", Some(1_793_957_400_000)));
        let bucket = &report.sightings[0];
        assert_eq!((bucket.resource.as_str(), bucket.severity), ("arn:aws:s3:::logs", Severity::Critical));
        assert_eq!((bucket.control.as_str(), bucket.title.as_str()), ("s3-bucket-public-read", "Public bucket"));
        let states: Vec<_> = report.sightings.iter().map(|sighting| sighting.status).collect();
        assert_eq!(states, [ToolStatus::Open, ToolStatus::Dismissed, ToolStatus::Dismissed], "muted is a proposal");
        assert_eq!(events.reports[1].sightings[0].resource, "cloud:aws/444455556666", "about the account");
    }

    #[test]
    fn a_row_alone_and_other_clouds() {
        let report = |row: &str| fixture::report(ProwlerJson, row, &Extensions::default());
        let azure = r#"{"CheckID":"x","Status":"FAIL","Provider":"azure","Subscription":"Pay","ResourceId":"r","Severity":null}"#;
        assert_eq!(report(azure).asset, asset::cloud("azure", "Pay"));
        let google = r#"[{"CheckID":"x","Status":"PASS","Provider":"gcp","ProjectId":"pay-1","ResourceName":["odd"]}]"#;
        assert_eq!((report(google).asset, report(google).sightings.len()), (asset::cloud("gcp", "pay-1"), 0));
        let by_arn =
            r#"[{"CheckID":"x","Status":"FAIL","ResourceArn":"arn:aws:acm:eu-west-1:111122223333:certificate/1"}]"#;
        assert_eq!(report(by_arn).asset, "cloud:aws/111122223333");
    }

    #[test]
    fn bad_input_is_a_rejection() {
        let reject =
            |body: &str| fixture::normalize(ProwlerJson, body.as_bytes(), &Extensions::default()).unwrap_err().code;
        assert_eq!(reject("[]"), code::NOTHING_IN_IT);
        assert_eq!(reject("null"), code::NOTHING_IN_IT);
        assert_eq!(reject(r#"[{"CheckID":null,"Status":"FAIL","AccountId":"1"}]"#), code::MALFORMED);
        assert_eq!(reject(r#"[{"CheckID":"x","Status":"FAIL"}]"#), code::NO_ASSET);
        assert_eq!(reject(r#"[{"CheckID":"x""#), code::TRUNCATED);
        fixture::survives(ProwlerJson, ROWS, &[]);
    }
}
