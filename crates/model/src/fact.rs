//! A fact: one asserter's claim about one attribute of one entity. RELATE decides between asserters.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::reject::Origin;
use crate::time::Millis;

/// What is claimed. Each variant says: entity kind; qualifier; JSON shape of the value (types in [`value`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
pub enum Attribute {
    // --- repositories (`repo:host/org/name`)
    /// Default branch. No qualifier. [`value::Text`].
    DefaultBranch,
    /// Another name of the repository (provider id, old name). Qualifier: the alias. [`value::Text`] (the alias kind).
    RepositoryAlias,
    /// CODEOWNERS of the repository: the whole rule list. No qualifier. [`value::CodeOwners`].
    CodeOwners,
    /// A branch that is tracked beside the default branch. Qualifier: branch. [`value::Text`] ("release").
    TrackedBranch,
    // --- images (`image:sha256:…`)
    /// What it was built from. No qualifier. [`value::BuiltFrom`].
    BuiltFrom,
    /// The base image it was built on. No qualifier. [`value::BaseImage`].
    BaseImage,
    /// A name it is known by. Qualifier: `registry/repository:tag`. [`value::Text`] (empty).
    ImageName,
    /// Another digest of the same image (index, config). Qualifier: the other digest. [`value::Text`] ("index" | "config").
    ImageDigest,
    // --- workloads (`workload:cluster/namespace/kind/name`)
    /// An image it runs. Qualifier: image entity. [`value::Text`] (container name).
    RunsImage,
    /// Environment. No qualifier. [`value::Text`]: `production`, `staging`, `development`, `test` or as given.
    Environment,
    /// Labels of its pods, which services select by. No qualifier. [`value::Labels`].
    PodLabels,
    /// Component named by a label or annotation. No qualifier. [`value::Text`].
    WorkloadComponent,
    // --- services (`service:cluster/namespace/name`)
    /// Labels it selects pods by. No qualifier. [`value::Labels`].
    Selector,
    /// A way in from outside. Qualifier: the ingress, gateway or `load-balancer`. [`value::Exposed`].
    ExposedBy,
    // --- components (`component:name`)
    /// Owning team. No qualifier. [`value::Text`].
    Owner,
    /// Business criticality 1 (highest) to 4. No qualifier. [`value::Number`].
    Tier,
    /// `production`, `experimental`, `deprecated`. No qualifier. [`value::Text`].
    Lifecycle,
    /// `service`, `library`, `website` … No qualifier. [`value::Text`].
    ComponentType,
    /// System it is part of. No qualifier. [`value::Text`].
    System,
    /// Source: qualifier `host/org/name` or `host/org/name//sub/path`. [`value::Text`] (empty).
    Source,
    /// Title for people. No qualifier. [`value::Text`].
    Title,
    /// A cloud account, web origin or other asset it owns. Qualifier: asset key. [`value::Text`] (empty).
    OwnsAsset,
    // --- vulnerabilities (`vuln:CVE-…`), published on `intel`
    /// In CISA's catalogue of known exploited vulnerabilities. No qualifier. [`value::Kev`].
    Kev,
    /// EPSS. No qualifier. [`value::Epss`].
    Epss,
    /// CVSS as published. Qualifier: version (`4.0`, `3.1`). [`value::Cvss`].
    Cvss,
    /// CISA's SSVC decision points. No qualifier. [`value::Ssvc`].
    Ssvc,
    /// The same vulnerability under another id. Qualifier: the other id. [`value::Text`]: empty, or `mirror` where the claim
    /// only repeats, at the other id, what is claimed here. Whoever joins ids uses the claims that are no mirrors: they are
    /// withdrawn with the record, mirrors may outlive it.
    Alias,
    /// CWE numbers. No qualifier. [`value::Numbers`].
    Weaknesses,
    /// One line. No qualifier. [`value::Text`].
    Summary,
    /// A public exploit. Qualifier: where. [`value::Text`] (maturity: `poc` | `weaponised`).
    Exploit,
    /// Withdrawn or rejected by its publisher. No qualifier. [`value::Text`] (reason).
    WithdrawnAdvisory,
    /// It names several vulnerabilities: an advisory that bundles, joins nothing. Qualifier: member id. [`value::Text`] (empty).
    Bundles,
    // --- products (`product:<purl or image digest>`)
    /// VEX statement. Qualifier: vulnerability id. [`value::Vex`].
    Vex,
}

