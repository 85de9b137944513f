//! What INGEST tells TRACK about one asset: sightings, the end of a scan, use at run time, an inventory.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::reject::Origin;
use crate::scan::{ScanCompleted, ScanRef};
use crate::sighting::Sighting;
use crate::time::Millis;

/// How an artefact was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
pub enum UseLevel {
    /// A sensor watches this asset; says nothing about any one package (a heartbeat of coverage).
    #[default]
    Watched,
    /// Mapped into a process.
    Loaded,
    /// Started as a process.
    Executed,
}

/// Something that ran or was loaded in an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct RuntimeUse {
    /// `workload:…` entity in which it was seen; empty when unknown.
    pub workload: String,
    /// Absolute path of the binary or library inside the container.
    pub path: String,
    /// How it was used.
    pub level: UseLevel,
    /// How often since the last observation.
    pub count: u32,
}

/// One package of an inventory (SBOM).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct InventoryItem {
    /// Canonical purl without version and qualifiers.
    pub purl: String,
    /// Name as people say it.
    pub name: String,
    /// Version.
    pub version: String,
    /// Purl type.
    pub ecosystem: String,
    /// Licence expression as given; empty when none.
    pub licence: String,
    /// Files it owns inside the image, where the inventory says; at most 32.
    pub files: Vec<String>,
}

/// One message on `observations`, about one asset. Key on the log: the asset. Exactly one of the parts below is filled.
///
/// A batch is at most 256 KiB when encoded; larger reports become several parts of one scan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct Observation {
    /// Asset key (see [`crate::asset::AssetKey`]).
    pub asset: String,
    /// Event time.
    pub observed_at: Millis,
    /// Tool name, lower case: `trivy`, `codeql`. Evidence, never identity.
    pub tool: String,
    /// Tool version as reported.
    pub tool_version: String,
    /// Format name.
    pub format: String,
    /// CloudEvents source.
    pub source: String,
    /// Old data being loaded.
    pub backfill: bool,
    /// The raw record this came from.
    pub origin: Origin,
    /// The scan; absent for run-time use and alerts that belong to no scan.
    pub scan: Option<ScanRef>,
    /// Number of this part of the scan, from 0.
    pub part: u32,
    /// Sightings of this part.
    pub sightings: Vec<Sighting>,
    /// Set on the last message of a scan of this asset.
    pub completed: Option<ScanCompleted>,
    /// Use at run time.
    pub runtime: Vec<RuntimeUse>,
    /// Inventory items (context, not a scan with zero findings).
    pub inventory: Vec<InventoryItem>,
}
