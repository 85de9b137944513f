//! One suite of properties, every implementation of the log; and what only one of them promises.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failure here is a failed test, and says where
#![allow(clippy::needless_pass_by_value)] // every property owns its factory: some reopen it

#[path = "../broker/mod.rs"]
mod broker;
mod embedded;
mod kafka;
mod rebalance;
mod steps;
mod suite;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tributary_model::Topic;
use tributary_model::time::DAY;
use tributary_stream::clock::ManualClock;
use tributary_stream::sim::SimLog;
use tributary_stream::{EmbeddedLog, EmbeddedSettings, Log};

/// Makes a log for a test, and does to it what a property needs.
pub(crate) trait LogFactory {
    /// A new, empty log with 4 partitions.
    fn new() -> Self;
    /// The log. All handles of it are dropped before [`LogFactory::reopen`].
    fn log(&self) -> Arc<dyn Log>;
    /// Closes and opens it again, as a restart does.
    fn reopen(&mut self);
    /// Sets the clock so many days ahead and lets the log forget what it may.
    fn age(&self, days: i64);
}

pub(crate) struct Embedded {
    directory: TempDir,
    clock: ManualClock,
    log: Option<EmbeddedLog>,
}

pub(crate) fn open(directory: &Path, clock: &ManualClock) -> Result<EmbeddedLog, tributary_stream::LogError> {
    // A tail of 64 KiB, so that the suite reads from memory and from disk.
    let settings = EmbeddedSettings { partitions: Some(4), tail_bytes: 64 << 10, ..EmbeddedSettings::default() };
    EmbeddedLog::open(directory, settings, Arc::new(clock.clone()))
}

impl LogFactory for Embedded {
    fn new() -> Self {
        let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(100 * DAY));
        let log = Some(open(directory.path(), &clock).unwrap());
        Self { directory, clock, log }
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone().unwrap())
    }

    fn reopen(&mut self) {
        self.log = None;
        self.log = Some(open(self.directory.path(), &self.clock).unwrap());
    }

    fn age(&self, days: i64) {
        use tributary_stream::Clock;
        self.clock.set(self.clock.now() + days * DAY);
        self.log.as_ref().unwrap().expire().unwrap();
    }
}

pub(crate) struct Sim {
    clock: ManualClock,
    log: SimLog,
}

impl LogFactory for Sim {
    fn new() -> Self {
        let clock = ManualClock::at(100 * DAY);
        Self { log: SimLog::new(4, 1, Arc::new(clock.clone())), clock }
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    fn reopen(&mut self) {}

    fn age(&self, days: i64) {
        use tributary_stream::Clock;
        self.clock.set(self.clock.now() + days * DAY);
        for topic in Topic::ALL {
            (0..4).for_each(|partition| self.log.compact(topic, partition));
        }
    }
}

macro_rules! suite {
    ($module:ident, $factory:ty, $($property:ident),+ $(,)?) => {
        mod $module {
            $(#[test]
            fn $property() {
                crate::suite::$property(<$factory as crate::LogFactory>::new());
            })+
        }
    };
}

macro_rules! every_property {
    ($module:ident, $factory:ty) => {
        suite!(
            $module,
            $factory,
            a_transaction_happens_entirely_or_not_at_all,
            records_of_a_partition_come_in_order,
            an_abort_is_followed_by_the_same_records_again,
            what_gathers_comes_once_and_does_not_wait_for_more_for_ever,
            nothing_uncommitted_is_ever_read,
            the_latest_record_of_every_key_survives,
            a_restore_equals_the_live_state,
            positions_and_notes_come_back,
            everything_is_there_after_a_reopen,
            a_zombie_cannot_commit,
            a_tombstone_is_readable_for_seven_days_and_then_gone,
            sixteen_mebibytes_are_one_record,
            an_empty_commit_changes_nothing,
            positions_can_be_committed_without_outputs,
            readers_start_where_they_are_told,
            budgets_bound_a_batch_but_never_starve,
            partitions_are_dealt_out_once,
            records_without_a_start_are_not_delivered,
            lag_says_where_and_comes_to_nothing,
            held_places_wait_and_come_again_from_what_is_committed,
        );
    };
}

every_property!(embedded_log, crate::Embedded);
every_property!(simulated_log, crate::Sim);
every_property!(kafka_log, crate::kafka::Kafka);
