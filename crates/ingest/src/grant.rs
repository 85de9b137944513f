//! Who may say what about which assets. No pipeline job can silence, or speak for, another team (F29).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tributary_model::fact::{Attribute, Fact};
use tributary_model::record::{Extensions, RawClass};

use crate::event::{Rejection, code};

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Say what was seen.
    Observe,
    /// Say that a scan was complete, so that what it did not see is fixed.
    Withdraw,
    /// Say what is to be thought of a finding: VEX statements, triage.
    Decide,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Verb::Observe => "observe",
            Verb::Withdraw => "withdraw",
            Verb::Decide => "decide",
        }
    }
}

/// One grant, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantConfig {
    /// Name of the credential; the name of a topic (`raw.cicd`) grants to records on it that carry no credential.
    pub name: String,
    /// Patterns of asset keys and entities; `*` stands for any text: `repo:github.com/acme/shop*`, `image:sha256:…`, `*`.
    pub assets: Vec<String>,
    /// Classes of source: `scanner`, `cicd` …; empty means every class.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Verbs.
    pub verbs: Vec<Verb>,
    /// SHA-256 of the bearer token, 64 hexadecimal digits. The token itself is never configured.
    #[serde(default)]
    pub token_sha256: Option<String>,
}

/// What a credential that has no grant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// Everything: a team of one.
    #[default]
    Everything,
    /// Nothing: an organisation.
    Nothing,
}

/// Why a configuration of grants is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Two grants of one name.
    #[error("two grants are named {0:?}: merge them")]
    Duplicate(String),
    /// A class that is none.
    #[error(
        "grant {0:?} names the class {1:?}; classes are scanner, cicd, cloud, runtime, catalog, intel, triage, ticketing"
    )]
    Class(String, String),
    /// A pattern that can match nothing.
    #[error(
        "grant {0:?} has the pattern {1:?}; patterns begin with a kind of asset (`repo:`, `image:`, `cloud:` …) or are `*`"
    )]
    Pattern(String, String),
    /// Not a hash.
    #[error("grant {0:?}: token_sha256 is not 64 hexadecimal digits (`printf %s TOKEN | sha256sum`)")]
    Token(String),
}

#[derive(Debug, Clone)]
struct Grant {
    patterns: Vec<String>,
    classes: Vec<RawClass>,
    verbs: Vec<Verb>,
}

/// Every grant, looked up by credential.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    by_name: BTreeMap<String, Grant>,
    tokens: Vec<([u8; 32], String)>,
    unlisted: Unlisted,
}

impl Grants {
    /// No grants: everyone may do everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Checks and indexes a configuration.
    ///
    /// # Errors
    /// A [`GrantError`] that names the grant.
    pub fn new(configs: &[GrantConfig], unlisted: Unlisted) -> Result<Self, GrantError> {
        let mut grants = Self { unlisted, ..Self::default() };
        for config in configs {
            let name = || config.name.clone();
            let mut patterns = Vec::with_capacity(config.assets.len());
            for pattern in &config.assets {
                if pattern != "*" && !pattern.contains(':') {
                    return Err(GrantError::Pattern(name(), pattern.clone()));
                }
                patterns.push(canonical_pattern(pattern));
            }
            let mut classes = Vec::with_capacity(config.classes.len());
            for class in &config.classes {
                classes.push(RawClass::parse(class).ok_or_else(|| GrantError::Class(name(), class.clone()))?);
            }
            if let Some(hash) = &config.token_sha256 {
                grants.tokens.push((parse_hash(hash).ok_or_else(|| GrantError::Token(name()))?, name()));
            }
            let grant = Grant { patterns, classes, verbs: config.verbs.clone() };
            if grants.by_name.insert(name(), grant).is_some() {
                return Err(GrantError::Duplicate(name()));
            }
        }
        Ok(grants)
    }

    /// Whether any token is configured: then the intake wants one.
    #[must_use]
    pub fn wants_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// The credential of a bearer token. Compares against every token in constant time, so that the time taken says
    /// nothing about how much of a guess was right.
    #[must_use]
    pub fn credential(&self, token: &str) -> Option<&str> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = u64::MAX;
        for (index, (known, _)) in self.tokens.iter().enumerate() {
            let same: Choice = known.ct_eq(&hash);
            found.conditional_assign(&(index as u64), same);
        }
        usize::try_from(found).ok().and_then(|index| self.tokens.get(index)).map(|(_, name)| name.as_str())
    }

    /// The rights of a record.
    #[must_use]
    pub fn of<'a>(&'a self, ext: &'a Extensions, class: RawClass) -> Rights<'a> {
        let name = ext.credential.as_deref().unwrap_or(class.topic().name());
        let (grant, allows_all) = match self.by_name.get(name) {
            Some(grant) => (Some(grant), false),
            // A trusted local path has no credential, and no topic grant restricts it.
            None => (None, ext.credential.is_none() || self.unlisted == Unlisted::Everything),
        };
        Rights { name, class, grant, allows_all }
    }
}

