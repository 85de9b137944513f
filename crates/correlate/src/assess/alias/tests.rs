//! Alias groups: late, revoked, bundled, and in any order.

use proptest::prelude::*;

use super::*;

fn groups(edges: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut aliases = Aliases::default();
    for (left, right) in edges {
        aliases.same(left, right);
    }
    aliases.names().into_iter().map(|(id, name)| (id.to_owned(), name.to_owned())).collect()
}

#[test]
fn f9_late_aliases_merge_and_revoked_ones_split() {
    let apart = groups(&[("GHSA-aaaa", "GHSA-aaaa"), ("CVE-2023-1", "CVE-2023-1")]);
    assert_ne!(apart["GHSA-aaaa"], apart["CVE-2023-1"]);
    let merged = groups(&[("GHSA-aaaa", "CVE-2023-1"), ("PYSEC-1", "GHSA-aaaa")]);
    assert!(merged.values().all(|name| name == "CVE-2023-1"));
    let split = groups(&[("CVE-2023-1", "CVE-2023-1"), ("PYSEC-1", "GHSA-aaaa")]);
    assert_eq!(split["PYSEC-1"], "GHSA-aaaa");
    assert_eq!(split["CVE-2023-1"], "CVE-2023-1");
}

#[test]
fn f31_an_advisory_that_names_two_cves_glues_nothing() {
    let names = groups(&[
        ("GO-2023-1", "CVE-2023-1"),
        ("GO-2023-1", "CVE-2023-2"),
        ("GO-2023-1", "GHSA-aaaa"),
        ("GO-2023-1", "GHSA-bbbb"),
        ("GHSA-aaaa", "CVE-2023-1"),
        ("GHSA-bbbb", "CVE-2023-2"),
    ]);
    assert_eq!(names["GHSA-aaaa"], "CVE-2023-1");
    assert_eq!(names["GHSA-bbbb"], "CVE-2023-2");
    assert_eq!(names["GO-2023-1"], "GO-2023-1");
}

#[test]
fn distribution_advisories_and_declared_bundles_join_nothing() {
    let mut aliases = Aliases::default();
    aliases.same("RHSA-2024:1", "CVE-2024-1");
    aliases.bundle("GO-2024-9");
    aliases.same("GO-2024-9", "CVE-2024-1");
    aliases.same("CVE-2024-1", "CVE-2024-2");
    assert!(aliases.names().iter().all(|(id, name)| id == name), "{:?}", aliases.names());
}

#[test]
fn a_chain_between_two_cves_keeps_what_is_said_of_each() {
    let names =
        groups(&[("GHSA-aaaa", "CVE-1"), ("GHSA-aaaa", "GHSA-bbbb"), ("GHSA-bbbb", "CVE-2"), ("X-1", "GHSA-bbbb")]);
    assert_eq!((names["GHSA-aaaa"].as_str(), names["GHSA-bbbb"].as_str()), ("CVE-1", "CVE-2"));
    assert_eq!(names["X-1"], "X-1");
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4u8).prop_map(|n| format!("CVE-2024-{n}")),
        (0..4u8).prop_map(|n| format!("GHSA-{n}")),
        (0..3u8).prop_map(|n| format!("PYSEC-{n}")),
        Just("DSA-1".to_owned()),
    ]
}

proptest! {
    #[test]
    fn order_never_matters_and_two_cves_never_join(
        edges in prop::collection::vec((id(), id()), 0..14),
        shuffled in any::<prop::sample::Index>(),
    ) {
        let forward: Vec<(&str, &str)> = edges.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let mut backward: Vec<(&str, &str)> = forward.iter().rev().map(|(a, b)| (*b, *a)).collect();
        if !backward.is_empty() {
            let at = shuffled.index(backward.len());
            backward.rotate_left(at);
        }
        let names = groups(&forward);
        prop_assert_eq!(&names, &groups(&backward));
        for (id, name) in &names {
            if is_cve(id) {
                prop_assert_eq!(id, name);
            }
            prop_assert_eq!(&names[name], name, "a group's name is one of its members");
        }
    }
}
