//! Backstage `catalog-info.yaml` (several documents) → facts about components: owner, tier, lifecycle, source.
//! A document is all that the catalogue says about a component: what it no longer says is retracted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tributary_model::fact::Attribute;
use tributary_model::{asset, entity, path, repository};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;

#[derive(Deserialize)]
struct Entity {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Option<Spec>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    tags: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    lifecycle: Option<String>,
    #[serde(default, rename = "type")]
    component_type: Option<String>,
    #[serde(default)]
    system: Option<String>,
}

/// Facts by `backstage` about every `Component`. Other kinds carry nothing that is used.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut claims = Claims::new(input, "backstage");
    for document in serde_norway::Deserializer::from_slice(input.body) {
        let value = Value::deserialize(document).map_err(|error| {
            let at = error.location().map(|at| format!("line {} column {}", at.line(), at.column()));
            Rejection::at(code::MALFORMED, "the catalogue file is not valid YAML", at.unwrap_or_default())
        })?;
        // The catalogue's API answers with an array.
        let entities = match value {
            Value::Array(items) => items,
            Value::Null => continue,
            one => vec![one],
        };
        for entity in entities {
            let entity = Entity::deserialize(entity).map_err(|_| {
                Rejection::new(code::MALFORMED, "a document of the catalogue file is not a Backstage entity")
            })?;
            if entity.kind.eq_ignore_ascii_case("component") && !entity.metadata.name.trim().is_empty() {
                component(&entity, &mut claims);
            }
        }
    }
    claims.into_events("the catalogue file describes no component: owners and tiers are read from kind Component")
}

fn component(described: &Entity, claims: &mut Claims<'_>) {
    let component = entity::component(&described.metadata.name);
    let none = Spec::default();
    let spec = described.spec.as_ref().unwrap_or(&none);
    let metadata = &described.metadata;
    claims.text_or_retract(&component, Attribute::Title, metadata.title.as_deref());
    claims.text_or_retract(&component, Attribute::Owner, spec.owner.as_deref().map(local_name));
    claims.text_or_retract(&component, Attribute::Lifecycle, spec.lifecycle.as_deref());
    claims.text_or_retract(&component, Attribute::ComponentType, spec.component_type.as_deref());
    claims.text_or_retract(&component, Attribute::System, spec.system.as_deref().map(local_name));
    match tier(metadata) {
        Some(tier) => claims.say(&component, Attribute::Tier, "", &tier),
        None => claims.retract(&component, Attribute::Tier, ""),
    }
    set(&component, Attribute::Source, sources(metadata), claims);
    let assets = metadata.mark("tributary.io/assets").unwrap_or_default();
    let named = assets.split(',').map(str::trim).filter(|asset| asset.contains(':')).map(str::to_owned);
    // Backstage's own annotation for the AWS account that a component lives in.
    let account = metadata.mark("amazonaws.com/account-id").map(|account| asset::cloud("aws", &account));
    let assets = named.chain(account).collect();
    set(&component, Attribute::OwnsAsset, assets, claims);
}

fn set(component: &str, attribute: Attribute, values: BTreeSet<String>, claims: &mut Claims<'_>) {
    if values.is_empty() {
        claims.retract(component, attribute, "");
    }
    for value in values {
        claims.text(component, attribute, &value, "");
    }
}