/// What one record may say.
#[derive(Debug, Clone, Copy)]
pub struct Rights<'a> {
    name: &'a str,
    class: RawClass,
    grant: Option<&'a Grant>,
    allows_all: bool,
}

impl Rights<'_> {
    /// Whether the record may come as its class at all.
    ///
    /// # Errors
    /// `not_granted`, naming credential and class.
    pub fn class(&self) -> Result<(), Rejection> {
        self.need_class(&[self.class])
    }

    /// Whether this may be done to this asset (or entity).
    ///
    /// # Errors
    /// `not_granted`, naming credential, verb and asset.
    pub fn asset(&self, verb: Verb, asset: &str) -> Result<(), Rejection> {
        if self.allows(verb, asset) { Ok(()) } else { Err(self.refuse(verb.name(), asset)) }
    }

    /// Whether this may be done to this asset (or entity).
    #[must_use]
    pub fn allows(&self, verb: Verb, asset: &str) -> bool {
        match self.grant {
            None => self.allows_all,
            Some(grant) => grant.verbs.contains(&verb) && grant.covers(asset),
        }
    }

    /// Whether a fact may be claimed.
    ///
    /// # Errors
    /// `not_granted`, naming credential, verb and entity.
    pub fn fact(&self, fact: &Fact) -> Result<(), Rejection> {
        let verb = if fact.attribute == Attribute::Vex { Verb::Decide } else { Verb::Observe };
        self.need_class(classes_of(fact.attribute))?;
        // What a scanner repeats about a published vulnerability is a by-product of its report, not a claim about an asset.
        let is_by_product = fact.entity.starts_with("vuln:") && classes_of(fact.attribute).is_empty();
        if is_by_product {
            return Ok(());
        }
        // The product of a VEX statement is an image: the grant is written for the image.
        let entity = match fact.entity.strip_prefix("product:sha256:") {
            Some(digest) => &format!("image:sha256:{digest}"),
            None => &fact.entity,
        };
        self.asset(verb, entity)
    }

    fn need_class(&self, one_of: &[RawClass]) -> Result<(), Rejection> {
        let Some(grant) = self.grant else { return Ok(()) };
        let granted =
            one_of.is_empty() || grant.classes.is_empty() || one_of.iter().any(|class| grant.classes.contains(class));
        if granted {
            return Ok(());
        }
        let wanted: Vec<&str> = one_of.iter().map(|class| class.name()).collect();
        Err(self.refuse("send", &format!("records of class {}", wanted.join(" or "))))
    }

    fn refuse(&self, verb: &str, what: &str) -> Rejection {
        Rejection::at(
            code::NOT_GRANTED,
            format!(
                "the credential {:?} may not {verb} {what}: add it to its grant, or use the credential that owns it",
                self.name
            ),
            what.to_owned(),
        )
    }
}

/// The class that a grant must have for a claim of this kind; empty: any. Without this, a job that may post scans could
/// post a catalogue file as a "scan" and become the owner of a component.
const fn classes_of(attribute: Attribute) -> &'static [RawClass] {
    match attribute {
        Attribute::CodeOwners
        | Attribute::Owner
        | Attribute::Tier
        | Attribute::Lifecycle
        | Attribute::ComponentType
        | Attribute::System
        | Attribute::Source
        | Attribute::Title
        | Attribute::OwnsAsset => &[RawClass::Catalog],
        Attribute::RunsImage
        | Attribute::Environment
        | Attribute::PodLabels
        | Attribute::WorkloadComponent
        | Attribute::Selector
        | Attribute::ExposedBy => &[RawClass::Cloud, RawClass::Runtime, RawClass::Cicd],
        Attribute::Kev | Attribute::Epss | Attribute::Ssvc | Attribute::Exploit | Attribute::WithdrawnAdvisory => {
            &[RawClass::Intel]
        }
        Attribute::Vex => &[RawClass::Triage, RawClass::Catalog],
        _ => &[],
    }
}

impl Grant {
    /// Whether a pattern covers the asset, or for a branch its repository, or for a repository any branch.
    fn covers(&self, asset: &str) -> bool {
        let repository = asset.split_once('#').map(|(repository, _)| repository);
        self.patterns.iter().any(|pattern| {
            matches(pattern, asset)
                || repository.is_some_and(|repository| matches(pattern, repository))
                || (repository.is_none() && pattern.strip_suffix("#*").is_some_and(|pattern| matches(pattern, asset)))
        })
    }
}

/// Repositories and digests are lower case in asset keys; a branch keeps its case.
fn canonical_pattern(pattern: &str) -> String {
    let (head, branch) = pattern.split_once('#').map_or((pattern, None), |(head, branch)| (head, Some(branch)));
    let head = if head.starts_with("repo:") { head.to_lowercase() } else { head.to_owned() };
    branch.map_or(head.clone(), |branch| format!("{head}#{branch}"))
}

/// Glob with `*` for any text. Goes back to the last star only: linear in practice, never exponential.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

fn parse_hash(hex: &str) -> Option<[u8; 32]> {
    let hex = hex.trim();
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests;
