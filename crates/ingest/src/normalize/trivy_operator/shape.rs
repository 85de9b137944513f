//! The parts of the operator's custom resources that are read.

use serde::Deserialize;

use crate::normalize::lenient::{Entries, Flag, List, Number, Object, Text};

/// A custom resource, a list of them, or an object with one list per kind (as scripts around `kubectl get` write it).
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Resource<'a> {
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub metadata: Object<Metadata<'a>>,
    #[serde(borrow)]
    pub report: Object<Body<'a>>,
    #[serde(borrow)]
    pub status: Object<Status<'a>>,
    #[serde(borrow)]
    items: List<Resource<'a>>,
    #[serde(rename = "vulnerabilityreports.aquasecurity.github.io", borrow)]
    vulnerability: List<Resource<'a>>,
    #[serde(rename = "clustervulnerabilityreports.aquasecurity.github.io", borrow)]
    cluster_vulnerability: List<Resource<'a>>,
    #[serde(rename = "configauditreports.aquasecurity.github.io", borrow)]
    config_audit: List<Resource<'a>>,
    #[serde(rename = "clusterconfigauditreports.aquasecurity.github.io", borrow)]
    cluster_config_audit: List<Resource<'a>>,
    #[serde(rename = "exposedsecretreports.aquasecurity.github.io", borrow)]
    exposed_secret: List<Resource<'a>>,
    #[serde(rename = "rbacassessmentreports.aquasecurity.github.io", borrow)]
    rbac: List<Resource<'a>>,
    #[serde(rename = "clusterrbacassessmentreports.aquasecurity.github.io", borrow)]
    cluster_rbac: List<Resource<'a>>,
    #[serde(rename = "infraassessmentreports.aquasecurity.github.io", borrow)]
    infra: List<Resource<'a>>,
    #[serde(rename = "clusterinfraassessmentreports.aquasecurity.github.io", borrow)]
    cluster_infra: List<Resource<'a>>,
    #[serde(rename = "clustercompliancereports.aquasecurity.github.io", borrow)]
    compliance: List<Resource<'a>>,
}

impl<'a> Resource<'a> {
    /// Every report in it, in the order of the input's kinds. The parser has bounded the depth.
    pub fn flatten<'r>(&'r self, into: &mut Vec<&'r Resource<'a>>) {
        let nested = [
            &self.items,
            &self.vulnerability,
            &self.cluster_vulnerability,
            &self.config_audit,
            &self.cluster_config_audit,
            &self.exposed_secret,
            &self.rbac,
            &self.cluster_rbac,
            &self.infra,
            &self.cluster_infra,
            &self.compliance,
        ];
        nested.into_iter().flatten().for_each(|resource| resource.flatten(into));
        if !self.kind.is_empty() {
            into.push(self);
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub namespace: Text<'a>,
    #[serde(borrow)]
    pub creation_timestamp: Text<'a>,
    #[serde(borrow)]
    pub labels: Entries<'a, Text<'a>>,
    #[serde(borrow)]
    pub owner_references: List<Owner<'a>>,
}

impl Metadata<'_> {
    /// A label of the operator, without its prefix.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.0.iter().find(|(key, _)| key.strip_prefix("trivy-operator.") == Some(name))?.1.given()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Owner<'a> {
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Body<'a> {
    #[serde(borrow)]
    pub update_timestamp: Text<'a>,
    #[serde(borrow)]
    pub scanner: Object<Scanner<'a>>,
    #[serde(borrow)]
    pub artifact: Object<Artifact<'a>>,
    #[serde(borrow)]
    pub os: Object<Os<'a>>,
    #[serde(borrow)]
    pub vulnerabilities: List<Vulnerability<'a>>,
    #[serde(borrow)]
    pub checks: List<Check<'a>>,
    #[serde(borrow)]
    pub secrets: List<Secret<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Scanner<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Artifact<'a> {
    #[serde(borrow)]
    pub digest: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Os<'a> {
    #[serde(borrow)]
    pub family: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Vulnerability<'a> {
    #[serde(rename = "vulnerabilityID", borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub resource: Text<'a>,
    #[serde(borrow)]
    pub installed_version: Text<'a>,
    #[serde(borrow)]
    pub fixed_version: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    pub score: Number,
    #[serde(borrow)]
    pub class: Text<'a>,
    #[serde(borrow)]
    pub package_type: Text<'a>,
    #[serde(borrow)]
    pub package_path: Text<'a>,
    #[serde(rename = "packagePURL", alias = "pkgPURL", borrow)]
    pub purl: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Check<'a> {
    #[serde(rename = "checkID", borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    pub success: Flag,
    #[serde(borrow)]
    pub messages: List<Text<'a>>,
    #[serde(borrow)]
    pub target: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Secret<'a> {
    #[serde(rename = "ruleID", borrow)]
    pub rule_id: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub target: Text<'a>,
    #[serde(rename = "match", borrow)]
    pub masked_line: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Status<'a> {
    #[serde(borrow)]
    pub update_timestamp: Text<'a>,
    #[serde(borrow)]
    pub detail_report: Object<DetailReport<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct DetailReport<'a> {
    #[serde(borrow)]
    pub results: List<ControlChecks<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ControlChecks<'a> {
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub checks: List<Check<'a>>,
}
