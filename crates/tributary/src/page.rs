//! The one page that `up` serves: funnel, what to fix first, what nobody scans. Read-only, no script, no outside resource.

use std::fmt::Write;

use tributary_model::severity::Band;

use crate::status::{Engine, Status};
use crate::view::{Funnel, Gap, RiskSummary, View};

/// Risks listed on the page: more than a screenful is not "first" any more.
const RISKS_SHOWN: usize = 25;
/// Gaps listed on the page.
const GAPS_SHOWN: usize = 15;

const STYLE: &str = include_str!("page.css");

/// The whole page.
#[must_use]
pub fn render(view: &View, status: &Status) -> String {
    let mut html = String::with_capacity(16 << 10);
    let _ = write!(
        html,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width, initial-scale=1'>\
         <meta http-equiv=refresh content=10><title>Tributary</title><style>{STYLE}</style>\
         <header><h1>Tributary</h1><p>{}</p></header><main>",
        health_line(status)
    );
    funnel(&mut html, &status.funnel);
    fix_first(&mut html, &view.top(RISKS_SHOWN, |_| true), status.funnel.risks_open);
    coverage(&mut html, &view.gaps());
    next_steps(&mut html, status);
    html.push_str("</main></html>");
    html
}

fn health_line(status: &Status) -> String {
    let behind: u64 = status.groups.iter().map(|group| group.lag).sum();
    let state = match (status.ready, behind) {
        (false, _) => "starting".to_owned(),
        (true, 0) => "up to date".to_owned(),
        (true, behind) => format!("{} records behind", number(behind)),
    };
    let problems: String = status.problems.iter().map(|p| format!(" <strong>{}</strong>", escape(p))).collect();
    format!("{state}{problems}")
}

fn funnel(html: &mut String, funnel: &Funnel) {
    html.push_str("<section><h2>From what tools said to what to do</h2><ol class=funnel>");
    let steps = [
        (funnel.raw_records, "raw records"),
        (funnel.sightings, "sightings"),
        (funnel.findings_active, "active findings"),
        (funnel.risks_open, "open risks"),
        (*funnel.by_band.get(Band::Immediate.name()).unwrap_or(&0), "immediate"),
        (funnel.tickets_open, "tickets"),
    ];
    for (count, name) in steps {
        let _ = write!(html, "<li><b>{}</b> {name}</li>", number(count));
    }
    html.push_str("</ol><p class=bands>");
    for band in Band::ALL {
        let count = funnel.by_band.get(band.name()).copied().unwrap_or(0);
        let _ = write!(html, "<span class='band {0}'>{1} {2}</span> ", band.name(), number(count), words(band.name()));
    }
    if funnel.rejects > 0 {
        let _ = write!(
            html,
            "<span class=note>{} records rejected: <code>tributary tail rejects</code></span>",
            number(funnel.rejects)
        );
    }
    html.push_str("</p></section>");
}

fn fix_first(html: &mut String, risks: &[RiskSummary], total: u64) {
    html.push_str("<section><h2>Fix first</h2>");
    if risks.is_empty() {
        html.push_str("<p class=note>No open risk is known. That is not the same as none: see what is not scanned below.</p></section>");
        return;
    }
    html.push_str("<table><thead><tr><th>Band<th class=num>Score<th>Risk<th>Component<th>Owner<th>Fix<th>Due<th>Id</thead><tbody>");
    for risk in risks {
        let _ = write!(
            html,
            "<tr><td><span class='band {0}'>{1}</span><td class=num>{2}<td>{3}<td>{4}<td>{5}<td>{6}<td>{7}<td><code>{8}</code>",
            risk.band.name(),
            words(risk.band.name()),
            risk.score,
            escape(&risk.title),
            escape(&risk.component),
            if risk.owner.is_empty() { "<em>nobody</em>".to_owned() } else { escape(&risk.owner) },
            escape(&risk.fix),
            risk.due_at.map(date).unwrap_or_default(),
            risk.risk.short(),
        );
    }
    let _ = write!(html, "</tbody></table><p class=note>{} of {} open risks. ", risks.len(), number(total));
    html.push_str("<code>tributary explain ID</code> says why a risk is where it is.</p></section>");
}

fn coverage(html: &mut String, gaps: &[Gap]) {
    html.push_str("<section><h2>What nobody scans</h2>");
    if gaps.is_empty() {
        html.push_str(
            "<p class=note>Every component in the catalogue is scanned for packages, code and secrets.</p></section>",
        );
        return;
    }
    html.push_str("<table><thead><tr><th>Component<th>Owner<th>Not scanned for</thead><tbody>");
    for gap in gaps.iter().take(GAPS_SHOWN) {
        let owner = if gap.owner.is_empty() { "<em>nobody</em>".to_owned() } else { escape(&gap.owner) };
        let _ = write!(html, "<tr><td>{}<td>{owner}<td>{}", escape(&gap.component), escape(&gap.missing.join(", ")));
    }
    html.push_str("</tbody></table>");
    if gaps.len() > GAPS_SHOWN {
        let _ = write!(html, "<p class=note>and {} more</p>", gaps.len() - GAPS_SHOWN);
    }
    html.push_str("</section>");
}

fn next_steps(html: &mut String, status: &Status) {
    html.push_str("<section><h2>Ask more</h2>");
    if status.engine == Engine::Absent {
        html.push_str(
            "<p>Without the ClickHouse engine there is no SQL here. <code>make engine</code> fetches it.</p>",
        );
    } else {
        let url = escape(&status.sql_url);
        let _ = write!(
            html,
            "<pre>curl '{url}/?query=SELECT+*+FROM+by_owner+FORMAT+PrettyCompact'\ntributary query 'SELECT * FROM open_risks LIMIT 20'</pre>"
        );
    }
    html.push_str("</section>");
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Thousands apart by a thin space.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + 4);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn date(time: i64) -> String {
    tributary_ingest::time::format(time).chars().take(10).collect()
}

/// Text from tools is data, never markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_tools_is_never_markup() {
        assert_eq!(escape("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            (number(7), number(1234), number(1_234_567)),
            ("7".into(), "1\u{202f}234".into(), "1\u{202f}234\u{202f}567".into())
        );
    }
}
