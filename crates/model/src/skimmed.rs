//! Records of which a summary keeps a little: what it does not need is passed over, without a look at the text and without memory.
//! Same fields, same order as the originals; a test holds each to its borrowed form. What a field means is said there.

#![allow(missing_docs)]

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::borrowed::{Borrowed, Owner};
use crate::finding::{FindingEnd, FindingState, RuntimeVerdict};
use crate::risk::{Exposure, RiskState};
use crate::severity::{Band, Severity};
use crate::sighting::{DependencyScope, FindingClass, ToolStatus};
use crate::time::Millis;

/// A text that is passed over.
#[derive(Debug)]
pub struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pass;
        impl<'de> Visitor<'de> for Pass {
            type Value = Text;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }
            fn visit_borrowed_bytes<E: Error>(self, _: &'de [u8]) -> Result<Text, E> {
                Ok(Text)
            }
        }
        deserializer.deserialize_bytes(Pass)
    }
}

/// A list that is passed over.
#[derive(Debug)]
pub struct List<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pass<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pass<T> {
            type Value = List<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                while items.next_element::<T>()?.is_some() {}
                Ok(List(PhantomData))
            }
        }
        deserializer.deserialize_seq(Pass(PhantomData))
    }
}

/// Records that are passed over: the types of their fields, in order.
macro_rules! passed {
    ($($name:ident: $($field:ty),+;)+) => { $(
        #[derive(Debug)]
        pub struct $name;

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Pass;
                impl<'de> Visitor<'de> for Pass {
                    type Value = $name;
                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str(stringify!($name))
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<$name, A::Error> {
                        $(fields.next_element::<$field>()?.ok_or_else(|| A::Error::missing_field(stringify!($field)))?;)+
                        Ok($name)
                    }
                }
                deserializer.deserialize_struct(stringify!($name), &[$(stringify!($field)),+], Pass)
            }
        }
    )+ };
}

passed! {
    Origin: Text, u32, i64;
    Departure: Text, Millis;
    ToolClaim: Text, Text, Text, Millis, bool, Text, Severity, Text, Option<f64>, List<Text>, List<Text>, bool, bool, Severity,
        Option<bool>;
    Package: Text, Text, Text, Text, Text, bool, Text, Text, DependencyScope, List<Text>, bool, List<Text>;
    Location: Text, u32, u32, Text, Text, Text;
    Secret: Text, Text, Text, bool, bool;
    Endpoint: Text, Text, Text;
    Sighting: FindingClass, Text, Text, Severity, Text, Option<f64>, List<Text>, List<u32>, Option<Package>, Option<Location>,
        Option<Secret>, Option<Endpoint>, Text, Text, u32, ToolStatus, Severity, Option<bool>;
    Contribution: Text, Text, Text, Millis, i32, bool;
    DecisionStep: Text, Band, Text, bool;
    Evidence: Text, Text, List<Text>, List<Text>, Text, FindingState, bool, Millis, RuntimeVerdict;
}

/// See [`crate::finding::Finding`].
#[derive(Debug, serde::Deserialize)]
pub struct Finding<'a> {
    pub component: &'a str,
    pub end: FindingEnd,
    pub moved_to: Text,
    #[serde(borrow)]
    pub tracked: TrackedFinding<'a>,
}

/// See [`crate::finding::TrackedFinding`].
#[derive(Debug, serde::Deserialize)]
pub struct TrackedFinding<'a> {
    pub finding: &'a str,
    pub asset: Text,
    pub sighting: Sighting,
    pub sighting_tool: Text,
    pub claims: List<ToolClaim>,
    pub state: FindingState,
    pub first_seen: Millis,
    pub state_since: Millis,
    pub reopened: u32,
    pub runtime: RuntimeVerdict,
    pub components: List<Text>,
    pub attributed_by: Text,
    pub left: List<Departure>,
    pub counts: bool,
    pub backfill: bool,
    pub cause: Origin,
}

