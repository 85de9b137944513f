//! A small estate that lives for a few days, by the dice of one seed: facts and observations as INGEST would write them,
//! in batches, with what a reader of the input alone can say about the outcome.

use std::collections::BTreeMap;

use bytes::Bytes;
use tributary_model::fact::{Attribute, Fact, value};
use tributary_model::observation::Observation;
use tributary_model::reject::Origin;
use tributary_model::scan::{ScanCompleted, ScanRef};
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, Location, Package, Secret, Sighting};
use tributary_model::time::{DAY, HOUR, Millis};
use tributary_model::{AvroRecord, Topic, entity, package};
use tributary_stream::message::Output;
use tributary_stream::sim::Rng;

/// What the clock shows at first.
pub const T0: Millis = 1_790_000_000_000;
/// A record that nothing can read.
pub const POISON: &[u8] = b"neither a fact nor an observation";
/// Rounds of scans.
const ROUNDS: usize = 6;

const REPOS: [&str; 3] = ["github.com/acme/shop", "github.com/acme/cart", "github.com/acme/pay"];
/// The repository that another component takes over.
const MOVING: &str = "github.com/acme/cart";
/// What is scanned with what, and how many of the pool it can see.
const SCOPES: [(usize, &str); 7] =
    [(0, "trivy"), (0, "grype"), (1, "trivy"), (2, "trivy"), (3, "trivy"), (3, "grype"), (4, "trivy")];

/// A seeded input.
pub struct Workload {
    /// Records in the order in which their producers wrote them; what one batch has is appended together.
    pub batches: Vec<Vec<Output>>,
    /// Ledger keys of the scans of which every part is in the batches.
    pub scans: Vec<String>,
    /// By (asset, rule): when the first sighting was made.
    pub first_seen: BTreeMap<(String, String), Millis>,
    /// Per repository component entity of the last round: complete, empty scans of every scope.
    pub all_fixed: Vec<Output>,
}

struct Author {
    rng: Rng,
    /// Event times only ever grow, so that "the last writer wins" has one meaning.
    at: Millis,
    batch: Vec<Output>,
    /// Parts of scans that come with a later batch.
    late: Vec<Output>,
    made: Workload,
}

/// The input of a seed. With `settled`, the component that takes a repository over has it from the beginning.
pub fn workload(seed: u64, settled: bool) -> Workload {
    let made = Workload { batches: Vec::new(), scans: Vec::new(), first_seen: BTreeMap::new(), all_fixed: Vec::new() };
    let mut author =
        Author { rng: Rng::new(seed ^ 0xEA7), at: T0 - 20 * DAY, batch: Vec::new(), late: Vec::new(), made };
    let mut context: Vec<Vec<Fact>> =
        vec![author.catalogue(settled), author.builds(), author.deployments(), author.intelligence()];
    author.rng.shuffle(&mut context);
    for round in 0..ROUNDS {
        // Context may come before, between or after what it explains.
        if let Some(facts) = context.pop() {
            author.say(facts);
        }
        author.scan_round();
        match round {
            2 => author.poison(),
            3 => author.take_over(settled),
            4 => author.late_news(),
            _ => {}
        }
        author.flush();
    }
    author.finish()
}

impl Author {
    fn tick(&mut self) -> Millis {
        self.at += HOUR;
        self.at
    }

    fn fact<T: serde::Serialize>(&mut self, entity: &str, attribute: Attribute, qualifier: &str, value: &T) -> Fact {
        Fact {
            entity: entity.to_owned(),
            attribute,
            qualifier: qualifier.to_owned(),
            value: value::json(value),
            asserter: match attribute {
                Attribute::Kev => "cisa-kev",
                Attribute::Epss => "epss",
                Attribute::Alias | Attribute::Bundles | Attribute::Vex => "osv",
                Attribute::BuiltFrom => "slsa",
                Attribute::Owner | Attribute::Tier | Attribute::Source => "backstage",
                Attribute::DefaultBranch => "github",
                _ => "kubernetes:eu",
            }
            .to_owned(),
            observed_at: self.at,
            expires_at: None,
            origin: Origin::default(),
        }
    }

