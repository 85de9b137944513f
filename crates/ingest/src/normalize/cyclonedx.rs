//! CycloneDX 1.2 to 1.7, JSON and XML. Components are an inventory; vulnerabilities are a scan, where there are any: an SBOM
//! without them is no scan that found nothing. Analyses are VEX statements, whose authority is judged later.

use tributary_model::asset::{self, AssetKind};
use tributary_model::sighting::{FindingClass, Sighting};
use tributary_model::time::Millis;

use crate::event::{Events, Input, InventoryReport, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::image_names;
use crate::normalize::image_reference::ImageReference;
use crate::normalize::lenient::first;
use crate::normalize::xml_tree;
use crate::report::Report;
use crate::time;

mod from_xml;
mod parts;
mod shape;
mod sight;
#[cfg(test)]
mod tests;
mod vex;

use parts::Parts;
use shape::{Bom, Component};

/// An inventory of the components, a report of the vulnerabilities, facts from the analyses.
///
/// # Errors
/// Neither JSON nor XML, not CycloneDX, nothing in it, or nothing says which asset it is about.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let tree;
    let bom: Bom<'_> = if input.body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("CycloneDX", &error))?
    } else {
        tree = xml_tree::parse("CycloneDX", input.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input.body))?;
        from_xml::bom(&tree)?
    };
    if bom.bom_format != "CycloneDX".into() && !bom.components.was_given && !bom.vulnerabilities.was_given {
        return Err(Rejection::new(
            code::MALFORMED,
            "the object is no CycloneDX BOM: it has neither bomFormat nor components",
        ));
    }
    let parts = Parts::of(&bom);
    let tool = tool(&bom);
    let started_at = time::parse(&bom.metadata.timestamp);
    let mut events = Events { facts: vex::facts(input, &bom, &parts, started_at), ..Events::default() };
    // A document of statements alone is about a product, not about an asset.
    let only_states = parts.is_empty()
        && !events.facts.is_empty()
        && bom.vulnerabilities.iter().all(|v| !v.analysis.state.is_empty());
    if only_states {
        return Ok(events);
    }
    if parts.is_empty() && bom.vulnerabilities.is_empty() {
        return Err(Rejection::new(code::NOTHING_IN_IT, "the BOM lists no component and no vulnerability"));
    }
    let (subject, reported, config) = reported_asset(input, &bom.metadata.component);
    let asset = asset_of::choose(input, subject, reported)?;
    events.facts.extend(image_names::facts(input, &tool, &asset, started_at, &config, []));
    add_inventory(input, &mut events, &parts, &asset, &tool, started_at);
    if !bom.vulnerabilities.is_empty() {
        events.reports.push(report(&bom, &parts, asset, tool, started_at));
    }
    if events.is_empty() {
        return Err(Rejection::new(code::NOTHING_IN_IT, "the BOM lists no package and no vulnerability"));
    }
    Ok(events)
}

fn report(bom: &Bom<'_>, parts: &Parts<'_>, asset: String, tool: String, started_at: Option<Millis>) -> Report {
    let is_repository = asset::kind(&asset) == AssetKind::Repository;
    let sightings: Vec<Sighting> =
        bom.vulnerabilities.iter().flat_map(|v| sight::sightings(bom, parts, is_repository, v)).collect();
    let mut classes: Vec<FindingClass> = sightings.iter().map(|sighting| sighting.class).collect();
    classes.push(FindingClass::Vulnerability);
    classes.sort_unstable();
    classes.dedup();
    Report {
        asset,
        tool_version: bom.metadata.tools.last().map(|tool| tool.version.to_string()).unwrap_or_default(),
        tool,
        // The same tool's own format names packages more exactly: neither may withdraw what the other saw.
        scope: vec!["cyclonedx".to_owned()],
        started_at,
        classes,
        sightings,
        ..Report::default()
    }
}

fn add_inventory(
    input: &Input<'_>,
    events: &mut Events,
    parts: &Parts<'_>,
    asset: &str,
    tool: &str,
    started_at: Option<Millis>,
) {
    let items = parts.inventory();
    if !items.is_empty() {
        let observed_at = started_at.unwrap_or_else(|| input.default_time());
        events.inventories.push(InventoryReport { asset: asset.to_owned(), tool: tool.to_owned(), observed_at, items });
    }
}

/// The tool that made the BOM, the last one where several worked on it.
fn tool(bom: &Bom<'_>) -> String {
    let names = bom.metadata.tools.iter().rev().map(|tool| &*tool.name);
    first(names.chain(["cyclonedx"])).to_lowercase()
}

/// What the BOM describes: an image by digest, a repository by its purl or its source link. Also the digest of the image's
/// configuration.
fn reported_asset(input: &Input<'_>, component: &Component<'_>) -> (Subject, Option<String>, String) {
    let purl = component.purl.trim();
    let property = |name: &str| component.properties.iter().find(|p| *p.name == *name).map_or("", |p| &*p.value);
    let config = property("aquasecurity:trivy:ImageID").to_owned();
    let reference = ImageReference::parse(purl);
    if *component.kind == *"container" || !reference.digest.is_empty() || purl.starts_with("pkg:oci/") {
        let digests =
            [&*reference.digest, property("aquasecurity:trivy:RepoDigest"), &*component.version, &*component.bom_ref];
        let digests = digests.into_iter().filter_map(asset_of::digest_of);
        let by_digest = digests.map(|digest| format!("image:{digest}")).next();
        let tagged = reference.tagged_name();
        let version = component.version.given().filter(|version| !version.contains(':'));
        let name = match version {
            Some(version) if !component.name.contains(['@', ':']) => format!("{}:{version}", &*component.name),
            _ => component.name.to_string(),
        };
        let named = || asset::image(first([&*tagged, &*name]));
        let by_config = || asset_of::digest_of(&config).map(|digest| format!("image:{digest}"));
        return (Subject::Image, by_digest.or_else(by_config).or_else(named), config);
    }
    let mut links = component.external_references.iter().filter(|link| *link.kind == *"vcs").map(|link| &*link.url);
    let branch = asset_of::branch(input, "");
    let by_link = links.find_map(|url| asset::repository(url, branch));
    let by_purl = || {
        let path = purl.strip_prefix("pkg:")?;
        let (kind, path) = path.split_once('/')?;
        let host = match kind {
            "github" => "github.com",
            "bitbucket" => "bitbucket.org",
            "gitlab" => "gitlab.com",
            _ => return None,
        };
        let path = path.split(['@', '?', '#']).next().unwrap_or_default();
        asset::repository(&format!("https://{host}/{path}"), branch)
    };
    (Subject::Repository, by_link.or_else(by_purl), config)
}
