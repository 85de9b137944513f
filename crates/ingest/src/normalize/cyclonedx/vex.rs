//! Analyses of a BOM → VEX facts about the product that it describes.

use tributary_model::entity;
use tributary_model::fact::{Attribute, Fact, value};
use tributary_model::package;
use tributary_model::time::Millis;

use super::parts::{self, Parts};
use super::shape::{Bom, Component};
use super::sight;
use crate::event::Input;
use crate::normalize::asset_of;
use crate::normalize::claims::Claims;
use crate::normalize::image_reference::ImageReference;
use crate::normalize::lenient::first;

/// One fact per vulnerability with an analysis and product. The product is what the BOM describes; where it describes
/// nothing, the component that is affected.
pub fn facts(input: &Input<'_>, bom: &Bom<'_>, parts: &Parts<'_>, observed_at: Option<Millis>) -> Vec<Fact> {
    let author = first([&*bom.metadata.supplier.name, bom.metadata.authors.first().map_or("", |author| &*author.name)]);
    let mut claims = Claims::new(input, format!("cyclonedx:{}", first([author, &*bom.serial_number])));
    if let Some(observed_at) = observed_at {
        claims.observed_at = observed_at;
    }
    let described = product(&bom.metadata.component);
    for vulnerability in &bom.vulnerabilities {
        let Some(status) = status(&vulnerability.analysis.state) else { continue };
        let rule = sight::rule(vulnerability);
        let mut products: Vec<(String, String)> = match &described {
            Some(product) => vec![product.clone()],
            None => {
                vulnerability.affects.iter().filter_map(|affected| affected_product(parts, &affected.target)).collect()
            }
        };
        products.sort_unstable();
        products.dedup();
        for (product, version) in products {
            let statement = value::Vex {
                status: status.to_owned(),
                justification: vulnerability.analysis.justification.to_string(),
                version,
                author: author.to_owned(),
                ..value::Vex::default()
            };
            claims.say(&entity::product(&product), Attribute::Vex, &rule, &statement);
        }
    }
    claims.into_facts()
}

/// VEX has four states, CycloneDX six.
fn status(state: &str) -> Option<&'static str> {
    match state {
        "not_affected" | "false_positive" => Some("not_affected"),
        "resolved" | "resolved_with_pedigree" => Some("fixed"),
        "exploitable" => Some("affected"),
        "in_triage" => Some("under_investigation"),
        _ => None,
    }
}

/// Identity and version of a component as a product: an image's digest needs no version.
fn product(component: &Component<'_>) -> Option<(String, String)> {
    let digest = ImageReference::parse(&component.purl).digest;
    let digest = [digest.as_str(), &*component.version].into_iter().find_map(asset_of::digest_of);
    if let Some(digest) = digest {
        return Some((digest.clone(), digest));
    }
    let parsed = package::parse(&component.purl)?;
    let version = first([&*component.version, &parsed.version]).to_owned();
    Some((parsed.purl, version))
}

fn affected_product(parts: &Parts<'_>, reference: &str) -> Option<(String, String)> {
    if let Some(component) = parts.find(reference) {
        return product(component);
    }
    let parsed = package::parse(&parts::linked(reference))?;
    Some((parsed.purl, parsed.version))
}
