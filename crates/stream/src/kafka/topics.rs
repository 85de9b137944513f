//! The topics as they should be on a cluster, and what it takes to get there from how they are.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tributary_model::Topic;
use tributary_model::time::{DAY, Millis};
use tributary_model::topic::Cleanup;

use super::admin::TopicSpec;
use super::settings::KafkaSettings;

/// How topics are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSettings {
    /// Partitions of every topic. All have equally many, because partition *p* of what a stage reads, keeps and writes belongs
    /// together. 64: a stage can be spread over so many workers, and a key never changes its partition later.
    pub partitions: u32,
    /// Copies of every partition; with 3 or more, a write needs two of them.
    pub replication: u32,
    /// Records of topics that delete (but `changes`) are kept so long, milliseconds. 7 days: a service that is down over a long
    /// weekend still finds them.
    pub retention_ms: Millis,
    /// Records of `changes` are kept so long: 13 months, so that a year can be audited after it ended.
    pub changes_retention_ms: Millis,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self { partitions: 64, replication: 3, retention_ms: 7 * DAY, changes_retention_ms: 396 * DAY }
    }
}

/// A removed key is readable for so long: a reader that was away for a long weekend still learns of the removal.
const TOMBSTONE_MS: Millis = 7 * DAY;
/// A segment is closed, and may be compacted, after so long. An hour: the default of a week would let a restore read a week of
/// superseded records.
const SEGMENT_MS: Millis = 3_600_000;
/// A partition is compacted when so much of it may be superseded. The default of one half makes restores twice as long.
const DIRTY_RATIO: &str = "0.2";

impl TopicSettings {
    /// What is wrong with them, in words for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=1024).contains(&self.partitions) {
            return Err(format!("partitions = {}: choose 1 to 1024", self.partitions));
        }
        if !(1..=16).contains(&self.replication) {
            return Err(format!("replication = {}: choose 1 to 16", self.replication));
        }
        if self.retention_ms < DAY || self.changes_retention_ms < DAY {
            return Err(format!("retention_ms and changes_retention_ms: at least a day ({DAY})"));
        }
        Ok(())
    }

    /// Every topic as it should be.
    #[must_use]
    pub fn specs(&self, kafka: &KafkaSettings) -> Vec<TopicSpec> {
        Topic::ALL.into_iter().map(|topic| self.spec(topic, kafka)).collect()
    }

    fn spec(&self, topic: Topic, kafka: &KafkaSettings) -> TopicSpec {
        let mut config = vec![
            ("min.insync.replicas", if self.replication >= 3 { 2 } else { 1 }.to_string()),
            ("max.message.bytes", kafka.message_bytes_max.to_string()),
        ];
        match topic.cleanup() {
            Cleanup::Compact => config.extend([
                ("cleanup.policy", "compact".to_owned()),
                ("delete.retention.ms", TOMBSTONE_MS.to_string()),
                ("min.cleanable.dirty.ratio", DIRTY_RATIO.to_owned()),
                ("segment.ms", SEGMENT_MS.to_string()),
            ]),
            Cleanup::Delete => {
                let keep = if topic == Topic::Changes { self.changes_retention_ms } else { self.retention_ms };
                config.extend([("cleanup.policy", "delete".to_owned()), ("retention.ms", keep.to_string())]);
            }
        }
        let config = config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        TopicSpec { topic, partitions: self.partitions, replication: self.replication, config }
    }
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Partitions.
    pub partitions: u32,
    /// The fewest copies that a partition has.
    pub replication: u32,
    /// All its settings, inherited ones included.
    pub config: BTreeMap<String, String>,
    /// Names of the settings that were set for this topic.
    pub own: Vec<String>,
}

/// What a topic needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is not there.
    Make(TopicSpec),
    /// Settings differ: name, as it is, as it should be. What else was set for the topic stays.
    Set {
        /// The topic.
        topic: Topic,
        /// What changes.
        changes: Vec<(String, String, String)>,
        /// Everything that will be set.
        config: Vec<(String, String)>,
    },
    /// It differs in what only an operator of the cluster can change.
    Differs(Topic, String),
    /// It differs in what must not be changed.
    Refused(Topic, String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Make(TopicSpec { topic, partitions, replication, .. }) => {
                write!(f, "make {topic}: {partitions} partitions, {replication} copies")
            }
            Step::Set { topic, changes, .. } => {
                write!(f, "set {topic}:")?;
                let mut between = " ";
                for (name, is, should) in changes {
                    write!(f, "{between}{name} {is} → {should}")?;
                    between = ", ";
                }
                Ok(())
            }
            Step::Differs(topic, what) => write!(f, "differs {topic}: {what}"),
            Step::Refused(topic, why) => write!(f, "refused {topic}: {why}"),
        }
    }
}

