//! What TRACK keeps about an asset as a whole: whether it ever ran, what of it ran, which files belong to which package.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

use crate::observation::UseLevel;
use crate::scan::ScanRef;

/// A binary or library that was seen in use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct UsedFile {
    /// Path inside the container, canonical: no leading `/`.
    pub path: String,
    /// The strongest use seen.
    pub level: UseLevel,
}

/// The files of one package that can be in use: binaries and libraries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct PackageFiles {
    /// Canonical purl without version and qualifiers.
    pub purl: String,
    /// Paths, canonical, ascending.
    pub files: Vec<String>,
}

/// One asset. Topic `assets`, key and partition key: the asset. Bounded: see TRACK.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct AssetProfile {
    /// Asset key.
    pub asset: String,
    /// A workload was seen to run it. Without one now, it is superseded.
    pub was_deployed: bool,
    /// A run-time sensor watches it.
    pub watched: bool,
    /// What was in use, ascending by path.
    pub used: Vec<UsedFile>,
    /// The inventory that `packages` comes from: newer ones replace it, its own parts add to it.
    pub inventory: ScanRef,
    /// Packages with files, ascending by purl.
    pub packages: Vec<PackageFiles>,
    /// Something was left out for want of room: what is not listed is unknown, not unused.
    pub truncated: bool,
}
