//! The stage: members in, tickets out when they differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tributary_model::AvroRecord;
use tributary_model::borrowed::{self, Borrowed};
use tributary_model::id::{RemedyId, RiskId};
use tributary_model::reject::Reject;
use tributary_model::remedy::{RemedyMember, Ticket, TicketState};
use tributary_model::time::{DAY, Millis};
use tributary_model::topic::Topic;
use tributary_stream::message::{Message, Outputs};
use tributary_stream::stage::{NotAPiece, REMEDY, Stage};
use tributary_stream::table::Table;

use super::{event, saved, ticket};
use crate::{Marks, Timers, malformed};

const NAME: &str = REMEDY.name;

/// How long a resolved ticket stays on its compacted topic: a consumer that was away for a quarter still learns of it.
/// Sooner would leave its copy open for ever, later only costs memory.
const TICKET_KEPT: Millis = 90 * DAY;

/// Records of members, encoded: they are read only when their ticket may change.
pub(super) type Members = BTreeMap<RiskId, Bytes>;

/// REMEDY's state of one partition.
#[derive(Debug, Default)]
pub struct Remedy {
    pub(super) members: Table<RemedyId, Arc<Members>>,
    /// The last revision told of each ticket, encoded.
    pub(super) tickets: Table<RemedyId, Bytes>,
    /// What this transaction brought, until settle; `None` where a risk left.
    incoming: BTreeMap<RemedyId, BTreeMap<RiskId, Option<Bytes>>>,
    marks: Marks<RemedyId>,
    pub(super) retiring: Timers<RemedyId>,
}

impl Remedy {
    /// An empty partition.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn take(&mut self, message: &Message) -> Result<(), Reject> {
        let ids = message
            .key_str()
            .split_once('|')
            .and_then(|(remedy, risk)| Some((remedy.parse::<RemedyId>().ok()?, risk.parse::<RiskId>().ok()?)));
        let Some((remedy, risk)) = ids else {
            return Err(malformed(NAME, message, "the key of a remedy member is `remedy|risk`"));
        };
        if let Some(value) = &message.value {
            let member = borrowed::RemedyMember::decode(value).map_err(|error| malformed(NAME, message, error))?;
            // What is refused now need not be looked for when it is read whole.
            member.remedy.parse::<RemedyId>().map_err(|error| malformed(NAME, message, error))?;
            member.risk.parse::<RiskId>().map_err(|error| malformed(NAME, message, error))?;
        }
        let member = message.value.as_deref().map(Bytes::copy_from_slice); // not a part of the block that it was read in
        self.incoming.entry(remedy).or_default().insert(risk, member);
        self.marks.mark(remedy);
        Ok(())
    }

    fn merge(&mut self, remedy: RemedyId, incoming: BTreeMap<RiskId, Option<Bytes>>) {
        let mut members = self.members.get(&remedy).map(|members| Members::clone(members)).unwrap_or_default();
        for (risk, member) in incoming {
            match member {
                Some(member) => members.insert(risk, member),
                None => members.remove(&risk),
            };
        }
        if members.is_empty() {
            self.members.remove(&remedy);
        } else {
            self.members.insert(remedy, Arc::new(members));
        }
    }

    fn settle_remedy(&mut self, remedy: RemedyId, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        if let Some(incoming) = self.incoming.remove(&remedy) {
            self.merge(remedy, incoming);
        }
        let members = self.members.get(&remedy).cloned().unwrap_or_default();
        // Members and tickets that do not decode were refused on arrival.
        let members: Vec<RemedyMember> = members.values().filter_map(|one| RemedyMember::decode(one).ok()).collect();
        let members: Vec<&RemedyMember> = members.iter().collect();
        let previous = self.tickets.get(&remedy).and_then(|told| serde_json::from_slice(told).ok());
        let Some(ticket) = ticket::ticket(remedy, previous.as_ref(), &members, now) else { return Ok(()) };
        let record = event::record(&ticket).map_err(|error| unwritable(remedy, &error))?;
        self.tickets.insert(remedy, record.value.clone().unwrap_or_default());
        out.push(record);
        let is_resolved = ticket.state == TicketState::Resolved;
        self.retiring.set(&remedy, is_resolved.then(|| ticket.updated_at.saturating_add(TICKET_KEPT)));
        Ok(())
    }

    fn retire(&mut self, now: Millis, out: &mut Outputs) {
        for remedy in self.retiring.due(now) {
            let key = remedy.to_string();
            out.delete(Topic::Tickets, &key, key.clone());
            self.tickets.remove(&remedy);
            self.retiring.set(&remedy, None);
        }
    }

    fn load_ticket(&mut self, message: &Message) -> Result<(), Reject> {
        let Ok(key) = message.key_str().parse::<RemedyId>() else {
            return Err(malformed(NAME, message, "the key of a ticket is not a remedy id"));
        };
        let Some(value) = &message.value else {
            self.tickets.remove(&key);
            self.retiring.set(&key, None);
            return Ok(());
        };
        let ticket: Ticket = serde_json::from_slice(value)
            .map_err(|error| malformed(NAME, message, format_args!("not a ticket: {error}")))?;
        let is_resolved = ticket.state == TicketState::Resolved;
        self.retiring.set(&key, is_resolved.then(|| ticket.updated_at.saturating_add(TICKET_KEPT)));
        self.tickets.insert(key, Bytes::copy_from_slice(value));
        Ok(())
    }
}