/// The steps from how topics are to how they should be; none when all is well.
#[must_use]
pub fn plan(specs: Vec<TopicSpec>, states: &BTreeMap<Topic, TopicState>) -> Vec<Step> {
    specs
        .into_iter()
        .flat_map(|spec| match states.get(&spec.topic) {
            None => vec![Step::Make(spec)],
            Some(state) => compare(spec, state),
        })
        .collect()
}

fn compare(spec: TopicSpec, state: &TopicState) -> Vec<Step> {
    let TopicSpec { topic, partitions, replication, config } = spec;
    let mut steps = Vec::new();
    if partitions != state.partitions {
        steps.push(Step::Refused(
            topic,
            format!(
                "it has {} partitions and {partitions} are configured; another number would send keys to other partitions, away \
                 from their state: configure {}, or copy everything under a new prefix",
                state.partitions, state.partitions
            ),
        ));
    }
    if replication > state.replication {
        steps.push(Step::Differs(
            topic,
            format!("{} copies, not {replication}: reassign its partitions", state.replication),
        ));
    }
    let is = |name: &str| state.config.get(name).cloned().unwrap_or_default();
    let differs = |(name, should): &&(String, String)| is(name) != *should;
    let changes: Vec<_> = config.iter().filter(differs).map(|(n, should)| (n.clone(), is(n), should.clone())).collect();
    if !changes.is_empty() {
        // The cluster replaces all that was set for a topic, so what others set goes along.
        let others = state.own.iter().filter(|name| config.iter().all(|(wanted, _)| wanted != *name));
        let others: Vec<_> = others.map(|name| (name.clone(), is(name))).collect();
        let config = config.into_iter().chain(others).collect();
        steps.push(Step::Set { topic, changes, config });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_it_is(spec: &TopicSpec) -> TopicState {
        TopicState {
            partitions: spec.partitions,
            replication: spec.replication,
            config: spec.config.iter().cloned().collect(),
            own: spec.config.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    fn steps(change: impl FnOnce(&mut TopicState)) -> Vec<Step> {
        let spec = TopicSettings::default().spec(Topic::Risks, &KafkaSettings::default());
        let mut state = as_it_is(&spec);
        change(&mut state);
        plan(vec![spec], &BTreeMap::from([(Topic::Risks, state)]))
    }

    #[test]
    fn what_is_as_it_should_be_needs_nothing() {
        assert_eq!(steps(|_| ()), []);
        assert_eq!(steps(|state| state.replication = 4), []);
    }

    #[test]
    fn other_partitions_are_refused_and_fewer_copies_named() {
        for partitions in [63, 65] {
            let step = &steps(|state| state.partitions = partitions)[0];
            assert!(matches!(step, Step::Refused(Topic::Risks, why) if why.contains("64 are configured")), "{step}");
        }
        assert_eq!(
            steps(|state| state.replication = 1)[0].to_string(),
            "differs risks: 1 copies, not 3: reassign its partitions"
        );
    }

    #[test]
    fn drift_is_set_back_and_what_others_set_stays() {
        let steps = steps(|state| {
            state.config.insert("delete.retention.ms".to_owned(), "86400000".to_owned());
            state.config.insert("compression.type".to_owned(), "zstd".to_owned());
            state.own.push("compression.type".to_owned());
        });
        let [step @ Step::Set { config, .. }] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(step.to_string(), "set risks: delete.retention.ms 86400000 → 604800000");
        assert!(config.contains(&("compression.type".to_owned(), "zstd".to_owned())));
        assert!(config.contains(&("delete.retention.ms".to_owned(), "604800000".to_owned())));
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(TopicSettings::default().check(), Ok(()));
        for wrong in [
            TopicSettings { partitions: 0, ..TopicSettings::default() },
            TopicSettings { replication: 0, ..TopicSettings::default() },
            TopicSettings { retention_ms: 1, ..TopicSettings::default() },
        ] {
            assert!(wrong.check().is_err());
        }
    }
}
