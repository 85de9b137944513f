//! The words of a ticket: one line for the list, Markdown for the page.

use std::fmt::Write;

use tributary_model::remedy::{RemedyMember, Ticket, TicketFix, TicketState};
use tributary_model::risk::RiskState;

use super::MAX_RISKS;
use crate::remedy::date;

/// Longest title: Jira and GitHub refuse summaries of more than 255 characters.
const MAX_TITLE: usize = 250;

/// One line: the change, and what it is good for.
pub(super) fn title(fix: &TicketFix, open: &[&RemedyMember]) -> String {
    let closes = match open {
        [only] => only.name.clone(),
        more => format!("{} risks", more.len()),
    };
    let summary = fix.summary.split("; ").next().unwrap_or_default();
    clean(&format!("{summary} ({closes})")).chars().take(MAX_TITLE).collect()
}

/// Markdown: what to do, who, until when, and the risks that it closes.
pub(super) fn body(ticket: &Ticket, members: &[&RemedyMember]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "**What to do:** {}\n", clean(&ticket.fix.summary));
    let owner = if ticket.owner.team.is_empty() { "nobody is known" } else { &ticket.owner.team };
    let _ =
        writeln!(text, "- Owner: {} ({}, confidence {})", clean(owner), ticket.owner.source, ticket.owner.confidence);
    let due = ticket.due_at.map_or_else(|| "none".to_owned(), date::date);
    let _ = writeln!(text, "- Due: {due}\n- Urgency: {}", ticket.band.name());
    let _ = writeln!(text, "- Components: {}", clean(&ticket.components.join(", ")));
    if ticket.state == TicketState::Resolved {
        let _ = writeln!(text, "- Resolved: nothing under it is open any more");
    }
    let unfixed = members.iter().filter(|member| {
        member.state == RiskState::Open
            && member.version.is_empty()
            && matches!(member.kind.as_str(), "upgrade" | "base_image")
    });
    let unfixed = unfixed.count();
    if unfixed > 0 {
        let _ = writeln!(text, "- {unfixed} of the risks have no fixed version yet");
    }
    let _ = writeln!(text, "\n| Risk | Component | Urgency | Due | State |\n|---|---|---|---|---|");
    for member in members.iter().take(MAX_RISKS) {
        let state = match member.state {
            RiskState::Open => "open",
            RiskState::Suppressed => "suppressed",
            RiskState::Resolved => "resolved",
        };
        let due = member.due_at.map_or_else(|| "none".to_owned(), date::date);
        let (title, component) = (clean(&member.title), clean(&member.component));
        let _ = writeln!(text, "| {title} | {component} | {} | {due} | {state} |", member.band.name());
    }
    if members.len() > MAX_RISKS {
        let _ = writeln!(text, "\n{} more are not listed.", members.len() - MAX_RISKS);
    }
    text
}

/// On one line, and without what would end a table's cell or start mark-up: titles come from reports.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => clean.push(' '),
            '|' | '<' | '>' | '`' | '[' | ']' | '!' | '@' => {
                clean.push('\\');
                clean.push(c);
            }
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}
