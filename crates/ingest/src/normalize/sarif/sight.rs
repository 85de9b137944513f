//! One SARIF result → one sighting.

use tributary_model::entity::vulnerability_id;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Package, Secret, Sighting, ToolStatus};

use super::place::Roots;
use super::rule::Rules;
use super::shape::{self, Finding, Rule};
use crate::event::Input;
use crate::normalize::lenient::{List, first};
use crate::normalize::{advisory, code_evidence, controls, package_of, secret_of, title};

/// What the results of a run share.
pub struct Context<'c> {
    pub input: &'c Input<'c>,
    pub rules: &'c Rules<'c>,
    pub roots: &'c Roots<'c>,
    /// Tool name, lower case.
    pub tool: &'c str,
    /// Whether the asset is a branch of a repository, where the directory of a manifest is identity.
    pub is_repository: bool,
}

const SECRET_TOOLS: [&str; 8] =
    ["gitleaks", "trufflehog", "detect-secrets", "whispers", "ggshield", "gitguardian", "secretlint", "betterleaks"];
const PACKAGE_TOOLS: [&str; 7] =
    ["trivy", "grype", "osv-scanner", "snyk open source", "dependency-check", "anchore", "docker scout"];

/// What a tool looks for when a run shows nothing.
pub fn usual_class(tool: &str) -> FindingClass {
    match () {
        () if SECRET_TOOLS.iter().any(|name| tool.contains(name)) => FindingClass::Secret,
        () if PACKAGE_TOOLS.iter().any(|name| tool.contains(name)) => FindingClass::Vulnerability,
        () => FindingClass::Weakness,
    }
}

/// The sightings of a result: one per location, since tools list the places of one flaw that each need a change. Packages are
/// wherever they are found one thing. None for a result that says nothing at all.
pub fn sightings(context: &Context<'_>, result: &Finding<'_>) -> Vec<Sighting> {
    let rule = context.rules.find(result);
    let rule_id = first([&*result.rule_id, &*result.rule.id, rule.map_or("", |rule| &*rule.id)]);
    let message = message(result, rule);
    if rule_id.is_empty() && message.is_empty() && result.locations.is_empty() {
        return Vec::new();
    }
    let class = class(context, rule_id, rule);
    let base = Sighting {
        class,
        rule: rule_id.to_owned(),
        title: heading(class, &message, rule, rule_id),
        severity: severity(result, rule),
        cwes: context.rules.cwes(result, rule),
        status: if result.is_suppressed() { ToolStatus::Dismissed } else { ToolStatus::Open },
        confidence: confidence(result, rule),
        ..Sighting::default()
    };
    let is_package = matches!(class, FindingClass::Vulnerability | FindingClass::Malware | FindingClass::Licence);
    let places = result.locations.iter().take(if is_package { 1 } else { usize::MAX }).enumerate();
    let sightings = places.map(|(index, place)| {
        // The fingerprints of a result are those of its first location.
        let declared = if index == 0 { declared_line_hash(result) } else { None };
        let base = Sighting { location: location(context, place, class, declared), ..base.clone() };
        classed(context, base, result, rule, Some(place), &message)
    });
    let sightings: Vec<Sighting> = sightings.collect();
    if sightings.is_empty() { vec![classed(context, base, result, rule, None, &message)] } else { sightings }
}

/// The parts that only its class has.
fn classed(
    context: &Context<'_>,
    base: Sighting,
    result: &Finding<'_>,
    rule: Option<&Rule<'_>>,
    place: Option<&shape::Location<'_>>,
    message: &str,
) -> Sighting {
    match base.class {
        FindingClass::Vulnerability | FindingClass::Malware => vulnerability(context, base, result, rule, message),
        FindingClass::Secret => secret(context, base, place),
        FindingClass::Misconfiguration => misconfiguration(context, base),
        _ => base,
    }
}

/// By the advisory id, by the tool, by the tag that Trivy gives; everything else is a weakness of code.
fn class(context: &Context<'_>, rule_id: &str, rule: Option<&Rule<'_>>) -> FindingClass {
    let none = List::default();
    let tags = rule.map_or(&none, |rule| &rule.properties.tags);
    let tagged = |word: &str| context.tool == "trivy" && tags.iter().any(|tag| **tag == *word);
    match () {
        () if advisory::is_advisory(rule_id) => advisory::class_of(rule_id),
        () if usual_class(context.tool) == FindingClass::Secret || tagged("secret") => FindingClass::Secret,
        () if tagged("misconfiguration") => FindingClass::Misconfiguration,
        () if tagged("license") => FindingClass::Licence,
        () => FindingClass::Weakness,
    }
}

