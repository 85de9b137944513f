//! Whether an asset counts: a tracked branch, a deployed digest, the newest build of what is deployed nowhere.

use std::cmp::Reverse;

use tributary_model::asset::{self, AssetKind};
use tributary_model::entity;
use tributary_model::fact::Attribute;
use tributary_model::fact::value::{self, BuiltFrom};
use tributary_model::path;

use super::view::View;

/// Whether findings of an asset count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// They count.
    pub counts: bool,
    /// The asset is an image that a workload runs, as far as anybody knows.
    pub deployed: bool,
}

impl View<'_> {
    pub(super) fn standing(&self, asset: &str) -> Standing {
        match asset::kind(asset) {
            AssetKind::Repository => Standing { counts: self.is_tracked_branch(asset), deployed: false },
            AssetKind::Image => {
                let deployed = self.is_deployed(asset);
                Standing { counts: deployed || self.is_newest_build(asset), deployed }
            }
            _ => Standing { counts: true, deployed: false },
        }
    }

    /// The default branch, and those named beside it. As long as nobody says which is the default, every branch counts
    /// but the refs of pull requests: better twice than not at all.
    fn is_tracked_branch(&self, asset: &str) -> bool {
        let Some((repo, branch)) = asset::repository_parts(asset) else { return true };
        let context = self.entity(&entity::repo(repo));
        let tracked = |context: &&std::sync::Arc<_>| {
            let context: &tributary_model::context::EntityContext = context;
            context.all(Attribute::TrackedBranch).any(|tracked| matches_branch(&tracked.qualifier, branch))
        };
        if branch.is_empty() || context.as_ref().is_some_and(|context| tracked(&context)) {
            return true;
        }
        let default = context.as_ref().and_then(|context| context.get(Attribute::DefaultBranch));
        match default.and_then(|found| value::parse::<value::Text>(&found.value)) {
            Some(default) => branch == default.trim_start_matches("refs/heads/"),
            None => !["refs/", "pull/", "merge-requests/"].iter().any(|prefix| branch.starts_with(prefix)),
        }
    }

    fn is_deployed(&self, image: &str) -> bool {
        self.digests_of(image).iter().any(|image| !self.hanging(image, "workload").is_empty())
    }

    /// Of the images built from one path of one repository: none is deployed, and this is the last one built there on
    /// a tracked branch. An image whose build nobody knows stands for itself.
    fn is_newest_build(&self, image: &str) -> bool {
        let images = self.digests_of(image);
        let Some(own) = images.iter().find_map(|image| self.value::<BuiltFrom>(image, Attribute::BuiltFrom)) else {
            return true;
        };
        let siblings = self.hanging(&entity::repo(&own.repo), "image");
        let builds = siblings.iter().filter_map(|sibling| {
            let context = self.entity(sibling)?;
            let found = context.get(Attribute::BuiltFrom)?;
            let built = value::parse::<BuiltFrom>(&found.value)?;
            (path::canonical(&built.path) == path::canonical(&own.path)).then_some((found.observed_at, sibling, built))
        });
        let mut builds: Vec<_> = builds.collect();
        if builds.iter().any(|(_, sibling, _)| self.is_deployed(sibling)) {
            return false;
        }
        builds.retain(|(_, _, built)| self.is_tracked_branch(&format!("repo:{}#{}", built.repo, built.branch)));
        builds.sort_by_key(|(at, sibling, _)| (Reverse(*at), (*sibling).clone()));
        builds.first().is_some_and(|(_, newest, _)| images.contains(newest))
    }
}

/// `release/*` names every branch below; anything else is one branch.
fn matches_branch(pattern: &str, branch: &str) -> bool {
    let pattern = pattern.trim_start_matches("refs/heads/");
    pattern.strip_suffix('*').map_or(pattern == branch, |prefix| branch.starts_with(prefix))
}