    fn catalogue(&mut self, settled: bool) -> Vec<Fact> {
        self.tick();
        let mut facts = Vec::new();
        for (component, tier, repo) in [("shop", 1, REPOS[0]), ("pay", 2, REPOS[2])] {
            let name = entity::component(component);
            facts.push(self.fact(&name, Attribute::Owner, "", &format!("team-{component}")));
            facts.push(self.fact(&name, Attribute::Tier, "", &tier));
            facts.push(self.fact(&name, Attribute::Source, repo, &""));
        }
        // A second voice on what the catalogue says better, and on what it leaves out.
        let label = |fact: Fact| Fact { asserter: "kubernetes:eu".to_owned(), ..fact };
        facts.push(label(self.fact("component:shop", Attribute::Owner, "", &"team-of-the-label")));
        facts.push(label(self.fact("component:pay", Attribute::Tier, "", &4)));
        let keeper = entity::component(if settled { "pay" } else { "shop" });
        facts.push(self.fact(&keeper, Attribute::Source, MOVING, &""));
        for repo in REPOS {
            facts.push(self.fact(&entity::repo(repo), Attribute::DefaultBranch, "", &"main"));
        }
        facts
    }

    fn builds(&mut self) -> Vec<Fact> {
        self.tick();
        let mut facts = Vec::new();
        for (image, repo) in [(asset(3), REPOS[0]), (asset(4), REPOS[2])] {
            let built = value::BuiltFrom { repo: repo.to_owned(), branch: "main".to_owned(), ..Default::default() };
            facts.push(self.fact(&image, Attribute::BuiltFrom, "", &built));
        }
        facts
    }

    fn deployments(&mut self) -> Vec<Fact> {
        self.tick();
        let mut facts = Vec::new();
        for (name, image, environment) in [("shop", asset(3), "production"), ("pay", asset(4), "staging")] {
            let labels: value::Labels = [("app".to_owned(), name.to_owned())].into();
            let workload = entity::workload("eu", "acme", "deployment", name);
            facts.push(self.fact(&workload, Attribute::RunsImage, &image, &name));
            facts.push(self.fact(&workload, Attribute::Environment, "", &environment));
            facts.push(self.fact(&workload, Attribute::PodLabels, "", &labels));
            let service = entity::service("eu", "acme", name);
            let way = value::Exposed { host: format!("{name}.example"), path: String::new(), internet: name == "shop" };
            facts.push(self.fact(&service, Attribute::Selector, "", &labels));
            facts.push(self.fact(&service, Attribute::ExposedBy, "ingress", &way));
        }
        // Somebody forgets to confirm one environment: it lapses while the stories run.
        let lapses = |fact: Fact| Fact { expires_at: Some(T0 + 2 * HOUR), ..fact };
        let (environment, others): (Vec<Fact>, Vec<Fact>) = facts
            .into_iter()
            .partition(|fact| fact.attribute == Attribute::Environment && fact.entity.ends_with("pay"));
        environment.into_iter().map(lapses).chain(others).collect()
    }

    /// An alias pair, a bundle, a likely one, and a catalogue of exploited ones that names none of ours yet.
    fn intelligence(&mut self) -> Vec<Fact> {
        self.tick();
        let epss = value::Epss { score_ppm: 730_000, percentile_ppm: 980_000, ..Default::default() };
        let kev = value::Kev { date_added: "2026-08-01".to_owned(), ..Default::default() };
        vec![
            self.fact("vuln:GHSA-aaaa-aaaa-aaaa", Attribute::Alias, "CVE-2030-1", &""),
            self.fact("vuln:CVE-2030-1", Attribute::Alias, "GHSA-aaaa-aaaa-aaaa", &"mirror"),
            self.fact("vuln:RHSA-2030:1", Attribute::Bundles, "CVE-2030-2", &""),
            self.fact("vuln:RHSA-2030:1", Attribute::Bundles, "CVE-2030-3", &""),
            self.fact("vuln:CVE-2030-5", Attribute::Epss, "", &epss),
            self.fact("vuln:CVE-2001-1", Attribute::Kev, "", &kev),
        ]
    }

