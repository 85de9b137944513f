//! Messages become the rows their tables expect.

use bytes::Bytes;
use tributary_model::context::ContextAttribute;
use tributary_model::fact::Attribute;
use tributary_model::finding::{Finding, FindingEnd, FindingState, ToolClaim, TrackedFinding};
use tributary_model::id::RiskId;
use tributary_model::observation::{InventoryItem, Observation};
use tributary_model::remedy::{Ticket, TicketRisk};
use tributary_model::risk::Risk;
use tributary_model::severity::Severity;
use tributary_model::sighting::{Endpoint, Location, Package, Secret, Sighting};

use super::*;

fn rows_of(message: &Message) -> Rows<'_> {
    let mut rows = Rows::default();
    rows.absorb(message).unwrap();
    rows
}

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
    let known = message(Topic::Context, "component:payments", Some(context.encode().unwrap()));
    let rows = rows_of(&known);
    let [row] = rows.components.as_slice() else { panic!("one component row") };
    assert_eq!((row.component.as_str(), row.owner.as_str(), row.bucket, row.version), ("payments", "team-pay", 3, 42));
    assert_eq!(row.sources, ["github.com/acme/pay"]);
    let gone = message(Topic::Context, "component:payments", None);
    let rows = rows_of(&gone);
    assert!(matches!(rows.components.as_slice(), [row] if row.deleted && row.component == "payments"));
}

#[test]
fn a_risk_version_orders_generations_then_revisions() {
    let version = |generation, revision| {
        let risk = Risk { generation, revision, ..Risk::default() };
        let message = message(Topic::Risks, "r", Some(risk.encode().unwrap()));
        RiskRow::read(message.value.as_deref().unwrap(), Source::of(&message)).unwrap().version
    };
    assert!(version(1_700_000_000, 9) > version(1_700_000_000, 8));
    assert!(version(1_700_000_001, 1) > version(1_700_000_000, 99_999));
}

#[test]
fn a_finding_of_every_part() {
    let tool = |tool: &str, severity, aliases: &[&str]| ToolClaim {
        tool: tool.into(),
        severity,
        present: true,
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..ToolClaim::default()
    };
    let sighting = Sighting {
        rule: "CVE-2026-1".into(),
        title: "a \"quoted\" title".into(),
        cvss_score: Some(7.5),
        cwes: vec![79],
        package: Some(Package { purl: "pkg:npm/a".into(), file: "package-lock.json".into(), ..Package::default() }),
        location: Some(Location { path: "src/a.rs".into(), start_line: 3, ..Location::default() }),
        secret: Some(Secret { family: "generic".into(), ..Secret::default() }),
        endpoint: Some(Endpoint { method: "GET".into(), path_template: "/a".into(), parameter: String::new() }),
        ..Sighting::default()
    };
    let tracked = TrackedFinding {
        sighting,
        claims: vec![
            tool("trivy", Severity::High, &["GHSA-2", "GHSA-1"]),
            tool("grype", Severity::Critical, &["GHSA-1"]),
        ],
        state: FindingState::NotObserved,
        ..TrackedFinding::default()
    };
    let record = Finding { component: "c".into(), end: FindingEnd::Moved, tracked, ..Finding::default() };
    let message = message(Topic::Findings, "c|f", Some(record.encode().unwrap()));
    let row = FindingRow::read(message.value.as_deref().unwrap(), Source::of(&message)).unwrap();
    assert_eq!(row.finding, record.tracked.finding.to_string());
    assert_eq!(
        (row.state, row.left_component, row.severity, row.path),
        ("not_observed", "moved", "critical", "src/a.rs")
    );
    assert_eq!((row.title, row.package, row.secret_family), ("a \"quoted\" title", "pkg:npm/a", "generic"));
    assert_eq!((row.endpoint.as_str(), row.cvss, row.start_line), ("GET /a", Some(7.5), 3));
    assert_eq!((row.tools.as_slice(), row.aliases.as_slice()), (&["grype", "trivy"][..], &["GHSA-1", "GHSA-2"][..]));
}

#[test]
fn a_ticket_with_escapes() {
    let body = "# Title\n\n- \"one\"".to_owned();
    let ticket = Ticket { body: body.clone(), risks: vec![TicketRisk::default()], ..Ticket::default() };
    let message = message(Topic::Tickets, "t", Some(serde_json::to_vec(&ticket).unwrap()));
    let row = TicketRow::read(message.value.as_deref().unwrap(), Source::of(&message)).unwrap();
    assert_eq!((row.body.as_ref(), row.ticket.as_ref(), row.state), (body.as_str(), &*ticket.key.to_string(), "open"));
    assert_eq!(row.risks, [RiskId::default().to_string()]);
}

#[test]
fn an_inventory_and_no_other_observation_makes_rows() {
    let item = InventoryItem { purl: "pkg:npm/a".into(), version: "1.0.0".into(), ..InventoryItem::default() };
    let observation =
        Observation { asset: "image:a".into(), observed_at: 5, inventory: vec![item], ..Observation::default() };
    let with = message(Topic::Observations, "image:a", Some(observation.encode().unwrap()));
    let row = &rows_of(&with).sbom_components[0];
    assert_eq!((row.asset, row.purl, row.version_, row.version), ("image:a", "pkg:npm/a", "1.0.0", 5));
    let seen = Observation { sightings: vec![Sighting::default()], ..Observation::default() };
    let without = message(Topic::Observations, "image:a", Some(seen.encode().unwrap()));
    assert_eq!(rows_of(&without), Rows::default());
}
