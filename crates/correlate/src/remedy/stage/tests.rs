//! The stage: members in, CloudEvents out; restart, rollback, repetition.

use bytes::Bytes;
use tributary_model::AvroRecord;
use tributary_model::risk::RiskState;
use tributary_model::severity::Band;
use tributary_stream::message::Output;

use super::*;
use crate::saved::tests::revived;

const T0: Millis = 1_790_000_000_000;
const KEY: RemedyId = RemedyId([7; 16]);

fn member(risk: u8, change: impl FnOnce(&mut RemedyMember)) -> RemedyMember {
    let mut member = RemedyMember {
        remedy: KEY,
        kind: "upgrade".to_owned(),
        target: "pkg:npm/x".to_owned(),
        risk: RiskId([risk; 16]),
        band: Band::Scheduled,
        component: "shop".to_owned(),
        version: "2.0.0".to_owned(),
        ..RemedyMember::default()
    };
    change(&mut member);
    member
}

fn message(topic: Topic, key: &str, value: Option<Bytes>) -> Message {
    let key = Bytes::from(key.to_owned());
    Message { topic, partition: 0, offset: 1, key, value, headers: Vec::new(), timestamp: T0 }
}

fn of(member: &RemedyMember) -> Message {
    let key = format!("{}|{}", member.remedy, member.risk);
    message(Topic::Remedies, &key, Some(Bytes::from(member.encode().unwrap())))
}

fn settle(stage: &mut Remedy, now: Millis) -> Vec<Output> {
    let mut out = Outputs::default();
    stage.settle(now, &mut out).unwrap();
    stage.commit();
    out.into_records()
}

fn send(stage: &mut Remedy, members: &[RemedyMember]) -> Vec<Output> {
    for member in members {
        stage.apply(&of(member), T0).unwrap();
    }
    settle(stage, T0)
}

fn leave(stage: &mut Remedy, risk: u8) {
    let gone = message(Topic::Remedies, &format!("{KEY}|{}", RiskId([risk; 16])), None);
    stage.apply(&gone, T0).unwrap();
}

fn ticket_of(output: &Output) -> Ticket {
    serde_json::from_slice(output.value.as_ref().unwrap()).unwrap()
}

#[test]
fn a_revision_is_a_cloudevent_in_binary_mode() {
    let mut stage = Remedy::new();
    let out = send(&mut stage, &[member(1, |_| {}), member(2, |_| {})]);
    assert_eq!(out.len(), 1);
    let header = |name: &str| out[0].headers.iter().find(|(header, _)| header == name).unwrap().1.clone();
    assert_eq!(header("ce_specversion"), "1.0");
    assert_eq!(header("ce_id"), format!("{KEY}:1"));
    assert_eq!(header("ce_type"), "io.tributary.ticket.opened");
    assert_eq!((header("ce_source"), header("ce_subject")), ("/tributary/remedy".to_owned(), KEY.to_string()));
    assert_eq!(
        (header("ce_time"), header("content-type")),
        ("2026-09-21T14:13:20Z".to_owned(), "application/json".to_owned())
    );
    assert_eq!(
        (out[0].partition_key.as_str(), &out[0].key[..]),
        (KEY.to_string().as_str(), KEY.to_string().as_bytes())
    );
    assert_eq!(ticket_of(&out[0]).risks_total, 2);
}

#[test]
fn a_risk_that_leaves_for_another_fix_leaves_the_ticket() {
    let mut stage = Remedy::new();
    send(&mut stage, &[member(1, |_| {}), member(2, |_| {})]);
    leave(&mut stage, 2);
    assert_eq!(ticket_of(&settle(&mut stage, T0)[0]).risks_total, 1);
    leave(&mut stage, 1);
    assert_eq!(ticket_of(&settle(&mut stage, T0)[0]).state, TicketState::Resolved);
}

