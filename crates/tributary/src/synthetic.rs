//! Synthetic estates in real formats, for load tests: same seed, same bytes.
//! The mix is design's: three sightings a finding (Trivy, Grype, CycloneDX), two findings a risk (lockfile, image), 2 KB of JSON a finding.

mod reports;

use tributary_model::record::{Extensions, RawClass};
use tributary_model::time::{HOUR, Millis};

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Components: each one repository, one image, one production workload.
    pub components: u32,
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

/// Calls `emit` with every record, in order of arrival: context first, then scans.
pub fn generate(shape: Shape, mut emit: impl FnMut(SyntheticRecord) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let components = shape.components.max(1);
    // Two findings a vulnerability: one in the repository, one in the image.
    let per_component = (shape.findings / components / 2).max(1);
    let mut random = Random::new(shape.seed);
    emit(reports::catalog(components, shape.begin))?;
    for index in 0..components {
        let names = Names::of(index);
        let at = shape.begin + HOUR;
        emit(reports::provenance(&names, at))?;
        emit(reports::workload(&names, at))?;
        let vulnerable: Vec<Vulnerable> = (0..per_component).map(|i| vulnerable(&mut random, i)).collect();
        for record in reports::scans(&names, &vulnerable, at + HOUR) {
            emit(record)?;
        }
    }
    Ok(())
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

    fn all(seed: u64) -> Vec<(String, Vec<u8>, u32)> {
        let shape = Shape { components: 3, findings: 60, seed, begin: 1_790_000_000_000 };
        let mut records = Vec::new();
        generate(shape, |record| {
            records.push((record.file, record.body, record.findings));
            Ok(())
        })
        .unwrap();
        records
    }

    #[test]
    fn one_seed_gives_one_estate_of_the_size_asked_for() {
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert_eq!(all(1).iter().map(|(_, _, findings)| findings).sum::<u32>(), 60);
    }
}
