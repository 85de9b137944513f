//! Collects the facts of one record under one asserter, so that normalisers say only what is claimed.
//! Empty values retract; an empty qualifier with an empty value says that a whole set is empty (`Attribute::is_set`).

use serde::Serialize;
use tributary_model::fact::{Attribute, Fact, value};
use tributary_model::reject::Origin;
use tributary_model::time::Millis;

use crate::event::{Events, Input, Rejection, code};

/// Facts under construction.
pub struct Claims<'a> {
    origin: &'a Origin,
    /// Who claims what follows.
    pub asserter: String,
    /// Event time of what follows.
    pub observed_at: Millis,
    facts: Vec<Fact>,
}

impl<'a> Claims<'a> {
    /// No claims yet; event time as the producer gave it.
    #[must_use]
    pub fn new(input: &Input<'a>, asserter: impl Into<String>) -> Self {
        Self { origin: input.origin, asserter: asserter.into(), observed_at: input.default_time(), facts: Vec::new() }
    }

    /// Claims a value.
    pub fn say<T: Serialize>(&mut self, entity: &str, attribute: Attribute, qualifier: &str, claimed: &T) {
        self.push(entity, attribute, qualifier, value::json(claimed));
    }

    /// Claims a text.
    pub fn text(&mut self, entity: &str, attribute: Attribute, qualifier: &str, claimed: &str) {
        self.say(entity, attribute, qualifier, &claimed);
    }

    /// Claims a single-valued text, or retracts it when there is none any more.
    pub fn text_or_retract(&mut self, entity: &str, attribute: Attribute, claimed: Option<&str>) {
        match claimed.map(str::trim).filter(|claimed| !claimed.is_empty()) {
            Some(claimed) => self.text(entity, attribute, "", claimed),
            None => self.retract(entity, attribute, ""),
        }
    }

    /// Withdraws what this asserter claimed. With an empty qualifier on a set: the whole set.
    pub fn retract(&mut self, entity: &str, attribute: Attribute, qualifier: &str) {
        self.push(entity, attribute, qualifier, String::new());
    }

    fn push(&mut self, entity: &str, attribute: Attribute, qualifier: &str, value: String) {
        self.facts.push(Fact {
            entity: entity.to_owned(),
            attribute,
            qualifier: qualifier.to_owned(),
            value,
            asserter: self.asserter.clone(),
            observed_at: self.observed_at,
            expires_at: None,
            origin: self.origin.clone(),
        });
    }

    /// The facts as claimed.
    #[must_use]
    pub fn into_facts(self) -> Vec<Fact> {
        self.facts
    }

    /// The facts, or the reason why there are none.
    pub fn into_events(self, reason_if_empty: &str) -> Result<Events, Rejection> {
        if self.facts.is_empty() {
            return Err(Rejection::new(code::NOTHING_IN_IT, reason_if_empty));
        }
        Ok(Events { facts: self.facts, ..Events::default() })
    }
}
