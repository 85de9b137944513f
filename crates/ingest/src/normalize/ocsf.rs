//! OCSF findings, one, an array or JSON lines: compliance and detection findings of Prowler and others, vulnerabilities, alerts.
//! Prowler's are a scan with passed checks in it; other products send events one by one, which belong to no scan.

use std::collections::BTreeMap;

use tributary_model::asset;
use tributary_model::sighting::{FindingClass, Sighting, ToolStatus};
use tributary_model::time::Millis;

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{List, Number, Text, first};
use crate::normalize::posture::{Outcome, Posture, Row};
use crate::normalize::prowler_csv;
use crate::report::Report;
use crate::time;

mod shape;
mod sight;
#[cfg(test)]
mod tests;

use shape::Event;

/// Classes of findings. Others (authentication, network activity …) are logs, not findings.
const SECURITY_FINDING: u32 = 2001;
const VULNERABILITY_FINDING: u32 = 2002;
const COMPLIANCE_FINDING: u32 = 2003;
const DETECTION_FINDING: u32 = 2004;
const DATA_SECURITY_FINDING: u32 = 2006;
const APPLICATION_FINDING: u32 = 2007;

/// Times before this many milliseconds (3 March 1973) are seconds: OCSF wants milliseconds, Prowler writes seconds.
const SECONDS_BELOW: f64 = 1e11;

/// Reports per asset: of a scan for Prowler, of alerts for others.
///
/// # Errors
/// Not JSON, no finding among the events, or nothing says what a finding is about.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut posture = Posture::default();
    let mut alerts: BTreeMap<(String, String), Report> = BTreeMap::new();
    let mut version = String::new();
    for events in serde_json::Deserializer::from_slice(input.body).into_iter::<List<Event<'_>>>() {
        let events = events.map_err(|error| Rejection::json("OCSF", &error))?;
        for event in &events {
            if event.is_posture() {
                event.tool_version().clone_into(&mut version);
                add_posture(input, event, &mut posture)?;
            } else {
                add_alert(input, event, &mut alerts)?;
            }
        }
    }
    if posture.is_empty() && alerts.is_empty() {
        let reason = "it holds no OCSF finding (class_uid 2001 to 2004, 2006 or 2007)";
        return Err(Rejection::new(code::NOTHING_IN_IT, reason));
    }
    let mut reports = posture.into_reports("prowler", &version);
    reports.extend(alerts.into_values());
    Ok(Events { reports, ..Events::default() })
}

fn add_posture(input: &Input<'_>, event: &Event<'_>, posture: &mut Posture) -> Result<(), Rejection> {
    let asset = asset_of::choose(input, Subject::Running, reported_asset(input, event))?;
    let mut row = Row {
        rule: &event.metadata.event_code,
        title: event.heading(),
        severity: &event.severity,
        resource: "",
        outcome: Outcome::parse(&event.status_code),
        is_muted: event.is_suppressed(),
        time: event.time(),
    };
    // A check can be about several resources at once; one about none is about the account.
    let mut resources: Vec<&str> =
        event.resources.iter().map(shape::Resource::address).filter(|r| !r.is_empty()).collect();
    if resources.is_empty() {
        resources.push(&asset);
    }
    for resource in resources {
        row.resource = resource;
        posture.add(asset.clone(), &row);
    }
    Ok(())
}

fn add_alert(
    input: &Input<'_>,
    event: &Event<'_>,
    alerts: &mut BTreeMap<(String, String), Report>,
) -> Result<(), Rejection> {
    let sightings: Vec<Sighting> = match event.class() {
        VULNERABILITY_FINDING => sight::vulnerabilities(event),
        COMPLIANCE_FINDING => sight::compliance(event),
        SECURITY_FINDING | DETECTION_FINDING | DATA_SECURITY_FINDING | APPLICATION_FINDING => sight::detections(event),
        _ => return Ok(()),
    };
    let asset = asset_of::choose(input, Subject::Running, reported_asset(input, event))?;
    let product = &event.metadata.product;
    let tool = first([&*product.name, &*product.vendor_name, "ocsf"]).to_lowercase();
    let report = alerts.entry((asset.clone(), tool.clone())).or_insert_with(|| Report {
        asset,
        tool,
        tool_version: product.version.to_string(),
        is_alert: true,
        ..Report::default()
    });
    report.started_at = [report.started_at, event.time()].into_iter().flatten().max();
    report.classes.extend(sightings.iter().map(|sighting| sighting.class));
    report.classes.sort_unstable();
    report.classes.dedup();
    report.sightings.extend(sightings);
    Ok(())
}

