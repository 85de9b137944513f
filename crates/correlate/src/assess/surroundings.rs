//! What context and intelligence say around a group of findings, as plain data: the leaves of ASSESS read only this.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use tributary_model::fact::value::CodeOwners;
use tributary_model::risk::{Exposure, Owner};
use tributary_model::time::Millis;

/// A value with who said it and when. `observed_at` is shown and never compared: the same word said again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Known<T> {
    /// The value.
    pub value: T,
    /// Who said so; `assumed` when nobody did.
    pub source: String,
    /// Event time; 0 when assumed or computed.
    #[serde(skip)]
    pub observed_at: Millis,
    /// Nothing was known, and this default stands in.
    pub assumed: bool,
}

impl<T> Known<T> {
    /// Somebody said so.
    pub fn said(value: T, source: impl Into<String>, observed_at: Millis) -> Self {
        Self { value, source: source.into(), observed_at, assumed: false }
    }

    /// Nobody said anything.
    pub fn assumed(value: T) -> Self {
        Self { value, source: "assumed".to_owned(), observed_at: 0, assumed: true }
    }
}

/// Where an image or a component runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Placement {
    /// `production`, `staging` … ; empty when unknown.
    pub environment: String,
    /// How reachable it is there.
    pub exposure: Exposure,
    /// Who says so.
    pub source: String,
    /// When it was said.
    pub observed_at: Millis,
}

/// The base image of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// Name without tag.
    pub name: String,
    /// Owner of the component that builds it; no team when nobody does.
    pub owner: Owner,
}

/// What is known of one component and of the assets its findings are on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surroundings {
    /// The assets that it was read for.
    pub assets: BTreeSet<Arc<str>>,
    /// Business criticality 1–4.
    pub tier: Option<Known<i32>>,
    /// Owning team with its asserter.
    pub owner: Option<Known<String>>,
    /// Everything of the component that runs.
    pub component: Vec<Placement>,
    /// By asset key: where that image runs.
    pub images: BTreeMap<String, Vec<Placement>>,
    /// By asset key: the base image; the image's own name when it is one itself.
    pub bases: BTreeMap<String, Base>,
    /// Statements about the images themselves, by digest.
    pub statements: Vec<Statement>,
    /// By canonical repository: who owns which path.
    pub code_owners: BTreeMap<String, Arc<CodeOwners>>,
    /// Whether anything at all is known to run anywhere: without that, "not deployed" is unknown.
    pub deployments_known: bool,
}

/// What intelligence says about one vulnerability id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vulnerability {
    /// In KEV: day added, whether ransomware uses it.
    pub kev: Option<Known<(String, bool)>>,
    /// EPSS, parts per million.
    pub epss_ppm: Option<u32>,
    /// SSVC exploitation, automatable, technical impact; empty where not said.
    pub ssvc: Option<Known<[String; 3]>>,
    /// CVSS vectors with scores, ascending by version.
    pub cvss: Vec<Known<(String, u32)>>,
    /// A public exploit's maturity: `weaponised` before `poc`.
    pub exploit: Option<Known<String>>,
    /// One line.
    pub summary: String,
    /// CWE numbers.
    pub cwes: Vec<u32>,
}

/// A trusted VEX statement about one product and one vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// `sha256:…` or a purl without version.
    pub product: String,
    /// Vulnerability id.
    pub vulnerability: String,
    /// `not_affected`, `affected`, `fixed`, `under_investigation`.
    pub status: String,
    /// Versions it is about; empty: versionless.
    pub version: String,
    /// Why.
    pub justification: String,
    /// Who.
    pub author: String,
    /// Packages inside the product that it is about; empty: all of it.
    pub subcomponents: Vec<String>,
}

/// What intelligence says about a group.
#[derive(Debug, Clone, Default)]
pub struct Intelligence {
    /// Whether a KEV catalogue was ever read: only then does absence mean "no".
    pub kev_read: bool,
    /// By id.
    pub vulnerabilities: BTreeMap<String, Vulnerability>,
    /// Statements about the products of the evidence.
    pub statements: Vec<Statement>,
}
