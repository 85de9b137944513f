//! Use at run time and inventories, kept per asset within bounds.

use tributary_model::observation::{InventoryItem, RuntimeUse, UseLevel};
use tributary_model::path;
use tributary_model::profile::{AssetProfile, PackageFiles, UsedFile};
use tributary_model::scan::ScanRef;

/// Distinct files in use that are kept per asset. An image starts some dozens of binaries and maps some hundreds of
/// libraries; a build agent's image runs anything, and must not grow without end.
const MAX_USED: usize = 2_048;

/// Bytes of paths and purls kept per asset: the profile is one record of the log, rewritten whenever a new file is used.
const MAX_BYTES: usize = 384 * 1024;

/// Takes use at run time in. A higher level replaces a lower one, never the other way.
pub(super) fn take_usage(profile: &mut AssetProfile, uses: &[RuntimeUse]) {
    profile.watched |= !uses.is_empty();
    for used in uses.iter().filter(|used| used.level != UseLevel::Watched) {
        let path = path::canonical(&used.path);
        match profile.used.binary_search_by(|known| known.path.cmp(&path)) {
            _ if path.is_empty() => {}
            Ok(at) => profile.used[at].level = profile.used[at].level.max(used.level),
            Err(_) if profile.used.len() >= MAX_USED || bytes(profile) + path.len() > MAX_BYTES => leave_out(profile),
            Err(at) => profile.used.insert(at, UsedFile { path, level: used.level }),
        }
    }
}

/// Takes one part of an inventory in. A newer inventory replaces the packages of an older one, an older one is ignored.
pub(super) fn take_inventory(profile: &mut AssetProfile, scan: &ScanRef, items: &[InventoryItem]) {
    let order = |scan: &ScanRef| (scan.started_at, scan.scan_id.clone());
    if !profile.inventory.scan_id.is_empty() && order(scan) < order(&profile.inventory) {
        return;
    }
    if profile.inventory != *scan {
        profile.inventory = scan.clone();
        profile.packages.clear();
    }
    for item in items {
        let mut files: Vec<String> = item.files.iter().map(|file| path::canonical(file)).collect();
        files.retain(|file| can_be_used(file));
        files.sort_unstable();
        files.dedup();
        if !files.is_empty() {
            add(profile, &item.purl, files);
        }
    }
}

fn add(profile: &mut AssetProfile, purl: &str, files: Vec<String>) {
    let size: usize = files.iter().map(|file| file.len() + 8).sum::<usize>() + purl.len();
    if bytes(profile) + size > MAX_BYTES {
        leave_out(profile);
        return;
    }
    match profile.packages.binary_search_by(|known| known.purl.as_str().cmp(purl)) {
        Ok(at) => {
            let known = &mut profile.packages[at].files;
            known.extend(files);
            known.sort_unstable();
            known.dedup();
        }
        Err(at) => profile.packages.insert(at, PackageFiles { purl: purl.to_owned(), files }),
    }
}

/// Binaries, libraries and archives of code; not documentation, locales, configuration.
fn can_be_used(file: &str) -> bool {
    let base = file.rsplit('/').next().unwrap_or_default();
    let directory = path::directory(file);
    directory.split('/').any(|part| matches!(part, "bin" | "sbin" | "libexec"))
        || base.contains(".so")
        || [".jar", ".war", ".node", ".dll"].iter().any(|end| base.ends_with(end))
}

fn leave_out(profile: &mut AssetProfile) {
    if !profile.truncated {
        metrics::counter!("tributary_track_profiles_truncated_total").increment(1);
    }
    profile.truncated = true;
}

fn bytes(profile: &AssetProfile) -> usize {
    let used: usize = profile.used.iter().map(|used| used.path.len() + 8).sum();
    let files = profile.packages.iter().flat_map(|package| &package.files);
    let purls: usize = profile.packages.iter().map(|package| package.purl.len()).sum();
    used + purls + files.map(|file| file.len() + 8).sum::<usize>()
}
