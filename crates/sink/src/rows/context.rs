//! Tables `components`, `deployments` and `intel`: what RELATE decided.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::context::EntityContext;
use tributary_model::fact::{Attribute, value};
use tributary_model::{Topic, entity};
use tributary_stream::Message;

use super::{Source, fraction};

/// A row of `components`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Default, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ComponentRow {
    pub component: String,
    pub bucket: u8,
    pub version: u64,
    pub title: String,
    pub owner: String,
    pub tier: i32,
    pub lifecycle: String,
    pub r#type: String,
    pub system: String,
    pub sources: Vec<String>,
    pub assets: Vec<String>,
    pub deleted: bool,
}

impl ComponentRow {
    /// The row of a component's context.
    #[must_use]
    pub fn new(context: &EntityContext, source: Source) -> Self {
        Self {
            component: entity::name(&context.entity).to_owned(),
            bucket: source.bucket,
            version: source.version,
            title: text(context, Attribute::Title),
            owner: text(context, Attribute::Owner),
            tier: context.get(Attribute::Tier).and_then(|a| value::parse::<i32>(&a.value)).unwrap_or(0),
            lifecycle: text(context, Attribute::Lifecycle),
            r#type: text(context, Attribute::ComponentType),
            system: text(context, Attribute::System),
            sources: qualifiers(context, Attribute::Source),
            assets: qualifiers(context, Attribute::OwnsAsset),
            deleted: false,
        }
    }
}

/// A row of `deployments`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Default, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DeploymentRow {
    pub workload: String,
    pub bucket: u8,
    pub version: u64,
    pub environment: String,
    pub component: String,
    pub images: Vec<String>,
    pub observed_at: i64,
    pub deleted: bool,
}

impl DeploymentRow {
    /// The row of a workload's context.
    #[must_use]
    pub fn new(context: &EntityContext, source: Source) -> Self {
        Self {
            workload: context.entity.clone(),
            bucket: source.bucket,
            version: source.version,
            environment: text(context, Attribute::Environment),
            component: text(context, Attribute::WorkloadComponent),
            images: qualifiers(context, Attribute::RunsImage),
            observed_at: context.attributes.iter().map(|a| a.observed_at).max().unwrap_or(0),
            deleted: false,
        }
    }
}

/// A row of `intel`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Default, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct IntelRow {
    pub vulnerability: String,
    pub bucket: u8,
    pub version: u64,
    pub summary: String,
    pub kev: bool,
    pub kev_added: String,
    pub ransomware: bool,
    pub epss: Option<f64>,
    pub epss_percentile: Option<f64>,
    pub epss_date: String,
    pub cvss: Option<f64>,
    pub cvss_vector: String,
    pub exploitation: String,
    pub automatable: String,
    pub impact: String,
    pub aliases: Vec<String>,
    pub bundles: Vec<String>,
    pub deleted: bool,
}

impl IntelRow {
    /// The row of a vulnerability's context.
    #[must_use]
    pub fn new(context: &EntityContext, source: Source) -> Self {
        let kev = context.get(Attribute::Kev).and_then(|a| value::parse::<value::Kev>(&a.value));
        let epss = context.get(Attribute::Epss).and_then(|a| value::parse::<value::Epss>(&a.value));
        // Qualifiers are CVSS versions: the last is the newest.
        let cvss = context.all(Attribute::Cvss).last().and_then(|a| value::parse::<value::Cvss>(&a.value));
        let ssvc = context.get(Attribute::Ssvc).and_then(|a| value::parse::<value::Ssvc>(&a.value)).unwrap_or_default();
        Self {
            vulnerability: entity::name(&context.entity).to_owned(),
            bucket: source.bucket,
            version: source.version,
            summary: text(context, Attribute::Summary),
            kev: kev.is_some(),
            ransomware: kev.as_ref().is_some_and(|kev| kev.ransomware),
            kev_added: kev.map(|kev| kev.date_added).unwrap_or_default(),
            epss: epss.as_ref().map(|epss| fraction(epss.score_ppm)),
            epss_percentile: epss.as_ref().map(|epss| fraction(epss.percentile_ppm)),
            epss_date: epss.map(|epss| epss.date).unwrap_or_default(),
            cvss: cvss.as_ref().map(|cvss| cvss.score).filter(|score| *score > 0.0),
            cvss_vector: cvss.map(|cvss| cvss.vector).unwrap_or_default(),
            exploitation: ssvc.exploitation,
            automatable: ssvc.automatable,
            impact: ssvc.technical_impact,
            aliases: qualifiers(context, Attribute::Alias),
            bundles: qualifiers(context, Attribute::Bundles),
            deleted: false,
        }
    }
}

/// A tombstone of a context topic says that nothing is known any more: the row stays, marked.
pub(super) fn deleted(message: &Message, source: Source, rows: &mut super::Rows<'_>) {
    let entity = message.key_str();
    let (bucket, version, name) = (source.bucket, source.version, entity::name(entity).to_owned());
    match (message.topic, entity::kind(entity)) {
        (Topic::Context, "component") => {
            rows.components.push(ComponentRow {
                component: name,
                bucket,
                version,
                deleted: true,
                ..ComponentRow::default()
            });
        }
        (Topic::Context, "workload") => {
            let workload = entity.to_owned();
            rows.deployments.push(DeploymentRow {
                workload,
                bucket,
                version,
                deleted: true,
                ..DeploymentRow::default()
            });
        }
        (Topic::Intel, _) => {
            rows.intel.push(IntelRow { vulnerability: name, bucket, version, deleted: true, ..IntelRow::default() });
        }
        _ => {}
    }
}

fn text(context: &EntityContext, attribute: Attribute) -> String {
    context.get(attribute).and_then(|a| value::parse::<String>(&a.value)).unwrap_or_default()
}

fn qualifiers(context: &EntityContext, attribute: Attribute) -> Vec<String> {
    context.all(attribute).map(|a| a.qualifier.clone()).collect()
}
