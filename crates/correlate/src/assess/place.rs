//! What of a finding says which cell it belongs to.

use std::borrow::Cow;

use tributary_model::asset;
use tributary_model::id::{FindingId, IdHasher};
use tributary_model::sighting::{Endpoint, FindingClass};

use super::group::CellId;
use super::{Finding, alias};

/// The identity evidence of a finding.
#[derive(Debug)]
pub struct Place<'a> {
    component: &'a str,
    finding: FindingId,
    asset: &'a str,
    class: FindingClass,
    rule: &'a str,
    /// Canonical purl of what has the problem.
    package: &'a str,
    resource: &'a str,
    control: &'a str,
    path: Option<&'a str>,
    /// Family, key id, HMAC.
    secret: Option<[&'a str; 3]>,
    /// Method, path template, parameter.
    endpoint: Option<[&'a str; 3]>,
    cwe: Option<u32>,
}

impl<'a> From<&Finding<'a>> for Place<'a> {
    fn from(finding: &Finding<'a>) -> Self {
        let sighting = &finding.tracked.sighting;
        let package = sighting.package.as_ref();
        Self {
            component: finding.component,
            finding: finding.tracked.finding,
            asset: finding.tracked.asset,
            class: class_of(sighting.class, sighting.rule),
            rule: sighting.rule,
            package: package.map_or("", |package| package_of(package.purl, package.source_purl)),
            resource: sighting.resource,
            control: sighting.control,
            path: sighting.location.as_ref().map(|location| location.path),
            secret: sighting.secret.as_ref().map(|secret| [secret.family, secret.key_id, secret.hmac]),
            endpoint: sighting.endpoint.as_ref().map(|e| [e.method, e.path_template, e.parameter]),
            cwe: sighting.cwes.first().copied(),
        }
    }
}

impl<'a> Place<'a> {
    /// The class that decides.
    #[must_use]
    pub fn class(&self) -> FindingClass {
        self.class
    }

    /// The cell.
    #[must_use]
    pub fn cell(&self) -> CellId {
        let mut hasher = IdHasher::new("cell");
        hasher.field(self.component).field(self.class.name());
        for part in self.parts() {
            hasher.field(part.as_bytes());
        }
        hasher.finish()
    }

    /// What identifies the cell, beside component and class.
    #[must_use]
    pub fn parts(&self) -> Vec<Cow<'a, str>> {
        let own = Cow::Borrowed;
        match self.class {
            FindingClass::Vulnerability | FindingClass::Malware => vec![own(self.package)],
            FindingClass::Host => vec![own(self.asset), own(self.package), own(self.resource)],
            FindingClass::Weakness => vec![own(home_of(self.asset)), own(self.path.unwrap_or_default())],
            FindingClass::Secret => match self.secret.filter(|[.., hmac]| !hmac.is_empty()) {
                Some(secret) => secret.map(own).into(),
                None => vec![Cow::Owned(self.finding.to_string())],
            },
            FindingClass::Misconfiguration => {
                vec![own(if self.control.is_empty() { self.rule } else { self.control }), own(self.resource)]
            }
            FindingClass::Web => {
                let [method, path, parameter] = self.endpoint.unwrap_or_default();
                vec![own(method), own(path), own(parameter), weakness_name(self.rule, self.cwe, path)]
            }
            FindingClass::Runtime => vec![own(self.rule)],
            FindingClass::Licence | FindingClass::EndOfLife => {
                let subject = [self.package, self.resource, self.asset];
                let subject = subject.into_iter().find(|subject| !subject.is_empty()).unwrap_or_default();
                vec![own(subject), own(self.rule)]
            }
            FindingClass::Manual => {
                vec![own(self.rule), own(home_of(self.asset)), own(self.path.unwrap_or(self.resource))]
            }
        }
    }
}

/// A report that calls a malicious package a vulnerability is corrected by the advisory's id.
pub(super) fn class_of(class: FindingClass, rule: &str) -> FindingClass {
    match class {
        FindingClass::Vulnerability if alias::is_malware(rule) => FindingClass::Malware,
        class => class,
    }
}

/// The source package of a distribution, else the package.
pub(super) fn package_of<'a>(purl: &'a str, source_purl: &'a str) -> &'a str {
    if source_purl.is_empty() { purl } else { source_purl }
}

/// Repository without branch, else the asset: one file on two branches is one place.
#[must_use]
pub fn home_of(asset: &str) -> &str {
    asset::repository_parts(asset).map_or(asset, |(repo, _)| repo)
}

/// `CWE-89`, else the rule. Observations about a site share a few CWEs (693, 200, 16), so there the rule tells one from another.
pub(super) fn weakness_name<'a>(rule: &'a str, cwe: Option<u32>, path_template: &str) -> Cow<'a, str> {
    match cwe {
        Some(cwe) if path_template != Endpoint::WHOLE_SITE => Cow::Owned(format!("CWE-{cwe}")),
        _ => Cow::Borrowed(rule),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tributary_model::finding::{Finding, TrackedFinding};
    use tributary_model::sighting::{Location, Package, Secret, Sighting};

    use super::*;
    use crate::assess::lent::Records;

    const CLASSES: [FindingClass; 11] = [
        FindingClass::Vulnerability,
        FindingClass::Weakness,
        FindingClass::Secret,
        FindingClass::Misconfiguration,
        FindingClass::Web,
        FindingClass::Host,
        FindingClass::Runtime,
        FindingClass::Malware,
        FindingClass::Licence,
        FindingClass::EndOfLife,
        FindingClass::Manual,
    ];

    /// Every part of a sighting that identifies something, or only half of them.
    fn sighting(class: FindingClass, is_full: bool) -> Sighting {
        let text = |text: &str| if is_full { text.to_owned() } else { String::new() };
        Sighting {
            class,
            rule: "MAL-2026-1".into(),
            cwes: if is_full { vec![79, 80] } else { Vec::new() },
            package: Some(Package {
                purl: "pkg:deb/libx@1".into(),
                source_purl: text("pkg:deb/x@1"),
                ..Package::default()
            }),
            location: is_full.then(|| Location { path: "src/a.py".into(), ..Location::default() }),
            secret: Some(Secret { hmac: text("00ff"), key_id: "k".into(), family: "aws".into(), ..Secret::default() }),
            endpoint: Some(Endpoint {
                method: "GET".into(),
                path_template: if is_full { "/a/{}" } else { Endpoint::WHOLE_SITE }.into(),
                parameter: "q".into(),
            }),
            resource: "arn:aws:s3:::b".into(),
            control: text("s3-public"),
            ..Sighting::default()
        }
    }

    #[test]
    fn every_class_has_a_place_of_its_own() {
        let mut cells = BTreeSet::new();
        for (class, is_full) in CLASSES.into_iter().flat_map(|class| [(class, true), (class, false)]) {
            let tracked = TrackedFinding {
                finding: FindingId([7; 16]),
                asset: "repo:github.com/acme/shop#main".into(),
                sighting: sighting(class, is_full),
                ..TrackedFinding::default()
            };
            let finding = Finding { component: "shop".into(), tracked, ..Finding::default() };
            cells.insert(Place::from(&Records::of([&finding]).lend()[0]).cell());
        }
        // An advisory that says so makes malware of a vulnerability; a run-time detection is known by its rule alone.
        assert_eq!(cells.len(), 2 * CLASSES.len() - 3);
    }
}
