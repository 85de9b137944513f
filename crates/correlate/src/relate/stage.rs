//! The stage: facts in, claims kept, context out when it differs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_model::Topic;
use tributary_model::context::EntityContext;
use tributary_model::entity;
use tributary_model::fact::{Claim, EntityAssertions, Fact};
use tributary_model::reject::Reject;
use tributary_model::time::Millis;
use tributary_stream::message::{Message, Outputs};
use tributary_stream::stage::{NotAPiece, RELATE, Stage};
use tributary_stream::table::Table;

use super::claims::{self, Recorded};
use super::{decide, lapse, saved};
use crate::{Marks, Timers, decode, refuse};

const NAME: &str = RELATE.name;

/// RELATE's state of one partition.
#[derive(Debug, Default)]
pub struct Relate {
    /// As of the last settle. The context that was emitted derives from it.
    pub(super) entities: Table<String, Arc<Held>>,
    /// Claims of the entities that this transaction touched, until settle.
    incoming: BTreeMap<String, Vec<Claim>>,
    timers: Timers<String>,
    marks: Marks<String>,
}

/// What is held of one entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Held {
    claims: Vec<Claim>,
    /// Processing time of the last decision that was emitted.
    decided_at: Millis,
}

impl Held {
    /// Of a record, with its entity.
    pub(super) fn of(record: EntityAssertions) -> (String, Self) {
        (record.entity, Self { claims: record.claims, decided_at: record.decided_at })
    }

    /// The record.
    pub(super) fn record(&self, entity: &str) -> EntityAssertions {
        EntityAssertions { entity: entity.to_owned(), claims: self.claims.clone(), decided_at: self.decided_at }
    }
}

impl Relate {
    /// An empty partition.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what is held of an entity from the log or a snapshot.
    pub(super) fn take(&mut self, entity: String, held: Held) {
        self.timers.set(&entity, lapse::next_due(&held.claims, held.decided_at));
        self.entities.insert(entity, Arc::new(held));
    }

    fn settle_entity(&mut self, entity: &str, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        let existed = self.entities.contains(entity);
        let before = self.entities.get(entity).cloned().unwrap_or_default();
        let now = now.max(before.decided_at); // a clock that jumps back makes nothing fresh again
        let mut claims = self.incoming.remove(entity).unwrap_or_else(|| before.claims.clone());
        claims::withdraw_replaced(&mut claims);
        lapse::forget(&mut claims, now);

        let context = decide::decide(entity, &claims, now);
        let is_new_context = context != decide::decide(entity, &before.claims, before.decided_at);
        self.timers.set(&entity.to_owned(), lapse::next_due(&claims, now));
        if is_new_context {
            emit_context(&context, out)?;
        }
        if is_new_context || claims != before.claims {
            self.hold(entity, existed, Held { claims, decided_at: now }, out)?;
        }
        Ok(())
    }

    fn hold(&mut self, entity: &str, existed: bool, held: Held, out: &mut Outputs) -> Result<(), Reject> {
        if held.claims.is_empty() {
            self.entities.remove(entity);
            if existed {
                out.delete(Topic::Assertions, entity, entity.to_owned());
            }
            return Ok(());
        }
        let record = held.record(entity);
        self.entities.insert(entity.to_owned(), Arc::new(held));
        out.put(Topic::Assertions, entity, entity.to_owned(), &record).map_err(|error| unencodable(entity, &error))
    }
}

fn emit_context(context: &EntityContext, out: &mut Outputs) -> Result<(), Reject> {
    let entity = &context.entity;
    let topic = if entity::kind(entity) == "vuln" { Topic::Intel } else { Topic::Context };
    if context.attributes.is_empty() {
        out.delete(topic, entity, entity.clone());
        return Ok(());
    }
    out.put(topic, entity, entity.clone(), context).map_err(|error| unencodable(entity, &error))
}

fn unencodable(entity: &str, error: &tributary_model::CodecError) -> Reject {
    Reject {
        stage: NAME.to_owned(),
        code: "unencodable".to_owned(),
        reason: format!("the record of {entity} cannot be written: {error}"),
        ..Reject::default()
    }
}

impl Stage for Relate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn load(&mut self, message: &Message) -> Result<(), Reject> {
        let Some(record) = decode::<EntityAssertions>(NAME, message)? else {
            self.timers.set(&message.key_str().to_owned(), None);
            self.entities.remove(message.key_str());
            return Ok(());
        };
        let (entity, held) = Held::of(record);
        self.take(entity, held);
        Ok(())
    }

    fn restored(&mut self, now: Millis) {
        self.wake(now);
        self.commit(); // with these marks: no input repeats them after a rollback
    }

    fn apply(&mut self, message: &Message, now: Millis) -> Result<(), Reject> {
        let Some(fact) = decode::<Fact>(NAME, message)? else {
            return Err(refuse(
                NAME,
                message,
                "malformed",
                "a fact without a value: retract with an empty value instead",
            ));
        };
        let entity = fact.entity.clone();
        let held = &self.entities;
        let claims = self
            .incoming
            .entry(entity.clone())
            .or_insert_with(|| held.get(&entity).map(|held| held.claims.clone()).unwrap_or_default());
        match claims::record(claims, fact, now) {
            Recorded::Unchanged => Ok(()),
            Recorded::Changed => {
                self.marks.mark(entity);
                Ok(())
            }
            Recorded::TooMany => {
                metrics::counter!("tributary_relate_entity_full_total").increment(1);
                Err(refuse(NAME, message, "entity_full", claims::too_many(claims.len())))
            }
        }
    }

    fn notice(&mut self, _entities: &[String], _now: Millis) {}

    fn next_timer(&self) -> Option<Millis> {
        self.timers.next()
    }

    fn wake(&mut self, now: Millis) {
        for entity in self.timers.due(now) {
            self.marks.mark(entity);
        }
    }

    fn settle(&mut self, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        for entity in self.marks.take() {
            self.settle_entity(&entity, now, out)?;
        }
        self.incoming.clear(); // what is left changed nothing
        Ok(())
    }

    fn commit(&mut self) {
        self.entities.commit();
        self.timers.commit();
        self.marks.commit();
    }

    fn rollback(&mut self) {
        self.entities.rollback();
        self.timers.rollback();
        self.marks.rollback();
        self.incoming.clear();
    }

    fn save(&self, put: &mut dyn FnMut(&[u8])) {
        saved::save(self, put);
    }

    fn adopt(&mut self, piece: &[u8]) -> Result<usize, NotAPiece> {
        saved::adopt(self, piece)
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let largest = self.entities.iter().map(|(_, held)| held.claims.len()).max().unwrap_or_default();
        vec![("entities", self.entities.len()), ("largest_entity", largest)]
    }
}