    /// KEV names one of ours; a maker says that another one does not matter.
    fn late_news(&mut self) {
        self.tick();
        let kev = value::Kev { date_added: "2026-09-20".to_owned(), ransomware: true, ..Default::default() };
        let vex = value::Vex {
            status: "not_affected".to_owned(),
            justification: "vulnerable_code_not_present".to_owned(),
            version: "1.0.1".to_owned(),
            ..Default::default()
        };
        let mut facts = vec![
            self.fact("vuln:CVE-2030-4", Attribute::Kev, "", &kev),
            self.fact("product:pkg:npm/p1", Attribute::Vex, "CVE-2030-5", &vex),
        ];
        // What was said is taken back: an alias, a way in, the catalogue's word about a tier.
        let service = entity::service("eu", "acme", "shop");
        let retracted = [
            ("vuln:GHSA-aaaa-aaaa-aaaa", Attribute::Alias, "CVE-2030-1"),
            (service.as_str(), Attribute::ExposedBy, "ingress"),
            ("component:pay", Attribute::Tier, ""),
        ];
        for (entity, attribute, qualifier) in retracted {
            if self.rng.percent(50) {
                facts.push(Fact { value: String::new(), ..self.fact(entity, attribute, qualifier, &"") });
            }
        }
        self.say(facts);
    }

    /// A repository moves to another component; one component changes hands.
    fn take_over(&mut self, settled: bool) {
        self.tick();
        // A newer word of one asserter replaces all its older ones about the attribute.
        let left = self.fact("component:shop", Attribute::Source, REPOS[0], &"");
        let kept = self.fact("component:pay", Attribute::Source, REPOS[2], &"");
        let taken = self.fact("component:pay", Attribute::Source, MOVING, &"");
        let owner = self.fact("component:shop", Attribute::Owner, "", &"team-new");
        self.say(if settled { vec![owner] } else { vec![left, kept, taken, owner] });
    }

    fn say(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            let value = Bytes::from(fact.encode().unwrap());
            self.batch.push(output(Topic::Facts, &fact.entity, value));
        }
    }

    fn poison(&mut self) {
        for (topic, key) in [(Topic::Facts, "component:shop"), (Topic::Observations, &asset(0))] {
            self.batch.push(output(topic, key, Bytes::from_static(POISON)));
        }
    }

    /// Some of the scopes are scanned.
    fn scan_round(&mut self) {
        for (asset_number, tool) in SCOPES {
            if self.rng.percent(45) {
                let complete = self.rng.percent(75);
                let pool = pool(asset_number);
                let mut seen: Vec<Sighting> = pool.into_iter().filter(|_| self.rng.percent(60)).collect();
                if tool == "grype" {
                    seen.iter_mut().for_each(in_other_words);
                }
                self.scan(asset_number, tool, complete, &seen);
            }
        }
    }

    fn scan(&mut self, asset_number: usize, tool: &str, complete: bool, seen: &[Sighting]) {
        let (asset, started_at) = (asset(asset_number), self.tick());
        for sighting in seen {
            let first = self.made.first_seen.entry((asset.clone(), sighting.rule.clone())).or_insert(started_at);
            *first = (*first).min(started_at);
        }
        let scan = ScanRef { scan_id: format!("scan-{started_at}"), scope: tool.to_owned(), started_at };
        self.made.scans.push(format!("{asset}|{}|{}", scan.scope, scan.scan_id));
        let parts = 1 + self.rng.below(3);
        let mut messages: Vec<Observation> = (0..parts)
            .map(|part| Observation {
                asset: asset.clone(),
                observed_at: started_at,
                tool: tool.to_owned(),
                scan: Some(scan.clone()),
                part: part as u32,
                sightings: seen.iter().skip(part).step_by(parts).cloned().collect(),
                ..Observation::default()
            })
            .collect();
        messages[parts - 1].completed = Some(ScanCompleted {
            parts: parts as u32,
            sightings: seen.len() as u32,
            complete,
            classes: vec![FindingClass::Vulnerability, FindingClass::Weakness, FindingClass::Secret],
            ..ScanCompleted::default()
        });
        self.rng.shuffle(&mut messages);
        for (number, message) in messages.iter().enumerate() {
            let record = output(Topic::Observations, &asset, Bytes::from(message.encode().unwrap()));
            // Of some scans a part is late by a batch, and newer scans overtake it.
            let is_late = number > 0 && self.rng.percent(20);
            if is_late { self.late.push(record) } else { self.batch.push(record) }
        }
    }

    fn flush(&mut self) {
        self.made.batches.push(std::mem::take(&mut self.batch));
        self.batch = std::mem::take(&mut self.late);
    }

    fn finish(mut self) -> Workload {
        self.flush();
        for (asset_number, tool) in SCOPES {
            // A leaked key is not fixed by deleting it: the last scans find it revoked.
            let leaked = self.made.first_seen.contains_key(&(asset(asset_number), secret(true).rule));
            let seen: Vec<Sighting> = leaked.then(|| secret(true)).into_iter().collect();
            self.scan(asset_number, tool, true, &seen);
        }
        self.made.all_fixed = std::mem::take(&mut self.batch);
        self.made.all_fixed.append(&mut self.late);
        for _ in SCOPES {
            self.made.scans.pop();
        }
        self.made
    }
}

