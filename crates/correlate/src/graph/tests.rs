//! What the graph answers for small estates, and that a change always reaches what it touches.

use std::sync::Arc;

use tributary_model::context::{ContextAttribute, EntityContext};
use tributary_model::fact::Attribute::{self, *};
use tributary_model::risk::Exposure;
use tributary_stream::broadcast::BroadcastStore;

use super::{Graph, Reads};

/// A graph, and the store behind it.
struct Estate {
    store: Arc<BroadcastStore>,
    graph: Graph,
}

type Change<'a> = (&'a str, &'a [(Attribute, &'a str, &'a str)]);
type Line<'a> = (&'a str, Attribute, &'a str, &'a str);

fn estate(lines: &[Line]) -> Estate {
    let store = Arc::new(BroadcastStore::new());
    let graph = Graph::new(Arc::clone(&store));
    let mut estate = Estate { store, graph };
    for name in lines.iter().map(|line| line.0) {
        let of_it: Vec<_> = lines.iter().filter(|line| line.0 == name).map(|line| (line.1, line.2, line.3)).collect();
        estate.set(name, &of_it);
    }
    estate
}

impl Estate {
    /// Replaces an entity and notices. Values are JSON; the event time is the line's number.
    fn set(&mut self, name: &str, lines: &[(Attribute, &str, &str)]) {
        let attribute = |(n, (attribute, qualifier, value)): (usize, &(Attribute, &str, &str))| ContextAttribute {
            attribute: *attribute,
            qualifier: (*qualifier).to_owned(),
            value: (*value).to_owned(),
            asserter: "test".to_owned(),
            observed_at: value.len() as i64 * 100 + n as i64,
            stale: false,
        };
        let mut attributes: Vec<_> = lines.iter().enumerate().map(attribute).collect();
        attributes.sort_by(|a, b| (a.attribute, &a.qualifier).cmp(&(b.attribute, &b.qualifier)));
        self.store.put(EntityContext { entity: name.to_owned(), attributes });
        self.graph.notice(&[name.to_owned()]);
    }

    fn remove(&mut self, name: &str) {
        self.store.remove(name);
        self.graph.notice(&[name.to_owned()]);
    }

    fn check(&self, asset: &str, path: &str, components: &[&str], by: &str) {
        let found = self.graph.attribute(asset, path);
        assert_eq!(
            (found.components.iter().map(String::as_str).collect::<Vec<_>>(), found.by),
            (components.to_vec(), by)
        );
    }

    fn counts(&self, asset: &str) -> (bool, bool) {
        let standing = self.graph.view().asset(asset).standing;
        (standing.counts, standing.deployed)
    }
}

const REPO: &str = "repo:github.com/acme/shop#main";
const BUILT_PAY: &str = r#"{"repo":"github.com/acme/shop","path":"services/pay"}"#;

