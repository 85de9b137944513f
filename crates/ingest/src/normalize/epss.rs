//! EPSS scores (CSV with a `#model_version:…,score_date:…` line) → one `Epss` fact per vulnerability.
//! Scores become parts per million, so that equality is exact.

use tributary_model::entity;
use tributary_model::fact::{Attribute, value};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;
use crate::time;

/// `Epss` facts by `epss`. Event time is the date of the scores.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let text = std::str::from_utf8(input.body)
        .map_err(|_| Rejection::new(code::ENCODING, "the EPSS file is not text: send it decompressed, in UTF-8"))?;
    let mut claims = Claims::new(input, "epss");
    let mut model = "";
    let mut date = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            for field in comment.split(',') {
                match field.split_once(':') {
                    Some(("model_version", version)) => model = version,
                    // `2026-01-02T00:00:00+0000`: the day identifies the scores.
                    Some(("score_date", at)) => date = at.get(..10).unwrap_or_default(),
                    _ => {}
                }
            }
            claims.observed_at = time::parse(date).unwrap_or(claims.observed_at);
            continue;
        }
        if line.is_empty() || line.starts_with("cve,") {
            continue;
        }
        let row = row(line).ok_or_else(|| {
            Rejection::at(code::MALFORMED, "an EPSS row is not `cve,epss,percentile`", format!("line {}", index + 1))
        })?;
        let (cve, score_ppm, percentile_ppm) = row;
        let epss = value::Epss { score_ppm, percentile_ppm, model: model.to_owned(), date: date.to_owned() };
        claims.say(&entity::vulnerability(cve), Attribute::Epss, "", &epss);
    }
    claims.into_events("the EPSS file has no rows: send the whole daily file")
}

fn row(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(',');
    let cve = fields.next().filter(|cve| cve.len() > 4 && cve.as_bytes()[..4].eq_ignore_ascii_case(b"cve-"))?;
    Some((cve, parts_per_million(fields.next()?)?, parts_per_million(fields.next()?)?))
}

/// A probability from 0 to 1 in parts per million, rounded.
fn parts_per_million(text: &str) -> Option<u32> {
    let probability: f64 = text.trim().parse().ok()?;
    (0.0..=1.0).contains(&probability).then(|| (probability * 1_000_000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    const FILE: &str = "#model_version:v2026.01.01,score_date:2026-01-02T00:00:00+0000\ncve,epss,percentile\nCVE-2030-1,0.94358,0.99959\nCVE-2030-2,1e-5,0.00123\n";

    #[test]
    fn one_fact_per_row() {
        check(
            normalize,
            FILE,
            Extensions::default(),
            &[
                r#"vuln:CVE-2030-1 epss = {"score_ppm":943580,"percentile_ppm":999590,"model":"v2026.01.01","date":"2026-01-02"} (epss)"#,
                r#"vuln:CVE-2030-2 epss = {"score_ppm":10,"percentile_ppm":1230,"model":"v2026.01.01","date":"2026-01-02"} (epss)"#,
            ],
        );
        let events = run(normalize, FILE, Extensions::default()).unwrap();
        assert_eq!(events.facts[0].observed_at, time::parse("2026-01-02").unwrap());
        check_robust(normalize, FILE);
    }

    #[test]
    fn a_bad_row_rejects_the_file_with_its_line() {
        for bad in ["CVE-2030-3,1.5,0.1", "CVE-2030-3,x,0.1", "CVE-2030-3,0.1", "éé-1,0.1,0.1", "CVE-2030-3,NaN,0.1"]
        {
            let rejection = run(normalize, &format!("{FILE}{bad}\n"), Extensions::default()).unwrap_err();
            assert_eq!((rejection.code, rejection.at.as_str()), (code::MALFORMED, "line 5"), "{bad}");
        }
    }
}
