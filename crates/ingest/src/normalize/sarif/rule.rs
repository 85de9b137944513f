//! The rules of a run: in the driver or its extensions, found by index, id or the first part of a hierarchical id.

use std::collections::{BTreeSet, HashMap};

use tributary_model::sighting::Sighting;

use super::shape::{Component, Finding, Reference, Rule, Run};
use crate::normalize::cwe;
use crate::normalize::lenient::first;

/// Index of the rules of a run.
pub struct Rules<'r> {
    run: &'r Run<'r>,
    by_id: HashMap<&'r str, &'r Rule<'r>>,
}

impl<'r> Rules<'r> {
    /// Indexes a run. The driver's rules win over those of extensions with the same id.
    pub fn of(run: &'r Run<'r>) -> Self {
        let mut by_id = HashMap::new();
        for component in std::iter::once(&*run.tool.driver).chain(&run.tool.extensions) {
            for rule in &component.rules {
                by_id.entry(&*rule.id).or_insert(rule);
            }
        }
        Self { run, by_id }
    }

    /// The rule of a result.
    pub fn find(&self, result: &Finding<'_>) -> Option<&'r Rule<'r>> {
        let id = first([&*result.rule_id, &*result.rule.id]);
        let index = result.rule.index.index().or(result.rule_index.index());
        let by_index = index.and_then(|index| self.component(&result.rule).rules.get(index));
        // Some writers number rules wrongly: an id that disagrees is the better witness.
        let agrees = |rule: &&Rule<'_>| id.is_empty() || *rule.id == *id || id.starts_with(&format!("{}/", &*rule.id));
        by_index.filter(agrees).or_else(|| self.by_id(id)).or(by_index.filter(|_| id.is_empty()))
    }

    /// By id; `CA1000/part` is a part of the rule `CA1000`.
    fn by_id(&self, id: &str) -> Option<&'r Rule<'r>> {
        let mut id = id;
        loop {
            if let Some(rule) = self.by_id.get(id) {
                return Some(rule);
            }
            id = id.rsplit_once('/')?.0;
        }
    }

    fn component(&self, reference: &Reference<'_>) -> &'r Component<'r> {
        let named = &reference.tool_component;
        let extensions = &self.run.tool.extensions;
        let by_index = named.index.index().and_then(|index| extensions.get(index));
        let same = |mine: &str, theirs: &str| !theirs.is_empty() && mine == theirs;
        let by_name = || extensions.iter().find(|e| same(&e.guid, &named.guid) || same(&e.name, &named.name));
        by_index.or_else(by_name).unwrap_or(&self.run.tool.driver)
    }

    /// CWE numbers of a result: its own, its rule's, from tags, properties, relationships and taxa.
    pub fn cwes(&self, result: &Finding<'_>, rule: Option<&Rule<'_>>) -> Vec<u32> {
        let mut numbers = Vec::new();
        for properties in [Some(&result.properties), rule.map(|rule| &rule.properties)].into_iter().flatten() {
            properties.tags.iter().for_each(|tag| cwe::collect(tag, false, &mut numbers));
            properties.cwe.iter().chain(&properties.cwes).for_each(|text| cwe::collect(text, true, &mut numbers));
        }
        let related = rule.into_iter().flat_map(|rule| &rule.relationships).map(|relationship| &*relationship.target);
        for reference in result.taxa.iter().chain(related) {
            self.collect_taxon(reference, &mut numbers);
        }
        cwe::canonical(numbers)
    }

    fn collect_taxon(&self, reference: &Reference<'_>, into: &mut Vec<u32>) {
        let named = &reference.tool_component;
        let taxonomies = &self.run.taxonomies;
        let same = |mine: &str, theirs: &str| !theirs.is_empty() && mine == theirs;
        let taxonomy = taxonomies
            .iter()
            .find(|t| same(&t.guid, &named.guid) || same(&t.name, &named.name))
            .or_else(|| named.index.index().and_then(|index| taxonomies.get(index)));
        let is_cwe =
            [&*named.name, taxonomy.map_or("", |t| &*t.name)].iter().any(|name| name.eq_ignore_ascii_case("cwe"));
        let by_index = || Some(&*taxonomy?.taxa.get(reference.index.index()?)?.id);
        let id = reference.id.given().or_else(by_index).unwrap_or_default();
        cwe::collect(id, is_cwe, into);
    }

    /// The rules that ran, where the run declares them. A list in which every rule has a result is the list of what was
    /// found, as many tools write it, and declares nothing.
    pub fn enabled(&self, sightings: &[Sighting]) -> Vec<String> {
        let is_on = |rule: &&Rule<'_>| *rule.default_configuration.enabled != *"false" && !rule.id.is_empty();
        let enabled: BTreeSet<&str> = self.by_id.values().copied().filter(is_on).map(|rule| &*rule.id).collect();
        let seen: BTreeSet<&str> = sightings.iter().map(|sighting| sighting.rule.as_str()).collect();
        if enabled.is_subset(&seen) {
            return Vec::new();
        }
        enabled.union(&seen).map(|id| (*id).to_owned()).collect()
    }
}
