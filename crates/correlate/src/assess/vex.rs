//! Which findings a trusted VEX statement covers. INGEST's grants decide whose statements get this far.
//!
//! A statement covers a finding when it is about the image's digest, or about the package **in that version**: a
//! versionless product suppresses nothing. One that names subcomponents is about those inside the product, and not about
//! the product.

use tributary_model::finding::Finding;

use super::surroundings::Statement;

/// The products whose statements could cover a finding: the digest of its image, and its packages.
#[must_use]
pub fn products_of(finding: &Finding) -> Vec<String> {
    let mut products = Vec::new();
    if let Some(digest) = digest_of(finding) {
        products.push(digest.to_owned());
    }
    if let Some(package) = &finding.tracked.sighting.package {
        products.extend([&package.purl, &package.source_purl].into_iter().filter(|purl| !purl.is_empty()).cloned());
    }
    products.dedup();
    products
}

fn digest_of(finding: &Finding) -> Option<&str> {
    finding.tracked.asset.strip_prefix("image:").filter(|name| name.starts_with("sha256:"))
}

/// The statement that covers a finding, if one does. The lowest in canonical order where several do.
#[must_use]
pub fn covering<'a>(finding: &Finding, ids: &[String], statements: &'a [Statement]) -> Option<&'a Statement> {
    statements
        .iter()
        .filter(|statement| matches!(statement.status.as_str(), "not_affected" | "fixed"))
        .filter(|statement| ids.contains(&statement.vulnerability) && is_about(statement, finding))
        .min()
}

fn is_about(statement: &Statement, finding: &Finding) -> bool {
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
pub fn suppression(findings: &[&Finding], ids: &[String], statements: &[Statement]) -> Option<String> {
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
    use tributary_model::sighting::Package;

    use super::*;

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

    #[test]
    fn a_digest_or_a_version_must_match_and_every_finding_be_covered() {
        let ids = ["CVE-1".to_owned()];
        let (in_image, in_repo) = (finding("image:sha256:aa", "1.0"), finding("repo:h/o/r#main", "1.0"));
        let by_digest = [statement("sha256:aa", "")];
        let covered = |findings: &[&Finding], statements: &[Statement]| suppression(findings, &ids, statements);
        assert_eq!(covered(&[&in_image], &by_digest).as_deref(), Some("vex not_affected by team: unused"));
        assert_eq!(covered(&[&in_image, &in_repo], &by_digest), None);
        assert_eq!(covered(&[&in_repo], &[statement("pkg:npm/ws", "")]), None);
        assert_eq!(covered(&[&in_repo], &[statement("pkg:npm/ws", "2.0")]), None);
        assert!(covered(&[&in_image, &in_repo], &[statement("pkg:npm/ws", "1.0")]).is_some());
        assert_eq!(suppression(&[&in_image], &["CVE-2".to_owned()], &by_digest), None);
        assert_eq!(covered(&[], &by_digest), None);
    }

    #[test]
    fn a_statement_about_another_package_of_the_image_does_not_cover() {
        let ids = ["CVE-1".to_owned()];
        let mut about = statement("sha256:aa", "");
        about.subcomponents = vec!["pkg:npm/other".to_owned()];
        assert_eq!(suppression(&[&finding("image:sha256:aa", "1.0")], &ids, &[about.clone()]), None);
        about.subcomponents.push("pkg:npm/ws".to_owned());
        assert!(suppression(&[&finding("image:sha256:aa", "1.0")], &ids, &[about]).is_some());
    }

    #[test]
    fn a_statement_about_something_inside_a_package_does_not_cover_the_package() {
        let ids = ["CVE-1".to_owned()];
        let mut about = statement("pkg:npm/ws", "1.0");
        about.subcomponents = vec!["pkg:npm/other".to_owned()];
        assert_eq!(suppression(&[&finding("repo:h/o/r#main", "1.0")], &ids, &[about]), None);
    }
}
