//! What things are called on the cluster. Everything begins with the prefix, so that one prefixed access rule covers a
//! tenant.

use rdkafka::topic_partition_list::TopicPartitionList;
use tributary_model::Topic;

use super::error::here;
use crate::log::LogError;

/// Names of one tenant.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// The topic of this name; `None` if it is another tenant's or nobody's.
    pub(super) fn parse(&self, name: &str) -> Option<Topic> {
        name.strip_prefix(&self.prefix).and_then(Topic::parse)
    }

    pub(super) fn group(&self, group: &str) -> String {
        format!("{}{group}", self.prefix)
    }

    /// A member of a group and its transactional id: whoever takes this name fences whoever had it.
    pub(super) fn slot(&self, group: &str, instance: &str, slot: u32) -> String {
        format!("{}{group}.{instance}.{slot}", self.prefix)
    }

    /// The group of readers, which assign themselves and never commit. Clients need one to be allowed to assign.
    pub(super) fn readers(&self) -> String {
        self.group("readers")
    }

    /// The transactional id of what a process appends outside of any group.
    pub(super) fn appender(&self, instance: &str) -> String {
        format!("{}appends.{instance}", self.prefix)
    }

    /// Partitions with offsets in the client's form.
    pub(super) fn list(
        &self,
        places: impl IntoIterator<Item = ((Topic, u32), rdkafka::Offset)>,
    ) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in places {
            list.add_partition_offset(&self.topic(topic), partition as i32, offset)
                .map_err(here("cannot name a position"))?;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_begins_with_the_prefix_and_topics_round_trip() {
        let names = Names::new("acme.");
        for topic in Topic::ALL {
            assert_eq!(names.parse(&names.topic(topic)), Some(topic));
        }
        assert_eq!(names.parse("other.facts"), None);
        assert_eq!(names.parse("facts"), None);
        assert_eq!(names.slot("track", "b", 3), "acme.track.b.3");
        for name in [names.group("sink"), names.readers(), names.appender("a")] {
            assert!(name.starts_with("acme."), "{name}");
        }
    }
}
