//! Where the evidence runs, and how reachable it is there.
//!
//! An image says it of itself. Code and lockfiles inherit exposure from whatever runs of their component; a package seen
//! only in a lockfile is not thereby known to be in what runs. Nothing that runs: exposure is unknown, not small.

use std::collections::BTreeSet;

use tributary_model::asset::{self, AssetKind};
use tributary_model::risk::Exposure;
use tributary_model::sighting::FindingClass;

use super::Evidence;
use crate::assess::surroundings::{Known, Placement, Surroundings};

pub(super) struct Runs {
    pub(super) exposure: Known<Exposure>,
    pub(super) deployed: Option<bool>,
    pub(super) environments: Vec<String>,
}

pub(super) fn gather(evidence: Evidence<'_>, around: &Surroundings) -> Runs {
    let of_package = matches!(
        evidence.class,
        FindingClass::Vulnerability | FindingClass::Malware | FindingClass::Licence | FindingClass::EndOfLife
    );
    let mut placements: Vec<&Placement> = Vec::new();
    let mut runs_by_nature = false;
    for finding in evidence.findings {
        let asset = finding.tracked.asset;
        match asset::kind(asset) {
            AssetKind::Image => placements.extend(around.images.get(asset).into_iter().flatten()),
            AssetKind::Repository | AssetKind::Other if of_package => {}
            AssetKind::Repository | AssetKind::Other => placements.extend(&around.component),
            AssetKind::Web | AssetKind::Workload | AssetKind::Host | AssetKind::Cloud => {
                runs_by_nature = true;
                placements.extend(&around.component);
            }
        }
    }
    let environments: BTreeSet<&str> =
        placements.iter().map(|placement| placement.environment.as_str()).filter(|name| !name.is_empty()).collect();
    let deployed =
        if runs_by_nature || !placements.is_empty() { Some(true) } else { not_deployed(evidence, around, of_package) };
    if placements.is_empty() {
        placements.extend(&around.component);
    }
    Runs {
        exposure: exposure(&placements),
        deployed,
        environments: environments.into_iter().map(str::to_owned).collect(),
    }
}

/// Nothing of it runs: known only when deployments are known at all, and never from a lockfile of something that runs.
fn not_deployed(evidence: Evidence<'_>, around: &Surroundings, of_package: bool) -> Option<bool> {
    if !around.deployments_known {
        return None;
    }
    let in_image = evidence.findings.iter().any(|finding| asset::kind(finding.tracked.asset) == AssetKind::Image);
    let known = in_image || around.component.is_empty() || !of_package || super::is_development_only(evidence);
    known.then_some(false)
}

fn exposure(placements: &[&Placement]) -> Known<Exposure> {
    let best = placements.iter().filter(|placement| placement.exposure != Exposure::Unknown).max_by(|left, right| {
        (left.exposure, &right.source, right.observed_at).cmp(&(right.exposure, &left.source, left.observed_at))
    });
    match best {
        Some(placement) => Known::said(placement.exposure, placement.source.clone(), placement.observed_at),
        None => Known::assumed(Exposure::Unknown),
    }
}