/// The text of the result, or the rule's string with the arguments in it; links become their words.
fn message(result: &Finding<'_>, rule: Option<&Rule<'_>>) -> String {
    let message = &result.message;
    let of_rule = || rule.and_then(|rule| rule.message_strings.get(&message.id)).map_or("", |string| &*string.text);
    let text = message.text.given().unwrap_or_else(of_rule);
    let mut text = without_links(text);
    for (index, argument) in message.arguments.iter().enumerate().take(16) {
        let hole = format!("{{{index}}}");
        if text.contains(&hole) {
            text = text.replace(&hole, argument);
        }
    }
    text
}

/// `a [user-provided value](1)` → `a user-provided value`: SARIF's links to related locations and URLs.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let after = &rest[open + 1..];
        let link = after.find("](").and_then(|close| after[close..].find(')').map(|end| (close, close + end)));
        if let Some((close, end)) = link.filter(|(close, _)| !after[..*close].contains('[')) {
            plain.push_str(&rest[..open]);
            plain.push_str(&after[..close]);
            rest = &after[end + 1..];
        } else {
            plain.push_str(&rest[..=open]);
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

/// The message of a secret may quote it: its rule describes it well enough.
fn heading(class: FindingClass, message: &str, rule: Option<&Rule<'_>>, rule_id: &str) -> String {
    let described =
        rule.map_or("", |rule| first([&*rule.short_description.text, &*rule.full_description.text, &*rule.name]));
    let said = if class == FindingClass::Secret { "" } else { message };
    // Trivy's message is a list of `Name: value` lines; its rule has the one sentence.
    let said = if said.starts_with("Package: ") { "" } else { said };
    title::line(first([said, described, rule_id]))
}

/// The CVSS-like number of GitHub's convention, else the level, else the rank.
fn severity(result: &Finding<'_>, rule: Option<&Rule<'_>>) -> Severity {
    let of_rule = rule.and_then(|rule| rule.properties.security_severity.0);
    if let Some(score) = result.properties.security_severity.0.or(of_rule) {
        return Severity::from_cvss(score);
    }
    let configuration = rule.map(|rule| &rule.default_configuration);
    let level = first([&*result.level, configuration.map_or("", |c| &*c.level)]);
    if !level.is_empty() {
        return Severity::parse(level);
    }
    let rank = result.rank.0.filter(|rank| *rank >= 0.0).or_else(|| configuration.and_then(|c| c.rank.0));
    let problem = rule.map_or("", |rule| &*rule.properties.problem_severity);
    match rank {
        Some(rank) if rank >= 90.0 => Severity::Critical,
        Some(rank) if rank >= 70.0 => Severity::High,
        Some(rank) if rank >= 40.0 => Severity::Medium,
        Some(rank) if rank >= 0.0 => Severity::Low,
        _ if !problem.is_empty() => Severity::parse(problem),
        // The specification's default level.
        _ => Severity::parse("warning"),
    }
}

fn confidence(result: &Finding<'_>, rule: Option<&Rule<'_>>) -> Severity {
    let own = &result.properties;
    let of_rule = rule.map_or("", |rule| first([&*rule.properties.precision, &*rule.properties.confidence]));
    match first([&*own.precision, &*own.confidence, &*own.issue_confidence, of_rule]) {
        "very-high" => Severity::High,
        word => Severity::parse(word),
    }
}

fn declared_line_hash<'f>(result: &'f Finding<'_>) -> Option<&'f str> {
    let named = |name: &str| name.split('/').next() == Some("primaryLocationLineHash");
    result.partial_fingerprints.0.iter().find(|(name, _)| named(name))?.1.given()
}

fn location(
    context: &Context<'_>,
    place: &shape::Location<'_>,
    class: FindingClass,
    declared_line_hash: Option<&str>,
) -> Option<Location> {
    let physical = &place.physical_location;
    let path = context.roots.path(&physical.artifact_location);
    let logical = place.logical_locations.first().unwrap_or(&place.logical_location);
    let enclosing = first([&*logical.fully_qualified_name, &*logical.name]).to_owned();
    if path.is_empty() && enclosing.is_empty() {
        return None;
    }
    let start_line = physical.region.start_line.line();
    // A hash without a key of what holds a secret could be searched for the secret.
    let is_secret = class == FindingClass::Secret;
    let code = first([&*physical.region.snippet.text, &*physical.context_region.snippet.text]);
    let evidence = if is_secret { code_evidence::CodeEvidence::default() } else { code_evidence::of(code) };
    let declared = declared_line_hash.filter(|_| !is_secret);
    Some(Location {
        path,
        start_line,
        end_line: physical.region.end_line.line().max(start_line),
        line_hash: declared.map_or(evidence.line_hash, str::to_owned),
        snippet_hash: evidence.snippet_hash,
        enclosing,
    })
}

fn secret(context: &Context<'_>, base: Sighting, place: Option<&shape::Location<'_>>) -> Sighting {
    // Gitleaks writes the bare secret as the snippet; other tools write the line around it.
    let snippet = place.map_or("", |place| &*place.physical_location.region.snippet.text);
    let secret = match context.tool {
        "gitleaks" | "betterleaks" => secret_of::of(context.input, snippet, &base.rule, false),
        _ => Secret { family: secret_of::family(&base.rule), ..Secret::default() },
    };
    Sighting { secret: Some(secret), ..base }
}

fn misconfiguration(context: &Context<'_>, base: Sighting) -> Sighting {
    let place = base.location.as_ref();
    let resource = place.map(|place| first([&*place.enclosing, &*place.path]).to_owned()).unwrap_or_default();
    let control = controls::control(context.tool, &base.rule).to_owned();
    Sighting { resource, control, ..base }
}

/// Grype's rules are `CVE-…-package`; Trivy, Grype and OSV-Scanner say the package in the message only.
fn vulnerability(
    context: &Context<'_>,
    base: Sighting,
    result: &Finding<'_>,
    rule: Option<&Rule<'_>>,
    message: &str,
) -> Sighting {
    let (id, package_in_rule) = split_rule(&base.rule);
    let id = vulnerability_id(id);
    let of_rule = rule.map(|rule| &rule.properties);
    let purls = of_rule.into_iter().flat_map(|properties| properties.purls.iter().chain([&properties.purl]));
    let purl = std::iter::once(&result.properties.purl).chain(purls).find_map(|purl| package_of::from_purl(purl));
    let described = || described(message, package_in_rule);
    let mut package = purl.or_else(described);
    let score = result.properties.security_severity.0.or(of_rule.and_then(|properties| properties.security_severity.0));
    if let (Some(package), Some(location)) = (&mut package, &base.location) {
        package.file.clone_from(&location.path);
        if context.is_repository && !package.is_os_package {
            path::directory(&location.path).clone_into(&mut package.manifest_dir);
        }
    }
    Sighting { rule: id, package, cvss_score: score.filter(|score| *score > 0.0), ..base }
}

/// `CVE-2024-1-libssl3` → (`CVE-2024-1`, `libssl3`).
fn split_rule(rule: &str) -> (&str, &str) {
    let parts = match rule.get(..5).map(str::to_ascii_uppercase).as_deref() {
        Some("GHSA-") => 4,
        Some(head) if head.starts_with("CVE-") => 3,
        _ => return (rule, ""),
    };
    match rule.match_indices('-').nth(parts - 1) {
        Some((at, _)) => (&rule[..at], &rule[at + 1..]),
        None => (rule, ""),
    }
}

/// `Package: libssl3\nInstalled Version: 1\n…` (Trivy) or `A high vulnerability in deb package: libssl3, version 1 …` (Grype).
fn described(message: &str, package_in_rule: &str) -> Option<Package> {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim);
    let name = first([field("Package: "), package_in_rule]);
    if let Some((before, after)) = message.split_once(" package: ") {
        let (ecosystem, _) = package_of::ecosystem_of(before.rsplit(' ').next().unwrap_or_default());
        let (found, rest) = after.split_once(',').unwrap_or((after, ""));
        let version =
            rest.trim().strip_prefix("version ").and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        return Some(package_of::build(ecosystem, "", found, version));
    }
    let mut package =
        (!name.is_empty()).then(|| package_of::build("generic", "", name, field("Installed Version: ")))?;
    package.fixed_versions = package_of::versions(field("Fixed Version: "));
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_become_words() {
        assert_eq!(without_links("from [a value](1) and [b](https://x/y) in [c]"), "from a value and b in [c]");
        assert_eq!(without_links("[x] = [[y](1)"), "[x] = [y");
        assert_eq!(without_links("é["), "é[");
    }

    #[test]
    fn packages_from_words() {
        assert_eq!(split_rule("CVE-2024-1-lib-ssl3"), ("CVE-2024-1", "lib-ssl3"));
        assert_eq!(split_rule("GHSA-aaaa-bbbb-cccc-tar"), ("GHSA-aaaa-bbbb-cccc", "tar"));
        assert_eq!(split_rule("CVE-2024-1"), ("CVE-2024-1", ""));
        let package =
            described("A high vulnerability in deb package: libssl3, version 3.0 was found at: /x", "").unwrap();
        assert_eq!((package.purl.as_str(), package.version.as_str()), ("pkg:deb/libssl3", "3.0"));
        let package = described("Package: tar\nInstalled Version: 1\nFixed Version: 2, 3\n", "").unwrap();
        assert_eq!((package.name.as_str(), package.fixed_versions.len()), ("tar", 2));
        assert_eq!(described("nothing", ""), None);
    }
}
