//! What a tool reported about gravity, and the band Tributary decides.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

/// Severity as a tool reported it. `Unknown` is its own value: it is never treated as low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "lowercase")]
#[avro(namespace = "io.tributary", rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    #[default]
    Unknown,
    Information,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Reads the words that scanners use, in any case: `ERROR`, `Moderate`, `negligible`, `note`, `WARNING` …
    #[must_use]
    pub fn parse(word: &str) -> Severity {
        let lower = word.trim().to_ascii_lowercase();
        match lower.as_str() {
            "critical" | "crit" | "blocker" | "fatal" => Severity::Critical,
            "high" | "error" | "important" | "severe" => Severity::High,
            "medium" | "moderate" | "warning" | "warn" | "major" => Severity::Medium,
            "low" | "minor" | "note" => Severity::Low,
            "negligible" | "info" | "information" | "informational" | "notice" | "none" | "debug" => {
                Severity::Information
            }
            _ => Severity::Unknown,
        }
    }

    /// The qualitative rating of a CVSS v3/v4 base score (specification, section 5).
    #[must_use]
    pub fn from_cvss(score: f64) -> Severity {
        match score {
            s if s >= 9.0 => Severity::Critical,
            s if s >= 7.0 => Severity::High,
            s if s >= 4.0 => Severity::Medium,
            s if s > 0.0 => Severity::Low,
            _ => Severity::Information,
        }
    }

    /// The word used in tables, on pages and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Unknown => "unknown",
            Severity::Information => "information",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What to do and how soon: the outcomes of the SSVC Deployer model. Ordered from least to most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, AvroSchema)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Band {
    #[default]
    Defer,
    Scheduled,
    OutOfCycle,
    Immediate,
}

impl Band {
    /// Most urgent first, as lists show them.
    pub const ALL: [Band; 4] = [Band::Immediate, Band::OutOfCycle, Band::Scheduled, Band::Defer];

    /// The word used in tables, on pages and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Band::Defer => "defer",
            Band::Scheduled => "scheduled",
            Band::OutOfCycle => "out_of_cycle",
            Band::Immediate => "immediate",
        }
    }

    /// One band less urgent; `Defer` stays.
    #[must_use]
    pub const fn lower(self) -> Band {
        match self {
            Band::Immediate => Band::OutOfCycle,
            Band::OutOfCycle => Band::Scheduled,
            Band::Scheduled | Band::Defer => Band::Defer,
        }
    }
}
