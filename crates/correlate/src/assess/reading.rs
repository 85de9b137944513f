//! From the context graph and intelligence to the plain data that the leaves of ASSESS work on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use tributary_model::asset::{self, AssetKind};
use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::entity;
use tributary_model::fact::{Attribute, value};

use super::alias::{self, Aliases};
use super::estate::{self, Estate};
use super::owner;
use super::surroundings::{Base, Intelligence, Known, Placement, Statement, Surroundings, Vulnerability};
use crate::graph::{Deployment, View};

/// Ids that one lookup of aliases follows. Honest groups have fewer than ten; a record that names hundreds is a bundle.
const MAX_ALIASES: usize = 64;

/// What is around a component, for the assets that its findings are on; and the keys that were read.
#[must_use]
pub fn surroundings(estate: &Estate, component: &str, assets: &BTreeSet<Arc<str>>) -> (Surroundings, Vec<String>) {
    let view = estate.graph().view();
    let facts = view.component(component);
    let text = |attribute: &ContextAttribute| value::parse::<value::Text>(&attribute.value);
    let mut around = Surroundings {
        assets: assets.clone(),
        tier: facts.tier.as_ref().and_then(|tier| {
            let value = value::parse::<value::Number>(&tier.value).filter(|tier| (1..=4).contains(tier))?;
            Some(Known::said(value as i32, tier.asserter.clone(), tier.observed_at))
        }),
        owner: facts.owner.as_ref().and_then(|owner| {
            let team = text(owner).filter(|team| !team.is_empty())?;
            Some(Known::said(team_of(&team).to_owned(), owner.asserter.clone(), owner.observed_at))
        }),
        component: placements(&view.deployments_of_component(component)),
        deployments_known: estate.graph().deployments_known(),
        ..Surroundings::default()
    };
    let mut keys = Vec::new();
    for asset in assets {
        match asset::kind(asset) {
            AssetKind::Image => {
                keys.extend(image(estate, &view, asset, &mut around));
            }
            AssetKind::Repository => {
                if let Some((repo, _)) = asset::repository_parts(asset)
                    && !around.code_owners.contains_key(repo)
                    && let Some(rules) = view.code_owners(repo)
                {
                    around.code_owners.insert(repo.to_owned(), Arc::new(rules));
                }
            }
            _ => {}
        }
    }
    keys.extend(view.reads());
    keys.sort_unstable();
    keys.dedup();
    (around, keys)
}

/// `group:default/team-pay` (a catalogue's reference) → `team-pay`.
fn team_of(owner: &str) -> &str {
    let owner = owner.rsplit_once('/').map_or(owner, |(_, team)| team);
    owner.rsplit_once(':').map_or(owner, |(_, team)| team)
}

/// One per (environment, exposure): what decides repeats over workloads.
fn placements(deployments: &[Deployment]) -> Vec<Placement> {
    let mut seen = BTreeSet::new();
    deployments
        .iter()
        .filter(|deployment| seen.insert((deployment.environment.as_str(), deployment.exposure)))
        .map(|deployment| Placement {
            environment: deployment.environment.clone(),
            exposure: deployment.exposure,
            source: deployment.asserter.clone(),
            observed_at: deployment.observed_at,
        })
        .collect()
}

fn image(estate: &Estate, view: &View<'_>, asset: &str, around: &mut Surroundings) -> Vec<String> {
    around.images.insert(asset.to_owned(), placements(&view.deployments_of_image(asset)));
    let context = view.entity(asset);
    let own_name = estate.name_as_base(asset, context.as_deref());
    let base = view.base_image(asset);
    let base = base.filter(|_| own_name.is_none()).map(|base| {
        let owned = base.components.iter().find_map(|component| {
            let owner = view.component(component).owner?;
            let team = value::parse::<value::Text>(&owner.value).filter(|team| !team.is_empty())?;
            Some(owner::by_component(&Known::said(team_of(&team).to_owned(), owner.asserter, owner.observed_at)))
        });
        Base { name: base.name, owner: owned.unwrap_or_default() }
    });
    let own =
        own_name.map(|name| Base { name, owner: around.owner.as_ref().map(owner::by_component).unwrap_or_default() });
    if let Some(base) = own.or(base) {
        around.bases.insert(asset.to_owned(), base);
    }
    if let Some(digest) = asset.strip_prefix("image:").filter(|name| name.starts_with("sha256:")) {
        around.statements.extend(statements(view, digest));
    }
    let names = context.iter().flat_map(|context| context.all(Attribute::ImageName));
    let mut keys: Vec<String> = names.map(|name| format!("base:{}", estate::untagged(&name.qualifier))).collect();
    keys.push(format!("base:{asset}"));
    keys
}

/// VEX statements about a product, ascending.
#[must_use]
pub fn statements(view: &View<'_>, product: &str) -> Vec<Statement> {
    let Some(context) = view.entity(&entity::product(product)) else { return Vec::new() };
    let mut statements: Vec<Statement> = context
        .all(Attribute::Vex)
        .filter_map(|said| {
            let vex: value::Vex = value::parse(&said.value)?;
            Some(Statement {
                product: product.to_owned(),
                vulnerability: entity::vulnerability_id(&said.qualifier),
                status: vex.status,
                version: vex.version,
                justification: vex.justification,
                author: vex.author,
                subcomponents: vex.subcomponents,
            })
        })
        .collect();
    statements.sort();
    statements
}

