//! JSON by its keys: one rule per format, most specific first.

use tributary_model::record::RawClass;

use super::other_tools;
use super::shape::{self, Node, Outline, Stop};
use crate::event::{Rejection, code};
use crate::format::Format;

/// The format of a JSON text, or of the first of several JSON lines.
pub(super) fn detect(text: &[u8], class: Option<RawClass>) -> Result<Format, Rejection> {
    let mut found = None;
    let (outline, result) = shape::read(text, &mut |outline| {
        found = rule(outline);
        found.is_some()
    });
    if let Some(format) = found.or_else(|| rule(&outline)).or_else(|| github_answer(&outline, text)) {
        return Ok(format);
    }
    match result {
        Ok(()) | Err(Stop::Enough) => Err(unrecognised(&outline, class)),
        Err(Stop::Truncated) => {
            Err(Rejection::new(code::TRUNCATED, "the JSON text ends in the middle: send the whole file"))
        }
        Err(Stop::TooDeep(at)) => Err(Rejection::at(
            code::TOO_DEEP,
            format!("the JSON text nests deeper than {} levels", shape::DEPTH_MAX),
            format!("byte {at}"),
        )),
        Err(Stop::Malformed(at)) => {
            Err(Rejection::at(code::MALFORMED, "the text begins like JSON but is not valid JSON", format!("byte {at}")))
        }
    }
}

fn unrecognised(outline: &Outline, class: Option<RawClass>) -> Rejection {
    if let Some(advice) = other_tools::advice(outline) {
        return Rejection::new(code::UNKNOWN_FORMAT, advice);
    }
    match outline.other {
        Some("an empty list") => Rejection::new(
            code::UNKNOWN_FORMAT,
            "this is an empty list, which many tools write when they find nothing: declare the format (--format gitleaks)",
        ),
        Some(other @ ("an empty object" | "a single value")) => {
            Rejection::new(code::EMPTY, format!("there is no report in this: it is {other}"))
        }
        Some(other) => super::unknown(&format!("JSON, {other}"), class),
        None => {
            // Only keys that look like names: a key may be anything, also a secret.
            let is_name = |key: &str| {
                key.len() <= 40
                    && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$' | b'@' | b'.'))
            };
            let names: Vec<&str> =
                outline.keys.iter().map(|(key, _)| key.as_str()).filter(|key| is_name(key)).take(12).collect();
            let what = if outline.is_list { "a JSON list of objects" } else { "a JSON object" };
            super::unknown(&format!("{what} with the keys {}", names.join(", ")), class)
        }
    }
}

/// The format of an outline, as soon as it is certain. Rules that need the absence of a key wait for the whole object.
fn rule(outline: &Outline) -> Option<Format> {
    scanner(outline)
        .or_else(|| context(outline))
        .or_else(|| github(outline))
        .or_else(|| github_export(outline))
        .or_else(|| intelligence(outline))
}

fn scanner(o: &Outline) -> Option<Format> {
    let has = |key: &str| o.has(key);
    let any = |keys: &[&str]| keys.iter().any(|key| o.has(key));
    if has("runs") && (o.text("version").starts_with("2.") || o.text("$schema").contains("sarif")) {
        return Some(Format::Sarif);
    }
    if o.text("bomFormat").eq_ignore_ascii_case("cyclonedx") {
        return Some(Format::CycloneDx);
    }
    let trivy_file = has("SchemaVersion") && any(&["ArtifactName", "ArtifactType", "Results", "Trivy"]);
    let trivy_cluster = has("ClusterName") && any(&["Resources", "Findings", "Vulnerabilities", "Misconfigurations"]);
    let trivy_list =
        o.is_list && has("Target") && any(&["Vulnerabilities", "Misconfigurations", "Secrets", "Type", "Class"]);
    if trivy_file && !has("ProductArn") || trivy_cluster || trivy_list {
        return Some(Format::Trivy);
    }
    if has("matches") && any(&["descriptor", "source", "distro"]) {
        return Some(Format::Grype);
    }
    if has("check_type") && has("results") || has("checkov_version") {
        return Some(Format::Checkov);
    }
    if has("DetectorName") && any(&["SourceMetadata", "DetectorType", "Raw"]) {
        return Some(Format::Trufflehog);
    }
    if has("RuleID") && any(&["Secret", "Match", "Fingerprint"])
        || has("offender") && any(&["leakURL", "repoURL", "rule"])
    {
        return Some(Format::Gitleaks);
    }
    if let Some(Node::Array(first)) = o.get("results") {
        let is_result = o.below("results", "check_id").is_some();
        let is_empty = first.is_none() && o.is_whole && has("errors") && !any(&["metrics", "generated_at"]);
        if is_result || is_empty {
            return Some(Format::Semgrep);
        }
    }
    // GitLab's DAST report has these keys, too, beside its own.
    if has("site")
        && any(&["@version", "@generated", "@programName"])
        && o.is_whole
        && !any(&["vulnerabilities", "scan"])
    {
        return Some(Format::Zap);
    }
    if has("class_uid") && any(&["metadata", "category_uid", "severity_id", "finding_info", "time"]) {
        return Some(Format::Ocsf);
    }
    if has("CheckID") && has("Status") && any(&["StatusExtended", "ResourceArn", "ResourceId", "FindingUniqueId"]) {
        return Some(Format::ProwlerJson);
    }
    None
}

