//! From the members of a remedy to its ticket. Pure: the last ticket told and the members give the next one, or nothing.

mod text;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tributary_model::id::RemedyId;
use tributary_model::remedy::{RemedyMember, Ticket, TicketFix, TicketRisk, TicketState};
use tributary_model::risk::{Owner, RiskState};
use tributary_model::severity::Band;
use tributary_model::time::Millis;

use crate::assess::version;

/// Risks that a ticket lists; the total says how many there are. More than a person reads, and consumers' fields end.
pub const MAX_RISKS: usize = 100;

/// Components that a ticket lists, for the same reason.
const MAX_COMPONENTS: usize = 100;

/// The next revision; `None` when there is nothing to say.
///
/// A ticket opens when something under it is scheduled or more urgent, and not only an imported backlog (that opens
/// tickets when immediate). Once open it follows its group, and it resolves when nothing under it is open.
#[must_use]
pub fn ticket(key: RemedyId, previous: Option<&Ticket>, members: &[&RemedyMember], now: Millis) -> Option<Ticket> {
    let is_worth_asking = members.iter().any(|member| is_worth_asking(member));
    let any_open = members.iter().any(|member| member.state == RiskState::Open);
    match previous {
        None if is_worth_asking => Some(revision(key, None, "opened", members, now)),
        None => None,
        Some(previous) if previous.state == TicketState::Resolved => {
            is_worth_asking.then(|| revision(key, Some(previous), "reopened", members, now))
        }
        Some(previous) if any_open => {
            let next = revision(key, Some(previous), "updated", members, now);
            (!says_the_same(previous, &next)).then_some(next)
        }
        Some(previous) => Some(resolved(previous, members, now)),
    }
}

fn is_worth_asking(member: &RemedyMember) -> bool {
    let is_urgent = member.band >= if member.backfill { Band::Immediate } else { Band::Scheduled };
    member.state == RiskState::Open && is_urgent
}

fn revision(key: RemedyId, previous: Option<&Ticket>, event: &str, members: &[&RemedyMember], now: Millis) -> Ticket {
    let mut members = members.to_vec();
    members.sort_by_key(|member| (member.state, Reverse((member.band, member.score)), member.risk));
    let open: Vec<&RemedyMember> = members.iter().copied().filter(|member| member.state == RiskState::Open).collect();
    let band = open.iter().map(|member| member.band).max().unwrap_or_default();
    let fix = fix(&open);
    let components: BTreeSet<&str> = open.iter().map(|member| member.component.as_str()).collect();
    let mut ticket = Ticket {
        key,
        revision: previous.map_or(1, |previous| previous.revision + 1),
        state: TicketState::Open,
        event: format!("ticket.{event}"),
        title: text::title(&fix, &open),
        body: String::new(),
        components: components.into_iter().take(MAX_COMPONENTS).map(str::to_owned).collect(),
        owner: owner(&open),
        band,
        previous_band: previous.map(|previous| previous.band),
        due_at: open.iter().filter_map(|member| member.due_at).min(),
        risks: risks(&members),
        risks_total: members.len() as u32,
        risks_open: open.len() as u32,
        labels: vec!["tributary".to_owned(), format!("band:{}", band.name()), format!("kind:{}", fix.kind)],
        fix,
        opened_at: previous.map_or(now, |previous| previous.opened_at),
        updated_at: now,
    };
    ticket.body = text::body(&ticket, &members);
    ticket
}

/// Keeps what was asked; only the states of its risks move.
fn resolved(previous: &Ticket, members: &[&RemedyMember], now: Millis) -> Ticket {
    let mut members = members.to_vec();
    members.sort_by_key(|member| (member.state, Reverse((member.band, member.score)), member.risk));
    let mut ticket = Ticket {
        revision: previous.revision + 1,
        state: TicketState::Resolved,
        event: "ticket.resolved".to_owned(),
        previous_band: Some(previous.band),
        risks: risks(&members),
        risks_total: members.len() as u32,
        risks_open: 0,
        updated_at: now,
        ..previous.clone()
    };
    ticket.body = text::body(&ticket, &members);
    ticket
}

fn risks(members: &[&RemedyMember]) -> Vec<TicketRisk> {
    let listed = members.iter().take(MAX_RISKS);
    listed
        .map(|member| TicketRisk {
            risk: member.risk,
            title: member.title.clone(),
            component: member.component.clone(),
            band: member.band,
            state: member.state,
        })
        .collect()
}

/// Who is asked: the owner that most open members name; between several, with low confidence.
fn owner(open: &[&RemedyMember]) -> Owner {
    let mut named: BTreeMap<&str, (usize, &Owner)> = BTreeMap::new();
    for member in open.iter().filter(|member| !member.owner.team.is_empty()) {
        let (count, owner) = named.entry(&member.owner.team).or_insert((0, &member.owner));
        *count += 1;
        if sureness(&member.owner) > sureness(owner) {
            *owner = &member.owner;
        }
    }
    let chosen = named.iter().min_by_key(|(team, (count, _))| (Reverse(*count), **team));
    match chosen {
        Some((_, (_, owner))) if named.len() == 1 => (*owner).clone(),
        Some((_, (_, owner))) => Owner { confidence: "low".to_owned(), ..(*owner).clone() },
        None => crate::assess::owner::nobody(),
    }
}

fn sureness(owner: &Owner) -> (u8, Reverse<&str>) {
    let confidence = match owner.confidence.as_str() {
        "high" => 3,
        "medium" => 2,
        "low" => 1,
        _ => 0,
    };
    (confidence, Reverse(&owner.source))
}

/// The change that closes every open risk: the latest of the versions they need. A base image that must bring fixes of
/// several packages has no one version; then the summary names them all.
fn fix(open: &[&RemedyMember]) -> TicketFix {
    let Some(first) = open.first() else { return TicketFix::default() };
    let ecosystem = first.target.strip_prefix("pkg:").and_then(|rest| rest.split('/').next()).unwrap_or("deb");
    let needs: BTreeSet<&str> = open.iter().map(|member| member.summary.as_str()).collect();
    let versions: BTreeSet<&str> =
        open.iter().map(|member| member.version.as_str()).filter(|version| !version.is_empty()).collect();
    let is_one_package = first.kind != "base_image" || versions.len() <= 1;
    let latest = versions.iter().copied().reduce(|latest, version| version::later(ecosystem, latest, version));
    let version = latest.filter(|_| is_one_package).unwrap_or_default();
    let summary = if is_one_package {
        let enough = open.iter().find(|member| member.version == version);
        enough.unwrap_or(first).summary.clone()
    } else {
        needs.into_iter().collect::<Vec<_>>().join("; ")
    };
    TicketFix { kind: first.kind.clone(), target: first.target.clone(), version: version.to_owned(), summary }
}

/// Whether two revisions differ in nothing that a reader sees.
fn says_the_same(previous: &Ticket, next: &Ticket) -> bool {
    let unnumbered = |ticket: &Ticket| Ticket {
        revision: 0,
        event: String::new(),
        previous_band: None,
        updated_at: 0,
        ..ticket.clone()
    };
    unnumbered(previous) == unnumbered(next)
}

#[cfg(test)]
mod tests;
