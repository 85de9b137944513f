//! What should not be on canonical topics: it becomes rejects with coordinates, and the partitions move on.

use std::collections::BTreeSet;

use bytes::Bytes;
use tributary_model::codec::schema_of;
use tributary_model::observation::Observation;
use tributary_model::reject::Reject;
use tributary_model::time::DAY;
use tributary_model::{AvroRecord, Topic};
use tributary_stream::Output;
use tributary_stream::log::Log;

use crate::check::{read, rejects, risks_are};
use crate::engine::Engine;
use crate::fleet::Fleet;
use crate::input::sample;

/// Topics that stages and the sink read; a poisoned key in each partition.
const POISONED: [Topic; 7] =
    [Topic::Facts, Topic::Observations, Topic::Findings, Topic::Remedies, Topic::Context, Topic::Risks, Topic::Changes];

fn poison(topic: Topic, key: &str, value: &[u8]) -> Output {
    Output {
        topic,
        partition_key: key.to_owned(),
        key: Bytes::from(key.to_owned()),
        value: Some(Bytes::copy_from_slice(value)),
        headers: Vec::new(),
    }
}

#[test]
fn bytes_that_are_no_records_are_rejected_and_the_partitions_move_on() {
    let (engine, input) = (Engine::start(), sample());
    let mut fleet = Fleet::new(Some(&engine));
    let log = fleet.log();
    let producer = log.producer().unwrap();
    let mut sent = BTreeSet::new();
    let mut send = |round: &str| {
        for topic in POISONED {
            // Not Avro; the fingerprint of no schema; a right header and a body that does not follow it.
            let no_schema = [&[0xC3, 0x01][..], &[0xAB; 8], b"body"].concat();
            let cut = [&[0xC3, 0x01][..], &schema_of(topic).unwrap().fingerprint.to_le_bytes(), &[0xFF; 3]].concat();
            for (name, value) in [("rubbish", &b"\x00\xFFnot avro"[..]), ("no-schema", &no_schema), ("cut", &cut)] {
                let outputs = (0..8).map(|n| poison(topic, &format!("{round}-{name}-{n}"), value));
                producer.append(outputs.collect()).unwrap();
            }
            sent.insert(topic.name().to_owned());
        }
    };
    send("before");
    for name in ["ingest-0", "correlate-0", "sink-0"] {
        fleet.start(name);
    }
    let half = input.records.len() / 2;
    input.records[..half].iter().for_each(|record| fleet.post(record));
    send("between");
    input.records[half..].iter().for_each(|record| fleet.post(record));
    risks_are(&mut fleet, &log, &input.expected);
    let rejects = rejects(&log);
    let from: BTreeSet<String> = rejects.iter().map(|reject| reject.origin.topic.clone()).collect();
    assert!(sent.is_subset(&from), "rejects are of {from:?}, poisoned were {sent:?}");
    for reject in rejects.iter().filter(|reject| sent.contains(&reject.origin.topic)) {
        assert!(!reject.stage.is_empty() && !reject.code.is_empty() && !reject.reason.is_empty(), "{reject:?}");
    }
    // What is an input and a changelog is met twice, by its restore and as an input: of one record there is one row all the same.
    let of_findings = rejects.iter().filter(|reject| reject.origin.topic == "findings" && reject.stage == "assess");
    let places: BTreeSet<_> = of_findings.map(|reject| (reject.origin.partition, reject.origin.offset)).collect();
    assert_eq!(places.len(), 2 * 3 * 8, "every one of them");
    // The sink reads findings as well, and rejects the same records: which of the two the row names is a matter of order.
    assert_eq!(engine.count("SELECT count() FROM rejects FINAL WHERE topic = 'findings'"), places.len());
    fleet.wait_ready();
    // And after a restart, which finds it in the changelogs, too.
    fleet.stop("correlate-0");
    fleet.start("correlate-0");
    fleet.wait_ready();
    risks_are(&mut fleet, &log, &input.expected);
}

/// Somebody with larger messages than the services have put a sighting there, and its finding fits no message of theirs.
#[test]
fn what_would_make_a_record_too_large_is_rejected_and_the_partition_moves_on() {
    let input = sample();
    let mut fleet = Fleet::new(None);
    let log = fleet.log();
    fleet.settings.push(("TRIBUTARY__KAFKA__MESSAGE_BYTES_MAX", "1048576".to_owned()));
    fleet.start("ingest-0");
    fleet.start("correlate-0");
    let half = input.records.len() / 2;
    input.records[..half].iter().for_each(|record| fleet.post(record));
    fleet.wait_done(&log);
    let seen = read(&log, Topic::Observations).into_iter().find_map(|message| {
        let observation = Observation::decode(message.value.as_deref()?).ok()?;
        (!observation.sightings.is_empty()).then_some((message, observation))
    });
    let (message, mut observation) = seen.unwrap();
    // News, not a part of a scan that is applied already, nor older than one.
    observation.scan = None;
    observation.completed = None;
    observation.observed_at += 30 * DAY;
    observation.sightings.truncate(1);
    observation.sightings[0].aliases = (0..80_000).map(|n| format!("CVE-2031-{n:05}")).collect();
    let key = message.key_str().to_owned();
    let value = observation.encode().unwrap();
    let placed = log.producer().unwrap().append(vec![poison(Topic::Observations, &key, &value)]).unwrap();
    assert_eq!(placed[0].partition, message.partition, "where its asset is");
    input.records[half..].iter().for_each(|record| fleet.post(record));
    risks_are(&mut fleet, &log, &input.expected);
    let all = rejects(&log);
    let rejects: Vec<&Reject> = all.iter().filter(|reject| reject.code == "output_too_large").collect();
    assert_eq!(rejects.len(), 1, "{all:?}");
    let expected = (Topic::Observations.name(), placed[0].partition, placed[0].next as i64 - 1);
    let origin = &rejects[0].origin;
    assert_eq!((origin.topic.as_str(), origin.partition, origin.offset), expected);
    assert_eq!(rejects[0].stage, "track");
    assert!(rejects[0].reason.contains("message_bytes_max"), "{}", rejects[0].reason);
    assert_eq!(fleet.ended, 0, "nobody ended of it");
}
