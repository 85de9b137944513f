//! Canonical controls: which rule of which tool asks the same thing of a resource. Data in schemas/controls.csv; a rule that is
//! not listed has no control and stands alone.

use std::collections::HashMap;
use std::sync::OnceLock;

/// `tool,rule,control`, one header line, `#` comments. Read at compile time: the table is part of the identity rules.
const TABLE: &str = include_str!("../../../../schemas/controls.csv");

/// The control of a tool's rule; empty when there is none. Case of the rule does not count.
pub fn control(tool: &str, rule: &str) -> &'static str {
    static CONTROLS: OnceLock<HashMap<(String, String), &'static str>> = OnceLock::new();
    let controls = CONTROLS.get_or_init(|| {
        rows().map(|(tool, rule, control)| ((tool.to_owned(), rule.to_ascii_lowercase()), control)).collect()
    });
    controls.get(&(tool.to_owned(), rule.trim().to_ascii_lowercase())).copied().unwrap_or_default()
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.lines().skip(1).filter(|line| !line.starts_with('#') && !line.trim().is_empty()).filter_map(|line| {
        let mut cells = line.split(',').map(str::trim);
        Some((cells.next()?, cells.next()?, cells.next()?))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_same_bucket_for_every_tool() {
        for (tool, rule) in [
            ("checkov", "CKV_AWS_20"),
            ("prowler", "s3_bucket_public_access"),
            ("prowler", "S3_Bucket_Public_Access"),
            ("security-hub", "S3.2"),
        ] {
            assert_eq!(control(tool, rule), "s3-bucket-public-read", "{tool} {rule}");
        }
        assert_eq!(control("checkov", "CKV_AWS_999999"), "");
    }

    #[test]
    fn the_table_is_sound() {
        let data = TABLE.lines().skip(1).filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(rows().count(), data, "every line has three cells");
        assert!(data >= 60);
        let mut seen = BTreeSet::new();
        let mut tools: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (tool, rule, control) in rows() {
            assert!(seen.insert((tool, rule.to_ascii_lowercase())), "{tool} {rule} has two rows");
            assert!(
                !control.is_empty()
                    && control.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            tools.entry(tool).or_default().insert(control);
        }
        assert_eq!(tools.keys().copied().collect::<Vec<_>>(), ["checkov", "prowler", "security-hub", "trivy"]);
    }
}