impl Metadata {
    /// An annotation, else the label of that name, as text.
    fn mark(&self, key: &str) -> Option<String> {
        let found = [&self.annotations, &self.labels].into_iter().flatten().find_map(|marks| marks.get(key))?;
        match found {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// `group:default/team-a` → `team-a`; a namespace other than `default` stays, since names repeat across namespaces.
fn local_name(reference: &str) -> &str {
    let name = reference.trim();
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    name.strip_prefix("default/").unwrap_or(name)
}

/// 1 to 4, from the annotation or label `tributary.io/tier`, else from a tag `tier-1`.
fn tier(metadata: &Metadata) -> Option<i64> {
    let number = |text: &str| {
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.strip_prefix("tier").map_or(lower.as_str(), |rest| rest.trim_start_matches(['-', '_', ' ']));
        digits.parse::<i64>().ok().filter(|tier| (1..=4).contains(tier))
    };
    let tags = metadata.tags.iter().flatten().filter_map(Value::as_str);
    let marked = metadata.mark("tributary.io/tier").as_deref().and_then(number);
    marked.or_else(|| tags.filter(|tag| tag.starts_with("tier")).find_map(number))
}

/// `host/org/name` or `host/org/name//sub/path`. A source location is more exact than a slug of the same repository.
fn sources(metadata: &Metadata) -> BTreeSet<String> {
    let mut sources = BTreeSet::new();
    let location = metadata.mark("backstage.io/source-location").as_deref().and_then(source_location);
    if let Some((repo, sub)) = &location {
        sources.insert(if sub.is_empty() { repo.clone() } else { format!("{repo}//{sub}") });
    }
    let slugs = [("github.com/project-slug", "github.com"), ("gitlab.com/project-slug", "gitlab.com")]
        .into_iter()
        .chain([("bitbucket.org/project-slug", "bitbucket.org")]);
    for (annotation, host) in slugs {
        let Some(slug) = metadata.mark(annotation) else { continue };
        let Some(repo) = repository::canonical(&format!("{host}/{slug}")) else { continue };
        // On an enterprise server the annotation keeps the public name; the location has the real host.
        let path = |repo: &str| repo.split_once('/').map(|(_, path)| path.to_owned());
        if location.as_ref().is_none_or(|(known, _)| path(known) != path(&repo)) {
            sources.insert(repo);
        }
    }
    sources
}

/// Repository and sub-directory of `url:https://host/org/name/tree/main/sub/path/`. Branch names with a slash cannot be told
/// from paths; the first segment is taken as the branch.
fn source_location(location: &str) -> Option<(String, String)> {
    let url = location.strip_prefix("url:").unwrap_or(location);
    let url = url.split(['?', '#']).next().unwrap_or_default();
    for marker in ["/-/tree/", "/-/blob/", "/tree/", "/blob/", "/src/"] {
        if let Some((repo, rest)) = url.split_once(marker) {
            let sub = rest.split_once('/').map_or("", |(_branch, sub)| sub);
            return Some((repository::canonical(repo)?, path::canonical(sub)));
        }
    }
    Some((repository::canonical(url)?, String::new()))
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    const FILE: &str = r#"
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: Till
  title: The till
  annotations:
    github.com/project-slug: Acme/shop
    backstage.io/source-location: url:https://github.com/acme/shop/tree/main/services/till/
    tributary.io/assets: "cloud:aws/123456789012, web:https://till.example, nonsense"
  tags: [rust, tier-2]
spec: {type: service, lifecycle: production, owner: group:default/team-till, system: sales}
---
kind: Group
metadata: {name: team-till}
---
"#;

    #[test]
    fn all_that_the_catalogue_says() {
        check(
            normalize,
            FILE,
            Extensions::default(),
            &[
                "component:till title = \"The till\" (backstage)",
                "component:till owner = \"team-till\" (backstage)",
                "component:till lifecycle = \"production\" (backstage)",
                "component:till component_type = \"service\" (backstage)",
                "component:till system = \"sales\" (backstage)",
                "component:till tier = 2 (backstage)",
                "component:till source [github.com/acme/shop//services/till] = \"\" (backstage)",
                "component:till owns_asset [cloud:aws/123456789012] = \"\" (backstage)",
                "component:till owns_asset [web:https://till.example] = \"\" (backstage)",
            ],
        );
        check_robust(normalize, FILE);
    }

    #[test]
    fn what_is_not_said_any_more_is_retracted() {
        check(
            normalize,
            "kind: Component\nmetadata: {name: till, annotations: {tributary.io/tier: 9, gitlab.com/project-slug: a/b}}\nspec: {owner: team/x}\n",
            Extensions::default(),
            &[
                "component:till title =  (backstage)",
                "component:till owner = \"team/x\" (backstage)",
                "component:till lifecycle =  (backstage)",
                "component:till component_type =  (backstage)",
                "component:till system =  (backstage)",
                "component:till tier =  (backstage)",
                "component:till source [gitlab.com/a/b] = \"\" (backstage)",
                "component:till owns_asset =  (backstage)",
            ],
        );
    }

    #[test]
    fn source_locations() {
        for (location, expected) in [
            ("url:https://github.com/acme/shop", Some(("github.com/acme/shop", ""))),
            (
                "url:https://git.example/acme/shop/-/blob/main/a/catalog.yaml",
                Some(("git.example/acme/shop", "a/catalog.yaml")),
            ),
            ("url:https://bitbucket.org/acme/shop/src/main/", Some(("bitbucket.org/acme/shop", ""))),
            ("dir:.", None),
        ] {
            let found = source_location(location);
            assert_eq!(found.as_ref().map(|(repo, sub)| (repo.as_str(), sub.as_str())), expected, "{location}");
        }
        let none = run(normalize, "kind: API\nmetadata: {name: x}\n", Extensions::default()).unwrap_err();
        assert_eq!(none.code, code::NOTHING_IN_IT);
    }
}
