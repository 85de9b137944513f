//! Who is believed when asserters differ. One table, read top to bottom, per family of attributes.
//!
//! The order is by how close the asserter is to the thing: a person who says so, then the system that runs or made it,
//! then those who write about it. An asserter that is not listed comes last; ties go to the newest claim, then to the name.

use tributary_model::fact::Attribute;

/// Attributes that the same sources know about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Repository,
    Build,
    Deployment,
    Catalogue,
    Intelligence,
    Vex,
}

const fn family(attribute: Attribute) -> Family {
    match attribute {
        Attribute::DefaultBranch | Attribute::RepositoryAlias | Attribute::CodeOwners | Attribute::TrackedBranch => {
            Family::Repository
        }
        Attribute::BuiltFrom | Attribute::BaseImage | Attribute::ImageName | Attribute::ImageDigest => Family::Build,
        Attribute::RunsImage
        | Attribute::Environment
        | Attribute::PodLabels
        | Attribute::WorkloadComponent
        | Attribute::Selector
        | Attribute::ExposedBy => Family::Deployment,
        Attribute::Owner
        | Attribute::Tier
        | Attribute::Lifecycle
        | Attribute::ComponentType
        | Attribute::System
        | Attribute::Source
        | Attribute::Title
        | Attribute::OwnsAsset => Family::Catalogue,
        Attribute::Kev
        | Attribute::Epss
        | Attribute::Cvss
        | Attribute::Ssvc
        | Attribute::Alias
        | Attribute::Weaknesses
        | Attribute::Summary
        | Attribute::Exploit
        | Attribute::WithdrawnAdvisory
        | Attribute::Bundles => Family::Intelligence,
        Attribute::Vex => Family::Vex,
    }
}

/// Most believed first.
const fn order(family: Family) -> &'static [&'static str] {
    match family {
        // The host of the repository knows its branches; provenance and catalogues repeat what they were told.
        Family::Repository => &["manual", "github", "gitlab", "slsa", "cdevents", "backstage", "codeowners"],
        // Provenance is signed by the builder and names digests; pipeline events name what they were asked to build;
        // labels inside an image are whatever its Dockerfile says.
        Family::Build => &["manual", "slsa", "cdevents", "github", "gitlab", "kubernetes", "trivy-operator", "trivy"],
        // What runs is what the cluster says runs; a pipeline only says what it asked for.
        Family::Deployment => &["manual", "kubernetes", "trivy-operator", "tetragon", "falco", "cdevents", "github"],
        // The catalogue is where people maintain ownership; labels are copies; CODEOWNERS is about reviews.
        Family::Catalogue => &["manual", "backstage", "kubernetes", "github", "gitlab", "codeowners"],
        // The publisher of a list about its own list; then the CVE record; then the databases that aggregate.
        Family::Intelligence => &["manual", "cisa-kev", "epss", "cisa", "cve", "nvd", "osv", "github", "gitlab"],
        // Statements about one product: the later one wins (OpenVEX), whoever made it. Trust is ASSESS's question.
        Family::Vex => &["manual"],
    }
}

/// Rank of an asserter for an attribute; lower is believed first. `kubernetes:prod-eu` ranks as `kubernetes`.
pub(super) fn rank(attribute: Attribute, asserter: &str) -> usize {
    let source = asserter.split_once(':').map_or(asserter, |(source, _)| source);
    let order = order(family(attribute));
    order.iter().position(|known| *known == source).unwrap_or(order.len())
}
