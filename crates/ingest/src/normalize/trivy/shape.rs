//! The parts of a Trivy report that are read, borrowed from its bytes.

use serde::Deserialize;

use crate::normalize::lenient::{Entries, Flag, List, Number, Object, Text};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Scan<'a> {
    pub schema_version: Number,
    #[serde(borrow)]
    pub trivy: Object<Version<'a>>,
    #[serde(borrow)]
    pub created_at: Text<'a>,
    #[serde(borrow)]
    pub artifact_name: Text<'a>,
    #[serde(borrow)]
    pub artifact_type: Text<'a>,
    #[serde(borrow)]
    pub metadata: Object<Metadata<'a>>,
    #[serde(borrow)]
    pub results: List<Outcome<'a>>,
    // Cluster scans.
    #[serde(borrow)]
    pub cluster_name: Text<'a>,
    #[serde(borrow)]
    pub resources: List<Resource<'a>>,
    #[serde(borrow)]
    pub findings: List<Resource<'a>>,
    #[serde(borrow)]
    pub vulnerabilities: List<Resource<'a>>,
    #[serde(borrow)]
    pub misconfigurations: List<Resource<'a>>,
    /// Not in the report: what its form says about completeness.
    #[serde(skip)]
    pub complete: Option<bool>,
}

impl Scan<'_> {
    /// Whether the object has any key that makes it Trivy's.
    pub fn is_trivy(&self) -> bool {
        self.schema_version.0.is_some()
            || !self.artifact_name.is_empty()
            || !self.artifact_type.is_empty()
            || self.results.was_given
            || self.is_cluster()
    }

    pub fn is_cluster(&self) -> bool {
        !self.cluster_name.is_empty()
            || self.resources.was_given
            || self.findings.was_given
            || self.vulnerabilities.was_given
            || self.misconfigurations.was_given
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Version<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Metadata<'a> {
    #[serde(rename = "OS", borrow)]
    pub os: Object<Os<'a>>,
    #[serde(rename = "ImageID", borrow)]
    pub image_id: Text<'a>,
    #[serde(borrow)]
    pub repo_tags: List<Text<'a>>,
    #[serde(borrow)]
    pub repo_digests: List<Text<'a>>,
    #[serde(rename = "RepoURL", borrow)]
    pub repo_url: Text<'a>,
    #[serde(borrow)]
    pub branch: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Os<'a> {
    #[serde(borrow)]
    pub family: Text<'a>,
}

/// One resource of a cluster scan.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Resource<'a> {
    #[serde(borrow)]
    pub namespace: Text<'a>,
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub metadata: Object<Metadata<'a>>,
    #[serde(borrow)]
    pub results: List<Outcome<'a>>,
}

/// What Trivy calls a result: one lockfile, one package database, one file.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Outcome<'a> {
    #[serde(borrow)]
    pub target: Text<'a>,
    #[serde(borrow)]
    pub class: Text<'a>,
    #[serde(rename = "Type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub packages: List<Package<'a>>,
    #[serde(borrow)]
    pub vulnerabilities: List<Vulnerability<'a>>,
    #[serde(borrow)]
    pub misconfigurations: List<Check<'a>>,
    #[serde(borrow)]
    pub secrets: List<Secret<'a>>,
    #[serde(borrow)]
    pub licenses: List<Licence<'a>>,
    #[serde(rename = "ExperimentalModifiedFindings", borrow)]
    pub modified: List<Modified<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Package<'a> {
    #[serde(rename = "ID", borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub identifier: Object<Identifier<'a>>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub release: Text<'a>,
    #[serde(borrow)]
    pub src_name: Text<'a>,
    pub dev: Flag,
    #[serde(borrow)]
    pub relationship: Text<'a>,
    pub indirect: Flag,
    #[serde(borrow)]
    pub licenses: List<Text<'a>>,
    #[serde(borrow)]
    pub depends_on: List<Text<'a>>,
    #[serde(borrow)]
    pub installed_files: List<Text<'a>>,
    #[serde(borrow)]
    pub file_path: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Identifier<'a> {
    #[serde(rename = "PURL", borrow)]
    pub purl: Text<'a>,
    #[serde(rename = "UID", borrow)]
    pub uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Vulnerability<'a> {
    #[serde(rename = "VulnerabilityID", borrow)]
    pub id: Text<'a>,
    #[serde(rename = "VendorIDs", borrow)]
    pub vendor_ids: List<Text<'a>>,
    #[serde(rename = "PkgID", borrow)]
    pub package_id: Text<'a>,
    #[serde(rename = "PkgName", borrow)]
    pub package_name: Text<'a>,
    #[serde(rename = "PkgPath", borrow)]
    pub package_path: Text<'a>,
    #[serde(rename = "PkgIdentifier", borrow)]
    pub identifier: Object<Identifier<'a>>,
    /// The purl in versions that had no identifier.
    #[serde(rename = "Ref", borrow)]
    pub reference: Text<'a>,
    #[serde(borrow)]
    pub installed_version: Text<'a>,
    #[serde(borrow)]
    pub fixed_version: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub severity_source: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(rename = "CweIDs", borrow)]
    pub cwe_ids: List<Text<'a>>,
    #[serde(rename = "CVSS", borrow)]
    pub cvss: Entries<'a, Object<Cvss<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Cvss<'a> {
    #[serde(rename = "V2Vector", borrow)]
    pub v2_vector: Text<'a>,
    #[serde(rename = "V2Score")]
    pub v2_score: Number,
    #[serde(rename = "V3Vector", borrow)]
    pub v3_vector: Text<'a>,
    #[serde(rename = "V3Score")]
    pub v3_score: Number,
    #[serde(rename = "V40Vector", borrow)]
    pub v40_vector: Text<'a>,
    #[serde(rename = "V40Score")]
    pub v40_score: Number,
}

/// A finding that a VEX document or an ignore file took out; listed with `--show-suppressed`.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Modified<'a> {
    #[serde(rename = "Type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub finding: Object<Vulnerability<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Check<'a> {
    #[serde(rename = "ID", borrow)]
    pub id: Text<'a>,
    #[serde(rename = "AVDID", borrow)]
    pub avd_id: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    #[serde(borrow)]
    pub message: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub cause_metadata: Object<Cause<'a>>,
}

impl Check<'_> {
    /// Versions that had no status listed failures only.
    pub fn is_failed(&self) -> bool {
        self.status.is_empty() || self.status.eq_ignore_ascii_case("FAIL")
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Cause<'a> {
    #[serde(borrow)]
    pub resource: Text<'a>,
    pub start_line: Number,
    pub end_line: Number,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Secret<'a> {
    #[serde(rename = "RuleID", borrow)]
    pub rule_id: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    pub start_line: Number,
    pub end_line: Number,
    #[serde(rename = "Match", borrow)]
    pub masked_line: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
pub struct Licence<'a> {
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub category: Text<'a>,
    #[serde(rename = "PkgName", borrow)]
    pub package_name: Text<'a>,
    #[serde(borrow)]
    pub file_path: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
}
