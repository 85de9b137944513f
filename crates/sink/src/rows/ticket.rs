//! Table `tickets`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tributary_model::remedy::Ticket;

use super::{Source, word};

/// A row of `tickets`; columns are described in `schemas/clickhouse/001_current_state.sql`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TicketRow {
    pub ticket: String,
    pub bucket: u8,
    pub version: u64,
    pub state: String,
    pub title: String,
    pub body: String,
    pub components: Vec<String>,
    pub owner: String,
    pub band: String,
    pub due_at: Option<i64>,
    pub fix_kind: String,
    pub fix_target: String,
    pub fix_version: String,
    pub fix: String,
    pub risks: Vec<String>,
    pub risks_total: u32,
    pub risks_open: u32,
    pub labels: Vec<String>,
    pub opened_at: i64,
    pub updated_at: i64,
}

impl TicketRow {
    /// The row of a ticket; its version is its revision.
    #[must_use]
    pub fn new(ticket: Ticket, source: Source) -> Self {
        Self {
            ticket: ticket.key.to_string(),
            bucket: source.bucket,
            version: ticket.revision.max(0) as u64,
            state: word(&ticket.state),
            title: ticket.title,
            body: ticket.body,
            components: ticket.components,
            owner: ticket.owner.team,
            band: ticket.band.name().to_owned(),
            due_at: ticket.due_at,
            fix_kind: ticket.fix.kind,
            fix_target: ticket.fix.target,
            fix_version: ticket.fix.version,
            fix: ticket.fix.summary,
            risks: ticket.risks.iter().map(|risk| risk.risk.to_string()).collect(),
            risks_total: ticket.risks_total,
            risks_open: ticket.risks_open,
            labels: ticket.labels,
            opened_at: ticket.opened_at,
            updated_at: ticket.updated_at,
        }
    }
}
