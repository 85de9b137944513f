//! A toy stage that counts: inputs are (key, number) on `findings`, its changelog is key → total on `risks`. A key that the
//! broadcast names `repo:<key>` has its total multiplied by that context's value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::fact::Attribute;
use tributary_model::reject::Reject;
use tributary_model::time::Millis;
use tributary_model::{AvroRecord, Topic};

use crate::broadcast::BroadcastStore;
use crate::message::{Message, Output, Outputs};
use crate::stage::{NotAPiece, Stage, StageTopics};
use crate::stage_loop::StageSpec;
use crate::table::Table;

pub(crate) const COUNTER: StageTopics = StageTopics {
    name: "counter",
    inputs: &[Topic::Observations],
    broadcasts: &[Topic::Context],
    changelogs: &[Topic::Risks],
};

/// Sums and when each lapses.
type Total = (i64, Option<Millis>);

#[derive(Default)]
pub(crate) struct Counter {
    store: Arc<BroadcastStore>,
    totals: Table<String, Total>,
    emitted: Table<String, i64>,
    marked: BTreeSet<String>,
    poisoned: bool,
}

impl Counter {
    /// A number that makes `settle` fail.
    pub(crate) const POISON: i64 = -666;
    /// A number that counts for [`Counter::LIFE_MS`].
    pub(crate) const EXPIRES: i64 = 7_777;
    pub(crate) const LIFE_MS: Millis = 60_000;

    pub(crate) fn new(store: Arc<BroadcastStore>) -> Self {
        Self { store, ..Self::default() }
    }

    fn factor(&self, key: &str) -> i64 {
        let context = self.store.get(&format!("repo:{key}"));
        context.and_then(|context| context.attributes[0].value.parse().ok()).unwrap_or(1)
    }
}

pub(crate) fn spec() -> StageSpec {
    StageSpec::new(COUNTER, |_, store| Box::new(Counter::new(store)))
}

fn output(topic: Topic, key: &str, value: Option<Bytes>) -> Output {
    let partition_key = key.to_owned();
    Output { topic, partition_key, key: Bytes::copy_from_slice(key.as_bytes()), value, headers: Vec::new() }
}

pub(crate) fn add(key: &str, number: i64) -> Output {
    output(Topic::Observations, key, Some(number.to_string().into()))
}

pub(crate) fn context(entity: &str, value: &str) -> Output {
    let attribute = ContextAttribute {
        attribute: Attribute::DefaultBranch,
        qualifier: String::new(),
        value: value.to_owned(),
        asserter: "test".to_owned(),
        observed_at: 0,
        stale: false,
    };
    let context = EntityContext { entity: entity.to_owned(), attributes: vec![attribute] };
    output(Topic::Context, entity, Some(context.encode().unwrap().into()))
}

/// What was last emitted per key.
pub(crate) fn counts(messages: &[Message]) -> BTreeMap<String, i64> {
    messages.iter().map(|message| (message.key_str().to_owned(), parse(message).unwrap().0)).collect()
}

fn parse(message: &Message) -> Option<(i64, i64, Option<Millis>)> {
    let text = std::str::from_utf8(message.value.as_ref()?).ok()?;
    let mut parts = text.split(' ');
    let emitted = parts.next()?.parse().ok()?;
    let total = parts.next()?.parse().ok()?;
    Some((emitted, total, parts.next().and_then(|at| at.parse().ok())))
}

fn refuse(code: &str) -> Reject {
    Reject { code: code.to_owned(), ..Reject::default() }
}

impl Stage for Counter {
    fn name(&self) -> &'static str {
        COUNTER.name
    }

    fn load(&mut self, message: &Message) -> Result<(), Reject> {
        let (emitted, total, lapses) = parse(message).ok_or_else(|| refuse("not_a_total"))?;
        self.totals.insert(message.key_str().to_owned(), (total, lapses));
        self.emitted.insert(message.key_str().to_owned(), emitted);
        Ok(())
    }

    fn restored(&mut self, _now: Millis) {}

    fn apply(&mut self, message: &Message, now: Millis) -> Result<(), Reject> {
        let text = message.value.as_ref().and_then(|value| std::str::from_utf8(value).ok());
        let number: i64 = text.and_then(|text| text.parse().ok()).ok_or_else(|| refuse("not_a_number"))?;
        let key = message.key_str().to_owned();
        self.poisoned |= number == Self::POISON;
        self.totals.update(&key, |total| {
            total.0 += number;
            if number == Self::EXPIRES {
                total.1 = Some(now + Self::LIFE_MS);
            }
        });
        self.marked.insert(key);
        Ok(())
    }

    fn notice(&mut self, entities: &[String], _now: Millis) {
        for key in entities.iter().filter_map(|entity| entity.strip_prefix("repo:")) {
            if self.totals.contains(key) {
                self.marked.insert(key.to_owned());
            }
        }
    }

    fn next_timer(&self) -> Option<Millis> {
        self.totals.iter().filter_map(|(_, (_, lapses))| *lapses).min()
    }

    fn wake(&mut self, now: Millis) {
        let due = |(key, (_, lapses)): (&String, &Total)| lapses.is_some_and(|at| at <= now).then(|| key.clone());
        let due: Vec<String> = self.totals.iter().filter_map(due).collect();
        for key in due {
            self.totals.insert(key.clone(), (0, None));
            self.marked.insert(key);
        }
    }

    fn settle(&mut self, _now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        if self.poisoned {
            return Err(refuse("poison"));
        }
        for key in std::mem::take(&mut self.marked) {
            let (total, lapses) = self.totals.get(&key).copied().unwrap_or_default();
            let emitted = total * self.factor(&key);
            if self.emitted.get(&key) != Some(&emitted) {
                let lapses = lapses.map(|at| format!(" {at}")).unwrap_or_default();
                out.push(output(Topic::Risks, &key, Some(format!("{emitted} {total}{lapses}").into())));
                self.emitted.insert(key, emitted);
            }
        }
        Ok(())
    }

    fn commit(&mut self) {
        self.totals.commit();
        self.emitted.commit();
    }

    fn rollback(&mut self) {
        self.totals.rollback();
        self.emitted.rollback();
        self.marked.clear();
        self.poisoned = false;
    }

    fn save(&self, put: &mut dyn FnMut(&[u8])) {
        for (key, (total, lapses)) in self.totals.iter() {
            let emitted = self.emitted.get(key).copied();
            put(&postcard::to_allocvec(&(key, emitted, total, lapses)).unwrap());
        }
    }

    fn adopt(&mut self, piece: &[u8]) -> Result<usize, NotAPiece> {
        let piece: Result<(String, Option<i64>, i64, Option<Millis>), _> = postcard::from_bytes(piece);
        let (key, emitted, total, lapses) = piece.map_err(|error| NotAPiece(error.to_string()))?;
        if let Some(emitted) = emitted {
            self.emitted.load(key.clone(), emitted);
        }
        self.totals.load(key, (total, lapses));
        Ok(1)
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("keys", self.totals.len())]
    }
}
