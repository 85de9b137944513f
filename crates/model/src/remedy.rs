//! What would fix risks, and the ticket that asks for it.

use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::id::{RemedyId, RiskId};
use crate::reject::Origin;
use crate::risk::{Owner, RiskState};
use crate::severity::Band;
use crate::time::Millis;

/// One risk under the fix that would close it. Topic `remedies`, key: `remedy|risk`, partition key: remedy.
///
/// When a risk's fix target changes, the old member ends with a tombstone: nothing else would ever take it off the topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, AvroSchema)]
#[avro(namespace = "io.tributary")]
pub struct RemedyMember {
    /// Id: function of (fix owner scope, kind, target without version).
    pub remedy: RemedyId,
    /// Kind, as in [`crate::risk::Fix::kind`].
    pub kind: String,
    /// Target without version.
    pub target: String,
    /// The risk.
    pub risk: RiskId,
    /// Its title.
    pub title: String,
    /// Its name (CVE, CWE, control).
    pub name: String,
    /// Its component.
    pub component: String,
    /// Who owns the fix.
    pub owner: Owner,
    /// Its state.
    pub state: RiskState,
    /// Its band.
    pub band: Band,
    /// Its score.
    pub score: i32,
    /// Version that fixes it.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Deadline.
    pub due_at: Option<Millis>,
    /// First seen.
    pub first_seen: Millis,
    /// Old data only.
    pub backfill: bool,
    /// The input that caused this record.
    pub cause: Origin,
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, AvroSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[avro(namespace = "io.tributary", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TicketState {
    /// Work is wanted.
    #[default]
    Open,
    /// Every risk under it is closed.
    Resolved,
}

/// One risk in a ticket.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TicketRisk {
    /// Risk id.
    pub risk: RiskId,
    /// Title.
    pub title: String,
    /// Component.
    pub component: String,
    /// Band.
    pub band: Band,
    /// State.
    pub state: RiskState,
}

/// The fix a ticket asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TicketFix {
    /// Kind, as in [`crate::risk::Fix::kind`].
    pub kind: String,
    /// Target without version.
    pub target: String,
    /// Version that closes every open risk of the ticket; empty when none is known.
    pub version: String,
    /// One sentence.
    pub summary: String,
}

/// Requested work: `data` of the CloudEvent on `tickets` (JSON). Key on the log: ticket key. REMEDY's changelog.
///
/// A consumer upserts by `key` and ignores revisions it has seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ticket {
    /// Ticket key: the remedy id.
    pub key: RemedyId,
    /// Grows by one with each event.
    pub revision: i64,
    /// Where it stands.
    pub state: TicketState,
    /// CloudEvents type of this revision without prefix: `ticket.opened`, `ticket.updated`, `ticket.resolved`, `ticket.reopened`.
    pub event: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Components concerned, ascending.
    pub components: Vec<String>,
    /// Who owns the fix.
    pub owner: Owner,
    /// Most urgent band of its open risks.
    pub band: Band,
    /// Band of the revision before.
    pub previous_band: Option<Band>,
    /// Earliest deadline of its open risks.
    pub due_at: Option<Millis>,
    /// The fix.
    pub fix: TicketFix,
    /// Risks under it, most urgent first, at most 100.
    pub risks: Vec<TicketRisk>,
    /// How many there are.
    pub risks_total: u32,
    /// How many of them are open.
    pub risks_open: u32,
    /// Labels for routing.
    pub labels: Vec<String>,
    /// Processing time at which it first opened.
    pub opened_at: Millis,
    /// Processing time of this revision.
    pub updated_at: Millis,
}
