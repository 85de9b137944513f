//! Rank inside a band: bounded integer points that a person can add up, 0–1000.
//! No products: a zero or an unknown must not erase the rest.

use tributary_model::finding::RuntimeVerdict;
use tributary_model::risk::{Contribution, Exposure};
use tributary_model::severity::Severity;
use tributary_model::sighting::FindingClass;
use tributary_model::time::Millis;

use super::inputs::Inputs;
use super::tables::Exploitation;
use super::vector;

/// Most points by factor, in the order in which they are listed.
pub const BOUNDS: [(&str, i32); 5] =
    [("threat", 300), ("impact", 250), ("exposure", 200), ("runtime", 150), ("business", 100)];

/// Points and where they come from.
#[must_use]
pub fn score(inputs: &Inputs) -> (i32, Vec<Contribution>) {
    let mut contributions = vec![threat(inputs)];
    contributions.extend(impact(inputs));
    contributions.extend(exposure(inputs));
    contributions.push(runtime(inputs));
    contributions.push(business(inputs));
    let total = contributions.iter().map(|contribution| contribution.points).sum();
    (total, contributions)
}

fn contribution(
    factor: &str,
    points: i32,
    value: impl Into<String>,
    (source, observed_at, assumed): (&str, Millis, bool),
) -> Contribution {
    Contribution {
        factor: factor.to_owned(),
        value: value.into(),
        source: source.to_owned(),
        observed_at,
        points,
        assumed,
    }
}

const ASSUMED: (&str, Millis, bool) = ("assumed", 0, true);

/// The maximum of KEV, a known exploit, EPSS: they overlap, so they are never added.
fn threat(inputs: &Inputs) -> Contribution {
    let epss = inputs.epss_floor_ppm.map(epss_contribution);
    let strongest = strongest_threat(inputs);
    match epss {
        Some(epss) if strongest.assumed || epss.points > strongest.points => epss,
        _ => strongest,
    }
}

fn strongest_threat(inputs: &Inputs) -> Contribution {
    let by = |known: &super::surroundings::Known<Exploitation>| (known.source.clone(), known.observed_at);
    let (source, observed_at) = by(&inputs.exploitation);
    let said = (source.as_str(), observed_at, false);
    if inputs.malware {
        return contribution("threat", 300, "malicious package", ("class", 0, false));
    }
    if inputs.class == FindingClass::Secret && inputs.verified {
        return contribution("threat", 300, "the secret works", ("verification", 0, false));
    }
    if inputs.kev.value == Some(true) {
        let said = (inputs.kev.source.as_str(), inputs.kev.observed_at, false);
        let ransomware = inputs.kev_detail.contains("ransomware");
        return contribution(
            "threat",
            if ransomware { 300 } else { 285 },
            format!("in KEV {}", inputs.kev_detail),
            said,
        );
    }
    match inputs.exploitation.value {
        Exploitation::Active => contribution("threat", 260, "exploited", said),
        Exploitation::Poc if inputs.weaponised => contribution("threat", 220, "weaponised exploit", said),
        Exploitation::Poc => contribution("threat", 170, "proof of concept", said),
        Exploitation::None if inputs.exploitation.assumed => {
            let kev = if inputs.kev.value.is_none() { "KEV unknown, no exploit known" } else { "no exploit known" };
            contribution("threat", if inputs.kev.value.is_none() { 60 } else { 40 }, kev, ASSUMED)
        }
        Exploitation::None => contribution("threat", 30, "no exploit", said),
    }
}

fn epss_contribution(floor: u32) -> Contribution {
    let points = match floor {
        900_000.. => 250,
        500_000.. => 210,
        200_000.. => 170,
        100_000.. => 140,
        50_000.. => 110,
        10_000.. => 70,
        1_000.. => 35,
        _ => 10,
    };
    let value = if floor == 0 {
        "EPSS below 0.001".to_owned()
    } else {
        format!("EPSS {}.{:03} or more", floor / 1_000_000, floor / 1_000 % 1_000)
    };
    contribution("threat", points, value, ("epss", 0, false))
}

/// Base score (or severity) up to 200, total technical impact 50.
fn impact(inputs: &Inputs) -> [Contribution; 2] {
    let base = if let Some(cvss) = &inputs.cvss_tenths {
        let value = format!("CVSS {}.{}", cvss.value / 10, cvss.value % 10);
        contribution("impact", (cvss.value as i32 * 2).min(200), value, (&cvss.source, cvss.observed_at, false))
    } else {
        let by = if inputs.severity == Severity::Unknown { ASSUMED } else { ("severity", 0, false) };
        let value = format!("severity {}", inputs.severity.name());
        contribution("impact", vector::points_of(inputs.severity), value, by)
    };
    let word = if inputs.total.value { "total technical impact" } else { "partial technical impact" };
    let by = (inputs.total.source.as_str(), inputs.total.observed_at, inputs.total.assumed);
    [base, contribution("impact", if inputs.total.value { 50 } else { 10 }, word, by)]
}

