//! The stage end to end: findings, context and intelligence in; risks, changes and remedies out.

mod failures;
mod order;
mod restart;

use std::collections::BTreeMap;

use bytes::Bytes;
use tributary_model::AvroRecord;
use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::entity;
use tributary_model::fact::{Attribute, value};
use tributary_model::finding::{Finding, ToolClaim};
use tributary_model::remedy::RemedyMember;
use tributary_model::risk::{Change, Risk};
use tributary_model::sighting::{FindingClass, Location, Package, Sighting};
use tributary_stream::BroadcastStore;
use tributary_stream::message::Output;

use super::*;
use crate::assess::invariants;
use crate::graph::Graph;
use crate::saved::tests::revived;

pub(super) const T0: Millis = 1_790_000_000_000;

/// A partition with the log around it.
pub(super) struct Harness {
    pub(super) store: Arc<BroadcastStore>,
    pub(super) stage: Assess,
    pub(super) now: Millis,
    pub(super) log: Vec<Output>,
    /// The latest record of every finding that was sent.
    pub(super) findings: BTreeMap<String, Bytes>,
    offset: u64,
}

impl Harness {
    pub(super) fn new() -> Self {
        let store = Arc::new(BroadcastStore::new());
        let stage = Assess::new(estate_of(&store));
        Self { store, stage, now: T0, log: Vec::new(), findings: BTreeMap::new(), offset: 0 }
    }

    fn message(&mut self, topic: Topic, key: &str, value: Option<Bytes>) -> Message {
        self.offset += 1;
        let key = Bytes::from(key.to_owned());
        Message { topic, partition: 0, offset: self.offset, key, value, headers: Vec::new(), timestamp: self.now }
    }

    /// Applies a finding without settling.
    pub(super) fn apply(&mut self, finding: &Finding) {
        let key = format!("{}|{}", finding.component, finding.tracked.finding);
        let value = Bytes::from(finding.encode().unwrap());
        self.findings.insert(key.clone(), value.clone());
        let message = self.message(Topic::Findings, &key, Some(value));
        self.stage.apply(&message, self.now).unwrap();
    }

    pub(super) fn tombstone(&mut self, finding: &Finding) {
        let key = format!("{}|{}", finding.component, finding.tracked.finding);
        self.findings.remove(&key);
        let message = self.message(Topic::Findings, &key, None);
        self.stage.apply(&message, self.now).unwrap();
    }

    /// Puts context or intelligence and notices it, without settling.
    pub(super) fn know(&mut self, entity: &str, attributes: Vec<ContextAttribute>) {
        if attributes.is_empty() {
            self.store.remove(entity);
        } else {
            self.store.put(EntityContext { entity: entity.to_owned(), attributes });
        }
        self.stage.notice(&[entity.to_owned()], self.now);
    }

    /// Settles and commits; the records of this step.
    pub(super) fn settle(&mut self) -> Vec<Output> {
        self.stage.wake(self.now);
        let mut out = Outputs::default();
        self.stage.settle(self.now, &mut out).unwrap();
        self.stage.commit();
        let records = out.into_records();
        self.log.extend(records.clone());
        records
    }

    pub(super) fn send(&mut self, findings: &[Finding]) -> Vec<Output> {
        for finding in findings {
            self.apply(finding);
        }
        self.settle()
    }

    /// The latest record of every risk, by id.
    pub(super) fn risks(&self) -> BTreeMap<RiskId, Risk> {
        let mut risks = BTreeMap::new();
        for output in self.log.iter().filter(|output| output.topic == Topic::Risks) {
            let id: RiskId = std::str::from_utf8(&output.key).unwrap().parse().unwrap();
            match &output.value {
                Some(value) => risks.insert(id, Risk::decode(value).unwrap()),
                None => risks.remove(&id),
            };
        }
        risks
    }

    /// Open and suppressed risks by name.
    pub(super) fn open(&self) -> BTreeMap<String, Risk> {
        let open = self.risks().into_values().filter(|risk| risk.state != RiskState::Resolved);
        open.map(|risk| (risk.name.clone(), risk)).collect()
    }

    pub(super) fn changes(&self) -> Vec<Change> {
        changes(&self.log)
    }

    pub(super) fn members(&self) -> BTreeMap<String, RemedyMember> {
        let mut members = BTreeMap::new();
        for output in self.log.iter().filter(|output| output.topic == Topic::Remedies) {
            let key = std::str::from_utf8(&output.key).unwrap().to_owned();
            match &output.value {
                Some(value) => members.insert(key, RemedyMember::decode(value).unwrap()),
                None => members.remove(&key),
            };
        }
        members
    }

    /// I5 and I6 over everything that was written.
    pub(super) fn check_invariants(&self) {
        let findings: Vec<Finding> = self.findings.values().map(|value| Finding::decode(value).unwrap()).collect();
        let risks = self.risks();
        invariants::i5(&findings, risks.values()).unwrap();
        invariants::i6(&self.changes(), risks.values()).unwrap();
    }

    /// A new process: the changelogs are loaded, then the first settle.
    pub(super) fn restart(&mut self) -> Vec<Output> {
        self.stage = Assess::new(estate_of(&self.store));
        self.reload()
    }

    /// The same with everything from a snapshot.
    pub(super) fn revive(&mut self) -> Vec<Output> {
        self.stage = revived(&self.stage, Assess::new(estate_of(&self.store)));
        self.stage.restored(self.now);
        self.settle()
    }