/// See [`crate::risk::Risk`].
#[derive(Debug, serde::Deserialize)]
pub struct Risk<'a> {
    pub risk: &'a str,
    pub component: &'a str,
    pub generation: i64,
    pub revision: i64,
    pub state: RiskState,
    pub class: FindingClass,
    pub title: &'a str,
    pub name: Text,
    pub vulnerability_ids: List<Text>,
    pub cwes: List<u32>,
    pub package: Text,
    pub installed_versions: List<Text>,
    pub place: Text,
    pub band: Band,
    pub score: i32,
    pub severity: Severity,
    pub contributions: List<Contribution>,
    pub decision: List<DecisionStep>,
    pub model_version: Text,
    pub inputs_digest: Text,
    #[serde(borrow)]
    pub owner: Owner<'a>,
    pub tier: i32,
    pub environments: List<Text>,
    pub exposure: Exposure,
    pub deployed: Option<bool>,
    pub runtime: RuntimeVerdict,
    pub kev: Option<bool>,
    pub epss_ppm: Option<u32>,
    pub cvss_score: Option<f64>,
    pub verified: bool,
    #[serde(borrow)]
    pub fix: Fix<'a>,
    pub first_seen: Millis,
    pub opened_at: Millis,
    pub clock_start: Millis,
    pub due_at: Option<Millis>,
    pub resolved_at: Option<Millis>,
    pub reopened: u32,
    pub suppressed_by: Text,
    pub confirmed_by: List<Text>,
    pub tools: List<Text>,
    pub evidence: List<Evidence>,
    pub evidence_total: u32,
    pub backfill: bool,
    pub decided_at: Millis,
    pub chain_head: Text,
}

/// See [`crate::risk::Fix`].
#[derive(Debug, serde::Deserialize)]
pub struct Fix<'a> {
    pub kind: Text,
    pub target: Text,
    pub scope: Text,
    pub version: Text,
    pub summary: &'a str,
    #[serde(borrow)]
    pub owner: Owner<'a>,
}

impl<'a> Borrowed<'a> for Finding<'a> {
    type Of = crate::finding::Finding;
}

impl<'a> Borrowed<'a> for Risk<'a> {
    type Of = crate::risk::Risk;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::borrowed;
    use crate::codec::{AvroRecord, samples};

    /// A field too few or too many, or two of another size that change places, and what is kept is read from the wrong bytes.
    #[test]
    fn what_is_kept_is_read_from_its_place() {
        let samples = samples();
        let bytes = samples.finding.encode().unwrap();
        let (skimmed, whole) = (Finding::decode(&bytes).unwrap(), borrowed::Finding::decode(&bytes).unwrap());
        assert_eq!((skimmed.component, skimmed.end), (whole.component, whole.end));
        let (of, from) = (&skimmed.tracked, &whole.tracked);
        assert_eq!(
            (of.finding, of.state, of.first_seen, of.state_since, of.reopened, of.runtime, of.counts, of.backfill),
            (
                from.finding,
                from.state,
                from.first_seen,
                from.state_since,
                from.reopened,
                from.runtime,
                from.counts,
                from.backfill
            )
        );
        let bytes = samples.risk.encode().unwrap();
        let (skimmed, whole) = (Risk::decode(&bytes).unwrap(), borrowed::Risk::decode(&bytes).unwrap());
        assert_eq!(
            (skimmed.risk, skimmed.component, skimmed.state, skimmed.title, skimmed.band, skimmed.score),
            (whole.risk, whole.component, whole.state, whole.title, whole.band, whole.score)
        );
        assert_eq!(
            (skimmed.owner, skimmed.fix.summary, skimmed.due_at, skimmed.decided_at),
            (whole.owner, whole.fix.summary, whole.due_at, whole.decided_at)
        );
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let bytes = samples().finding.encode().unwrap();
        assert!(Finding::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Finding::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
