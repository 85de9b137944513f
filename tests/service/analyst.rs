//! What an analyst sees: the estate in the real engine, table by table and view by view; the same estate again changes no row.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::up::{Service, estate};

/// Every table and view that is shipped, as the database lists them.
fn names(service: &Service) -> Vec<String> {
    let tables = service.sql(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE '.inner%' \
         AND name NOT LIKE '%migration%' ORDER BY name FORMAT TSV",
    );
    tables.lines().map(str::to_owned).collect()
}

/// All that a query can see, by table: `FINAL` where versions replace each other. Views that read a clock have no place here.
fn everything(service: &Service, names: &[String]) -> BTreeMap<String, String> {
    let finals = service.sql(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%Replacing%' FORMAT TSV",
    );
    let read = |name: &String| {
        let last = if finals.lines().any(|known| known == name) { "FINAL" } else { "" };
        (name.clone(), service.sql(&format!("SELECT * FROM {name} {last} ORDER BY ALL FORMAT JSONEachRow")))
    };
    names.iter().map(read).collect()
}

#[test]
fn the_estate_stands_in_every_table_and_the_estate_again_changes_no_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut service = Service::start_with_engine(directory.path());
    let records = estate();
    for record in &records {
        service.post(record).unwrap();
    }
    service.wait_idle(Duration::from_secs(240));

    let names = names(&service);
    for expected in
        ["open_risks", "funnel", "by_owner", "coverage", "risk_history", "risks", "risk_changes", "findings"]
    {
        assert!(names.iter().any(|name| name == expected), "{expected} is missing: {names:?}");
    }
    let before = everything(&service, &names);
    for (name, rows) in &before {
        // No record of the estate is a decision or a policy; everything else has something to say.
        assert!(!rows.is_empty() || ["decisions", "policies"].contains(&name.as_str()), "{name} is empty");
    }

    // The rows are the records of the topics.
    let count = |sql: &str| service.sql(sql).trim().parse::<usize>().unwrap();
    let of = |topic: &str, state: &str| service.latest(topic).values().filter(|value| value["state"] == state).count();
    assert_eq!(count("SELECT count() FROM open_risks"), of("risks", "open"));
    assert_eq!(count("SELECT count() FROM risk_changes FINAL"), service.tail("changes").len());
    assert_eq!(count("SELECT count() FROM tickets FINAL WHERE state = 'open'"), of("tickets", "open"));
    assert_eq!(count("SELECT count() FROM rejects FINAL"), service.tail("rejects").len());
    assert_eq!(
        count(
            "SELECT count() FROM (SELECT risk FROM risk_changes FINAL GROUP BY risk, generation HAVING max(revision) != count())"
        ),
        0,
        "revisions are contiguous"
    );
    assert!(count("SELECT count() FROM coverage WHERE NOT covered") > 0, "what nobody scans is shown");

    for record in &records {
        service.post(record).unwrap();
    }
    service.wait_idle(Duration::from_secs(240));
    let after = everything(&service, &names);
    for (name, rows) in &before {
        // What is raw arrived twice, and what is rejected is rejected twice: both are events with coordinates of their own.
        if !["rejects", "funnel"].contains(&name.as_str()) {
            assert_eq!(&after[name], rows, "{name}");
        }
    }
    service.stop();
}
