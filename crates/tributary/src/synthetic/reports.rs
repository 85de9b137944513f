//! The generated records, in the formats of the tools they stand for.

use serde_json::{Value, json};
use tributary_ingest::time::format;
use tributary_model::record::{Extensions, RawClass};
use tributary_model::time::Millis;

use super::{Names, SyntheticRecord, Vulnerable};

/// Text that pads a finding's three entries to about 2 KB.
const DESCRIPTION: &str =
    "A flaw in the parser of length-prefixed messages lets a remote peer read another request's bytes.";

fn record(file: String, class: RawClass, ext: Extensions, body: &Value, findings: u32) -> SyntheticRecord {
    SyntheticRecord { file, class, ext, body: body.to_string().into_bytes(), findings }
}

/// The catalogue: every component with owner, tier and source, as Backstage writes it.
pub(super) fn catalog(first: u32, components: u32, at: Millis) -> SyntheticRecord {
    let mut yaml = String::new();
    for index in first..first + components {
        let names = Names::of(index);
        yaml.push_str(&format!(
            "---\napiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {}\n  annotations:\n    \
             backstage.io/source-location: url:https://{}/\n    tributary.io/tier: \"{}\"\nspec:\n  type: service\n  \
             lifecycle: production\n  owner: group:default/team-{:02}\n",
            names.component,
            names.repo,
            1 + index % 4,
            index % 40,
        ));
    }
    let ext = Extensions { time: Some(at), source: Some("synthetic".to_owned()), ..Extensions::default() };
    SyntheticRecord {
        file: "catalog.yaml".to_owned(),
        class: RawClass::Catalog,
        ext,
        body: yaml.into_bytes(),
        findings: 0,
    }
}

/// SLSA provenance: which commit the image was built from.
pub(super) fn provenance(names: &Names, at: Millis) -> SyntheticRecord {
    let digest = names.digest.trim_start_matches("sha256:");
    let body = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": format!("registry.synthetic.example/{}", names.component), "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://synthetic.example/build/v1",
                "externalParameters": {"source": format!("git+https://{}@refs/heads/main", names.repo)},
                "resolvedDependencies": [{
                    "uri": format!("git+https://{}@refs/heads/main", names.repo),
                    "digest": {"gitCommit": names.commit},
                }],
            },
            "runDetails": {"builder": {"id": "https://synthetic.example/builder"}},
        },
    });
    let ext = Extensions { time: Some(at), source: Some("synthetic".to_owned()), ..Extensions::default() };
    record(format!("builds/{}.json", names.component), RawClass::Cicd, ext, &body, 0)
}

/// A pod in production that runs the image; every third component faces the internet.
pub(super) fn workload(names: &Names, at: Millis) -> SyntheticRecord {
    let name = &names.component;
    let labels = json!({"app": name});
    let mut items = vec![json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{name}-7d9c5b6f4-x2x9p"), "namespace": "apps", "labels": labels,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}],
        },
        "status": {"containerStatuses": [{
            "name": "main", "imageID": format!("registry.synthetic.example/{name}@{}", names.digest),
        }]},
    })];
    if name.bytes().last().is_some_and(|digit| digit % 3 == 0) {
        items.push(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "apps"},
            "spec": {"type": "LoadBalancer", "selector": {"app": name}},
        }));
    }
    let body = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let ext = Extensions {
        time: Some(at),
        resource: Some("cluster/prod-synthetic".to_owned()),
        source: Some("synthetic".to_owned()),
        ..Extensions::default()
    };
    record(format!("clusters/{name}.json"), RawClass::Cloud, ext, &body, 0)
}

/// The repository and the image, each seen by three tools.
pub(super) fn scans(names: &Names, vulnerable: &[Vulnerable], at: Millis) -> Vec<SyntheticRecord> {
    let name = &names.component;
    let base = Extensions { time: Some(at), source: Some("synthetic".to_owned()), ..Extensions::default() };
    let repo = Extensions {
        repo: Some(names.repo.clone()),
        branch: Some("main".to_owned()),
        commit: Some(names.commit.clone()),
        ..base.clone()
    };
    let image = Extensions { image: Some(format!("registry.synthetic.example/{name}@{}", names.digest)), ..base };
    let count = vulnerable.len() as u32;
    let scanner = RawClass::Scanner;
    vec![
        record(
            format!("scans/{name}.repo.trivy.json"),
            scanner,
            repo.clone(),
            &trivy(names, vulnerable, at, false),
            count,
        ),
        record(format!("scans/{name}.repo.grype.json"), scanner, repo.clone(), &grype(names, vulnerable, at), 0),
        record(format!("scans/{name}.repo.cdx.json"), scanner, repo, &cyclonedx(names, vulnerable, at), 0),
        record(
            format!("scans/{name}.image.trivy.json"),
            scanner,
            image.clone(),
            &trivy(names, vulnerable, at, true),
            count,
        ),
        record(format!("scans/{name}.image.grype.json"), scanner, image.clone(), &grype(names, vulnerable, at), 0),
        record(format!("scans/{name}.image.cdx.json"), scanner, image, &cyclonedx(names, vulnerable, at), 0),
    ]
}

