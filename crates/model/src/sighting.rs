//! A sighting: one tool's claim at one time about one asset, in canonical form.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::severity::Severity;

/// What kind of claim it is; decides the identity rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
pub enum FindingClass {
    /// A published vulnerability in a package.
    #[default]
    Vulnerability,
    /// A flaw in the organisation's own code.
    Weakness,
    /// A credential where it should not be.
    Secret,
    /// A resource or its declaration that breaks a control.
    Misconfiguration,
    /// A weakness of a running endpoint.
    Web,
    /// A vulnerability of a host, seen from outside.
    Host,
    /// Behaviour seen at run time.
    Runtime,
    /// A package or file that is itself malicious.
    Malware,
    /// A licence that breaks a policy.
    Licence,
    /// Something its maker no longer supports.
    EndOfLife,
    /// Found by a person: pentest, bounty.
    Manual,
}

impl FindingClass {
    /// The word used in tables, ids and JSON. Part of finding ids: never rename.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FindingClass::Vulnerability => "vulnerability",
            FindingClass::Weakness => "weakness",
            FindingClass::Secret => "secret",
            FindingClass::Misconfiguration => "misconfiguration",
            FindingClass::Web => "web",
            FindingClass::Host => "host",
            FindingClass::Runtime => "runtime",
            FindingClass::Malware => "malware",
            FindingClass::Licence => "licence",
            FindingClass::EndOfLife => "end_of_life",
            FindingClass::Manual => "manual",
        }
    }
}

/// What a dependency is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum DependencyScope {
    #[default]
    Unknown,
    Runtime,
    Development,
    Test,
}

/// A package in which something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Package {
    /// Canonical purl **without** version and qualifiers (see [`crate::package`]); identity.
    pub purl: String,
    /// Name as people say it.
    pub name: String,
    /// Installed version as reported; not identity.
    pub version: String,
    /// Purl type: `npm`, `maven`, `deb` …
    pub ecosystem: String,
    /// For OS packages: purl of the distribution's **source** package, which is what identity uses. Empty otherwise.
    pub source_purl: String,
    /// Whether it comes from the operating system's package manager.
    pub is_os_package: bool,
    /// Directory of the manifest or lockfile, relative to the repository root; empty in images. Identity in repositories.
    pub manifest_dir: String,
    /// The manifest or lockfile itself, or the file inside the image that holds the package.
    pub file: String,
    /// Development, test or runtime.
    pub scope: DependencyScope,
    /// Versions that fix this vulnerability, as reported, in report order. Empty: none known.
    pub fixed_versions: Vec<String>,
    /// Whether the source says that no fix will come (`will_not_fix`, `end_of_life`).
    pub wont_fix: bool,
    /// Dependency path from the root, outermost first, at most 16 entries; empty when the tool gives none.
    pub introduced_by: Vec<String>,
}

/// A place in code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Location {
    /// Path relative to the repository root, `/` separated, no `./`.
    pub path: String,
    /// First line, from 1; 0 when unknown. Never identity.
    pub start_line: u32,
    /// Last line, inclusive; equals `start_line` when unknown.
    pub end_line: u32,
    /// Hash of the whitespace-normalised line, where the tool gives the line or its hash (`primaryLocationLineHash`).
    pub line_hash: String,
    /// Hash of the whitespace-normalised snippet.
    pub snippet_hash: String,
    /// Enclosing function, class or resource, where given.
    pub enclosing: String,
}

/// A running endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Endpoint {
    /// Upper-case HTTP method; [`Endpoint::ANY_METHOD`] when unknown.
    pub method: String,
    /// Path with variable segments replaced by `{}`: numbers, UUIDs, long hex; [`Endpoint::WHOLE_SITE`] for what is no page's own.
    pub path_template: String,
    /// Parameter name; empty when none.
    pub parameter: String,
}

impl Endpoint {
    /// The method of what was seen without one.
    pub const ANY_METHOD: &'static str = "ANY";
    /// The path of an observation about the site. A header that is missing is missing on every page and is set in one place:
    /// by page it would be as many findings as the scanner had patience. No template is equal to it, since each begins with `/`.
    pub const WHOLE_SITE: &'static str = "*";

    /// Whether this is about the site, and not about one of its routes.
    #[must_use]
    pub fn is_whole_site(&self) -> bool {
        self.path_template == Self::WHOLE_SITE
    }
}

/// A secret, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Secret {
    /// Keyed HMAC-SHA-256 of the value, hex; empty when the tool gave only a mask (then the location is identity).
    pub hmac: String,
    /// Which key made the HMAC.
    pub key_id: String,
    /// Canonical family: `aws-access-key`, `github-token`, `private-key`, `generic` …
    pub family: String,
    /// The tool tried it and it worked.
    pub verified: bool,
    /// The provider or the tool says it no longer works.
    pub revoked: bool,
}

/// What the tool itself says about the state of the claim. Never suppresses by itself: it is a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
pub enum ToolStatus {
    /// Reported as active.
    #[default]
    Open,
    /// Suppressed in source or dismissed in the tool: a proposal.
    Dismissed,
    /// The tool says that it is gone (an alert's `fixed` action); withdraws within that tool's own scope.
    Fixed,
}

/// One tool's claim. Identity uses only the class-specific parts named in [`crate::id`]; the rest is evidence.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Sighting {
    /// Kind of claim.
    pub class: FindingClass,
    /// Advisory id for vulnerabilities (`CVE-…`, `GHSA-…`, upper case as published), the tool's rule id otherwise.
    pub rule: String,
    /// One line for people, at most 300 characters, scrubbed.
    pub title: String,
    /// Severity as reported.
    pub severity: Severity,
    /// Best CVSS vector in the report, v4 > v3.1 > v3.0 > v2; empty when none.
    pub cvss_vector: String,
    /// Base score in the report; absent when none.
    pub cvss_score: Option<f64>,
    /// Other ids that the report gives for this one vulnerability. Evidence, never identity.
    pub aliases: Vec<String>,
    /// CWE numbers, ascending.
    pub cwes: Vec<u32>,
    /// For vulnerabilities, malware, licences.
    pub package: Option<Package>,
    /// For weaknesses, secrets, IaC misconfigurations.
    pub location: Option<Location>,
    /// For secrets.
    pub secret: Option<Secret>,
    /// For web weaknesses.
    pub endpoint: Option<Endpoint>,
    /// For misconfigurations: the resource's address (ARN, `kind/ns/name`, Terraform address). Empty otherwise.
    pub resource: String,
    /// Canonical control (`schemas/controls.csv`) where mapped, else empty: then the rule stands alone.
    pub control: String,
    /// For run-time detections: how often since the last observation.
    pub count: u32,
    /// What the tool says about its own claim.
    pub status: ToolStatus,
    /// The tool's own confidence; `Unknown` when it gives none.
    pub confidence: Severity,
    /// Whether the tool shows that vulnerable code is called (govulncheck), or that it is not.
    pub reachable: Option<bool>,
}
