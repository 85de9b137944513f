//! Other names and digests of an image that was scanned, so that a deployment that is known by one finds what was seen under
//! another.

use tributary_model::fact::{Attribute, Fact};
use tributary_model::time::Millis;

use crate::event::Input;
use crate::normalize::asset_of;
use crate::normalize::claims::Claims;

/// Facts about an image asset; none for other assets and for images known only by a tag.
pub fn facts<'t>(
    input: &Input<'_>,
    tool: &str,
    asset: &str,
    observed_at: Option<Millis>,
    config_digest: &str,
    names: impl IntoIterator<Item = &'t str>,
) -> Vec<Fact> {
    let Some(digest) = asset.strip_prefix("image:").filter(|key| key.starts_with("sha256:")) else { return Vec::new() };
    let mut claims = Claims::new(input, tool);
    if let Some(observed_at) = observed_at {
        claims.observed_at = observed_at;
    }
    if let Some(config) = asset_of::digest_of(config_digest).filter(|config| config != digest) {
        claims.text(asset, Attribute::ImageDigest, &config, "config");
    }
    for name in names.into_iter().map(str::trim).filter(|name| !name.is_empty() && !name.contains('@')) {
        claims.text(asset, Attribute::ImageName, name, "");
    }
    claims.into_facts()
}
