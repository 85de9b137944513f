//! The formats: one enum variant, one row. Adding a format touches this table, `detect.rs`, and one new file in `normalize/`.

use tributary_model::record::RawClass;

macro_rules! formats {
    ($($variant:ident, $name:literal, $class:ident, $title:literal;)+) => {
        /// Every format that is understood.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Format { $($variant),+ }

        impl Format {
            /// Every format, in the order of the table.
            pub const ALL: &'static [Format] = &[$(Format::$variant),+];

            /// Name used in headers, options and output. Stable.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Format::$variant => $name),+ }
            }

            /// Class of source it usually comes from.
            #[must_use]
            pub const fn class(self) -> RawClass {
                match self { $(Format::$variant => RawClass::$class),+ }
            }

            /// Name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Format::$variant => $title),+ }
            }
        }
    };
}

formats! {
    Sarif, "sarif", Scanner, "SARIF 2.1.0";
    Trivy, "trivy", Scanner, "Trivy JSON";
    TrivyOperator, "trivy-operator", Scanner, "Trivy Operator reports";
    Grype, "grype", Scanner, "Grype JSON";
    CycloneDx, "cyclonedx", Scanner, "CycloneDX 1.2–1.7 (JSON, XML): inventory, vulnerabilities, VEX";
    Semgrep, "semgrep", Scanner, "Semgrep JSON";
    Gitleaks, "gitleaks", Scanner, "Gitleaks JSON";
    Trufflehog, "trufflehog", Scanner, "TruffleHog JSON lines";
    Checkov, "checkov", Scanner, "Checkov JSON";
    Zap, "zap", Scanner, "OWASP ZAP (JSON, XML)";
    Ocsf, "ocsf", Cloud, "OCSF findings (Prowler and others)";
    ProwlerJson, "prowler-json", Cloud, "Prowler 3 JSON";
    ProwlerCsv, "prowler-csv", Cloud, "Prowler CSV";
    CdEvents, "cdevents", Cicd, "CDEvents";
    GithubPush, "github.push", Cicd, "GitHub push webhook";
    GithubWorkflowRun, "github.workflow_run", Cicd, "GitHub workflow_run webhook";
    GithubDeploymentStatus, "github.deployment_status", Cicd, "GitHub deployment_status webhook";
    GithubCodeScanningAlert, "github.code_scanning_alert", Scanner, "GitHub code_scanning_alert webhook";
    GithubDependabotAlert, "github.dependabot_alert", Scanner, "GitHub dependabot_alert webhook";
    GithubSecretScanningAlert, "github.secret_scanning_alert", Scanner, "GitHub secret_scanning_alert webhook";
    GithubCodeScanningAlerts, "github-code-scanning-alerts", Scanner, "GitHub code scanning alerts (REST)";
    GithubDependabotAlerts, "github-dependabot-alerts", Scanner, "GitHub Dependabot alerts (REST, GraphQL)";
    GithubSecretScanningAlerts, "github-secret-scanning-alerts", Scanner, "GitHub secret scanning alerts (REST)";
    GithubRegistryPackage, "github.registry_package", Cicd, "GitHub registry_package webhook";
    Slsa, "slsa", Cicd, "SLSA v1 provenance (in-toto statement or DSSE envelope)";
    Kubernetes, "kubernetes", Cloud, "Kubernetes objects (JSON, YAML, List)";
    Tetragon, "tetragon", Runtime, "Tetragon JSON lines";
    Falco, "falco", Runtime, "Falco JSON lines";
    Backstage, "backstage", Catalog, "Backstage catalog-info.yaml";
    CodeOwners, "codeowners", Catalog, "CODEOWNERS";
    Kev, "kev", Intel, "CISA KEV catalogue (JSON)";
    Epss, "epss", Intel, "EPSS scores (CSV)";
    Osv, "osv", Intel, "OSV records (one, an array, or JSON lines)";
    OpenVex, "openvex", Catalog, "OpenVEX 0.2";
}

impl Format {
    /// The format with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.iter().copied().find(|format| format.name() == name)
    }
}