/// What intelligence says about one id, read once per step.
#[derive(Debug, Clone, Default)]
struct Entry {
    vulnerability: Option<Vulnerability>,
    aliases: Vec<String>,
    /// Records that say so of themselves: where to look, and no reason to join, for they may have been withdrawn since.
    mirrored: Vec<String>,
    bundles: Vec<String>,
}

/// What was parsed, with what it was parsed from: the same pointer means the same words.
type Parsed = (Option<Arc<EntityContext>>, Arc<Entry>);

/// Reads intelligence; parsed entries are kept for one step, in which the same CVE occurs in many components.
#[derive(Debug, Default)]
pub struct Reader {
    parsed: HashMap<String, Parsed, foldhash::fast::FixedState>,
}

impl Reader {
    fn entry(&mut self, view: &View<'_>, id: &str) -> Arc<Entry> {
        let context = view.entity(&entity::vulnerability(id));
        if let Some((known, entry)) = self.parsed.get(id) {
            let is_same = match (known, &context) {
                (Some(known), Some(context)) => Arc::ptr_eq(known, context),
                (None, None) => true,
                _ => false,
            };
            if is_same {
                return Arc::clone(entry);
            }
        }
        let entry = Arc::new(context.as_deref().map(parse).unwrap_or_default());
        self.parsed.insert(id.to_owned(), (context, Arc::clone(&entry)));
        entry
    }

    /// Adds what intelligence asserts about every known id, and about the ids that this makes known.
    pub fn aliases(&mut self, view: &View<'_>, aliases: &mut Aliases) {
        let mut open: Vec<String> = aliases.ids().map(str::to_owned).collect();
        let mut seen: BTreeSet<String> = open.iter().cloned().collect();
        let limit = seen.len() + MAX_ALIASES;
        while let Some(id) = open.pop() {
            let entry = self.entry(view, &id);
            if !entry.bundles.is_empty() {
                aliases.bundle(&id);
            }
            let cves = entry.aliases.iter().filter(|other| alias::is_cve(other)).count();
            let is_bundle =
                !entry.bundles.is_empty() || alias::is_bundle_kind(&id) || (!alias::is_cve(&id) && cves > 1);
            for other in &entry.aliases {
                aliases.same(&id, other);
            }
            for other in entry.aliases.iter().chain(&entry.mirrored).filter(|_| !is_bundle) {
                if seen.len() < limit && seen.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
    }

    /// Everything said about some ids and about packages.
    pub fn intelligence<'a>(
        &mut self,
        view: &View<'_>,
        kev_read: bool,
        ids: impl Iterator<Item = &'a String>,
        statements: Vec<Statement>,
    ) -> Intelligence {
        let mut vulnerabilities = BTreeMap::new();
        for id in ids {
            if let Some(known) = &self.entry(view, id).vulnerability {
                vulnerabilities.insert(id.clone(), known.clone());
            }
        }
        Intelligence { kev_read, vulnerabilities, statements }
    }
}

fn parse(context: &EntityContext) -> Entry {
    let said = |attribute| context.get(attribute);
    let known = |attribute: &ContextAttribute| (attribute.asserter.clone(), attribute.observed_at);
    let mut cvss: Vec<(String, Known<(String, u32)>)> = context
        .all(Attribute::Cvss)
        .filter_map(|said| {
            let value: value::Cvss = value::parse(&said.value)?;
            let (source, at) = known(said);
            let tenths = (value.score * 10.0).round().clamp(0.0, 100.0) as u32;
            Some((said.qualifier.clone(), Known::said((value.vector, tenths), source, at)))
        })
        .collect();
    cvss.sort_by(|left, right| left.0.cmp(&right.0));
    let vulnerability = Vulnerability {
        kev: said(Attribute::Kev).and_then(|said| {
            let kev: value::Kev = value::parse(&said.value)?;
            let (source, at) = known(said);
            Some(Known::said((kev.date_added, kev.ransomware), source, at))
        }),
        epss_ppm: said(Attribute::Epss)
            .and_then(|said| value::parse::<value::Epss>(&said.value))
            .map(|epss| epss.score_ppm),
        ssvc: said(Attribute::Ssvc).and_then(|said| {
            let ssvc: value::Ssvc = value::parse(&said.value)?;
            let (source, at) = known(said);
            Some(Known::said([ssvc.exploitation, ssvc.automatable, ssvc.technical_impact], source, at))
        }),
        cvss: cvss.into_iter().map(|(_, known)| known).collect(),
        exploit: context
            .all(Attribute::Exploit)
            .filter_map(|said| {
                let (source, at) = known(said);
                Some(Known::said(value::parse::<value::Text>(&said.value)?, source, at))
            })
            .max_by_key(|exploit| exploit.value == "weaponised"),
        summary: said(Attribute::Summary).and_then(|said| value::parse(&said.value)).unwrap_or_default(),
        cwes: said(Attribute::Weaknesses).and_then(|said| value::parse(&said.value)).unwrap_or_default(),
    };
    let qualifiers = |attribute, mirrors: bool| {
        let is_mirror =
            |said: &ContextAttribute| value::parse::<value::Text>(&said.value).is_some_and(|text| text == "mirror");
        let some = context.all(attribute).filter(|said| is_mirror(said) == mirrors);
        some.map(|said| entity::vulnerability_id(&said.qualifier)).collect()
    };
    Entry {
        vulnerability: (vulnerability != Vulnerability::default()).then_some(vulnerability),
        aliases: qualifiers(Attribute::Alias, false),
        mirrored: qualifiers(Attribute::Alias, true),
        bundles: qualifiers(Attribute::Bundles, false),
    }
}