#[test]
fn i2_repeated_members_and_a_restart_say_nothing() {
    let mut stage = Remedy::new();
    let members = [member(1, |_| {}), member(2, |member| member.state = RiskState::Resolved)];
    let out = send(&mut stage, &members);
    assert!(send(&mut stage, &members).is_empty());
    let mut restarted = Remedy::new();
    let ticket = std::str::from_utf8(&out[0].key).unwrap().to_owned();
    restarted.load(&message(Topic::Tickets, &ticket, out[0].value.clone())).unwrap();
    for member in &members {
        restarted.load(&of(member)).unwrap();
    }
    restarted.restored(T0);
    assert!(settle(&mut restarted, T0).is_empty());
    let mut from_snapshot = revived(&stage, Remedy::new());
    from_snapshot.restored(T0);
    assert!(settle(&mut from_snapshot, T0).is_empty());
    let next = [member(1, |member| member.band = Band::Immediate)];
    let expected = send(&mut stage, &next);
    assert_eq!(send(&mut restarted, &next), expected);
    assert_eq!(send(&mut from_snapshot, &next), expected);
    leave(&mut from_snapshot, 1);
    let resolved = settle(&mut from_snapshot, T0 + 1);
    let mut much_later = revived(&from_snapshot, Remedy::new());
    much_later.restored(T0 + 1);
    assert!(settle(&mut much_later, T0 + 2).is_empty(), "{resolved:?}");
    assert!(much_later.next_timer().is_some(), "a resolved ticket goes when it would have gone");
}

#[test]
fn a_rollback_leaves_no_trace() {
    let mut stage = Remedy::new();
    send(&mut stage, &[member(1, |_| {})]);
    let (before, timer) = (stage.sizes(), stage.next_timer());
    let close = [member(1, |member| member.state = RiskState::Resolved), member(2, |_| {})];
    for member in &close {
        stage.apply(&of(member), T0).unwrap();
    }
    stage.settle(T0, &mut Outputs::default()).unwrap();
    stage.rollback();
    assert_eq!((stage.sizes(), stage.next_timer()), (before, timer));
    assert!(settle(&mut stage, T0).is_empty());
    assert_eq!(ticket_of(&send(&mut stage, &close)[0]).revision, 2);
}

#[test]
fn a_resolved_ticket_goes_after_ninety_days() {
    let mut stage = Remedy::new();
    send(&mut stage, &[member(1, |_| {})]);
    leave(&mut stage, 1);
    settle(&mut stage, T0);
    assert_eq!(stage.next_timer(), Some(T0 + 90 * DAY));
    assert!(settle(&mut stage, T0 + 89 * DAY).is_empty());
    let out = settle(&mut stage, T0 + 90 * DAY);
    assert_eq!((out.len(), out[0].topic, &out[0].value), (1, Topic::Tickets, &None));
    assert!(stage.sizes().iter().all(|(_, size)| *size == 0));
}

#[test]
fn what_is_no_member_is_refused() {
    let mut stage = Remedy::new();
    let key = format!("{KEY}|{}", RiskId([1; 16]));
    let whole = member(1, |_| {}).encode().unwrap();
    let damaged = |id: String| {
        let (id, mut record) = (id.into_bytes(), whole.clone());
        let at = record.windows(id.len()).position(|part| part == id).unwrap();
        record[at + id.len() - 1] = b'z'; // no digit
        Bytes::from(record)
    };
    let bad = [
        message(Topic::Remedies, "nonsense", None),
        message(Topic::Remedies, &key, Some(Bytes::from_static(b"x"))),
        message(Topic::Remedies, &key, Some(damaged(KEY.to_string()))),
        message(Topic::Remedies, &key, Some(damaged(RiskId([1; 16]).to_string()))),
    ];
    for message in bad {
        assert_eq!(stage.apply(&message, T0).unwrap_err().code, "malformed");
    }
    assert!(stage.load(&message(Topic::Tickets, &KEY.to_string(), Some(Bytes::from_static(b"{")))).is_err());
    assert!(settle(&mut stage, T0).is_empty());
}
