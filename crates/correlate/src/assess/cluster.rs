//! Weaknesses that two tools report of one piece of code, joined without chaining.
//!
//! In canonical order (counting first, then earliest, then lowest id) each claim joins the nearest leader it matches, or
//! leads a cluster of its own. Only leaders are compared, so a tool that marks a whole function cannot glue two flaws
//! inside it together, and a tool that tells two flaws apart is believed.

use tributary_model::id::FindingId;
use tributary_model::time::Millis;

use super::cwe;

/// What clustering looks at.
#[derive(Debug, Clone, Default)]
pub struct Claim<'a> {
    /// The finding.
    pub finding: FindingId,
    /// Its asset: the same repository on another branch is another asset.
    pub asset: &'a str,
    /// Whether it counts.
    pub counts: bool,
    /// First seen.
    pub first_seen: Millis,
    /// Tools that claim it, ascending.
    pub tools: Vec<&'a str>,
    /// Rules they use.
    pub rules: Vec<&'a str>,
    /// CWE numbers.
    pub cwes: &'a [u32],
    /// First and last line; 0 when unknown.
    pub lines: (u32, u32),
    /// Hash of the line; empty when unknown.
    pub line_hash: &'a str,
    /// Hash of the snippet; empty when unknown.
    pub snippet_hash: &'a str,
}

impl Claim<'_> {
    fn shows_code(&self) -> bool {
        !self.line_hash.is_empty() || !self.snippet_hash.is_empty()
    }
}

/// Clusters claims about one path of one repository. Each cluster lists positions in `claims`, its leader first.
#[must_use]
pub fn clusters(claims: &[Claim<'_>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|at| (!claims[*at].counts, claims[*at].first_seen, claims[*at].finding));
    let mut clusters: Vec<Vec<usize>> = Vec::new();
    for at in order {
        let claim = &claims[at];
        let nearest = clusters
            .iter_mut()
            .filter(|cluster| is_one_flaw(&claims[cluster[0]], claim))
            .min_by_key(|cluster| claims[cluster[0]].lines.0.abs_diff(claim.lines.0));
        match nearest {
            Some(cluster) => cluster.push(at),
            None => clusters.push(vec![at]),
        }
    }
    clusters
}

fn is_one_flaw(leader: &Claim<'_>, claim: &Claim<'_>) -> bool {
    let same_line = !leader.line_hash.is_empty() && leader.line_hash == claim.line_hash;
    let same_snippet = !leader.snippet_hash.is_empty() && leader.snippet_hash == claim.snippet_hash;
    if claim.tools.iter().any(|tool| leader.tools.contains(tool)) {
        // One tool: the same flaw as seen on another branch, or as told twice, once with the code (a scan) and once without
        // (the alert of that scan).
        let same_rule = claim.rules.iter().any(|rule| leader.rules.contains(rule));
        let on_other_branch = leader.asset != claim.asset && (same_line || same_snippet);
        let told_twice =
            leader.shows_code() != claim.shows_code() && claim.lines.0 > 0 && leader.lines.0 == claim.lines.0;
        return same_rule && (on_other_branch || told_twice);
    }
    cwe::any_same_flaw(leader.cwes, claim.cwes) && (same_line || overlap(leader.lines, claim.lines))
}

fn overlap(left: (u32, u32), right: (u32, u32)) -> bool {
    left.0 > 0 && right.0 > 0 && left.0 <= right.1.max(right.0) && right.0 <= left.1.max(left.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(id: u8, tool: &'static str, cwes: &'static [u32], lines: (u32, u32)) -> Claim<'static> {
        Claim {
            finding: FindingId([id; 16]),
            asset: "repo:h/o/r#main",
            counts: true,
            first_seen: i64::from(id),
            tools: vec![tool],
            rules: vec!["r"],
            cwes,
            lines,
            ..Claim::default()
        }
    }

    #[test]
    fn two_tools_on_overlapping_lines_are_one_flaw() {
        let claims = [claim(1, "codeql", &[89], (88, 88)), claim(2, "semgrep", &[564], (88, 89))];
        assert_eq!(clusters(&claims), [vec![0, 1]]);
    }

    #[test]
    fn other_classes_other_lines_and_one_tool_stay_apart() {
        let apart = [
            [claim(1, "codeql", &[89], (88, 88)), claim(2, "semgrep", &[79], (88, 89))],
            [claim(1, "codeql", &[89], (88, 88)), claim(2, "semgrep", &[89], (90, 91))],
            [claim(1, "codeql", &[89], (88, 88)), claim(2, "codeql", &[89], (88, 88))],
            [claim(1, "codeql", &[89], (0, 0)), claim(2, "semgrep", &[89], (0, 0))],
        ];
        for claims in apart {
            assert_eq!(clusters(&claims).len(), 2, "{claims:?}");
        }
    }

    #[test]
    fn an_alert_and_the_scan_it_comes_from_are_one_flaw() {
        let scan = Claim { line_hash: "f00d", ..claim(1, "codeql", &[89], (88, 88)) };
        let alert = claim(2, "codeql", &[89], (88, 88));
        assert_eq!(clusters(&[scan.clone(), alert.clone()]), [vec![0, 1]]);
        assert_eq!(clusters(&[scan, Claim { lines: (90, 90), ..alert }]).len(), 2);
    }

    #[test]
    fn a_wide_region_does_not_glue_two_flaws() {
        let claims = [
            claim(1, "codeql", &[89], (10, 10)),
            claim(2, "codeql", &[89], (40, 40)),
            claim(3, "semgrep", &[89], (1, 45)),
        ];
        assert_eq!(clusters(&claims), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn another_branch_with_the_same_line_is_the_same_flaw() {
        let mut claims = [claim(1, "codeql", &[89], (10, 10)), claim(2, "codeql", &[89], (14, 14))];
        claims[1].asset = "repo:h/o/r#release/1";
        assert_eq!(clusters(&claims).len(), 2);
        for claim in &mut claims {
            claim.line_hash = "abc";
        }
        assert_eq!(clusters(&claims), [vec![0, 1]]);
    }
}