    pub(super) fn reload(&mut self) -> Vec<Output> {
        for (key, value) in self.findings.clone() {
            let message = self.message(Topic::Findings, &key, Some(value));
            self.stage.load(&message).unwrap();
        }
        for output in self.log.clone().into_iter().filter(|output| output.topic == Topic::Risks) {
            let key = std::str::from_utf8(&output.key).unwrap().to_owned();
            let message = self.message(Topic::Risks, &key, output.value);
            self.stage.load(&message).unwrap();
        }
        self.stage.restored(self.now);
        self.settle()
    }
}

fn estate_of(store: &Arc<BroadcastStore>) -> Arc<Estate> {
    Arc::new(Estate::new(Arc::clone(store), Arc::new(Graph::new(Arc::clone(store)))))
}

pub(super) fn changes(log: &[Output]) -> Vec<Change> {
    let changes = log.iter().filter(|output| output.topic == Topic::Changes);
    changes.map(|output| Change::decode(output.value.as_ref().unwrap()).unwrap()).collect()
}

/// A fact as context has it.
pub(super) fn said<T: serde::Serialize>(attribute: Attribute, qualifier: &str, value: &T) -> ContextAttribute {
    ContextAttribute {
        attribute,
        qualifier: qualifier.to_owned(),
        value: value::json(value),
        asserter: "test".to_owned(),
        observed_at: T0,
        stale: false,
    }
}

pub(super) fn kev() -> Vec<ContextAttribute> {
    let kev = value::Kev { date_added: "2026-09-01".to_owned(), ..value::Kev::default() };
    vec![said(Attribute::Kev, "", &kev)]
}

pub(super) fn alias(other: &str) -> ContextAttribute {
    said(Attribute::Alias, other, &"")
}

/// A finding of component `shop`, active and counting, seen by one tool.
pub(super) fn finding(id: u8, asset: &str, tool: &str, sighting: Sighting) -> Finding {
    let mut finding = Finding { component: "shop".to_owned(), ..Finding::default() };
    let tracked = &mut finding.tracked;
    tracked.finding = FindingId([id; 16]);
    tracked.asset = asset.to_owned();
    tracked.counts = true;
    tracked.first_seen = T0 - i64::from(id) * DAY;
    tracked.claims = vec![ToolClaim {
        tool: tool.to_owned(),
        rule: sighting.rule.clone(),
        aliases: sighting.aliases.clone(),
        severity: sighting.severity,
        cvss_vector: sighting.cvss_vector.clone(),
        cvss_score: sighting.cvss_score,
        fixed_versions: sighting.package.as_ref().map(|package| package.fixed_versions.clone()).unwrap_or_default(),
        present: true,
        observed_at: T0,
        ..ToolClaim::default()
    }];
    tracked.sighting = sighting;
    finding
}

/// A vulnerability of a package: exploitable from the network, total impact.
pub(super) fn vulnerability(rule: &str, purl: &str) -> Sighting {
    let parsed = tributary_model::package::parse(purl).unwrap();
    let package = Package {
        purl: parsed.purl,
        name: parsed.name,
        version: parsed.version,
        is_os_package: tributary_model::package::is_os(&parsed.ecosystem),
        ecosystem: parsed.ecosystem,
        fixed_versions: vec!["2.0.0".to_owned()],
        ..Package::default()
    };
    Sighting {
        class: FindingClass::Vulnerability,
        rule: rule.to_owned(),
        package: Some(package),
        cvss_vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned(),
        cvss_score: Some(9.8),
        ..Sighting::default()
    }
}

pub(super) fn weakness(rule: &str, cwe: u32, path: &str, line: u32) -> Sighting {
    Sighting {
        class: FindingClass::Weakness,
        rule: rule.to_owned(),
        cwes: vec![cwe],
        severity: tributary_model::severity::Severity::High,
        location: Some(Location { path: path.to_owned(), start_line: line, end_line: line, ..Location::default() }),
        ..Sighting::default()
    }
}

pub(super) const REPO: &str = "repo:github.com/acme/shop#main";
pub(super) const IMAGE: &str = "image:sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The component in the catalogue.
pub(super) fn catalogue(tier: i64, owner: &str) -> Vec<ContextAttribute> {
    vec![said(Attribute::Owner, "", &owner), said(Attribute::Tier, "", &tier)]
}

/// A workload that runs an image in production, behind an internet-facing service.
pub(super) fn deploy(harness: &mut Harness, image: &str) {
    let labels: value::Labels = [("app".to_owned(), "shop".to_owned())].into();
    let workload = entity::workload("eu", "shop", "deployment", "shop");
    let service = entity::service("eu", "shop", "shop");
    let exposed = value::Exposed { host: "shop.example".to_owned(), path: String::new(), internet: true };
    harness.know(
        &service,
        vec![said(Attribute::ExposedBy, "ingress/shop", &exposed), said(Attribute::Selector, "", &labels)],
    );
    let mut runs = vec![
        said(Attribute::RunsImage, image, &"shop"),
        said(Attribute::Environment, "", &"production"),
        said(Attribute::PodLabels, "", &labels),
        said(Attribute::WorkloadComponent, "", &"shop"),
    ];
    runs.sort_by_key(|one| one.attribute);
    harness.know(&workload, runs);
}
