//! The topics of the log: what each carries, how it is cleaned up, and which partition a key goes to.

use std::fmt;

/// How a topic forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Records are dropped by age.
    Delete,
    /// The latest record of each key is kept; a record without a value is a tombstone.
    Compact,
}

/// Every topic Tributary reads or writes. The name on the wire is `<prefix><name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names are the documentation; `Topic::carries` says the rest
pub enum Topic {
    RawScanner,
    RawCicd,
    RawCloud,
    RawRuntime,
    RawCatalog,
    RawIntel,
    RawTriage,
    RawTicketing,
    Facts,
    Observations,
    Assertions,
    Context,
    Intel,
    Tracked,
    Scans,
    Findings,
    Risks,
    Changes,
    Remedies,
    Tickets,
    Rejects,
    Assets,
    BulkScanner,
    BulkCicd,
    BulkCloud,
    BulkRuntime,
    BulkCatalog,
    BulkIntel,
    BulkTriage,
    BulkTicketing,
    Versions,
}

impl Topic {
    /// Every topic, in the order of the flow.
    pub const ALL: [Topic; 31] = [
        Topic::RawScanner,
        Topic::RawCicd,
        Topic::RawCloud,
        Topic::RawRuntime,
        Topic::RawCatalog,
        Topic::RawIntel,
        Topic::RawTriage,
        Topic::RawTicketing,
        Topic::BulkScanner,
        Topic::BulkCicd,
        Topic::BulkCloud,
        Topic::BulkRuntime,
        Topic::BulkCatalog,
        Topic::BulkIntel,
        Topic::BulkTriage,
        Topic::BulkTicketing,
        Topic::Facts,
        Topic::Observations,
        Topic::Assertions,
        Topic::Context,
        Topic::Intel,
        Topic::Versions,
        Topic::Tracked,
        Topic::Scans,
        Topic::Findings,
        Topic::Risks,
        Topic::Changes,
        Topic::Remedies,
        Topic::Tickets,
        Topic::Rejects,
        Topic::Assets,
    ];

    /// The raw topics of interactive work, one per class of source.
    pub const RAW: [Topic; 8] = [
        Topic::RawScanner,
        Topic::RawCicd,
        Topic::RawCloud,
        Topic::RawRuntime,
        Topic::RawCatalog,
        Topic::RawIntel,
        Topic::RawTriage,
        Topic::RawTicketing,
    ];

    /// The raw topics of the bulk lane, in the order of [`Topic::RAW`]: backfills, and whatever else nobody waits for.
    pub const BULK: [Topic; 8] = [
        Topic::BulkScanner,
        Topic::BulkCicd,
        Topic::BulkCloud,
        Topic::BulkRuntime,
        Topic::BulkCatalog,
        Topic::BulkIntel,
        Topic::BulkTriage,
        Topic::BulkTicketing,
    ];

    /// The name without prefix, as documented and as users type it (`tributary tail risks`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Topic::RawScanner => "raw.scanner",
            Topic::RawCicd => "raw.cicd",
            Topic::RawCloud => "raw.cloud",
            Topic::RawRuntime => "raw.runtime",
            Topic::RawCatalog => "raw.catalog",
            Topic::RawIntel => "raw.intel",
            Topic::RawTriage => "raw.triage",
            Topic::RawTicketing => "raw.ticketing",
            Topic::Facts => "facts",
            Topic::Observations => "observations",
            Topic::Assertions => "assertions",
            Topic::Context => "context",
            Topic::Intel => "intel",
            Topic::Tracked => "tracked",
            Topic::Scans => "scans",
            Topic::Findings => "findings",
            Topic::Risks => "risks",
            Topic::Changes => "changes",
            Topic::Remedies => "remedies",
            Topic::Tickets => "tickets",
            Topic::Rejects => "rejects",
            Topic::Assets => "assets",
            Topic::BulkScanner => "raw.scanner.bulk",
            Topic::BulkCicd => "raw.cicd.bulk",
            Topic::BulkCloud => "raw.cloud.bulk",
            Topic::BulkRuntime => "raw.runtime.bulk",
            Topic::BulkCatalog => "raw.catalog.bulk",
            Topic::BulkIntel => "raw.intel.bulk",
            Topic::BulkTriage => "raw.triage.bulk",
            Topic::BulkTicketing => "raw.ticketing.bulk",
            Topic::Versions => "versions",
        }
    }

    /// Whether it carries records as received, in either lane.
    #[must_use]
    pub fn is_raw(self) -> bool {
        Topic::RAW.contains(&self) || self.is_bulk()
    }

    /// Whether it is of the bulk lane.
    #[must_use]
    pub fn is_bulk(self) -> bool {
        Topic::BULK.contains(&self)
    }

    /// The topic with this name, without prefix.
    #[must_use]
    pub fn parse(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// How the topic forgets.
    #[must_use]
    pub const fn cleanup(self) -> Cleanup {
        match self {
            Topic::Assertions
            | Topic::Context
            | Topic::Intel
            | Topic::Versions
            | Topic::Tracked
            | Topic::Scans
            | Topic::Assets
            | Topic::Findings
            | Topic::Risks
            | Topic::Remedies
            | Topic::Tickets => Cleanup::Compact,
            _ => Cleanup::Delete,
        }
    }

    /// Whether every worker reads every partition (context, intelligence, the versions in force).
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        matches!(self, Topic::Context | Topic::Intel | Topic::Versions)
    }

    /// A stable small number, used as a storage prefix by the embedded log. Never renumber.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The partition of a partition key: 64-bit FNV-1a of its UTF-8 bytes, modulo the partition count.
///
/// FNV-1a is chosen because any language can write it in five lines and agree with us.
#[must_use]
pub fn partition_of(partition_key: &str, partitions: u32) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = partition_key.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    (hash % u64::from(partitions.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_unique() {
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(topic.name()), Some(topic));
        }
    }

    #[test]
    fn partitions_are_those_any_fnv1a_gives() {
        // Published FNV-1a 64 vectors: "" = cbf29ce484222325, "a" = af63dc4c8601ec8c, "foobar" = 85944171f73967e8.
        assert_eq!(partition_of("", 1000), (0xcbf2_9ce4_8422_2325_u64 % 1000) as u32);
        assert_eq!(partition_of("a", 1000), (0xaf63_dc4c_8601_ec8c_u64 % 1000) as u32);
        assert_eq!(partition_of("foobar", 1000), (0x8594_4171_f739_67e8_u64 % 1000) as u32);
    }
}
