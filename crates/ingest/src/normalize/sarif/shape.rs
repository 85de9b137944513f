//! The parts of a SARIF log that are read, borrowed from its bytes.
#![allow(clippy::struct_field_names)] // the names are the format's

use serde::Deserialize;

use crate::normalize::lenient::{Entries, List, Number, Object, Text};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Run<'a> {
    #[serde(borrow)]
    pub tool: Object<Tool<'a>>,
    #[serde(borrow)]
    pub results: List<Finding<'a>>,
    #[serde(borrow)]
    pub invocations: List<Invocation<'a>>,
    #[serde(borrow)]
    pub automation_details: Object<AutomationDetails<'a>>,
    #[serde(borrow)]
    pub version_control_provenance: List<Provenance<'a>>,
    #[serde(borrow)]
    pub original_uri_base_ids: Entries<'a, Object<ArtifactLocation<'a>>>,
    #[serde(borrow)]
    pub artifacts: List<Artifact<'a>>,
    #[serde(borrow)]
    pub taxonomies: List<Component<'a>>,
    #[serde(borrow)]
    pub external_property_file_references: Object<External<'a>>,
    #[serde(borrow)]
    pub properties: Object<RunProperties<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Tool<'a> {
    #[serde(borrow)]
    pub driver: Object<Component<'a>>,
    #[serde(borrow)]
    pub extensions: List<Component<'a>>,
}

/// A driver, an extension or a taxonomy.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Component<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub guid: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub semantic_version: Text<'a>,
    #[serde(borrow)]
    pub rules: List<Rule<'a>>,
    #[serde(borrow)]
    pub taxa: List<Taxon<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Taxon<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub guid: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub short_description: Object<Message<'a>>,
    #[serde(borrow)]
    pub full_description: Object<Message<'a>>,
    #[serde(borrow)]
    pub message_strings: Entries<'a, Object<Message<'a>>>,
    #[serde(borrow)]
    pub default_configuration: Object<Configuration<'a>>,
    #[serde(borrow)]
    pub relationships: List<Relationship<'a>>,
    #[serde(borrow)]
    pub properties: Object<Properties<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Configuration<'a> {
    #[serde(borrow)]
    pub enabled: Text<'a>,
    #[serde(borrow)]
    pub level: Text<'a>,
    pub rank: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Relationship<'a> {
    #[serde(borrow)]
    pub target: Object<Reference<'a>>,
}

/// A reference to a rule or a taxon: by id, by guid, or by index into a component.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Reference<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub guid: Text<'a>,
    pub index: Number,
    #[serde(borrow)]
    pub tool_component: Object<ComponentReference<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ComponentReference<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub guid: Text<'a>,
    pub index: Number,
}

/// Property bags of rules and results: the keys that several tools agree on.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Properties<'a> {
    #[serde(borrow)]
    pub tags: List<Text<'a>>,
    #[serde(borrow)]
    pub cwe: List<Text<'a>>,
    #[serde(borrow)]
    pub cwes: List<Text<'a>>,
    #[serde(rename = "security-severity")]
    pub security_severity: Number,
    #[serde(rename = "problem.severity", borrow)]
    pub problem_severity: Text<'a>,
    #[serde(borrow)]
    pub precision: Text<'a>,
    #[serde(borrow)]
    pub confidence: Text<'a>,
    #[serde(borrow)]
    pub issue_confidence: Text<'a>,
    #[serde(borrow)]
    pub purl: Text<'a>,
    #[serde(borrow)]
    pub purls: List<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Finding<'a> {
    #[serde(borrow)]
    pub rule_id: Text<'a>,
    pub rule_index: Number,
    #[serde(borrow)]
    pub rule: Object<Reference<'a>>,
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub level: Text<'a>,
    pub rank: Number,
    #[serde(borrow)]
    pub baseline_state: Text<'a>,
    #[serde(borrow)]
    pub message: Object<Message<'a>>,
    #[serde(borrow)]
    pub locations: List<Location<'a>>,
    #[serde(borrow)]
    pub partial_fingerprints: Entries<'a, Text<'a>>,
    #[serde(borrow)]
    pub suppressions: List<Suppression<'a>>,
    #[serde(borrow)]
    pub taxa: List<Reference<'a>>,
    #[serde(borrow)]
    pub properties: Object<Properties<'a>>,
}

impl Finding<'_> {
    /// Whether it claims a problem that is there now: not a passed or inapplicable check, an open question or a review, and
    /// not one that a baseline knows to be gone.
    pub fn is_open(&self) -> bool {
        (self.kind.is_empty() || *self.kind == *"fail") && *self.baseline_state != *"absent"
    }

    /// Suppressed as the specification has it: there are suppressions, and none is rejected or under review. Drafts wrote
    /// `state` for `status`.
    pub fn is_suppressed(&self) -> bool {
        let stands = |suppression: &Suppression<'_>| {
            let status = if suppression.status.is_empty() { &suppression.state } else { &suppression.status };
            !matches!(&**status, "rejected" | "underReview")
        };
        !self.suppressions.is_empty() && self.suppressions.iter().all(stands)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Suppression<'a> {
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub state: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Message<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub text: Text<'a>,
    #[serde(borrow)]
    pub arguments: List<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Location<'a> {
    #[serde(borrow)]
    pub physical_location: Object<PhysicalLocation<'a>>,
    #[serde(borrow)]
    pub logical_locations: List<LogicalLocation<'a>>,
    /// Drafts had one.
    #[serde(borrow)]
    pub logical_location: Object<LogicalLocation<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct PhysicalLocation<'a> {
    #[serde(borrow)]
    pub artifact_location: Object<ArtifactLocation<'a>>,
    #[serde(borrow)]
    pub region: Object<Region<'a>>,
    #[serde(borrow)]
    pub context_region: Object<Region<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactLocation<'a> {
    #[serde(borrow)]
    pub uri: Text<'a>,
    #[serde(borrow)]
    pub uri_base_id: Text<'a>,
    pub index: Number,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Region<'a> {
    pub start_line: Number,
    pub end_line: Number,
    #[serde(borrow)]
    pub snippet: Object<Message<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct LogicalLocation<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub fully_qualified_name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Invocation<'a> {
    #[serde(borrow)]
    pub execution_successful: Text<'a>,
    #[serde(borrow)]
    pub start_time_utc: Text<'a>,
    #[serde(borrow)]
    pub end_time_utc: Text<'a>,
    #[serde(borrow)]
    pub working_directory: Object<ArtifactLocation<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct AutomationDetails<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub guid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Provenance<'a> {
    #[serde(borrow)]
    pub repository_uri: Text<'a>,
    #[serde(borrow)]
    pub branch: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Artifact<'a> {
    #[serde(borrow)]
    pub location: Object<ArtifactLocation<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct External<'a> {
    #[serde(borrow)]
    pub results: List<ArtifactLocation<'a>>,
}

/// What Trivy adds to a run.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct RunProperties<'a> {
    #[serde(borrow)]
    pub image_name: Text<'a>,
    #[serde(rename = "imageID", borrow)]
    pub image_id: Text<'a>,
    #[serde(borrow)]
    pub repo_digests: List<Text<'a>>,
}
