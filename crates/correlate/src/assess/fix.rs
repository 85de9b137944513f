//! What would fix a risk: where the change is made, and the smallest version that is enough for all of its evidence.

use tributary_model::asset::{self, AssetKind};
use tributary_model::borrowed::Package;
use tributary_model::risk::Fix;
use tributary_model::sighting::FindingClass;

use super::Finding;
use super::group::{self, Group};
use super::surroundings::Surroundings;
use super::version;

/// The fix of a group; `findings` count, in canonical order, at least one.
#[must_use]
pub fn fix(group: &Group, component: &str, findings: &[&Finding<'_>], around: &Surroundings) -> Fix {
    let Some(first) = findings.first() else { return Fix { kind: "none".to_owned(), ..Fix::default() } };
    let sighting = &first.tracked.sighting;
    let own = format!("component:{component}");
    match group.class {
        FindingClass::Vulnerability | FindingClass::EndOfLife | FindingClass::Host => {
            upgrade(group, &own, findings, around)
        }
        FindingClass::Malware | FindingClass::Licence => {
            let (target, scope) = package_target(&own, findings);
            let name = package_name(findings);
            let place = place(&scope);
            simple("remove_package", target, scope, format!("Remove {name}{place}"))
        }
        FindingClass::Weakness | FindingClass::Manual => {
            let path = sighting.location.as_ref().map_or(group.name.as_str(), |location| location.path);
            let scope = group::home_of(first.tracked.asset).to_owned();
            simple("code", format!("{path} ({})", group.name), scope, format!("Fix {} in {path}", group.name))
        }
        FindingClass::Secret => secret(group, first),
        FindingClass::Misconfiguration => {
            let resource = sighting.resource;
            let summary = format!("Change {resource} so that it passes {}", group.name);
            simple("configuration", format!("{resource} ({})", group.name), own, summary)
        }
        FindingClass::Web => {
            let endpoint = endpoint(first);
            let place = if group::is_of_site(sighting) { "on every page".to_owned() } else { format!("at {endpoint}") };
            simple("code", format!("{endpoint} ({})", group.name), own, format!("Fix {} {place}", group.name))
        }
        FindingClass::Runtime => {
            let summary = format!("Find out why `{}` happens, and stop it", group.name);
            simple("configuration", group.name.clone(), own, summary)
        }
    }
}

/// `GET /orders/{} id`.
#[must_use]
pub fn endpoint(finding: &Finding<'_>) -> String {
    let Some(endpoint) = &finding.tracked.sighting.endpoint else { return finding.tracked.asset.to_owned() };
    let text = format!("{} {} {}", endpoint.method, endpoint.path_template, endpoint.parameter);
    text.trim().to_owned()
}

fn simple(kind: &str, target: String, scope: String, summary: String) -> Fix {
    Fix { kind: kind.to_owned(), target, scope, summary, ..Fix::default() }
}

/// One leaked key is one rotation, wherever it lies; without a hash the place is all there is.
fn secret(group: &Group, first: &Finding<'_>) -> Fix {
    let sighting = &first.tracked.sighting;
    if let Some(secret) = sighting.secret.as_ref().filter(|secret| !secret.hmac.is_empty()) {
        let mark: String = secret.hmac.chars().take(16).collect();
        let summary = format!("Revoke and replace the {} {mark}", group.name);
        return simple("rotate_secret", format!("secret {} {mark}", group.name), String::new(), summary);
    }
    let path = sighting.location.as_ref().map_or("", |location| location.path);
    let scope = group::home_of(first.tracked.asset).to_owned();
    let summary = format!("Revoke and replace the secret in {path}");
    simple("rotate_secret", format!("secret at {path}"), scope, summary)
}

fn upgrade(group: &Group, own: &str, findings: &[&Finding<'_>], around: &Surroundings) -> Fix {
    let version = version_for_all(findings);
    let name = package_name(findings);
    let in_repository = findings.iter().any(|finding| is_in_repository(finding));
    let base = findings.iter().find_map(|finding| {
        let os = finding.tracked.sighting.package.as_ref().is_some_and(|package| package.is_os_package);
        around.bases.get(finding.tracked.asset).filter(|_| os && !in_repository)
    });
    let (kind, (target, scope)) = match base {
        Some(base) => ("base_image", (base.name.clone(), String::new())),
        None => ("upgrade", package_target(own, findings)),
    };
    let summary = match (kind, version.is_empty()) {
        ("base_image", false) => format!("Rebuild on a {target} that has {name} {version} or later"),
        (_, false) => format!("Upgrade {name} to {version}{}", place(&scope)),
        _ if group.class == FindingClass::EndOfLife => format!("Move off {name}: its maker no longer supports it"),
        _ => format!("No fixed version of {name} is known: mitigate, or replace it"),
    };
    let owner = base.map(|base| base.owner.clone()).unwrap_or_default();
    Fix { kind: kind.to_owned(), target, scope, version, summary, owner }
}

fn place(scope: &str) -> String {
    match scope.split_once("//") {
        Some((repo, "")) => format!(" in {repo}"),
        Some((_, directory)) => format!(" in {directory}"),
        None => scope.strip_prefix("component:").map_or_else(String::new, |name| format!(" in the image of {name}")),
    }
}

fn is_in_repository(finding: &Finding<'_>) -> bool {
    asset::kind(finding.tracked.asset) == AssetKind::Repository
}

/// The package, and the manifest that asks for it; where no manifest is known, the component.
fn package_target(own: &str, findings: &[&Finding<'_>]) -> (String, String) {
    let manifest = findings
        .iter()
        .filter(|finding| is_in_repository(finding))
        .map(|finding| {
            let directory = package(finding).map_or("", |package| package.manifest_dir);
            format!("{}//{directory}", group::home_of(finding.tracked.asset))
        })
        .min();
    let host = findings.iter().map(|finding| finding.tracked.asset).find(|asset| asset.starts_with("host:"));
    let scope = manifest.unwrap_or_else(|| host.unwrap_or(own).to_owned());
    let target =
        findings.iter().map(|finding| group::package_of(&finding.tracked.sighting)).find(|purl| !purl.is_empty());
    let fallback = || findings.first().map_or_else(String::new, |first| first.tracked.sighting.resource.to_owned());
    (target.map_or_else(fallback, str::to_owned), scope)
}

fn package<'a>(finding: &'a Finding<'a>) -> Option<&'a Package<'a>> {
    finding.tracked.sighting.package.as_ref()
}

fn package_name(findings: &[&Finding<'_>]) -> String {
    let first = findings.iter().find_map(|finding| package(finding));
    first.map_or_else(
        || "the software".to_owned(),
        |package| {
            let source = package.source_purl.rsplit_once('/').map(|(_, name)| name);
            source.unwrap_or(package.name).to_owned()
        },
    )
}

/// Per claim the smallest version above the installed one; of those the latest, so that it is enough for every tool's
/// reading and every piece of evidence.
fn version_for_all(findings: &[&Finding<'_>]) -> String {
    let mut enough: Option<&str> = None;
    for finding in findings {
        let Some(package) = package(finding) else { continue };
        let ecosystem = package.ecosystem;
        let claimed = finding.tracked.claims.iter().map(|claim| &claim.fixed_versions);
        let mut lists: Vec<&Vec<&str>> = claimed.filter(|versions| !versions.is_empty()).collect();
        if lists.is_empty() {
            lists.push(&package.fixed_versions);
        }
        for list in lists {
            let smallest = version::smallest_fix(ecosystem, package.version, list.iter().copied());
            enough = match (enough, smallest) {
                (Some(enough), Some(smallest)) => Some(version::later(ecosystem, enough, smallest)),
                (enough, smallest) => enough.or(smallest),
            };
        }
    }
    enough.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
