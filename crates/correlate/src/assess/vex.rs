//! Which findings a trusted VEX statement covers. INGEST's grants decide whose statements get this far.
//!
//! A statement covers a finding when it is about the image's digest, or about the package **in that version**: a
//! versionless product suppresses nothing. One that names subcomponents is about those inside the product, and not about
//! the product.

use super::Finding;
use super::surroundings::Statement;

/// The products whose statements could cover a finding: the digest of its image, and its packages.
#[must_use]
pub fn products_of(finding: &Finding<'_>) -> Vec<String> {
    let mut products = Vec::new();
    if let Some(digest) = digest_of(finding) {
        products.push(digest.to_owned());
    }
    if let Some(package) = &finding.tracked.sighting.package {
        let purls = [package.purl, package.source_purl].into_iter().filter(|purl| !purl.is_empty());
        products.extend(purls.map(str::to_owned));
    }
    products.dedup();
    products
}

fn digest_of<'a>(finding: &Finding<'a>) -> Option<&'a str> {
    finding.tracked.asset.strip_prefix("image:").filter(|name| name.starts_with("sha256:"))
}

/// The statement that covers a finding, if one does. The lowest in canonical order where several do.
#[must_use]
pub fn covering<'a>(finding: &Finding<'_>, ids: &[String], statements: &'a [Statement]) -> Option<&'a Statement> {
    statements
        .iter()
        .filter(|statement| matches!(statement.status.as_str(), "not_affected" | "fixed"))
        .filter(|statement| ids.contains(&statement.vulnerability) && is_about(statement, finding))
        .min()
}

fn is_about(statement: &Statement, finding: &Finding<'_>) -> bool {
    let package = finding.tracked.sighting.package.as_ref();
    let inside = statement.subcomponents.is_empty()
        || package.is_some_and(|package| {
            let named = |purl: &String| *purl == package.purl || *purl == package.source_purl;
            statement.subcomponents.iter().any(named)
        });
    if !inside {
        return false;
    }
    if statement.product.starts_with("sha256:") {
        return digest_of(finding) == Some(statement.product.as_str());
    }
    package.is_some_and(|package| {
        let is_named = statement.product == package.purl || statement.product == package.source_purl;
        is_named && !statement.version.is_empty() && statement.version == package.version
    })
}

/// Why a risk is suppressed: only when every counting finding is covered.
#[must_use]
pub fn suppression(findings: &[&Finding<'_>], ids: &[String], statements: &[Statement]) -> Option<String> {
    let mut reason = None;
    for finding in findings {
        let statement = covering(finding, ids, statements)?;
        let why =
            if statement.justification.is_empty() { String::new() } else { format!(": {}", statement.justification) };
        let author = if statement.author.is_empty() { "unnamed" } else { &statement.author };
        reason.get_or_insert_with(|| format!("vex {} by {author}{why}", statement.status));
    }
    reason
}

#[cfg(test)]
mod tests {
    use tributary_model::finding::Finding;
    use tributary_model::sighting::Package;

    use super::*;
    use crate::assess::lent::Records;

    fn finding(asset: &str, version: &str) -> Finding {
        let mut finding = Finding::default();
        finding.tracked.asset = asset.to_owned();
        let package = Package { purl: "pkg:npm/ws".to_owned(), version: version.to_owned(), ..Package::default() };
        finding.tracked.sighting.package = Some(package);
        finding
    }

    fn statement(product: &str, version: &str) -> Statement {
        Statement {
            product: product.to_owned(),
            vulnerability: "CVE-1".to_owned(),
            status: "not_affected".to_owned(),
            version: version.to_owned(),
            justification: "unused".to_owned(),
            author: "team".to_owned(),
            subcomponents: Vec::new(),
        }
    }

    fn covered(findings: &[&Finding], statements: &[Statement]) -> Option<String> {
        let records = Records::of(findings.iter().copied());
        let findings = records.lend();
        suppression(&findings.iter().collect::<Vec<_>>(), &["CVE-1".to_owned()], statements)
    }

    #[test]
    fn a_digest_or_a_version_must_match_and_every_finding_be_covered() {
        let (in_image, in_repo) = (finding("image:sha256:aa", "1.0"), finding("repo:h/o/r#main", "1.0"));
        let by_digest = [statement("sha256:aa", "")];
        assert_eq!(covered(&[&in_image], &by_digest).as_deref(), Some("vex not_affected by team: unused"));
        assert_eq!(covered(&[&in_image, &in_repo], &by_digest), None);
        assert_eq!(covered(&[&in_repo], &[statement("pkg:npm/ws", "")]), None);
        assert_eq!(covered(&[&in_repo], &[statement("pkg:npm/ws", "2.0")]), None);
        assert!(covered(&[&in_image, &in_repo], &[statement("pkg:npm/ws", "1.0")]).is_some());
        let of_another = Statement { vulnerability: "CVE-2".to_owned(), ..by_digest[0].clone() };
        assert_eq!(covered(&[&in_image], &[of_another]), None);
        assert_eq!(covered(&[], &by_digest), None);
    }

    #[test]
    fn a_statement_about_another_package_of_the_image_does_not_cover() {
        let mut about = statement("sha256:aa", "");
        about.subcomponents = vec!["pkg:npm/other".to_owned()];
        assert_eq!(covered(&[&finding("image:sha256:aa", "1.0")], &[about.clone()]), None);
        about.subcomponents.push("pkg:npm/ws".to_owned());
        assert!(covered(&[&finding("image:sha256:aa", "1.0")], &[about]).is_some());
    }

    #[test]
    fn a_statement_about_something_inside_a_package_does_not_cover_the_package() {
        let mut about = statement("pkg:npm/ws", "1.0");
        about.subcomponents = vec!["pkg:npm/other".to_owned()];
        assert_eq!(covered(&[&finding("repo:h/o/r#main", "1.0")], &[about]), None);
    }
}
