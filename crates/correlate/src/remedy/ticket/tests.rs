//! When a ticket opens, changes and closes, and what it says.

use tributary_model::id::RiskId;
use tributary_model::time::DAY;

use super::*;

const T0: Millis = 1_790_000_000_000;
const KEY: RemedyId = RemedyId([7; 16]);

fn member(risk: u8, band: Band, version: &str) -> RemedyMember {
    RemedyMember {
        remedy: KEY,
        kind: "upgrade".to_owned(),
        target: "pkg:maven/a/b".to_owned(),
        risk: RiskId([risk; 16]),
        title: format!("CVE-2024-{risk} in b"),
        name: format!("CVE-2024-{risk}"),
        component: "shop".to_owned(),
        owner: Owner { team: "team-shop".to_owned(), source: "catalog".to_owned(), confidence: "high".to_owned() },
        band,
        version: version.to_owned(),
        summary: format!("Upgrade a:b to {version} in services/pay"),
        due_at: Some(T0 + i64::from(risk) * DAY),
        ..RemedyMember::default()
    }
}

fn next(previous: Option<&Ticket>, members: &[RemedyMember]) -> Option<Ticket> {
    let members: Vec<&RemedyMember> = members.iter().collect();
    ticket(KEY, previous, &members, T0)
}

#[test]
fn f10_two_tools_and_four_risks_are_one_ticket_with_the_version_that_closes_them_all() {
    let members =
        [member(1, Band::Scheduled, "2.15.0"), member(2, Band::Immediate, "2.9.9"), member(3, Band::Defer, "2.17.1")];
    let opened = next(None, &members).unwrap();
    assert_eq!((opened.key, opened.revision, opened.event.as_str()), (KEY, 1, "ticket.opened"));
    assert_eq!((opened.band, opened.due_at), (Band::Immediate, Some(T0 + DAY)));
    assert_eq!(opened.fix.version, "2.17.1");
    assert_eq!(opened.title, "Upgrade a:b to 2.17.1 in services/pay (3 risks)");
    assert_eq!((opened.risks_total, opened.risks_open, opened.risks[0].band), (3, 3, Band::Immediate));
    assert_eq!(next(Some(&opened), &members), None, "nothing changed, so nothing is said");
}

#[test]
fn f11_the_ticket_follows_its_group_to_the_end_and_back() {
    let mut members = [member(1, Band::Scheduled, "2.15.0"), member(2, Band::OutOfCycle, "2.17.1")];
    let opened = next(None, &members).unwrap();
    members[1].state = RiskState::Resolved;
    let updated = next(Some(&opened), &members).unwrap();
    assert_eq!((updated.event.as_str(), updated.revision, updated.risks_open), ("ticket.updated", 2, 1));
    assert_eq!((updated.band, updated.previous_band), (Band::Scheduled, Some(Band::OutOfCycle)));
    assert_eq!(updated.fix.version, "2.15.0");
    members[0].state = RiskState::Suppressed;
    let resolved = next(Some(&updated), &members).unwrap();
    assert_eq!((resolved.event.as_str(), resolved.state), ("ticket.resolved", TicketState::Resolved));
    assert_eq!(resolved.fix.version, "2.15.0", "what was asked stays readable");
    assert_eq!(next(Some(&resolved), &members), None);
    members[1].state = RiskState::Open;
    let reopened = next(Some(&resolved), &members).unwrap();
    assert_eq!((reopened.event.as_str(), reopened.revision), ("ticket.reopened", 4));
    assert_eq!(reopened.opened_at, opened.opened_at);
    assert_eq!(next(Some(&reopened), &[]).unwrap().state, TicketState::Resolved);
}

#[test]
fn defer_and_an_old_backlog_open_nothing() {
    assert_eq!(next(None, &[member(1, Band::Defer, "1")]), None);
    let backlog = RemedyMember { backfill: true, ..member(1, Band::OutOfCycle, "1") };
    assert_eq!(next(None, std::slice::from_ref(&backlog)), None);
    let burning = RemedyMember { band: Band::Immediate, ..backlog };
    assert!(next(None, &[burning]).is_some());
    assert_eq!(next(None, &[RemedyMember { state: RiskState::Suppressed, ..member(1, Band::Immediate, "1") }]), None);
}

#[test]
fn f32_a_base_image_under_forty_services_is_one_ticket_of_its_owner() {
    let platform =
        Owner { team: "team-platform".to_owned(), source: "catalog".to_owned(), confidence: "high".to_owned() };
    let members: Vec<RemedyMember> = (0..150)
        .map(|at| RemedyMember {
            kind: "base_image".to_owned(),
            target: "r.example/base".to_owned(),
            component: format!("service-{at:03}"),
            owner: platform.clone(),
            summary: "Rebuild on a r.example/base that has krb5 1.2 or later".to_owned(),
            ..member(at, Band::Scheduled, "1.2")
        })
        .collect();
    let ticket = next(None, &members).unwrap();
    assert_eq!((ticket.owner, ticket.fix.version.as_str()), (platform, "1.2"));
    assert_eq!((ticket.risks_total, ticket.risks.len(), ticket.components.len()), (150, MAX_RISKS, 100));
    assert!(ticket.body.contains("50 more are not listed."), "{}", ticket.body);
}

#[test]
fn a_base_image_that_needs_two_packages_names_both_and_no_version() {
    let need = |risk, package: &str, version| RemedyMember {
        kind: "base_image".to_owned(),
        summary: format!("Rebuild on a base that has {package} {version} or later"),
        ..member(risk, Band::Scheduled, version)
    };
    let ticket = next(None, &[need(1, "krb5", "1.2"), need(2, "expat", "2.5")]).unwrap();
    assert_eq!(ticket.fix.version, "");
    assert!(
        ticket.fix.summary.contains("krb5 1.2") && ticket.fix.summary.contains("expat 2.5"),
        "{}",
        ticket.fix.summary
    );
}

#[test]
fn between_two_owners_the_one_most_named_is_asked_with_low_confidence() {
    let of = |risk, team: &str| RemedyMember {
        owner: Owner { team: team.to_owned(), source: "catalog".to_owned(), confidence: "high".to_owned() },
        ..member(risk, Band::Scheduled, "1")
    };
    let ticket = next(None, &[of(1, "b"), of(2, "a"), of(3, "b")]).unwrap();
    assert_eq!((ticket.owner.team.as_str(), ticket.owner.confidence.as_str()), ("b", "low"));
    let tie = next(None, &[of(1, "b"), of(2, "a")]).unwrap();
    assert_eq!(tie.owner.team, "a");
    let nobody = next(None, &[of(1, "")]).unwrap();
    assert_eq!((nobody.owner.team.as_str(), nobody.owner.source.as_str()), ("", "none"));
}

#[test]
fn a_title_from_a_report_cannot_break_out_of_the_table() {
    let hostile =
        RemedyMember { title: "x | [y](http://z) <img>\n## z @all".to_owned(), ..member(1, Band::Scheduled, "1") };
    let body = next(None, &[hostile]).unwrap().body;
    assert!(body.contains(r"x \| \[y\](http://z) \<img\> ## z \@all"), "{body}");
}
