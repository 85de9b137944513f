//! Shapes in the tools' own spelling, cut to what identifies them; all contents invented.

use super::*;

fn check(body: &str) -> Result<Format, &'static str> {
    detect(body.as_bytes(), &Extensions::default(), None).map_err(|rejection| rejection.code)
}

#[test]
fn scanners() {
    use Format::*;
    for (format, body) in [
        (Sarif, r#"{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[]}"#),
        (Sarif, r#"{"runs":[{"tool":{}}],"version":"2.1.0"}"#),
        (Trivy, r#"{"SchemaVersion":2,"ArtifactName":"acme/app:1","ArtifactType":"container_image"}"#),
        (Trivy, r#"{"ClusterName":"prod","Resources":[]}"#),
        (Trivy, r#"[{"Target":"app/package-lock.json","Type":"npm","Vulnerabilities":null}]"#),
        (TrivyOperator, r#"{"kind":"VulnerabilityReport","apiVersion":"aquasecurity.github.io/v1alpha1","report":{}}"#),
        (
            TrivyOperator,
            r#"{"apiVersion":"v1","items":[{"apiVersion":"aquasecurity.github.io/v1alpha1"}],"kind":"List"}"#,
        ),
        (
            TrivyOperator,
            r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"aquasecurity.github.io/v1alpha1"}]}"#,
        ),
        (TrivyOperator, r#"{"configauditreports.aquasecurity.github.io":[]}"#),
        (TrivyOperator, "apiVersion: aquasecurity.github.io/v1alpha1\nkind: ConfigAuditReport\n"),
        (Grype, r#"{"matches":[],"source":{"type":"image"}}"#),
        (CycloneDx, r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#),
        (
            CycloneDx,
            "<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<bom xmlns=\"http://cyclonedx.org/schema/bom/1.4\"/>",
        ),
        (CycloneDx, r#"<cdx:bom xmlns:cdx="http://cyclonedx.org/schema/bom/1.6">"#),
        (Semgrep, r#"{"errors":[],"results":[{"path":"a.py","check_id":"python.x"}]}"#),
        (Semgrep, r#"{"results":[],"errors":[]}"#),
        (Gitleaks, r#"[{"Description":"key","StartLine":3,"RuleID":"generic-api-key","Match":"x"}]"#),
        (
            Trufflehog,
            "{\"SourceMetadata\":{},\"DetectorName\":\"AWS\"}\n{\"SourceMetadata\":{},\"DetectorName\":\"URI\"}\n",
        ),
        (Checkov, r#"{"check_type":"terraform","results":{}}"#),
        (Checkov, r#"[{"check_type":"terraform","results":{}}]"#),
        (Checkov, r#"{"passed":0,"failed":0,"checkov_version":"3.2.1"}"#),
        (Zap, r#"{"@version":"2.16","@generated":"today","site":[{"@name":"https://shop.example"}]}"#),
        (Zap, "<?xml version=\"1.0\"?><OWASPZAPReport version=\"2.16\"><site/></OWASPZAPReport>"),
        (Ocsf, r#"[{"message":"open bucket","metadata":{"version":"1.3"},"severity_id":4,"class_uid":2003}]"#),
        (Ocsf, "{\"class_uid\":2004,\"time\":1}\n{\"class_uid\":2004,\"time\":2}"),
        (ProwlerJson, r#"[{"FindingUniqueId":"a","Provider":"aws","CheckID":"s3_x","Status":"FAIL"}]"#),
        (ProwlerCsv, "AUTH_METHOD;TIMESTAMP;PROVIDER;CHECK_ID;STATUS\nprofile;x;aws;a;FAIL\n"),
    ] {
        assert_eq!(check(body), Ok(format), "{body}");
    }
}

#[test]
fn events_context_and_intelligence() {
    use Format::*;
    for (format, body) in [
        (CdEvents, r#"{"context":{"version":"0.4.1","type":"dev.cdevents.service.deployed.0.1.1"},"subject":{}}"#),
        (GithubPush, r#"{"ref":"refs/heads/main","before":"0","after":"1","repository":{}}"#),
        (GithubWorkflowRun, r#"{"action":"completed","workflow_run":{},"repository":{}}"#),
        (GithubDeploymentStatus, r#"{"action":"created","deployment_status":{},"deployment":{},"repository":{}}"#),
        (GithubCodeScanningAlert, r#"{"alert":{"rule":{},"tool":{}},"repository":{}}"#),
        (GithubDependabotAlert, r#"{"alert":{"number":2,"security_advisory":{}},"repository":{}}"#),
        (GithubSecretScanningAlert, r#"{"alert":{"secret_type":"x"},"repository":{}}"#),
        (GithubCodeScanningAlerts, r#"[{"number":1,"state":"open","rule":{},"tool":{},"most_recent_instance":{}}]"#),
        (GithubCodeScanningAlerts, r#"{"number":1,"state":"open","rule":{},"tool":{},"instances_url":"u"}"#),
        (GithubDependabotAlerts, r#"[{"number":1,"state":"open","dependency":{},"security_advisory":{}}]"#),
        (GithubDependabotAlerts, r#"{"data":{"repository":{"vulnerabilityAlerts":{"nodes":[]}}}}"#),
        (GithubDependabotAlerts, r#"{"data":{"search":{"nodes":[{"vulnerabilityAlerts":{"nodes":[]}}]}}}"#),
        (GithubSecretScanningAlerts, r#"[{"number":1,"state":"open","secret_type":"x","repository":{}}]"#),
        (GithubRegistryPackage, r#"{"registry_package":{},"repository":{}}"#),
        (Slsa, r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1"}"#),
        (Slsa, r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}"#),
        (Kubernetes, r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"apps/v1","kind":"Deployment"}]}"#),
        (Kubernetes, r#"{"apiVersion":"v1","items":[],"kind":"PodList","metadata":{}}"#),
        (Kubernetes, "# a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n"),
        (Kubernetes, "kind: Pod\napiVersion: v1\n"),
        (Tetragon, r#"{"process_exec":{"process":{}},"node_name":"n1","time":"2026-01-01T00:00:00Z"}"#),
        (Falco, r#"{"output":"x","priority":"Warning","rule":"Shell","output_fields":{}}"#),
        (Backstage, "apiVersion: \"backstage.io/v1alpha1\"\nkind: Component\nmetadata:\n  name: shop\n"),
        (CodeOwners, "# owners\n*  @acme/platform\n/api/ @acme/api dev@acme.example # the API\n/vendored/\n"),
        (CodeOwners, "[Payments][2] @acme/pay\n/pay/ @acme/pay\n"),
        (Kev, r#"{"title":"x","catalogVersion":"2026.01.01","count":0,"vulnerabilities":[]}"#),
        (Epss, "#model_version:v2025.03.14,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\n"),
        (Epss, "cve,epss,percentile\nCVE-2021-44228,0.9,0.99\n"),
        (Osv, r#"{"schema_version":"1.6.0","id":"GO-2026-1","modified":"2026-01-01T00:00:00Z"}"#),
        (OpenVex, r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}"#),
    ] {
        assert_eq!(check(body), Ok(format), "{body}");
    }
}

#[test]
fn large_values_before_the_telling_key_are_skipped() {
    let runs = format!(r#"{{"runs":[{}],"version":"2.1.0"}}"#, vec![r#"{"a":["]}"]}"#; 1000].join(","));
    assert_eq!(check(&runs), Ok(Format::Sarif));
}

#[test]
fn what_the_producer_declares_wins() {
    let declared = |format: Option<&str>, event: Option<&str>| {
        let ext = Extensions {
            format: format.map(str::to_owned),
            event_type: event.map(str::to_owned),
            ..Extensions::default()
        };
        detect(b"[]", &ext, None).map_err(|rejection| rejection.code)
    };
    for format in Format::ALL {
        assert_eq!(declared(Some(format.name()), Some("github.push")), Ok(*format));
    }
    assert_eq!(declared(Some(" CycloneDX_JSON "), None), Ok(Format::CycloneDx));
    assert_eq!(declared(Some("OWASP ZAP"), None), Ok(Format::Zap));
    assert_eq!(declared(Some("nessus"), None), Err("unknown_format"));
    assert_eq!(declared(None, Some("dev.cdevents.service.deployed.0.1.1")), Ok(Format::CdEvents));
    assert_eq!(declared(None, Some("com.github.dependabot_alert.created")), Ok(Format::GithubDependabotAlert));
    assert_eq!(declared(None, Some("github.star")), Err("unknown_format"));
    assert_eq!(
        declared(None, Some("io.acme.scan")),
        Err("unknown_format"),
        "an empty list, and a type that says nothing"
    );
}

#[test]
fn file_names() {
    assert_eq!(of_file_name("a/.github/CODEOWNERS"), Some(Format::CodeOwners));
    assert_eq!(of_file_name("CODEOWNERS.pricing"), Some(Format::CodeOwners));
    assert_eq!(of_file_name("x/results.sarif.gz"), Some(Format::Sarif));
    assert_eq!(of_file_name("report.json"), None);
}

#[test]
fn what_is_not_known_says_what_was_seen() {
    let reason = |body: &str| detect(body.as_bytes(), &Extensions::default(), Some(RawClass::Runtime)).unwrap_err();
    let unknown = reason(r#"{"results":{}, "took_ms": 3, "hunter2 is my password": 1}"#);
    assert_eq!(unknown.code, code::UNKNOWN_FORMAT);
    assert!(unknown.reason.contains("keys results, took_ms;"), "{unknown}");
    assert!(unknown.reason.ends_with("known formats of class runtime: tetragon, falco"), "{unknown}");
    assert!(reason("<nmaprun/>").reason.contains("<nmaprun>"));
    assert!(reason("Date,Title,CweId\n1,2,3\n").reason.contains("3 columns"));
    assert!(reason("[]").reason.contains("--format"));
    assert!(reason(r#"{"results":[],"errors":[],"metrics":{},"generated_at":"x"}"#).reason.contains("Bandit"));
    assert!(reason("hello there").reason.contains("plain text"));
}

#[test]
fn damaged_bodies() {
    for (expected, body) in [
        ("empty", ""),
        ("empty", " \n"),
        ("empty", "{}"),
        ("empty", "null"),
        ("truncated", "["),
        ("truncated", r#"{"nothing": ["known"#),
        ("truncated", "<?xml version=\"1.0\"?>"),
        ("malformed", "{nothing}"),
        ("too_deep", &"[".repeat(100_000)),
        ("too_deep", &r#"{"a":"#.repeat(100_000)),
        ("too_deep", &format!(r#"{{"a":{}"#, "[".repeat(100_000))),
    ] {
        assert_eq!(check(body), Err(expected), "{}", &body[..body.len().min(40)]);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_format_or_a_reject(body: Vec<u8>, prefix in "[\\[{<\"#a: @\\]}]{0,20}") {
        let body = [prefix.as_bytes(), &body].concat();
        if let Err(rejection) = detect(&body, &Extensions::default(), None) {
            proptest::prop_assert!(!rejection.reason.is_empty());
        }
    }
}