/// Three repositories, then two images.
fn asset(number: usize) -> String {
    match REPOS.get(number) {
        Some(repo) => format!("repo:{repo}#main"),
        None => format!("image:sha256:{}", ["a", "b"][number % 2].repeat(64)),
    }
}

fn output(topic: Topic, key: &str, value: Bytes) -> Output {
    let (partition_key, key) = (key.to_owned(), Bytes::from(key.to_owned()));
    Output { topic, partition_key, key, value: Some(value), headers: Vec::new() }
}

/// What there is to be seen in an asset: published vulnerabilities everywhere, flaws of our own in repositories.
fn pool(asset_number: usize) -> Vec<Sighting> {
    let rules = ["GHSA-aaaa-aaaa-aaaa", "RHSA-2030:1"].into_iter().map(str::to_owned);
    let rules = rules.chain((1..=10).map(|number| format!("CVE-2030-{number}")));
    // Not everything is everywhere.
    let mine = rules.enumerate().filter(|(number, _)| !(number + asset_number).is_multiple_of(3));
    let mut pool: Vec<Sighting> = mine.map(|(number, rule)| vulnerability(number, rule)).collect();
    if asset_number < REPOS.len() {
        pool.push(weakness());
        pool.push(secret(false));
    }
    pool
}

fn vulnerability(number: usize, rule: String) -> Sighting {
    // Both names of the alias pair are about the same package.
    let name = format!("p{}", if rule.starts_with("GHSA") || rule == "CVE-2030-1" { 0 } else { number % 4 });
    let parsed = package::parse(&format!("pkg:npm/{name}@1.0.{}", &name[1..])).unwrap();
    let package = Package {
        purl: parsed.purl,
        name: parsed.name,
        version: parsed.version,
        ecosystem: parsed.ecosystem,
        fixed_versions: vec![format!("2.0.{number}")],
        ..Package::default()
    };
    Sighting {
        class: FindingClass::Vulnerability,
        rule,
        package: Some(package),
        severity: [Severity::Low, Severity::High, Severity::Critical][number % 3],
        cvss_vector: ["", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"][number % 2].to_owned(),
        ..Sighting::default()
    }
}

/// What the second tool says otherwise of the same thing: none of it is identity.
fn in_other_words(sighting: &mut Sighting) {
    sighting.severity = Severity::Medium;
    "another title".clone_into(&mut sighting.title);
    if let Some(location) = &mut sighting.location {
        (location.start_line, location.end_line) = (43, 43);
    }
}

fn weakness() -> Sighting {
    let location = Location {
        path: "src/Cart.java".to_owned(),
        start_line: 42,
        end_line: 42,
        line_hash: "5e1f".to_owned(),
        ..Location::default()
    };
    Sighting {
        class: FindingClass::Weakness,
        rule: "sql-injection".to_owned(),
        cwes: vec![89],
        severity: Severity::High,
        location: Some(location),
        ..Sighting::default()
    }
}

/// One key, in every repository that leaks it.
fn secret(revoked: bool) -> Sighting {
    let location = Location { path: "config/prod.env".to_owned(), start_line: 3, end_line: 3, ..Location::default() };
    let secret = Secret {
        hmac: "c0ffee".repeat(10),
        key_id: "k1".to_owned(),
        family: "aws-access-key".to_owned(),
        verified: !revoked,
        revoked,
    };
    Sighting {
        class: FindingClass::Secret,
        rule: "aws-access-token".to_owned(),
        severity: Severity::Critical,
        location: Some(location),
        secret: Some(secret),
        ..Sighting::default()
    }
}