fn purl(v: &Vulnerable) -> String {
    format!("pkg:npm/{}@{}", v.package, v.version)
}

fn references(v: &Vulnerable) -> Vec<String> {
    ["avd.synthetic.example/nvd", "advisories.synthetic.example", "nvd.synthetic.example/vuln/detail"]
        .iter()
        .map(|host| format!("https://{host}/{}", v.cve.to_lowercase()))
        .collect()
}

fn trivy(names: &Names, vulnerable: &[Vulnerable], at: Millis, is_image: bool) -> Value {
    let entries: Vec<Value> = vulnerable
        .iter()
        .map(|v| {
            json!({
                "VulnerabilityID": v.cve, "PkgID": format!("{}@{}", v.package, v.version), "PkgName": v.package,
                "PkgIdentifier": {"PURL": purl(v), "UID": "0123456789abcdef"},
                "InstalledVersion": v.version, "FixedVersion": v.fixed, "Status": "fixed", "SeveritySource": "ghsa",
                "PrimaryURL": references(v)[0], "Title": format!("{}: unchecked frame length", v.package),
                "Description": DESCRIPTION, "Severity": v.severity, "CweIDs": ["CWE-130"],
                "CVSS": {"ghsa": {"V3Vector": v.vector, "V3Score": v.score}}, "References": references(v),
                "PublishedDate": "2026-01-15T10:00:00Z", "LastModifiedDate": "2026-02-01T10:00:00Z",
            })
        })
        .collect();
    let name = &names.component;
    let (artifact, kind) = if is_image {
        (format!("registry.synthetic.example/{name}"), "container_image")
    } else {
        (".".to_owned(), "repository")
    };
    json!({
        "SchemaVersion": 2, "CreatedAt": format(at), "ArtifactName": artifact, "ArtifactType": kind,
        "Results": [{"Target": "package-lock.json", "Class": "lang-pkgs", "Type": "npm", "Vulnerabilities": entries}],
    })
}

fn grype(names: &Names, vulnerable: &[Vulnerable], at: Millis) -> Value {
    let matches: Vec<Value> = vulnerable
        .iter()
        .map(|v| {
            json!({
                "vulnerability": {
                    "id": v.cve, "dataSource": references(v)[2], "namespace": "nvd:cpe", "severity": title_case(v.severity),
                    "urls": references(v), "description": DESCRIPTION,
                    "cvss": [{"version": "3.1", "vector": v.vector, "metrics": {"baseScore": v.score}}],
                    "fix": {"versions": [v.fixed], "state": "fixed"},
                },
                "relatedVulnerabilities": [],
                "matchDetails": [{"type": "exact-direct-match", "matcher": "javascript-matcher"}],
                "artifact": {
                    "id": "fedcba9876543210", "name": v.package, "version": v.version, "type": "npm",
                    "locations": [{"path": "/package-lock.json"}], "language": "javascript", "purl": purl(v),
                },
            })
        })
        .collect();
    json!({
        "matches": matches,
        "source": {"type": "directory", "target": format!("/src/{}", names.component)},
        "descriptor": {"name": "grype", "version": "0.90.0", "timestamp": format(at)},
    })
}

fn cyclonedx(names: &Names, vulnerable: &[Vulnerable], at: Millis) -> Value {
    let components: Vec<Value> = vulnerable
        .iter()
        .map(|v| json!({"type": "library", "bom-ref": purl(v), "name": v.package, "version": v.version, "purl": purl(v)}))
        .collect();
    let vulnerabilities: Vec<Value> = vulnerable
        .iter()
        .map(|v| {
            json!({
                "id": v.cve, "source": {"name": "NVD"}, "description": DESCRIPTION,
                "ratings": [{"score": v.score, "severity": v.severity.to_lowercase(), "method": "CVSSv31", "vector": v.vector}],
                "cwes": [130], "affects": [{"ref": purl(v)}], "advisories": [{"url": references(v)[1]}],
            })
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {
            "timestamp": format(at), "tools": [{"vendor": "synthetic", "name": "depscan", "version": "6.0"}],
            "component": {"type": "application", "name": names.component},
        },
        "components": components, "vulnerabilities": vulnerabilities,
    })
}

fn title_case(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_string() + &chars.as_str().to_lowercase()).unwrap_or_default()
}