fn unwritable(remedy: RemedyId, error: &serde_json::Error) -> Reject {
    Reject {
        stage: NAME.to_owned(),
        code: "unencodable".to_owned(),
        reason: format!("the ticket of {remedy} cannot be written: {error}"),
        ..Reject::default()
    }
}

impl Stage for Remedy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn load(&mut self, message: &Message) -> Result<(), Reject> {
        if message.topic == Topic::Tickets { self.load_ticket(message) } else { self.take(message) }
    }

    fn restored(&mut self, _now: Millis) {
        for (remedy, incoming) in std::mem::take(&mut self.incoming) {
            self.merge(remedy, incoming);
        }
        let tickets: Vec<RemedyId> = self.tickets.iter().map(|(remedy, _)| *remedy).collect();
        let members: Vec<RemedyId> = self.members.iter().map(|(remedy, _)| *remedy).collect();
        for remedy in tickets.into_iter().chain(members) {
            self.marks.mark(remedy);
        }
        self.commit(); // with these marks: no input repeats them after a rollback
    }

    fn apply(&mut self, message: &Message, _now: Millis) -> Result<(), Reject> {
        self.take(message)
    }

    fn notice(&mut self, _entities: &[String], _now: Millis) {}

    fn next_timer(&self) -> Option<Millis> {
        self.retiring.next()
    }

    fn wake(&mut self, _now: Millis) {} // settle retires what is due

    fn settle(&mut self, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        for remedy in self.marks.take() {
            self.settle_remedy(remedy, now, out)?;
        }
        self.retire(now, out);
        Ok(())
    }

    fn commit(&mut self) {
        self.members.commit();
        self.tickets.commit();
        self.marks.commit();
        self.retiring.commit();
    }

    fn rollback(&mut self) {
        self.members.rollback();
        self.tickets.rollback();
        self.marks.rollback();
        self.retiring.rollback();
        self.incoming.clear();
    }

    fn save(&self, put: &mut dyn FnMut(&[u8])) {
        saved::save(self, put);
    }

    fn adopt(&mut self, piece: &[u8]) -> Result<usize, NotAPiece> {
        saved::adopt(self, piece)
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let largest = self.members.iter().map(|(_, members)| members.len()).max().unwrap_or_default();
        vec![("remedies", self.members.len()), ("tickets", self.tickets.len()), ("largest_remedy", largest)]
    }
}

#[cfg(test)]
mod tests;
