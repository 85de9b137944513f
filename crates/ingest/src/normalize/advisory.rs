//! Advisory ids: which name one vulnerability, which bundle several.

use tributary_model::entity::vulnerability_id;
use tributary_model::sighting::FindingClass;

/// Beginnings of ids of advisories that announce an update, with however many vulnerabilities it fixes. They are aliases of none.
const BUNDLES: [&str; 22] = [
    "RHSA-",
    "RHBA-",
    "RHEA-",
    "DSA-",
    "DLA-",
    "USN-",
    "ALAS",
    "ELSA-",
    "ELBA-",
    "SUSE-SU-",
    "OPENSUSE-SU-",
    "FEDORA-",
    "RLSA-",
    "ALSA-",
    "ALBA-",
    "ALEA-",
    "GLSA-",
    "MGASA-",
    "PHSA-",
    "CESA-",
    "ASA-",
    "TEMP-",
];

/// Whether an advisory stands for an update and not for one vulnerability.
pub fn is_bundle(id: &str) -> bool {
    let upper = id.trim().to_ascii_uppercase();
    BUNDLES.iter().any(|prefix| upper.starts_with(prefix))
}

/// Other names of one vulnerability: canonical, sorted, without the id itself, bundles, and other CVEs: two CVEs never join, so
/// a record of another kind that names several names none.
pub fn aliases<'t>(id: &str, others: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let is_cve = id.starts_with("CVE-");
    let is_other_cve = |other: &String| is_cve && other.starts_with("CVE-");
    let mut aliases: Vec<String> = others.into_iter().map(vulnerability_id).collect();
    aliases.retain(|other| !(other.is_empty() || other == id || is_bundle(other) || is_other_cve(other)));
    aliases.sort_unstable();
    aliases.dedup();
    if aliases.iter().filter(|alias| alias.starts_with("CVE-")).count() > 1 {
        aliases.retain(|alias| !alias.starts_with("CVE-"));
    }
    aliases
}

/// Malware is published as advisories too; OSV gives it its own prefix.
pub fn class_of(id: &str) -> FindingClass {
    if id.starts_with("MAL-") { FindingClass::Malware } else { FindingClass::Vulnerability }
}

/// Whether a text is an advisory id: `CVE-…`, `GHSA-…` and the databases that number their own.
pub fn is_advisory(id: &str) -> bool {
    let upper = id.trim().to_ascii_uppercase();
    if upper.strip_prefix("GHSA-").is_some_and(|rest| rest.split('-').count() == 3) {
        return true;
    }
    let known = ["CVE-", "PYSEC-", "RUSTSEC-", "GO-", "OSV-", "MAL-", "SNYK-", "SONATYPE-"];
    let digits = upper.bytes().any(|b| b.is_ascii_digit());
    digits && (known.iter().any(|prefix| upper.starts_with(prefix)) || is_bundle(&upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_and_other_cves_are_no_aliases() {
        let others =
            ["GHSA-JFH8-c2jp-5v3q", "DSA-5020-1", "CVE-2021-45046", "CVE-2021-44228", "ghsa-jfh8-c2jp-5v3q", ""];
        assert_eq!(aliases("CVE-2021-44228", others), ["GHSA-jfh8-c2jp-5v3q"]);
        assert_eq!(aliases("GHSA-x", ["cve-2021-1"]), ["CVE-2021-1"]);
        assert_eq!(aliases("GO-2024-1", ["CVE-2024-1", "CVE-2024-2", "GHSA-x"]), ["GHSA-x"]);
    }

    #[test]
    fn what_is_an_advisory() {
        assert!(is_advisory("CVE-2021-1") && is_advisory("RHSA-2023:1") && is_advisory("GO-2024-2887"));
        assert!(!is_advisory("java/xss") && !is_advisory("CVE-") && !is_advisory("go-lint"));
        assert_eq!(class_of("MAL-2025-1"), FindingClass::Malware);
    }
}
