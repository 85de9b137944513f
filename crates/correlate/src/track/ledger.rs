//! The order of scans in one scope: which is the watermark, what is older, when a scope has fallen silent.

use tributary_model::scan::{ScanCompleted, ScanRef, ScanRun, ScanState};
use tributary_model::sighting::FindingClass;
use tributary_model::time::{DAY, Millis};

/// How long a finished line of the ledger is kept beside the watermark: as long as a report may be delivered again, and
/// then changes nothing (F2).
pub(super) const RUN_KEPT: Millis = 7 * DAY;

/// How long a scope may be silent before what it alone claims is stale. Tools run daily or weekly, some monthly; a
/// quarter of silence would hide that a pipeline was removed.
pub(super) const SILENT_AFTER: Millis = 35 * DAY;

/// Scans of a scope are ordered by when they began, then by id.
pub(super) type Order = (Millis, String);

/// What is known of one scope of one asset.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scope {
    /// The latest applied complete scan.
    pub(super) watermark: Option<Order>,
    /// What that scan could see.
    pub(super) classes: Vec<FindingClass>,
    /// The latest suspect scan after the watermark: key in the ledger.
    pub(super) suspect: Option<(Order, String)>,
    /// Processing time of the last message of any of its scans.
    pub(super) active_at: Millis,
}

impl Scope {
    /// Whether the scan is older than the watermark.
    pub(super) fn is_older(&self, scan: &ScanRef) -> bool {
        self.watermark.as_ref().is_some_and(|mark| (scan.started_at, scan.scan_id.as_str()) < (mark.0, mark.1.as_str()))
    }

    /// Whether the scope is silent at `now`.
    pub(super) fn is_silent(&self, now: Millis) -> bool {
        self.active_at.saturating_add(SILENT_AFTER) <= now
    }

    /// Takes a line of the ledger in.
    pub(super) fn take(&mut self, key: &str, run: &ScanRun) {
        self.active_at = self.active_at.max(run.updated_at);
        let order = (run.started_at, run.scan_id.clone());
        if run.is_watermark && self.watermark.as_ref().is_none_or(|mark| *mark < order) {
            self.classes.clone_from(&run.classes);
            self.watermark = Some(order.clone());
        }
        if run.state == ScanState::Suspect && self.suspect.as_ref().is_none_or(|known| known.0 < order) {
            self.suspect = Some((order, key.to_owned()));
        }
        let watermark = self.watermark.as_ref();
        self.suspect.take_if(|suspect| watermark.is_some_and(|mark| suspect.0 <= *mark));
    }
}

/// Key of a line of the ledger.
pub(super) fn run_key(asset: &str, scan: &ScanRef) -> String {
    format!("{asset}|{}|{}", scan.scope, scan.scan_id)
}

/// Key of a scope.
pub(super) fn scope_key(asset: &str, scope: &str) -> String {
    format!("{asset}|{scope}")
}

/// Key of the record of one part.
pub(super) fn part_key(run: &str, part: u32) -> String {
    format!("{run}|part-{part}")
}

/// The line and the number of a part's key.
pub(super) fn part_of_key(key: &str) -> Option<(&str, u32)> {
    let (run, part) = key.rsplit_once("|part-")?;
    Some((run, part.parse().ok()?))
}

/// Whether every part is here.
pub(super) fn is_whole(run: &ScanRun) -> bool {
    let end = run.completed.as_ref();
    end.is_some_and(|end| (0..end.parts).all(|part| run.parts_received.binary_search(&part).is_ok()))
}

/// Whether a scan that ended so had to see a finding if it were there.
pub(super) fn looked_for(end: &ScanCompleted, class: FindingClass, rules: &[&str], path: &str) -> bool {
    let rule_enabled = end.rules_enabled.is_empty()
        || rules.iter().any(|rule| end.rules_enabled.iter().any(|enabled| enabled == rule));
    let path_scanned = end.paths.is_empty()
        || end.paths.iter().any(|prefix| tributary_model::path::is_below(path, prefix.trim_matches('/')));
    end.classes.contains(&class) && rule_enabled && path_scanned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scan_had_to_see() {
        let end = |rules: &[&str], paths: &[&str]| ScanCompleted {
            complete: true,
            rules_enabled: rules.iter().map(ToString::to_string).collect(),
            paths: paths.iter().map(ToString::to_string).collect(),
            classes: vec![FindingClass::Weakness],
            ..ScanCompleted::default()
        };
        let weakness = |end: &ScanCompleted| looked_for(end, FindingClass::Weakness, &["r1"], "src/a.rs");
        assert!(weakness(&end(&[], &[])));
        assert!(weakness(&end(&["r1"], &["src"])));
        assert!(!weakness(&end(&["r2"], &[])));
        assert!(!weakness(&end(&[], &["lib", "src/b"])));
        assert!(!looked_for(&end(&[], &[]), FindingClass::Secret, &["r1"], "src/a.rs"));
    }

    #[test]
    fn keys_of_parts() {
        assert_eq!(part_of_key(&part_key("a|s|1", 12)), Some(("a|s|1", 12)));
        assert_eq!(part_of_key("a|s|1"), None);
    }
}
