//! The parts of a Grype report that are read, borrowed from its bytes.

use serde::Deserialize;

use crate::normalize::lenient::{Flag, List, Number, Object, Text};

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Document<'a> {
    #[serde(borrow)]
    pub matches: List<Match<'a>>,
    #[serde(borrow)]
    pub source: Object<Source<'a>>,
    #[serde(borrow)]
    pub distro: Object<Name<'a>>,
    #[serde(borrow)]
    pub descriptor: Object<Descriptor<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Name<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Match<'a> {
    #[serde(borrow)]
    pub vulnerability: Object<Vulnerability<'a>>,
    #[serde(borrow)]
    pub related_vulnerabilities: List<Vulnerability<'a>>,
    #[serde(borrow)]
    pub artifact: Object<Artifact<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Vulnerability<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub description: Text<'a>,
    #[serde(borrow)]
    pub cvss: List<Cvss<'a>>,
    #[serde(borrow)]
    pub cwes: List<Weakness<'a>>,
    #[serde(borrow)]
    pub fix: Object<Fix<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Weakness<'a> {
    #[serde(borrow)]
    pub cwe: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Cvss<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub vector: Text<'a>,
    pub metrics: Object<Metrics>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Metrics {
    pub base_score: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Fix<'a> {
    #[serde(borrow)]
    pub versions: List<Text<'a>>,
    #[serde(borrow)]
    pub state: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Artifact<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub language: Text<'a>,
    #[serde(borrow)]
    pub purl: Text<'a>,
    #[serde(borrow)]
    pub locations: List<Place<'a>>,
    #[serde(borrow)]
    pub upstreams: List<Name<'a>>,
    #[serde(borrow)]
    pub metadata: Object<Metadata<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Place<'a> {
    #[serde(borrow)]
    pub path: Text<'a>,
}

/// Old versions have the source package here.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Metadata<'a> {
    #[serde(rename = "Source", alias = "sourceRpm", borrow)]
    pub source: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Source<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    /// A path for directories, an object for images.
    #[serde(borrow)]
    pub target: Object<Target<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Target<'a> {
    #[serde(borrow)]
    pub user_input: Text<'a>,
    #[serde(rename = "imageID", borrow)]
    pub image_id: Text<'a>,
    #[serde(borrow)]
    pub manifest_digest: Text<'a>,
    #[serde(borrow)]
    pub repo_digests: List<Text<'a>>,
    #[serde(borrow)]
    pub tags: List<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Descriptor<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub timestamp: Text<'a>,
    #[serde(borrow)]
    pub configuration: Object<Configuration<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub struct Configuration<'a> {
    pub only_fixed: Flag,
    #[serde(rename = "only-notfixed")]
    pub only_not_fixed: Flag,
    pub by_cve: Flag,
    #[serde(rename = "ignore-wontfix", borrow)]
    pub ignore_wont_fix: Text<'a>,
    #[serde(borrow)]
    pub ignore_states: Text<'a>,
    #[serde(borrow)]
    pub exclude: List<Text<'a>>,
    #[serde(borrow)]
    pub search: Object<Search<'a>>,
    #[serde(borrow)]
    pub ignore: List<Ignore<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Search<'a> {
    #[serde(borrow)]
    pub scope: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub struct Ignore<'a> {
    #[serde(borrow)]
    pub vulnerability: Text<'a>,
    #[serde(borrow)]
    pub namespace: Text<'a>,
    #[serde(borrow)]
    pub fix_state: Text<'a>,
    #[serde(borrow)]
    pub package: Object<IgnoredPackage<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub struct IgnoredPackage<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub location: Text<'a>,
    #[serde(borrow)]
    pub upstream_name: Text<'a>,
}

impl Ignore<'_> {
    /// The rule as one text: two configurations that ignore the same have the same scope.
    pub fn canonical(&self) -> String {
        let package = &self.package;
        let fields: [&str; 8] = [
            &self.vulnerability,
            &self.namespace,
            &self.fix_state,
            &package.name,
            &package.version,
            &package.kind,
            &package.location,
            &package.upstream_name,
        ];
        fields.join(",")
    }
}
