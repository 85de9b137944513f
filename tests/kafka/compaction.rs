//! Restore while the cluster compacts, and after tombstones have expired: the state is the same.
use tributary_model::Topic;
use tributary_model::topic::Cleanup;
use tributary_stream::kafka::configure_topics;

use crate::broker::{Cluster, close_segments, forgetful_after};
use crate::check::{histories_are_whole, latest, read, risks_are};
use crate::fleet::{Fleet, wait_until};
use crate::input::sample;

#[test]
fn restored_from_compacted_changelogs_the_state_is_the_same() {
    let input = sample();
    // A broker of its own: it has much to tidy up.
    let cluster = Cluster::of_one();
    let mut fleet = Fleet::on(&cluster.address, 1, None);
    let log = fleet.log();
    let compacted: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| topic.cleanup() == Cleanup::Compact).collect();
    // Tiny segments, compacted at once, and tombstones that live no longer than that.
    let at_once: Vec<_> = compacted.iter().map(|topic| forgetful_after(*topic, 1_000)).collect();
    configure_topics(&fleet.kafka(), &at_once).unwrap();
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    // Reports first, then what surrounds them: that changes what was decided about the risks.
    let (reports, surroundings): (Vec<_>, Vec<_>) =
        input.records.iter().partition(|record| record.path.ends_with("/scanner"));
    for part in [reports, surroundings] {
        let step = part.len() / 3;
        for (index, record) in part.into_iter().enumerate() {
            fleet.post(record);
            // Restored again and again while there is something to compact.
            if index % step == step - 1 {
                fleet.kill("correlate-0");
                fleet.start("correlate-0");
            }
        }
        fleet.wait_done(&log);
    }
    risks_are(&mut fleet, &log, &input.expected);
    histories_are_whole(&log);
    let state: Vec<_> = compacted.iter().map(|topic| latest(&log, *topic)).collect();
    assert!(read(&log, Topic::Tracked).len() >= latest(&log, Topic::Tracked).len());
    // Every change superseded what its risk was. The cluster removes that in the background, and may have begun long ago.
    let risks = latest(&log, Topic::Risks).len();
    let begun = read(&log, Topic::Changes).len() - risks;
    assert!(begun > 0, "the estate changes its mind");
    wait_until("the cluster compacts", || {
        close_segments(&fleet.kafka(), &compacted);
        read(&log, Topic::Risks).len() - risks < begun.div_ceil(2)
    });
    fleet.stop("correlate-0");
    let changes = read(&log, Topic::Changes).len();
    fleet.start("correlate-0");
    fleet.wait_ready();
    risks_are(&mut fleet, &log, &input.expected);
    assert_eq!(read(&log, Topic::Changes).len(), changes, "a restore changes nothing");
    for (topic, before) in compacted.iter().zip(state) {
        let now = latest(&log, *topic);
        assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{topic}");
        for (key, message) in before {
            assert_eq!(now[&key].value, message.value, "{topic} {key}");
        }
    }
}
