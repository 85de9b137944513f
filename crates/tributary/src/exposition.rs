//! Metrics as a service exposes them, read back: the text format of Prometheus, as far as our own services write it.

use std::collections::BTreeMap;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; not a number where nothing was observed yet.
    pub value: f64,
}

impl Sample {
    /// A label's value; empty when there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Every sample of a page. Comments, and lines that are none of ours, are left out.
pub fn parse(page: &str) -> Vec<Sample> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Labels up to the closing brace, and what follows it. In values, `\\`, `\"` and `\n` are escapes.
fn labels(inner: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = inner;
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in quoted.char_indices() {
            match (escaped, c) {
                (false, '\\') => escaped = true,
                (false, '"') => {
                    end = Some(at + 1);
                    break;
                }
                (true, 'n') => (value.push('\n'), escaped = false).1,
                _ => (value.push(c), escaped = false).1,
            }
        }
        labels.insert(name.to_owned(), value);
        rest = &quoted[end?..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_back() {
        let page = "# TYPE a counter\na 3\n\nb{x=\"1\",y=\"a \\\"b\\\" {c}\\n\\\\\"} 0.5\nq{quantile=\"0.99\"} NaN\nbroken{x=\n";
        let samples = parse(page);
        assert_eq!(samples.len(), 3);
        assert_eq!((samples[0].name.as_str(), samples[0].value), ("a", 3.0));
        assert_eq!((samples[1].label("x"), samples[1].label("y")), ("1", "a \"b\" {c}\n\\"));
        assert!(samples[2].value.is_nan() && samples[2].label("none").is_empty());
    }
}
