//! What a stage is to the loop. One value of this kind holds the state of **one partition**; a worker owns several.

use tributary_model::reject::Reject;
use tributary_model::time::Millis;
use tributary_model::topic::Topic;

use crate::message::{Message, Outputs};

/// A keyed, pure step over the state of one partition.
///
/// # What the loop promises
/// - `load` is called for every surviving record of every changelog topic of this partition, in offset order per topic,
///   before anything else; or `adopt` for every piece of a snapshot first, and `load` for what came since. Then `restored` once. Broadcast topics are read to their end before `restored`.
/// - Then transactions: [`Stage::apply`] for each input message (per input partition in offset order, between
///   partitions in any order), [`Stage::notice`] for changed broadcast entities, [`Stage::wake`] when a timer is due,
///   then **one** [`Stage::settle`], then either [`Stage::commit`] (outputs and positions are durable) or
///   [`Stage::rollback`] (nothing happened; the same inputs come again, timers and notices are repeated).
/// - A message may be delivered again only after a rollback or a restart. (Producers may still send the same content twice.)
///
/// # What a stage promises
/// - No I/O, no clock, no randomness: outputs are a function of state, messages, broadcast store and `now`.
/// - `apply` changes state and marks what must be recomputed; `settle` recomputes each marked result **once** and emits
///   it only if it differs from the last one emitted. So a re-delivered or repeated input emits nothing (I2).
/// - Everything emitted on its changelog topics is enough to rebuild the state (`load`), and nothing else is.
/// - `rollback` restores the state of the last commit exactly, including what was marked and the timers.
#[allow(clippy::result_large_err)] // a reject is rare; boxing it would burden every author for nothing
pub trait Stage: Send {
    /// The stage's name: consumer group, metrics, logs. One of `relate`, `track`, `assess`, `remedy`.
    fn name(&self) -> &'static str;

    /// Takes one surviving changelog record of this partition. Emits nothing.
    fn load(&mut self, message: &Message) -> Result<(), Reject>;

    /// All changelogs and broadcasts are read. Marks what must be recomputed because the broadcast moved since; the
    /// loop calls `settle` next.
    fn restored(&mut self, now: Millis);

    /// Takes one input. An error is written to `rejects` with the message's coordinates, and the stage must not have changed.
    fn apply(&mut self, message: &Message, now: Millis) -> Result<(), Reject>;

    /// Entities of the broadcast topics that changed: the shared store already has them.
    fn notice(&mut self, entities: &[String], now: Millis);

    /// The earliest time at which [`Stage::wake`] wants to be called.
    fn next_timer(&self) -> Option<Millis>;

    /// A timer is due.
    fn wake(&mut self, now: Millis);

    /// Recomputes what is marked and emits the differences.
    fn settle(&mut self, now: Millis, out: &mut Outputs) -> Result<(), Reject>;

    /// The transaction is durable: forget the undo log.
    fn commit(&mut self);

    /// The transaction did not happen: undo everything since the last commit.
    fn rollback(&mut self);

    /// Gives its whole state in pieces, each of which [`Stage::adopt`] takes. Called after a commit and before anything else is applied.
    fn save(&self, put: &mut dyn FnMut(&[u8]));

    /// Takes a piece that [`Stage::save`] of the same build gave; in any order, before any `load`. Answers how many records of
    /// the changelogs that saves. A piece that is none fails, and then this value is of no use.
    fn adopt(&mut self, piece: &[u8]) -> Result<usize, NotAPiece>;

    /// Sizes for metrics: (`findings`, 12 000), (`largest_component`, 900) …
    fn sizes(&self) -> Vec<(&'static str, usize)>;
}

/// A piece of a snapshot that the stage cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a piece that is none: {0}")]
pub struct NotAPiece(pub String);

/// What a stage reads and owns; fixed per stage, so that topics and co-partitioning are visible in one place.
#[derive(Debug, Clone, Copy)]
pub struct StageTopics {
    /// Name, as [`Stage::name`].
    pub name: &'static str,
    /// Inputs; partition *p* of each goes to the stage value of partition *p*.
    pub inputs: &'static [Topic],
    /// Broadcasts: every worker reads every partition.
    pub broadcasts: &'static [Topic],
    /// Topics from which state is restored.
    pub changelogs: &'static [Topic],
}

/// RELATE: by entity.
pub const RELATE: StageTopics =
    StageTopics { name: "relate", inputs: &[Topic::Facts], broadcasts: &[], changelogs: &[Topic::Assertions] };
/// TRACK: by asset.
pub const TRACK: StageTopics = StageTopics {
    name: "track",
    inputs: &[Topic::Observations],
    broadcasts: &[Topic::Context, Topic::Versions],
    changelogs: &[Topic::Tracked, Topic::Scans, Topic::Assets],
};
/// ASSESS: by component.
pub const ASSESS: StageTopics = StageTopics {
    name: "assess",
    inputs: &[Topic::Findings],
    broadcasts: &[Topic::Context, Topic::Intel, Topic::Versions],
    changelogs: &[Topic::Findings, Topic::Risks],
};
/// REMEDY: by fix target.
pub const REMEDY: StageTopics = StageTopics {
    name: "remedy",
    inputs: &[Topic::Remedies],
    broadcasts: &[],
    changelogs: &[Topic::Remedies, Topic::Tickets],
};