/// Builds, deployments, the running system, the catalogue.
fn context(o: &Outline) -> Option<Format> {
    let has = |key: &str| o.has(key);
    let api = o.text("apiVersion");
    if api.starts_with("aquasecurity.github.io/")
        || o.below("items", "apiVersion").is_some_and(|node| node.text().starts_with("aquasecurity.github.io/"))
        || o.keys.iter().any(|(key, _)| key.ends_with(".aquasecurity.github.io"))
    {
        return Some(Format::TrivyOperator);
    }
    if api.starts_with("backstage.io/") {
        return Some(Format::Backstage);
    }
    // A list says what it holds only in its items.
    let is_open_list = o.text("kind").ends_with("List") && !o.is_whole;
    if !api.is_empty() && has("kind") && !is_open_list && o.get("kind") != Some(&Node::Unread) {
        return Some(Format::Kubernetes);
    }
    let is_cdevent = |node: Option<&Node>| node.is_some_and(|node| node.text().starts_with("dev.cdevents."));
    if is_cdevent(o.below("context", "type")) || is_cdevent(o.get("type")) {
        return Some(Format::CdEvents);
    }
    let is_envelope = has("payloadType") && has("payload") || has("dsseEnvelope");
    if is_envelope || o.text("predicateType").contains("slsa.dev/provenance") {
        return Some(Format::Slsa);
    }
    let is_process_event = o.keys.iter().any(|(key, _)| key.starts_with("process_"));
    if is_process_event && (has("node_name") || has("time")) {
        return Some(Format::Tetragon);
    }
    if has("rule") && has("output") && (has("output_fields") || has("priority")) || has("output_fields") && has("rule")
    {
        return Some(Format::Falco);
    }
    None
}

/// Alerts as the API lists them, or one alone.
fn github_export(o: &Outline) -> Option<Format> {
    let all = |keys: &[&str]| keys.iter().all(|key| o.has(key));
    match () {
        () if all(&["rule", "tool", "state"]) && (o.has("most_recent_instance") || o.has("instances_url")) => {
            Some(Format::GithubCodeScanningAlerts)
        }
        () if all(&["dependency", "security_advisory", "state"]) => Some(Format::GithubDependabotAlerts),
        () if all(&["secret_type", "state", "number"]) => Some(Format::GithubSecretScanningAlerts),
        () => None,
    }
}

/// An answer of GraphQL with Dependabot's alerts in it, which nest deeper than an outline shows.
fn github_answer(o: &Outline, text: &[u8]) -> Option<Format> {
    let is_answer = !o.is_list && matches!(o.get("data"), Some(Node::Object(_)));
    let has_alerts = || memchr::memmem::find(text, br#""vulnerabilityAlerts""#).is_some();
    (is_answer && has_alerts()).then_some(Format::GithubDependabotAlerts)
}

fn github(o: &Outline) -> Option<Format> {
    if !o.has("repository") {
        return None;
    }
    if o.has("alert") {
        let of_alert = |key: &str| o.below("alert", key).is_some();
        return match () {
            () if of_alert("rule") && of_alert("tool") => Some(Format::GithubCodeScanningAlert),
            () if of_alert("security_advisory") => Some(Format::GithubDependabotAlert),
            () if of_alert("secret_type") => Some(Format::GithubSecretScanningAlert),
            () => None,
        };
    }
    if o.has("deployment_status") {
        return Some(Format::GithubDeploymentStatus);
    }
    if o.has("workflow_run") {
        return Some(Format::GithubWorkflowRun);
    }
    if o.has("registry_package") {
        return Some(Format::GithubRegistryPackage);
    }
    (o.has("ref") && o.has("before") && o.has("after")).then_some(Format::GithubPush)
}

fn intelligence(o: &Outline) -> Option<Format> {
    if o.has("catalogVersion") && o.has("vulnerabilities") {
        return Some(Format::Kev);
    }
    let is_vex = match o.get("@context") {
        Some(Node::Text(text)) => text.contains("openvex"),
        Some(Node::Array(Some(first))) => first.text().contains("openvex"),
        _ => false,
    };
    if is_vex {
        return Some(Format::OpenVex);
    }
    let is_osv = o.has("id")
        && o.has("modified")
        && ["affected", "schema_version", "aliases", "summary", "withdrawn"].iter().any(|key| o.has(key));
    is_osv.then_some(Format::Osv)
}
