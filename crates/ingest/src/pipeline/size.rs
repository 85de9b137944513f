//! Upper bounds of encoded sizes, so that batches are cut without encoding twice. An Avro text is its bytes and a
//! length of at most 5; a number at most 10; a union or boolean 1; a list has a few bytes of block headers.

use tributary_model::observation::{InventoryItem, RuntimeUse};
use tributary_model::sighting::Sighting;

const NUMBER: usize = 10;
const LIST: usize = 16;

/// A text.
pub(super) const fn text(text: &str) -> usize {
    text.len() + 5
}

/// A list of texts.
pub(super) fn texts(list: &[String]) -> usize {
    LIST + list.iter().map(|item| text(item)).sum::<usize>()
}

/// A sighting.
pub(super) fn sighting(s: &Sighting) -> usize {
    let package = s.package.as_ref().map_or(0, |p| {
        [&p.purl, &p.name, &p.version, &p.ecosystem, &p.source_purl, &p.manifest_dir, &p.file]
            .into_iter()
            .map(|t| text(t))
            .sum::<usize>()
            + texts(&p.fixed_versions)
            + texts(&p.introduced_by)
            + 2 * NUMBER
    });
    let location = s
        .location
        .as_ref()
        .map_or(0, |l| text(&l.path) + text(&l.line_hash) + text(&l.snippet_hash) + text(&l.enclosing) + 2 * NUMBER);
    let secret = s.secret.as_ref().map_or(0, |x| text(&x.hmac) + text(&x.key_id) + text(&x.family) + 2);
    let endpoint = s.endpoint.as_ref().map_or(0, |e| text(&e.method) + text(&e.path_template) + text(&e.parameter));
    let texts_of =
        [&s.rule, &s.title, &s.cvss_vector, &s.resource, &s.control].into_iter().map(|t| text(t)).sum::<usize>();
    // Class, severity, status, confidence, reachable, score, count; the tags of five options.
    let numbers = 8 * NUMBER;
    texts_of + texts(&s.aliases) + LIST + s.cwes.len() * NUMBER + package + location + secret + endpoint + numbers
}

/// An item of an inventory.
pub(super) fn item(item: &InventoryItem) -> usize {
    text(&item.purl)
        + text(&item.name)
        + text(&item.version)
        + text(&item.ecosystem)
        + text(&item.licence)
        + texts(&item.files)
}

/// A use at run time.
pub(super) const fn usage(usage: &RuntimeUse) -> usize {
    text(usage.workload.as_str()) + text(usage.path.as_str()) + 2 * NUMBER
}