impl Attribute {
    /// The attribute's name on the wire and in ids of context.
    #[must_use]
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// One claim. Key on the log: the entity. An empty `value` retracts what this asserter claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Fact {
    /// Entity, e.g. `image:sha256:…` (see [`crate::entity`]).
    pub entity: String,
    /// What is claimed.
    pub attribute: Attribute,
    /// Distinguishes the several values of a multi-valued attribute; empty otherwise.
    pub qualifier: String,
    /// JSON of the attribute's value type; empty retracts.
    pub value: String,
    /// Who claims it: `backstage`, `kubernetes:prod-eu`, `slsa`, `cisa-kev`, `osv`. The part before `:` ranks it.
    pub asserter: String,
    /// Event time: the last writer per asserter wins by this.
    pub observed_at: Millis,
    /// When the claim lapses by itself; absent: never.
    pub expires_at: Option<Millis>,
    /// The raw record this came from.
    pub origin: Origin,
}

/// What one asserter claims now about one (attribute, qualifier).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Claim {
    /// The asserter's last word by event time; an empty value is a retraction, and then `expires_at` says until when
    /// it is remembered.
    pub fact: Fact,
    /// Event time from which this asserter has claimed this value. Confirming a value moves `fact.observed_at`, not this:
    /// so a daily confirmation changes nothing downstream.
    pub since: Millis,
}

/// Every claim about one entity, sorted by (attribute, qualifier, asserter): RELATE's changelog.
/// Topic `assertions`, key and partition key: the entity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct EntityAssertions {
    /// The entity.
    pub entity: String,
    /// The last claim of each asserter, retractions included until they cannot be overtaken any more.
    pub claims: Vec<Claim>,
    /// Processing time at which the context of this entity was last derived: lapses up to here are already shown as stale.
    pub decided_at: Millis,
}

/// JSON shapes of fact values. Decode with [`value::parse`], encode with [`value::json`].
pub mod value {
    #![allow(missing_docs)]
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    /// A JSON string.
    pub type Text = String;
    /// A JSON number.
    pub type Number = i64;
    /// A JSON array of numbers.
    pub type Numbers = Vec<u32>;
    /// A JSON object of strings, ordered.
    pub type Labels = BTreeMap<String, String>;

    /// Where an image came from. Empty strings: unknown.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct BuiltFrom {
        /// Canonical repository `host/org/name`.
        pub repo: String,
        #[serde(default)]
        pub commit: String,
        #[serde(default)]
        pub branch: String,
        /// Sub-directory of the build inside the repository.
        #[serde(default)]
        pub path: String,
    }

    /// A base image.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct BaseImage {
        /// `debian`, `docker.io/library/python` … without tag.
        pub name: String,
        #[serde(default)]
        pub tag: String,
        /// `sha256:…`; empty when unknown.
        #[serde(default)]
        pub digest: String,
    }

    /// A way in from outside.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct Exposed {
        #[serde(default)]
        pub host: String,
        #[serde(default)]
        pub path: String,
        /// Whether it faces the internet (an internal load balancer or ingress class does not).
        pub internet: bool,
    }

    /// One line of CODEOWNERS, in file order.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct CodeOwnersRule {
        pub pattern: String,
        pub owners: Vec<String>,
    }

    /// All rules; the last matching one wins.
    pub type CodeOwners = Vec<CodeOwnersRule>;

    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct Kev {
        /// `YYYY-MM-DD`.
        pub date_added: String,
        #[serde(default)]
        pub due_date: String,
        #[serde(default)]
        pub ransomware: bool,
    }

    /// EPSS in parts per million, so that equality is exact.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct Epss {
        pub score_ppm: u32,
        pub percentile_ppm: u32,
        #[serde(default)]
        pub model: String,
        /// `YYYY-MM-DD`.
        #[serde(default)]
        pub date: String,
    }

    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    pub struct Cvss {
        #[serde(default)]
        pub vector: String,
        #[serde(default)]
        pub score: f64,
    }

    /// CISA's published decision points, lower case: `none|poc|active`, `yes|no`, `partial|total`.
    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct Ssvc {
        #[serde(default)]
        pub exploitation: String,
        #[serde(default)]
        pub automatable: String,
        #[serde(default)]
        pub technical_impact: String,
    }

    #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
    pub struct Vex {
        /// `not_affected`, `affected`, `fixed`, `under_investigation`.
        pub status: String,
        #[serde(default)]
        pub justification: String,
        /// Versions the statement is about; empty: versionless, which suppresses nothing.
        #[serde(default)]
        pub version: String,
        #[serde(default)]
        pub author: String,
        /// Canonical purls of the packages inside the product that the statement is about; empty: the whole product.
        /// A vulnerability of two packages of one image is suppressed in the named one only.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub subcomponents: Vec<String>,
    }

    /// The value of a fact or of a context attribute; `None` when it has another shape (a newer writer).
    #[must_use]
    pub fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    /// Canonical JSON of a value.
    #[must_use]
    pub fn json<T: Serialize>(value: &T) -> String {
        serde_json::to_string(value).unwrap_or_default()
    }
}