/// Reachability up to 150, environment up to 50.
fn exposure(inputs: &Inputs) -> [Contribution; 2] {
    let by = (inputs.exposure.source.as_str(), inputs.exposure.observed_at, inputs.exposure.assumed);
    let reach = match (inputs.exposure.value, inputs.deployed) {
        (Exposure::Open, _) => contribution("exposure", 150, "reachable from the internet", by),
        (Exposure::Controlled, _) => contribution("exposure", 60, "reachable inside", by),
        (Exposure::Small, _) => contribution("exposure", 10, "reachable from nowhere", by),
        (Exposure::Unknown, Some(false)) => contribution("exposure", 20, "runs nowhere that is known", by),
        (Exposure::Unknown, _) => contribution("exposure", 70, "exposure unknown", by),
    };
    let production = inputs.environments.iter().any(|name| name == "production");
    let where_it_runs = match inputs.deployed {
        _ if production => contribution("exposure", 50, "in production", ("deployments", 0, false)),
        _ if !inputs.environments.is_empty() => {
            contribution("exposure", 15, format!("in {}", inputs.environments.join(", ")), ("deployments", 0, false))
        }
        Some(false) => contribution("exposure", 0, "not deployed", ("deployments", 0, false)),
        Some(true) => contribution("exposure", 30, "deployed, environment unknown", ASSUMED),
        None => contribution("exposure", 25, "deployment unknown", ASSUMED),
    };
    [reach, where_it_runs]
}

/// Executed > loaded > reachable > unknown > never seen > not called.
fn runtime(inputs: &Inputs) -> Contribution {
    match (inputs.runtime, inputs.reachable) {
        (RuntimeVerdict::Executed, _) => contribution("runtime", 150, "executed", ("runtime sensor", 0, false)),
        (RuntimeVerdict::Loaded, _) => contribution("runtime", 120, "loaded", ("runtime sensor", 0, false)),
        (_, Some(true)) => contribution("runtime", 100, "vulnerable code is called", ("reachability", 0, false)),
        (_, Some(false)) => contribution("runtime", 0, "vulnerable code is not called", ("reachability", 0, false)),
        (RuntimeVerdict::NotSeen, None) => {
            contribution("runtime", 20, "watched and never seen", ("runtime sensor", 0, false))
        }
        (RuntimeVerdict::Unknown, None) => contribution("runtime", 60, "no sensor watches it", ASSUMED),
    }
}

fn business(inputs: &Inputs) -> Contribution {
    let by = (inputs.tier.source.as_str(), inputs.tier.observed_at, inputs.tier.assumed);
    match inputs.tier.value {
        1 => contribution("business", 100, "tier 1", by),
        2 => contribution("business", 70, "tier 2", by),
        3 => contribution("business", 40, "tier 3", by),
        4 => contribution("business", 15, "tier 4", by),
        _ => contribution("business", 50, "tier unknown", ASSUMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::inputs::testing::plain;
    use crate::assess::surroundings::Known;

    #[test]
    fn each_factor_stays_in_its_bound_and_the_sum_is_their_sum() {
        let mut worst = plain(FindingClass::Vulnerability);
        worst.kev = Known::said(Some(true), "cisa-kev", 1);
        worst.kev_detail = "since 2021-12-10, used by ransomware".to_owned();
        worst.cvss_tenths = Some(Known::said(100, "cvss:nvd", 1));
        worst.total = Known::said(true, "cvss:nvd", 1);
        worst.exposure = Known::said(Exposure::Open, "kubernetes", 1);
        worst.environments = vec!["production".to_owned()];
        worst.runtime = RuntimeVerdict::Executed;
        worst.tier = Known::said(1, "backstage", 1);
        let (points, contributions) = score(&worst);
        assert_eq!(points, 1000);
        for (factor, bound) in BOUNDS {
            let sum: i32 = contributions.iter().filter(|one| one.factor == factor).map(|one| one.points).sum();
            assert_eq!(sum, bound, "{factor}");
        }
    }

    #[test]
    fn an_unknown_neither_erases_nor_tops_the_rest() {
        let unknown = score(&plain(FindingClass::Vulnerability));
        assert!(unknown.0 > 200 && unknown.0 < 600, "{unknown:?}");
        assert!(unknown.1.iter().filter(|one| one.assumed).count() >= 4, "{unknown:?}");
    }

    #[test]
    fn what_runs_ranks_above_what_lies_there() {
        let at = |runtime| score(&Inputs { runtime, ..plain(FindingClass::Vulnerability) }).0;
        let called = |reachable| score(&Inputs { reachable, ..plain(FindingClass::Vulnerability) }).0;
        let ladder = [
            at(RuntimeVerdict::Executed),
            at(RuntimeVerdict::Loaded),
            called(Some(true)),
            at(RuntimeVerdict::Unknown),
            at(RuntimeVerdict::NotSeen),
            called(Some(false)),
        ];
        assert!(ladder.windows(2).all(|pair| pair[0] > pair[1]), "{ladder:?}");
    }

    #[test]
    fn epss_moves_points_only_between_buckets() {
        let at = |ppm| Inputs { epss_floor_ppm: Some(ppm), ..plain(FindingClass::Vulnerability) };
        assert!(score(&at(900_000)).0 > score(&at(500_000)).0);
        assert_eq!(score(&at(900_000)).1[0].value, "EPSS 0.900 or more");
        assert_eq!(score(&at(1_000)).1[0].value, "EPSS 0.001 or more");
    }
}
