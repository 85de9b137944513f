//! What a complete scan withdraws, and when it is not believed.

use tributary_model::finding::TrackedFinding;
use tributary_model::id::FindingId;
use tributary_model::path;
use tributary_model::scan::ScanCompleted;

use super::ledger;

/// A scan that withdraws no more than this is believed whatever the share: small scopes change by halves every day.
const SUSPECT_ABOVE: usize = 20;

/// Whether withdrawing `gone` of `total` findings is more than a working day explains (F28): a filter that was not
/// declared, a scanner that failed half-way, an empty report.
pub(super) fn is_suspect(gone: usize, total: usize) -> bool {
    gone > SUSPECT_ABOVE && gone * 2 > total
}

/// Whether a complete scan may withdraw: it is no suspect, or an earlier suspect (`seen_before`) confirms it. The earlier
/// one confirms what it did not see either; what it still saw is judged by itself.
pub(super) fn confirmed(gone: &[FindingId], total: usize, seen_before: Option<&[FindingId]>) -> bool {
    if !is_suspect(gone.len(), total) {
        return true;
    }
    let Some(seen_before) = seen_before else { return false };
    let unconfirmed = gone.iter().filter(|id| seen_before.binary_search(id).is_ok()).count();
    !is_suspect(unconfirmed, total)
}

/// Whether the scan had to see this finding.
pub(super) fn had_to_see(end: &ScanCompleted, tracked: &TrackedFinding, tool: &str, scope: &str) -> bool {
    let own = tracked.claims.iter().find(|claim| claim.tool == tool && claim.scope == scope);
    let rules: Vec<&str> = own.map(|claim| claim.rule.as_str()).into_iter().collect();
    ledger::looked_for(end, tracked.sighting.class, &rules, &path_of(tracked))
}

/// The path of a finding inside its asset, which attribution and scanned paths go by; empty where it has none.
pub(super) fn path_of(tracked: &TrackedFinding) -> String {
    let sighting = &tracked.sighting;
    let location = sighting.location.as_ref().map(|location| path::canonical(&location.path));
    let package = sighting.package.as_ref().map(|package| {
        let (file, manifest) = (path::canonical(&package.file), path::canonical(&package.manifest_dir));
        // Some tools give the manifest's name without its directory.
        if path::is_below(&file, &manifest) { file } else { manifest }
    });
    location.filter(|path| !path.is_empty()).or(package).unwrap_or_default()
}
