//! Alias groups: which advisory ids name one vulnerability. Two CVEs never join, and bundles join nothing (F9, F31).
//!
//! Derived from the assertions alone, so the result does not depend on the order in which they became known, a late
//! assertion merges two groups and a revoked one splits them again.

use std::collections::{BTreeMap, BTreeSet};

/// Prefixes of advisories that name what a distribution shipped together; each may name any number of CVEs.
const BUNDLE_PREFIXES: [&str; 18] = [
    "RHSA-",
    "RHBA-",
    "RHEA-",
    "DSA-",
    "DLA-",
    "DTSA-",
    "USN-",
    "ALAS",
    "ELSA-",
    "SUSE-",
    "openSUSE-",
    "GLSA-",
    "ASA-",
    "FEDORA-",
    "RLSA-",
    "RXSA-",
    "ALSA-",
    "MGASA-",
];

/// Whether an id is a CVE's.
#[must_use]
pub fn is_cve(id: &str) -> bool {
    id.starts_with("CVE-")
}

/// Whether an id's kind says that it bundles vulnerabilities.
#[must_use]
pub fn is_bundle_kind(id: &str) -> bool {
    BUNDLE_PREFIXES.iter().any(|prefix| id.starts_with(prefix))
}

/// Whether an id is of a malicious package.
#[must_use]
pub fn is_malware(id: &str) -> bool {
    id.starts_with("MAL-")
}

/// Assertions about ids of one package in one component.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    neighbours: BTreeMap<String, BTreeSet<String>>,
    bundles: BTreeSet<String>,
}

impl Aliases {
    /// Makes an id known.
    pub fn id(&mut self, id: &str) {
        if !self.neighbours.contains_key(id) {
            self.neighbours.insert(id.to_owned(), BTreeSet::new());
        }
    }

    /// Two ids are said to name one vulnerability. Between two CVEs that is never believed.
    pub fn same(&mut self, left: &str, right: &str) {
        self.id(left);
        self.id(right);
        if left == right || (is_cve(left) && is_cve(right)) {
            return;
        }
        self.neighbours.entry(left.to_owned()).or_default().insert(right.to_owned());
        self.neighbours.entry(right.to_owned()).or_default().insert(left.to_owned());
    }

    /// An id is said to bundle others.
    pub fn bundle(&mut self, id: &str) {
        self.id(id);
        self.bundles.insert(id.to_owned());
    }

    /// Every known id, ascending.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.neighbours.keys().map(String::as_str)
    }

    /// The name of every known id's group.
    #[must_use]
    pub fn names(&self) -> BTreeMap<&str, &str> {
        let cves_of =
            |id: &str| self.neighbours.get(id).map_or(0, |others| others.iter().filter(|other| is_cve(other)).count());
        let stands_alone =
            |id: &str| !is_cve(id) && (self.bundles.contains(id) || is_bundle_kind(id) || cves_of(id) > 1);
        let joins = |left: &str, right: &str| !stands_alone(left) && !stands_alone(right);
        let mut names = BTreeMap::new();
        for group in self.connected(&joins) {
            if group.iter().filter(|id| is_cve(id)).count() <= 1 {
                name_all(&group, &mut names);
                continue;
            }
            // A chain of advisories ties two CVEs together: keep only what is asserted of a CVE itself.
            let direct = |left: &str, right: &str| joins(left, right) && (is_cve(left) || is_cve(right));
            for part in self.connected_within(&group, &direct) {
                name_all(&part, &mut names);
            }
        }
        names
    }

    fn connected<'a>(&'a self, joins: &dyn Fn(&str, &str) -> bool) -> Vec<BTreeSet<&'a str>> {
        let all = self.neighbours.keys().map(String::as_str).collect();
        self.connected_within(&all, joins)
    }

    fn connected_within<'a>(
        &'a self,
        within: &BTreeSet<&'a str>,
        joins: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<BTreeSet<&'a str>> {
        let mut left: BTreeSet<&str> = within.clone();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut group = BTreeSet::from([first]);
            let mut open = vec![first];
            while let Some(id) = open.pop() {
                for other in self.neighbours.get(id).into_iter().flatten().map(String::as_str) {
                    if joins(id, other) && left.remove(other) {
                        group.insert(other);
                        open.push(other);
                    }
                }
            }
            groups.push(group);
        }
        groups
    }
}

/// Names a group by its CVE, else its malware id, else its lowest GHSA, else its lowest id.
fn name_all<'a>(group: &BTreeSet<&'a str>, names: &mut BTreeMap<&'a str, &'a str>) {
    let first = |wanted: &dyn Fn(&str) -> bool| group.iter().copied().find(|id| wanted(id));
    let name = first(&is_cve)
        .or_else(|| first(&is_malware))
        .or_else(|| first(&|id| id.starts_with("GHSA-")))
        .or_else(|| group.first().copied());
    for id in group {
        names.insert(id, name.unwrap_or(id));
    }
}

#[cfg(test)]
mod tests;