/// The account, the image of a resource that is one, or the host.
fn reported_asset(input: &Input<'_>, event: &Event<'_>) -> Option<String> {
    let image = event.resources.iter().find_map(|resource| {
        let is_image = resource.kind.to_ascii_lowercase().contains("image");
        asset_of::digest_of(&resource.uid).filter(|_| is_image).map(|digest| format!("image:{digest}"))
    });
    let cloud = &event.cloud;
    let provider = first([&*cloud.provider, &*event.unmapped.provider]);
    let uid = first([&*cloud.account.uid, &*event.unmapped.provider_uid]);
    // Prowler's events about clusters name no provider, only Kubernetes resources.
    let is_cluster =
        |resource: &shape::Resource<'_>| resource.kind.starts_with("Kubernetes") || !resource.namespace.is_empty();
    let provider = match provider {
        "" if event.resources.iter().any(is_cluster) => "kubernetes",
        provider => provider,
    };
    let account = prowler_csv::account(input, provider, uid);
    let of_arn = || event.resources.iter().find_map(|resource| asset_of::account_of_arn(&resource.uid));
    let host = || first([&*event.device.hostname, &*event.device.name, &*event.device.uid]);
    image
        .filter(|_| event.class() == VULNERABILITY_FINDING)
        .or(account)
        .or_else(|| of_arn().map(|account| asset::cloud("aws", account)))
        .or_else(|| Some(host()).filter(|host| !host.is_empty()).map(asset::host))
}

/// Seconds or milliseconds as a number, or any text that is a time.
fn moment(number: Number, text: &Text<'_>) -> Option<Millis> {
    match number.0 {
        Some(seconds) if seconds > 0.0 && seconds < SECONDS_BELOW => Some((seconds * 1_000.0) as Millis),
        Some(millis) if millis > 0.0 && millis < 1e16 => Some(millis as Millis),
        _ => time::parse(text),
    }
}

impl Event<'_> {
    fn class(&self) -> u32 {
        self.class_uid.line()
    }

    /// Prowler's rows carry a check and its outcome, whatever class its version puts them in.
    fn is_posture(&self) -> bool {
        self.metadata.product.name.eq_ignore_ascii_case("prowler") && !self.status_code.is_empty()
    }

    /// By the word, and by the number only where there is no word: Prowler 4 writes `New` beside the number of `Suppressed`.
    fn is_suppressed(&self) -> bool {
        match self.status.given() {
            Some(word) => word.eq_ignore_ascii_case("suppressed"),
            None => self.status_id.0 == Some(3.0),
        }
    }

    fn tool_status(&self) -> ToolStatus {
        let is_closed = self.activity_id.0 == Some(3.0)
            || self.status.eq_ignore_ascii_case("resolved")
            || (self.status.is_empty() && self.status_id.0 == Some(4.0));
        match (is_closed, self.is_suppressed()) {
            (true, _) => ToolStatus::Fixed,
            (_, true) => ToolStatus::Dismissed,
            _ => ToolStatus::Open,
        }
    }

    fn heading(&self) -> &str {
        let finding = &self.finding_info;
        first([&*finding.title, &*self.finding.title, &*self.message])
    }

    fn tool_version(&self) -> &str {
        &self.metadata.product.version
    }

    fn time(&self) -> Option<Millis> {
        let created = &self.finding_info;
        moment(self.time, &self.time_dt)
            .or_else(|| time::parse(&self.event_time))
            .or_else(|| moment(Number(created.created_time.parse().ok()), &created.created_time))
    }
}

/// The class of detections: what watches running things, or what judges how they are set up.
fn detection_class(event: &Event<'_>) -> FindingClass {
    match event.class() {
        DETECTION_FINDING if event.status_code.is_empty() => FindingClass::Runtime,
        APPLICATION_FINDING => FindingClass::Weakness,
        _ => FindingClass::Misconfiguration,
    }
}
