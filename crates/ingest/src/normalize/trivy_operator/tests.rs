use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::FindingClass;

use crate::event::code;
use crate::format::Format::TrivyOperator;
use crate::normalize::fixture;

const KINDS: &str = include_str!("../../../tests/fixtures/trivy_operator/kinds.json");

fn cluster() -> Extensions {
    Extensions { resource: Some("cluster/prod-eu".into()), ..Extensions::default() }
}

#[test]
fn each_custom_resource_is_a_scan_of_its_own() {
    let events = fixture::normalize(TrivyOperator, KINDS.as_bytes(), &cluster()).unwrap();
    let image = format!("image:sha256:{}", "8c".repeat(32));
    let web = "workload:prod-eu/shop/deployment/web";
    let reports: Vec<_> = events
        .reports
        .iter()
        .map(|report| (report.asset.as_str(), report.scope.join(" "), report.sightings.len()))
        .collect();
    assert_eq!(
        reports,
        [
            (web, "vulnerabilityreport app".to_owned(), 1),
            (image.as_str(), "vulnerabilityreport".to_owned(), 1),
            (web, "configauditreport".to_owned(), 1),
            (web, "exposedsecretreport app".to_owned(), 1),
            ("cloud:kubernetes/prod-eu", "clustercompliancereport cis".to_owned(), 1),
        ]
    );
    assert_eq!(events.reports[0].started_at, Some(1_793_957_400_000));
    assert_eq!(events.reports[0].tool_version, "0.60.0");
}

#[test]
fn sightings_by_kind() {
    let reports = fixture::normalize(TrivyOperator, KINDS.as_bytes(), &cluster()).unwrap().reports;
    let curl = &reports[0].sightings[0];
    assert_eq!(curl.package.as_ref().unwrap().purl, "pkg:apk/alpine/curl");
    assert_eq!((curl.severity, curl.cvss_score), (Severity::High, Some(4.2)));
    let requests = &reports[1].sightings[0];
    assert_eq!(requests.package.as_ref().unwrap().purl, "pkg:pypi/requests");
    assert_eq!((requests.severity, requests.title.as_str()), (Severity::Critical, "CVE-2024-6002 in requests"));
    let check = &reports[2].sightings[0];
    assert_eq!((check.rule.as_str(), check.resource.as_str()), ("AVD-KSV-0014", "deployment/shop/web"));
    assert_eq!(check.control, "kubernetes-read-only-root");
    let secret = &reports[3].sightings[0];
    assert_eq!((secret.class, secret.location.as_ref().unwrap().path.as_str()), (FindingClass::Secret, "root/.env"));
    let compliance = &reports[4].sightings[0];
    assert_eq!((compliance.severity, compliance.resource.as_str()), (Severity::High, "kube-system/pod/api"));
}

#[test]
fn one_a_list_and_yaml_say_the_same() {
    let one = r#"{"apiVersion":"aquasecurity.github.io/v1alpha1","kind":"ConfigAuditReport",
        "metadata":{"name":"deployment-web","namespace":"shop","ownerReferences":[{"kind":"Deployment","name":"web"}]},
        "report":{"checks":[{"checkID":"KSV012","severity":"MEDIUM","success":false}]}}"#;
    let yaml = "kind: ConfigAuditReport\nmetadata:\n  name: deployment-web\n  namespace: shop\n  ownerReferences:\n  - kind: Deployment\n    name: web\nreport:\n  checks:\n  - checkID: KSV012\n    severity: MEDIUM\n    success: false\n";
    let expected = fixture::normalize(TrivyOperator, one.as_bytes(), &cluster()).unwrap();
    assert_eq!(expected.reports[0].sightings[0].control, "kubernetes-root-container");
    for body in [format!("[{one}]"), format!(r#"{{"kind":"List","items":[{one}]}}"#), yaml.to_owned()] {
        assert_eq!(fixture::normalize(TrivyOperator, body.as_bytes(), &cluster()).unwrap(), expected, "{body}");
    }
    let reject = |body: &str| fixture::normalize(TrivyOperator, body.as_bytes(), &cluster()).unwrap_err().code;
    assert_eq!(reject(r#"{"kind":"SbomReport"}"#), code::NOTHING_IN_IT);
    assert_eq!(reject("{}"), code::NOTHING_IN_IT);
    assert_eq!(reject("a: [1"), code::MALFORMED);
}

#[test]
fn no_input_panics() {
    fixture::survives(TrivyOperator, KINDS, &[]);
}
