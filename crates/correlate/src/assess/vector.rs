//! What a CVSS vector says about automation and technical impact, read without scoring it.

use tributary_model::severity::Severity;

/// The answers of one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorFacts {
    /// AV:N, AC:L, PR:N, UI:N (v4: also AT:N; v2: AV:N, AC:L, Au:N).
    pub automatable: bool,
    /// Confidentiality **and** integrity are lost completely.
    pub total: bool,
}

/// Reads a vector of version 2, 3 or 4. `None` when it is not one.
#[must_use]
pub fn read(vector: &str) -> Option<VectorFacts> {
    let metric = |name: &str| {
        vector.trim_matches(['(', ')']).split('/').find_map(|part| {
            let (metric, value) = part.split_once(':')?;
            (metric == name).then_some(value)
        })
    };
    let network = metric("AV")? == "N";
    let simple = metric("AC")? == "L";
    if let Some(authentication) = metric("Au") {
        let total = metric("C") == Some("C") && metric("I") == Some("C");
        return Some(VectorFacts { automatable: network && simple && authentication == "N", total });
    }
    let unaided = metric("PR")? == "N" && metric("UI")? == "N" && metric("AT").is_none_or(|value| value == "N");
    let confidentiality = metric("VC").or_else(|| metric("C"))?;
    let integrity = metric("VI").or_else(|| metric("I"))?;
    let total = confidentiality == "H" && integrity == "H";
    Some(VectorFacts { automatable: network && simple && unaided, total })
}

/// Base score of a vector; `None` when it is not one.
#[must_use]
pub fn score(vector: &str) -> Option<f64> {
    vector.parse::<cvss::Cvss>().ok().map(|vector| vector.score())
}

/// Points by severity where there is no score, on the same scale as score × 20.
#[must_use]
pub const fn points_of(severity: Severity) -> i32 {
    match severity {
        Severity::Critical => 190,
        Severity::High => 160,
        Severity::Medium => 110,
        Severity::Low => 60,
        Severity::Information => 10,
        Severity::Unknown => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_three_versions() {
        let facts = |vector| read(vector).map(|facts| (facts.automatable, facts.total));
        assert_eq!(facts("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), Some((true, true)));
        assert_eq!(facts("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:C/C:H/I:H/A:H"), Some((false, true)));
        assert_eq!(facts("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:H"), Some((true, false)));
        assert_eq!(facts("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"), Some((false, true)));
        assert_eq!(facts("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:H/VA:H/SC:N/SI:N/SA:N"), Some((true, false)));
        assert_eq!(facts("(AV:N/AC:L/Au:N/C:C/I:C/A:C)"), Some((true, true)));
        for broken in ["", "CVSS:3.1", "AV:N", "CVSS:3.1/AV:N/AC:L", "é:/::"] {
            assert_eq!(facts(broken), None, "{broken}");
        }
        assert_eq!(score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), Some(10.0));
        assert_eq!(score("nonsense"), None);
    }
}
