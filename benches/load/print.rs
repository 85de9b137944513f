//! Lines for people: what, budget, measured.

use std::io::Write;

/// One line of text.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One figure beside its budget; `–` where there is none.
pub fn line(what: &str, budget: &str, measured: f64) {
    let digits = if measured.abs() < 100.0 { 2 } else { 0 };
    say(&format!("{what:<62} budget {budget:>9}   measured {measured:>12.digits$}"));
}
