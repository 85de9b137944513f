//! Synthetic estates in real formats, for load tests: same seed, same bytes.
//! The mix: three sightings a finding (Trivy, Grype, CycloneDX), two findings a risk (lockfile, image), about 2 KB of JSON a finding.

mod reports;

use tributary_model::record::{Extensions, RawClass};
use tributary_model::time::{DAY, HOUR, Millis};

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Components: each one repository, one image, one production workload.
    pub components: u32,
    /// Number of the first component: estates that do not overlap are estates that can be joined.
    pub first: u32,
    /// The night of the scans. Night 0 is the first, with context; each later one finds one entry in twenty replaced by a new one.
    pub night: u32,
    /// Findings in all; spread evenly. Each component gets at least two.
    pub findings: u32,
    /// Seed of everything that varies.
    pub seed: u64,
    /// Event time of the first record.
    pub begin: Millis,
}

/// One generated record.
pub struct SyntheticRecord {
    /// File name under the output directory.
    pub file: String,
    /// Class.
    pub class: RawClass,
    /// Extensions.
    pub ext: Extensions,
    /// Bytes.
    pub body: Vec<u8>,
    /// Findings that are new with this record: so that throughput can be stated in findings.
    pub findings: u32,
}

/// SplitMix64: small, well distributed, the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// One vulnerable package of a component.
pub(crate) struct Vulnerable {
    /// Its place in the component.
    pub nth: u32,
    pub cve: String,
    pub package: String,
    pub version: String,
    pub fixed: String,
    pub severity: &'static str,
    pub vector: &'static str,
    pub score: f64,
}

/// Severity, vector and score as they commonly occur together, with their share in percent.
const RATINGS: [(&str, &str, f64, u64); 5] = [
    ("CRITICAL", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, 8),
    ("HIGH", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5, 25),
    ("HIGH", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8, 12),
    ("MEDIUM", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, 35),
    ("LOW", "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N", 2.5, 20),
];

/// Distinct vulnerabilities in the pool: many components share one, as in life.
const POOL: u64 = 20_000;
/// In one night so many entries become one new one: 95 % of a re-scan is unchanged.
const ENTRIES_PER_NEW: u32 = 20;

/// Calls `emit` with every record, in order of arrival: context first, then scans.
pub fn generate(shape: Shape, mut emit: impl FnMut(SyntheticRecord) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let components = shape.components.max(1);
    // Two findings a vulnerability: one in the repository, one in the image.
    let per_component = (shape.findings / components / 2).max(1);
    let mut random = Random::new(shape.seed);
    let at = shape.begin + HOUR;
    if shape.night == 0 {
        emit(reports::catalog(shape.first, components, shape.begin))?;
    }
    for index in 0..components {
        let names = Names::of(shape.first + index);
        if shape.night == 0 {
            emit(reports::provenance(&names, at))?;
            emit(reports::workload(&names, at))?;
        }
        let entries = (0..per_component).map(|nth| vulnerable(&mut random, nth));
        let vulnerable: Vec<Vulnerable> = entries.map(|entry| aged(entry, shape, index * per_component)).collect();
        for record in reports::scans(&names, &vulnerable, at + HOUR + DAY * Millis::from(shape.night)) {
            emit(record)?;
        }
    }
    Ok(())
}

/// The entry as the night finds it: fixed and followed by another one, as often as nights have passed for it.
fn aged(entry: Vulnerable, shape: Shape, before: u32) -> Vulnerable {
    let place = before.wrapping_add(entry.nth) % ENTRIES_PER_NEW;
    // Night 1 replaces place 0, night 2 place 1 and so on, round and round.
    let renewals = (shape.night + ENTRIES_PER_NEW - 1 - place) / ENTRIES_PER_NEW;
    if renewals == 0 {
        return entry;
    }
    let mut random = Random::new(shape.seed ^ (u64::from(before) << 32 | u64::from(entry.nth)).rotate_left(renewals));
    let next = vulnerable(&mut random, entry.nth);
    Vulnerable { package: format!("{}-{renewals}", next.package), ..next }
}

/// Names of one component's things.
pub(crate) struct Names {
    pub component: String,
    pub repo: String,
    pub digest: String,
    pub commit: String,
}

impl Names {
    fn of(index: u32) -> Self {
        let mut random = Random::new(0x7269_7665_7200_0000 ^ u64::from(index));
        let digest: String = (0..4).map(|_| format!("{:016x}", random.next())).collect();
        let commit: String = (0..3).map(|_| format!("{:016x}", random.next())).collect();
        Self {
            component: format!("svc-{index:05}"),
            repo: format!("git.synthetic.example/estate/svc-{index:05}"),
            digest: format!("sha256:{digest}"),
            commit: commit[..40].to_owned(),
        }
    }
}

fn vulnerable(random: &mut Random, nth: u32) -> Vulnerable {
    let number = random.below(POOL);
    let mut share = random.below(100);
    let mut rating = &RATINGS[0];
    for candidate in &RATINGS {
        rating = candidate;
        if share < candidate.3 {
            break;
        }
        share -= candidate.3;
    }
    let major = 1 + random.below(9);
    Vulnerable {
        nth,
        cve: format!("CVE-{}-{}", 2018 + number % 8, 100_000 + number),
        // The position keeps packages of one component apart, so that every entry is a finding of its own.
        package: format!("lib-{:04}-{nth}", number % 4_000),
        version: format!("{major}.{}.0", random.below(20)),
        fixed: format!("{major}.{}.{}", 20 + random.below(9), random.below(9)),
        severity: rating.0,
        vector: rating.1,
        score: rating.2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { components: 4, first: 0, night: 0, findings: 80, seed: 1, begin: 1_790_000_000_000 };

    fn all(shape: Shape) -> Vec<(String, Vec<u8>, u32)> {
        let mut records = Vec::new();
        generate(shape, |record| {
            records.push((record.file, record.body, record.findings));
            Ok(())
        })
        .unwrap();
        records
    }

    /// File and package of every entry of the Trivy reports.
    fn packages(shape: Shape) -> std::collections::BTreeSet<(String, String)> {
        let reports = all(shape).into_iter().filter(|(file, _, _)| file.ends_with("trivy.json"));
        let entries = reports.flat_map(|(file, body, _)| {
            let report: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let entries = report["Results"][0]["Vulnerabilities"].as_array().unwrap().clone();
            entries.into_iter().map(move |entry| (file.clone(), entry["PkgName"].as_str().unwrap().to_owned()))
        });
        entries.collect()
    }

    #[test]
    fn one_seed_gives_one_estate_of_the_size_asked_for() {
        assert_eq!(all(SHAPE), all(SHAPE));
        assert_ne!(all(SHAPE), all(Shape { seed: 2, ..SHAPE }));
        assert_eq!(all(SHAPE).iter().map(|(_, _, findings)| findings).sum::<u32>(), 80);
        let files = |first| all(Shape { first, ..SHAPE }).into_iter().map(|(file, _, _)| file);
        assert_eq!(files(0).filter(|file| files(4).any(|other| other == *file)).collect::<Vec<_>>(), ["catalog.yaml"]);
    }

    #[test]
    fn every_night_replaces_one_entry_in_twenty() {
        for night in [1, 2, 20, 21, 22] {
            let (before, after) = (packages(Shape { night: night - 1, ..SHAPE }), packages(Shape { night, ..SHAPE }));
            assert_eq!((before.len(), after.len(), before.intersection(&after).count()), (80, 80, 76), "night {night}");
        }
    }
}
