//! Falco alerts (JSON lines) → run-time detections, aggregated per workload and rule (F25).
//! Titles are the rule's name: outputs quote command lines, which quote secrets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Sighting};
use tributary_model::time::Millis;
use tributary_model::{asset, entity};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::image_reference;
use crate::normalize::{title, workload_name};
use crate::report::Report;
use crate::time;

#[derive(Deserialize)]
struct Alert {
    rule: String,
    #[serde(default)]
    priority: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    output_fields: Option<Map<String, Value>>,
}

/// What one rule saw in one workload.
#[derive(Default)]
struct Seen {
    count: u32,
    severity: Severity,
    latest: Option<Millis>,
}

/// Alert reports by `falco`, one per workload; without Kubernetes fields per image digest, else per host. `count` says how
/// often in this record; event time is the last occurrence.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut seen = BTreeMap::<String, BTreeMap<String, Seen>>::new();
    let mut alerts = 0_u64;
    for alert in serde_json::Deserializer::from_slice(input.body).into_iter::<Alert>() {
        let alert = alert.map_err(|error| Rejection::json("Falco", &error))?;
        alerts += 1;
        let Some(asset) = asset(input, &alert) else { continue };
        let seen = seen.entry(asset).or_default().entry(alert.rule).or_default();
        seen.count = seen.count.saturating_add(1);
        seen.severity = seen.severity.max(severity(&alert.priority));
        seen.latest = seen.latest.max(alert.time.as_deref().and_then(time::parse));
    }
    if seen.is_empty() {
        return Err(match alerts {
            0 => {
                Rejection::new(code::NOTHING_IN_IT, "there is no Falco alert in it: send JSON output, one alert a line")
            }
            _ => Rejection::new(
                code::NO_ASSET,
                "no Falco alert names a pod, an image digest or a host: enable the Kubernetes fields in its output",
            ),
        });
    }
    let reports = seen.into_iter().map(|(asset, rules)| report(asset, rules)).collect();
    Ok(Events { reports, ..Events::default() })
}

fn report(asset: String, rules: BTreeMap<String, Seen>) -> Report {
    let started_at = rules.values().filter_map(|seen| seen.latest).max();
    let sightings = rules.into_iter().map(|(rule, seen)| Sighting {
        class: FindingClass::Runtime,
        title: title::line(&rule),
        rule,
        severity: seen.severity,
        resource: asset.clone(),
        count: seen.count,
        ..Sighting::default()
    });
    Report {
        sightings: sightings.collect(),
        tool: "falco".to_owned(),
        started_at,
        classes: vec![FindingClass::Runtime],
        is_alert: true,
        asset,
        ..Report::default()
    }
}

/// The workload, never the pod: by the owner that Falco's metadata names, else by what the pod's name points to.
fn asset(input: &Input<'_>, alert: &Alert) -> Option<String> {
    let field = |keys: &[&str]| {
        let fields = alert.output_fields.as_ref()?;
        let text = |key: &&str| fields.get(*key)?.as_str().map(str::trim).filter(|text| !matches!(*text, "" | "<NA>"));
        keys.iter().find_map(text)
    };
    let cluster = workload_name::cluster(input, field(&["k8s.cluster.name"]));
    let namespace = field(&["k8s.ns.name", "k8smeta.ns.name"]).unwrap_or("default");
    if let Some(name) = field(&["k8s.deployment.name", "k8smeta.deployment.name"]) {
        return Some(entity::workload(&cluster, namespace, "deployment", name));
    }
    if let Some(name) = field(&["k8s.rs.name", "k8smeta.rs.name"]) {
        return Some(entity::workload(&cluster, namespace, "deployment", workload_name::of_replica_set(name)));
    }
    if let Some(pod) = field(&["k8s.pod.name", "k8smeta.pod.name"]) {
        let (kind, name) = workload_name::of_pod(pod);
        return Some(entity::workload(&cluster, namespace, kind, name));
    }
    let digest = field(&["container.image.digest"]).and_then(image_reference::digest);
    let image = digest.and_then(|digest| asset::image(&digest));
    image.or_else(|| alert.hostname.as_deref().filter(|host| !host.trim().is_empty()).map(asset::host))
}

/// Falco's eight syslog priorities.
fn severity(priority: &str) -> Severity {
    match priority.trim().to_ascii_lowercase().as_str() {
        "emergency" | "alert" | "critical" => Severity::Critical,
        "error" => Severity::High,
        "warning" => Severity::Medium,
        "notice" => Severity::Low,
        "informational" | "information" | "info" | "debug" => Severity::Information,
        _ => Severity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check_robust, run};

    fn alert(rule: &str, priority: &str, fields: &str, second: u32) -> String {
        format!(
            r#"{{"hostname":"node-1","output":"read (cmd=login --password hunter2)","priority":"{priority}","rule":"{rule}",
            "output_fields":{{{fields}}},"time":"2026-04-01T00:00:{second:02}.000000001Z"}}"#
        )
    }

    #[test]
    fn f25_a_thousand_alerts_are_one_sighting() {
        let pod = |suffix: &str| format!(r#""k8s.ns.name":"shop","k8s.pod.name":"till-56f8fc6988-{suffix}""#);
        let mut lines: Vec<String> = (0..50).map(|n| alert("Read shadow", "Warning", &pod("pb8c7"), n)).collect();
        lines.push(alert("Read shadow", "Critical", &pod("kx7qd"), 55));
        lines.push(alert("Shell", "Notice", &pod("kx7qd"), 1));
        lines.push(alert("Shell", "odd", r#""k8s.pod.name":null"#, 2));
        let ext = Extensions { resource: Some("cluster/eu".into()), ..Extensions::default() };
        let events = run(normalize, &lines.join("\n"), ext).unwrap();
        assert!(!format!("{events:?}").contains("hunter2"));
        let shown: Vec<String> = events
            .reports
            .iter()
            .flat_map(|report| {
                assert!(report.is_alert && report.started_at.is_some());
                report.sightings.iter().map(|s| format!("{} {} {} x{}", s.resource, s.rule, s.severity.name(), s.count))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "host:node-1 Shell unknown x1",
                "workload:eu/shop/deployment/till Read shadow critical x51",
                "workload:eu/shop/deployment/till Shell low x1",
            ]
        );
        check_robust(normalize, &lines[..3].join("\n"));
    }
}
