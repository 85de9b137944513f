//! Which record each topic carries.

use super::{AvroRecord, RecordSchema};
use crate::Topic;
use crate::context::EntityContext;
use crate::fact::{EntityAssertions, Fact};
use crate::finding::{Finding, TrackedFinding};
use crate::observation::Observation;
use crate::profile::AssetProfile;
use crate::reject::Reject;
use crate::remedy::RemedyMember;
use crate::risk::{Change, Risk};
use crate::scan::ScanRun;
use crate::versions::Versions;

/// Something that is done with the record type of a topic.
pub trait OfTopic {
    /// What comes of it.
    type Out;
    /// Does it with records of `T`.
    fn of<T: AvroRecord>(self) -> Self::Out;
}

/// Does something with the record type of a topic; `None` for topics that carry no Avro (raw records, tickets).
pub fn with_record<V: OfTopic>(topic: Topic, visit: V) -> Option<V::Out> {
    Some(match topic {
        Topic::Facts => visit.of::<Fact>(),
        Topic::Observations => visit.of::<Observation>(),
        Topic::Assertions => visit.of::<EntityAssertions>(),
        Topic::Context | Topic::Intel => visit.of::<EntityContext>(),
        Topic::Versions => visit.of::<Versions>(),
        Topic::Tracked => visit.of::<TrackedFinding>(),
        Topic::Scans => visit.of::<ScanRun>(),
        Topic::Findings => visit.of::<Finding>(),
        Topic::Risks => visit.of::<Risk>(),
        Topic::Changes => visit.of::<Change>(),
        Topic::Remedies => visit.of::<RemedyMember>(),
        Topic::Rejects => visit.of::<Reject>(),
        Topic::Assets => visit.of::<AssetProfile>(),
        _ => return None,
    })
}

/// The schema of a topic's records.
#[must_use]
pub fn schema_of(topic: Topic) -> Option<&'static RecordSchema> {
    struct Schema;
    impl OfTopic for Schema {
        type Out = &'static RecordSchema;
        fn of<T: AvroRecord>(self) -> Self::Out {
            T::schema()
        }
    }
    with_record(topic, Schema)
}
