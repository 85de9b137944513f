//! `up` is killed with -9 while the estate arrives, and restarted: the final risks are those of a run nobody killed (I4).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::oracle::{assert_contiguous, outcome, undisturbed};
use crate::up::{Service, estate};

/// Kills per run: enough to hit restore, commit and intake; each costs a restart.
const KILLS: usize = 4;

#[test]
fn killed_under_load_and_restarted_the_risks_are_the_same() {
    let records = estate();
    let expected = undisturbed(&records);

    let rough = tempfile::tempdir().unwrap();
    // How many threads share the partitions changes nothing either.
    std::fs::write(rough.path().join("tributary.toml"), "[correlate]\nworkers = 2\n").unwrap();
    let mut service = Service::start(rough.path());
    let step = records.len() / (KILLS + 1);
    for (index, record) in records.iter().enumerate() {
        // A producer that got no acknowledgement sends again.
        while service.post(record).is_err() {
            service.kill();
            service = Service::start(rough.path());
        }
        if index > 0 && index % step == 0 && index / step <= KILLS {
            service.kill();
            service = Service::start(rough.path());
        }
    }
    service.wait_idle(Duration::from_secs(180));
    let after = outcome(&service.latest("risks"));
    assert!(expected.len() > 50, "the estate has risks");
    let only_in = |these: &BTreeMap<String, Value>, those: &BTreeMap<String, Value>| -> Vec<String> {
        these.iter().filter(|(id, _)| !those.contains_key(*id)).map(|(id, risk)| format!("{id} {risk}")).collect()
    };
    let (lost, gained) = (only_in(&expected, &after), only_in(&after, &expected));
    assert!(lost.is_empty() && gained.is_empty(), "lost: {lost:#?}\ngained: {gained:#?}");
    for (id, risk) in &expected {
        assert_eq!(&after[id], risk, "{id}");
    }
    assert_contiguous(&service.tail("changes"));
    service.stop();
}

/// The same estate twice: every record again changes no risk, no finding and no ticket (F2, I2).
#[test]
fn the_estate_twice_changes_nothing() {
    let records = estate();
    let directory = tempfile::tempdir().unwrap();
    let mut service = Service::start(directory.path());
    for record in &records {
        service.post(record).unwrap();
    }
    service.wait_idle(Duration::from_secs(180));
    let topics = ["risks", "findings", "tickets"];
    let before = topics.map(|topic| service.latest(topic));
    let changes = service.tail("changes").len();
    for record in &records {
        service.post(record).unwrap();
    }
    service.wait_idle(Duration::from_secs(180));
    assert_eq!(service.tail("changes").len(), changes, "nothing changed");
    for (topic, before) in topics.iter().zip(before) {
        let now = service.latest(topic);
        assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{topic}");
        for (key, value) in before {
            assert_eq!(now[&key], value, "{topic} {key}");
        }
    }
    service.stop();
}
