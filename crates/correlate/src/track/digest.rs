//! A digest of everything a sighting says: an equal one by the same tool and scope says nothing new.
//! Lives in memory only, so it may change from build to build.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;
use tributary_model::sighting::{Endpoint, Location, Package, Secret, Sighting};

const STATE: FixedState = FixedState::with_seed(0x7472_6163_6b21);

/// Digest of the tool and scope of a claim; tells the claims of one finding apart (at most 16).
pub(super) fn claimant(tool: &str, scope: &str) -> u64 {
    STATE.hash_one((tool, scope))
}

/// Digest of a sighting's content; never 0. Taken apart field by field, so that a new field cannot be forgotten.
pub(super) fn content(sighting: &Sighting) -> u64 {
    let Sighting {
        class,
        rule,
        title,
        severity,
        cvss_vector,
        cvss_score,
        aliases,
        cwes,
        package,
        location,
        secret,
        endpoint,
        resource,
        control,
        count,
        status,
        confidence,
        reachable,
    } = sighting;
    let mut hasher = STATE.build_hasher();
    (class, rule, title, severity, cvss_vector, cvss_score.map(f64::to_bits)).hash(&mut hasher);
    (aliases, cwes, resource, control, count, status, confidence, reachable).hash(&mut hasher);
    if let Some(of) = package {
        hash_package(of, &mut hasher);
    }
    if let Some(at) = location {
        let Location { path, start_line, end_line, line_hash, snippet_hash, enclosing } = at;
        (path, start_line, end_line, line_hash, snippet_hash, enclosing).hash(&mut hasher);
    }
    if let Some(secret) = secret {
        let Secret { hmac, key_id, family, verified, revoked } = secret;
        (hmac, key_id, family, verified, revoked).hash(&mut hasher);
    }
    if let Some(endpoint) = endpoint {
        let Endpoint { method, path_template, parameter } = endpoint;
        (method, path_template, parameter).hash(&mut hasher);
    }
    hasher.finish().max(1)
}

fn hash_package(package: &Package, hasher: &mut impl Hasher) {
    let Package {
        purl,
        name,
        version,
        ecosystem,
        source_purl,
        is_os_package,
        manifest_dir,
        file,
        scope,
        fixed_versions,
        wont_fix,
        introduced_by,
    } = package;
    (purl, name, version, ecosystem, source_purl, is_os_package).hash(hasher);
    (manifest_dir, file, scope, fixed_versions, wont_fix, introduced_by).hash(hasher);
}
