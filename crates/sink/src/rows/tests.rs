//! Messages become the rows their tables expect.

use bytes::Bytes;
use tributary_model::context::ContextAttribute;
use tributary_model::fact::Attribute;

use super::*;

fn message(topic: Topic, key: &str, value: Option<Vec<u8>>) -> Message {
    Message {
        topic,
        partition: 11,
        offset: 41,
        key: Bytes::from(key.to_owned()),
        value: value.map(Bytes::from),
        headers: Vec::new(),
        timestamp: 0,
    }
}

#[test]
fn a_component_and_its_tombstone() {
    let context = EntityContext {
        entity: "component:payments".into(),
        attributes: vec![
            ContextAttribute {
                attribute: Attribute::Owner,
                qualifier: String::new(),
                value: "\"team-pay\"".into(),
                asserter: "backstage".into(),
                observed_at: 1,
                stale: false,
            },
            ContextAttribute {
                attribute: Attribute::Source,
                qualifier: "github.com/acme/pay".into(),
                value: "\"\"".into(),
                asserter: "backstage".into(),
                observed_at: 1,
                stale: false,
            },
        ],
    };
    let rows = rows_of(&message(Topic::Context, "component:payments", Some(context.encode().unwrap()))).unwrap();
    let [Row::Component(row)] = rows.as_slice() else { panic!("one component row") };
    assert_eq!((row.component.as_str(), row.owner.as_str(), row.bucket, row.version), ("payments", "team-pay", 3, 42));
    assert_eq!(row.sources, ["github.com/acme/pay"]);
    let rows = rows_of(&message(Topic::Context, "component:payments", None)).unwrap();
    assert!(matches!(rows.as_slice(), [Row::Component(row)] if row.deleted && row.component == "payments"));
}

#[test]
fn a_risk_version_orders_generations_then_revisions() {
    let version = |generation, revision| {
        let risk = Risk { generation, revision, ..Risk::default() };
        let rows = rows_of(&message(Topic::Risks, "r", Some(risk.encode().unwrap()))).unwrap();
        let [Row::Risk(row)] = rows.as_slice() else { panic!("one risk row") };
        row.version
    };
    assert!(version(1_700_000_000, 9) > version(1_700_000_000, 8));
    assert!(version(1_700_000_001, 1) > version(1_700_000_000, 99_999));
}

#[test]
fn tombstones_of_other_topics_are_no_rows() {
    assert_eq!(rows_of(&message(Topic::Findings, "c|f", None)).unwrap(), []);
}
