//! Table `tickets`.

use std::borrow::Cow;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::CodecError;
use tributary_model::remedy::TicketState;
use tributary_model::severity::Band;
use tributary_model::time::Millis;

use super::Source;

/// A row of `tickets`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TicketRow<'a> {
    pub ticket: Cow<'a, str>,
    pub bucket: u8,
    pub version: u64,
    pub state: &'a str,
    pub title: Cow<'a, str>,
    pub body: Cow<'a, str>,
    pub components: Vec<Cow<'a, str>>,
    pub owner: Cow<'a, str>,
    pub band: &'a str,
    pub due_at: Option<i64>,
    pub fix_kind: Cow<'a, str>,
    pub fix_target: Cow<'a, str>,
    pub fix_version: Cow<'a, str>,
    pub fix: Cow<'a, str>,
    pub risks: Vec<Cow<'a, str>>,
    pub risks_total: u32,
    pub risks_open: u32,
    pub labels: Vec<Cow<'a, str>>,
    pub opened_at: i64,
    pub updated_at: i64,
}

/// A [`tributary_model::remedy::Ticket`] with its texts borrowed where JSON has them without escapes.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    revision: i64,
    state: TicketState,
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow)]
    components: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    owner: Owner<'a>,
    band: Band,
    due_at: Option<Millis>,
    #[serde(borrow)]
    fix: Fix<'a>,
    #[serde(borrow)]
    risks: Vec<Risk<'a>>,
    risks_total: u32,
    risks_open: u32,
    #[serde(borrow)]
    labels: Vec<Cow<'a, str>>,
    opened_at: Millis,
    updated_at: Millis,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    team: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Fix<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    summary: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Risk<'a> {
    #[serde(borrow)]
    risk: Cow<'a, str>,
}

impl<'a> TicketRow<'a> {
    /// The row of a ticket's JSON; its version is its revision.
    ///
    /// # Errors
    /// When the bytes are not a ticket.
    pub fn read(value: &'a [u8], source: Source) -> Result<Self, CodecError> {
        let ticket: Record<'a> =
            serde_json::from_slice(value).map_err(|error| CodecError::Body("ticket", error.to_string()))?;
        Ok(Self {
            ticket: ticket.key,
            bucket: source.bucket,
            version: ticket.revision.max(0) as u64,
            state: ticket.state.into(),
            title: ticket.title,
            body: ticket.body,
            components: ticket.components,
            owner: ticket.owner.team,
            band: ticket.band.name(),
            due_at: ticket.due_at,
            fix_kind: ticket.fix.kind,
            fix_target: ticket.fix.target,
            fix_version: ticket.fix.version,
            fix: ticket.fix.summary,
            risks: ticket.risks.into_iter().map(|risk| risk.risk).collect(),
            risks_total: ticket.risks_total,
            risks_open: ticket.risks_open,
            labels: ticket.labels,
            opened_at: ticket.opened_at,
            updated_at: ticket.updated_at,
        })
    }
}
