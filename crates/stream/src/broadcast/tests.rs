use bytes::Bytes;
use tributary_model::Topic;
use tributary_model::context::ContextAttribute;
use tributary_model::fact::Attribute;

use super::*;

fn context(entity: &str, value: &str) -> EntityContext {
    let attribute = ContextAttribute {
        attribute: Attribute::DefaultBranch,
        qualifier: String::new(),
        value: value.to_owned(),
        asserter: "test".to_owned(),
        observed_at: 1,
        stale: false,
    };
    EntityContext { entity: entity.to_owned(), attributes: vec![attribute] }
}

fn message(key: &str, value: Option<EntityContext>) -> Message {
    Message {
        topic: Topic::Context,
        partition: 3,
        offset: 7,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.map(|context| Bytes::from(context.encode().unwrap())),
        headers: Vec::new(),
        timestamp: 5,
    }
}

#[test]
fn names_come_sorted_and_of_one_kind_only() {
    let store = BroadcastStore::new();
    for name in ["repo:b", "image:x", "repo:a/2", "repo:a/1", "repository:z"] {
        store.put(context(name, "\"main\""));
    }
    assert_eq!(store.entities_of_kind("repo"), ["repo:a/1", "repo:a/2", "repo:b"]);
    assert_eq!(store.entities_with_prefix("repo:a/"), ["repo:a/1", "repo:a/2"]);
    store.remove("repo:a/1");
    assert_eq!(store.entities_of_kind("repo"), ["repo:a/2", "repo:b"]);
    assert_eq!(store.len(), 4);
}

#[test]
fn records_replace_and_tombstones_and_empty_records_remove() {
    let store = BroadcastStore::new();
    for value in ["\"main\"", "\"trunk\""] {
        assert_eq!(store.apply(&message("repo:a", Some(context("repo:a", value)))).unwrap(), "repo:a");
    }
    assert_eq!(store.get("repo:a").unwrap().attributes[0].value, "\"trunk\"");
    store.apply(&message("repo:a", None)).unwrap();
    assert!(store.get("repo:a").is_none());
    store.put(context("repo:a", "\"main\""));
    let empty = EntityContext { entity: "repo:a".to_owned(), attributes: Vec::new() };
    store.apply(&message("repo:a", Some(empty))).unwrap();
    assert!(store.is_empty() && store.entities_of_kind("repo").is_empty());
}

#[test]
fn a_bad_record_is_a_reject_and_changes_nothing() {
    let store = BroadcastStore::new();
    store.put(context("repo:a", "\"main\""));
    let mut garbled = message("repo:a", None);
    garbled.value = Some(Bytes::from_static(b"not avro"));
    let reject = store.apply(&garbled).unwrap_err();
    assert_eq!((reject.code.as_str(), reject.origin.offset), ("undecodable", 7));
    let reject = store.apply(&message("repo:b", Some(context("repo:a", "\"x\"")))).unwrap_err();
    assert_eq!(reject.code, "wrong_key");
    assert_eq!(store.get("repo:a").unwrap().attributes[0].value, "\"main\"");
    assert_eq!(store.len(), 1);
}