fn monorepo() -> Estate {
    estate(&[
        ("component:pay", Source, "github.com/acme/shop//services/pay", "\"\""),
        ("component:cart", Source, "github.com/acme/shop//services/cart", "\"\""),
        ("component:pay", Owner, "", "\"payments\""),
        ("image:sha256:pay", BuiltFrom, "", BUILT_PAY),
        ("image:sha256:pay", ImageDigest, "sha256:payconfig", "\"config\""),
        ("image:sha256:pay", ImageName, "r.example:5000/pay:1", "\"\""),
        ("image:sha256:cart", BaseImage, "", r#"{"name":"r.example:5000/pay","tag":"1"}"#),
        ("workload:c/n/deployment/pay", RunsImage, "image:sha256:pay", "\"pay\""),
        ("workload:c/n/deployment/pay", PodLabels, "", r#"{"app":"pay","tier":"web"}"#),
        ("workload:c/n/deployment/pay", Environment, "", "\"production\""),
        ("service:c/n/pay", Selector, "", r#"{"app":"pay"}"#),
        ("service:c/n/pay", ExposedBy, "ingress/shop", r#"{"host":"shop.example","path":"/pay","internet":true}"#),
        ("service:c/n/none", ExposedBy, "load-balancer", r#"{"internet":true}"#),
    ])
}

#[test]
fn a_path_of_a_monorepo_belongs_to_its_most_specific_component() {
    let estate = monorepo();
    estate.check(REPO, "services/pay/src/a.rs", &["pay"], "source-path");
    estate.check(REPO, "services/cart", &["cart"], "source-path");
    estate.check(REPO, "services/payments/a.rs", &["github.com/acme/shop"], "unclaimed");
    estate.check(REPO, "", &["github.com/acme/shop"], "unclaimed");
    estate.check("repo:github.com/acme/other#main", "a", &["github.com/acme/other"], "unclaimed");
}

#[test]
fn an_image_belongs_to_what_it_was_built_from_by_any_of_its_digests() {
    let estate = monorepo();
    for image in ["image:sha256:pay", "image:sha256:payconfig", "image:r.example:5000/pay:1"] {
        estate.check(image, "usr/bin/x", &["pay"], "build");
        assert_eq!(estate.counts(image), (true, true), "{image}");
    }
    estate.check("workload:c/n/deployment/pay", "", &["pay"], "build");
    estate.check("web:https://shop.example", "", &["pay"], "deploys");
    estate.check("image:sha256:unheard-of", "", &["image:sha256:unheard-of"], "unclaimed");
}

#[test]
fn without_a_catalogue_those_who_deploy_it_own_it() {
    let mut estate = estate(&[
        ("image:sha256:a", BuiltFrom, "", r#"{"repo":"github.com/acme/shop"}"#),
        ("image:sha256:b", BuiltFrom, "", r#"{"repo":"github.com/acme/lonely"}"#),
        ("workload:c/n/deployment/x", RunsImage, "image:sha256:a", "\"\""),
        ("workload:c/n/deployment/x", WorkloadComponent, "", "\"Shop-X\""),
        ("workload:c/n/deployment/y", RunsImage, "image:sha256:a", "\"\""),
        ("workload:c/n/deployment/y", WorkloadComponent, "", "\"shop-y\""),
        ("component:infra", OwnsAsset, "cloud:aws/1", "\"\""),
    ]);
    estate.check("image:sha256:a", "", &["shop-x", "shop-y"], "deploys");
    estate.check(REPO, "src/a", &["shop-x", "shop-y"], "deploys");
    estate.check("image:sha256:b", "", &["github.com/acme/lonely"], "unclaimed");
    estate.check("workload:c/n/deployment/x", "", &["shop-x"], "label");
    estate.check("cloud:aws/1", "", &["infra"], "owns-asset");
    estate.remove("workload:c/n/deployment/y");
    estate.check(REPO, "src/a", &["shop-x"], "deploys");
}

#[test]
fn an_old_name_of_a_repository_leads_to_its_components() {
    let estate = estate(&[
        ("component:pay", Source, "github.com/acme/new", "\"\""),
        ("repo:github.com/acme/new", RepositoryAlias, "github.com/acme/old", "\"former name\""),
    ]);
    estate.check("repo:github.com/acme/old#main", "a", &["pay"], "source-path");
    estate.check("repo:github.com/acme/new#main", "a", &["pay"], "source-path");
}

#[test]
fn deployments_say_where_and_how_reachable() {
    let estate = monorepo();
    let of_image = estate.graph.deployments_of_image("image:sha256:payconfig");
    assert_eq!(of_image.len(), 1);
    assert_eq!((of_image[0].environment.as_str(), of_image[0].exposure), ("production", Exposure::Open));
    assert_eq!(of_image[0].ways_in, ["shop.example/pay"]);
    assert_eq!(estate.graph.deployments_of_component("pay"), of_image);
    assert_eq!(estate.graph.deployments_of_component("cart"), []);
    assert!(estate.graph.deployments_known());
    assert_eq!(estate.graph.affected_components("service:c/n/pay"), ["pay"]);
    assert_eq!(estate.graph.affected_components("service:c/n/none"), Vec::<String>::new());
}

#[test]
fn exposure_is_unknown_until_something_says() {
    let mut estate = estate(&[("workload:c/n/deployment/x", RunsImage, "image:sha256:a", "\"\"")]);
    let exposure = |estate: &Estate| estate.graph.deployments_of_image("image:sha256:a")[0].exposure;
    assert_eq!(exposure(&estate), Exposure::Unknown);
    let runs = (RunsImage, "image:sha256:a", "\"\"");
    estate.set("workload:c/n/deployment/x", &[runs, (PodLabels, "", r#"{"app":"x"}"#)]);
    assert_eq!(exposure(&estate), Exposure::Unknown, "no service of the namespace is known");
    estate.set("service:c/n/y", &[(Selector, "", r#"{"app":"y"}"#)]);
    estate.set("service:c/other/x", &[(Selector, "", r#"{"app":"x"}"#), (ExposedBy, "i", r#"{"internet":true}"#)]);
    assert_eq!(exposure(&estate), Exposure::Small, "services of another namespace select nothing here");
    estate.set("service:c/n/x", &[(Selector, "", r#"{"app":"x"}"#), (ExposedBy, "i", r#"{"internet":false}"#)]);
    assert_eq!(exposure(&estate), Exposure::Controlled);
}

#[test]
fn a_base_image_names_who_builds_it() {
    let base = monorepo().graph.base_image("image:sha256:cart").unwrap();
    assert_eq!((base.name.as_str(), base.tag.as_str()), ("r.example:5000/pay", "1"));
    assert_eq!(base.components, ["pay"]);
    assert_eq!(monorepo().graph.base_image("image:sha256:pay"), None);
}

#[test]
fn f4_only_the_default_and_tracked_branches_count() {
    let estate = estate(&[
        ("repo:github.com/acme/shop", DefaultBranch, "", "\"main\""),
        ("repo:github.com/acme/shop", TrackedBranch, "release/*", "\"release\""),
    ]);
    for (branch, counts) in [("main", true), ("", true), ("release/1.2", true), ("feature/x", false), ("master", false)]
    {
        assert_eq!(estate.counts(&format!("repo:github.com/acme/shop#{branch}")).0, counts, "{branch}");
    }
    for (branch, counts) in [("main", true), ("develop", true), ("refs/pull/7/merge", false)] {
        assert_eq!(estate.counts(&format!("repo:github.com/acme/unknown#{branch}")).0, counts, "{branch}");
    }
}

#[test]
fn of_builds_the_deployed_or_else_the_newest_counts() {
    let built = |commit| format!(r#"{{"repo":"github.com/acme/shop","commit":"{commit}"}}"#);
    let (older, newer) = (built("1"), built("22"));
    let mut estate = estate(&[("image:sha256:1", BuiltFrom, "", &older), ("image:sha256:2", BuiltFrom, "", &newer)]);
    assert_eq!((estate.counts("image:sha256:1").0, estate.counts("image:sha256:2").0), (false, true));
    estate.set("workload:c/n/deployment/x", &[(RunsImage, "image:sha256:1", "\"\"")]);
    assert_eq!((estate.counts("image:sha256:1").0, estate.counts("image:sha256:2").0), (true, false));
    estate.remove("workload:c/n/deployment/x");
    assert_eq!((estate.counts("image:sha256:1").0, estate.counts("image:sha256:2").0), (false, true));
}

/// Every change of the estate reaches every asset whose view it changes, through what was read and what hangs
/// together now; also when a notice is repeated after the index has long moved on.
#[test]
fn a_change_reaches_what_it_touches() {
    let assets = [REPO, "image:sha256:pay", "image:sha256:payconfig", "image:sha256:cart", "cloud:aws/1"];
    let assets =
        [&assets[..], &["web:https://shop.example", "workload:c/n/deployment/pay", "image:r.example:5000/pay:1"]];
    let assets = assets.concat();
    let changes: &[Change] = &[
        ("workload:c/n/deployment/pay", &[(RunsImage, "image:sha256:cart", "\"\"")]),
        ("component:cart", &[(OwnsAsset, "cloud:aws/1", "\"\"")]),
        ("component:new", &[(Source, "github.com/acme/shop", "\"\"")]),
        ("image:sha256:pay", &[(BuiltFrom, "", r#"{"repo":"github.com/acme/elsewhere"}"#)]),
        ("repo:github.com/acme/shop", &[(DefaultBranch, "", "\"trunk\"")]),
        ("service:c/n/pay", &[]),
        ("component:new", &[]),
        ("image:sha256:cart", &[(BuiltFrom, "", BUILT_PAY)]),
        ("workload:c/n/deployment/pay", &[(WorkloadComponent, "", "\"x\""), (RunsImage, "image:sha256:pay", "\"\"")]),
        ("component:pay", &[]),
    ];
    let mut estate = monorepo();
    let mut reads = Reads::default();
    let mut views = Vec::new();
    let look = |estate: &Estate, asset: &str| {
        let view = estate.graph.view();
        (view.asset(asset), view.reads())
    };
    for asset in &assets {
        let (found, keys) = look(&estate, asset);
        reads.set(asset, keys);
        views.push(found);
    }
    for (name, lines) in changes {
        if lines.is_empty() {
            estate.remove(name);
        } else {
            estate.set(name, lines);
        }
        estate.graph.notice(&[(*name).to_owned()]);
        let touched = reads.touched(&estate.graph.touched_by(name));
        for (asset, known) in assets.iter().zip(&mut views) {
            let (found, keys) = look(&estate, asset);
            assert!(found == *known || touched.contains(asset), "{name} changed {asset} unnoticed");
            reads.set(asset, keys);
            *known = found;
        }
    }
}
