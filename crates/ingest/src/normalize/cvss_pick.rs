//! The best of several CVSS vectors in one report: v4 before v3.1 before v3.0 before v2; within a version the preferred source.

use std::str::FromStr;

use tributary_model::severity::Severity;

/// Collects candidates and keeps the best one. The order of offers decides only between equals: the first stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CvssPick {
    rank: (u8, u8),
    vector: String,
    score: Option<f64>,
}

impl CvssPick {
    /// Offers a vector and a score, either of which may be missing. `version` is what the report calls it (`3.1`, `CVSSv31`,
    /// empty), used for vectors without a prefix; `preference` is larger for a better source.
    pub fn offer(&mut self, vector: &str, version: &str, score: Option<f64>, preference: u8) {
        let vector = vector.trim().trim_start_matches('(').trim_end_matches([')', '/']);
        let score = score.filter(|score| (0.0..=10.0).contains(score));
        let (rank, vector) = ranked(vector, version);
        let rank = (rank, preference);
        if (vector.is_empty() && score.is_none()) || (rank <= self.rank && self.rank != (0, 0)) {
            return;
        }
        let score = score.or_else(|| cvss::Cvss::from_str(&vector).ok().map(|cvss| cvss.score()));
        *self = Self { rank, vector, score };
    }

    /// The vector (empty when none) and the base score.
    pub fn into_parts(self) -> (String, Option<f64>) {
        (self.vector, self.score)
    }

    /// The base score.
    pub fn score(&self) -> Option<f64> {
        self.score
    }

    /// The reported severity, or the rating of the score where the tool gave none.
    pub fn severity_or_rating(&self, reported: Severity) -> Severity {
        match (reported, self.score) {
            (Severity::Unknown, Some(score)) => Severity::from_cvss(score),
            (reported, _) => reported,
        }
    }
}

/// Rank of the version (0 when there is only a score) and the vector with its prefix.
fn ranked(vector: &str, version: &str) -> (u8, String) {
    let said = |digits: &str| version.chars().filter(char::is_ascii_digit).collect::<String>().starts_with(digits);
    if vector.is_empty() {
        return (1, String::new());
    }
    match vector.get(..9) {
        Some("CVSS:4.0/") => return (5, vector.to_owned()),
        Some("CVSS:3.1/") => return (4, vector.to_owned()),
        Some("CVSS:3.0/") => return (3, vector.to_owned()),
        _ => {}
    }
    let bare = vector.strip_prefix("CVSS2#").unwrap_or(vector);
    match () {
        () if bare.contains("/Au:") => (2, bare.to_owned()),
        () if bare.contains("/AT:") || said("4") => (5, format!("CVSS:4.0/{bare}")),
        () if said("31") => (4, format!("CVSS:3.1/{bare}")),
        () if bare.contains("/PR:") => (3, format!("CVSS:3.0/{bare}")),
        () => (1, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "AV:N/AC:M/Au:N/C:N/I:P/A:N";
    const V31: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    const V4: &str = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";

    fn pick(offers: &[(&str, &str, Option<f64>, u8)]) -> (String, Option<f64>) {
        let mut pick = CvssPick::default();
        for (vector, version, score, preference) in offers {
            pick.offer(vector, version, *score, *preference);
        }
        pick.into_parts()
    }

    #[test]
    fn the_newest_version_wins_whatever_the_order() {
        assert_eq!(pick(&[(V2, "", Some(4.3), 9), (V31, "", Some(9.8), 0)]), (V31.to_owned(), Some(9.8)));
        assert_eq!(pick(&[(V4, "", None, 0), (V31, "", Some(9.8), 9)]), (V4.to_owned(), Some(9.3)));
        assert_eq!(pick(&[("", "", Some(5.0), 9), (V2, "", None, 0)]), (V2.to_owned(), Some(4.3)));
    }

    #[test]
    fn within_a_version_the_preferred_source() {
        assert_eq!(pick(&[(V31, "", Some(5.0), 1), (V31, "", Some(7.0), 2)]).1, Some(7.0));
        assert_eq!(pick(&[(V31, "", Some(5.0), 1), (V31, "", Some(7.0), 1)]).1, Some(5.0));
    }

    #[test]
    fn vectors_without_prefix_get_one() {
        let bare = V31.trim_start_matches("CVSS:3.1/");
        assert_eq!(pick(&[(bare, "CVSSv31", None, 0)]), (V31.to_owned(), Some(9.8)));
        assert_eq!(pick(&[(bare, "CVSSv3", None, 0)]).0, V31.replace("3.1", "3.0"));
    }

    #[test]
    fn nonsense_is_nothing() {
        assert_eq!(
            pick(&[("nonsense", "", None, 0), ("é".repeat(9).as_str(), "", None, 0), ("", "", Some(77.0), 0)]).0,
            ""
        );
        assert_eq!(CvssPick::default().severity_or_rating(Severity::Unknown), Severity::Unknown);
    }
}
