//! The findings of each asset, with the undo that an aborted transaction needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary_model::id::FindingId;
use tributary_model::profile::AssetProfile;

use crate::graph::AssetView;

/// Asset → findings, ascending. Assets go by a number that is never reused: the tree then compares 20 bytes, not keys.
#[derive(Debug, Default)]
pub(super) struct Members {
    of: BTreeSet<(u32, FindingId)>,
    undo: Vec<(u32, FindingId, bool)>,
}

impl Members {
    /// Adds a finding.
    pub(super) fn insert(&mut self, asset: u32, finding: FindingId) {
        if self.of.insert((asset, finding)) {
            self.undo.push((asset, finding, false));
        }
    }

    /// Adds a finding of committed state: no rollback takes it back.
    pub(super) fn load(&mut self, asset: u32, finding: FindingId) {
        self.of.insert((asset, finding));
    }

    /// Removes a finding.
    pub(super) fn remove(&mut self, asset: u32, finding: FindingId) {
        if self.of.remove(&(asset, finding)) {
            self.undo.push((asset, finding, true));
        }
    }

    /// The findings of an asset, ascending.
    pub(super) fn of(&self, asset: u32) -> impl Iterator<Item = FindingId> {
        let range = (asset, FindingId([0; 16]))..=(asset, FindingId([u8::MAX; 16]));
        self.of.range(range).map(|(_, finding)| *finding)
    }

    /// All findings.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// Findings of the asset that has most.
    pub(super) fn largest(&self) -> usize {
        let mut largest = (0, 0);
        let mut current = (u32::MAX, 0);
        for (asset, _) in &self.of {
            current = if current.0 == *asset { (*asset, current.1 + 1) } else { (*asset, 1) };
            largest = if current.1 > largest.1 { current } else { largest };
        }
        largest.1
    }

    /// Forgets the undo log.
    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes everything since the last commit.
    pub(super) fn rollback(&mut self) {
        while let Some((asset, finding, was_there)) = self.undo.pop() {
            if was_there {
                self.of.insert((asset, finding))
            } else {
                self.of.remove(&(asset, finding))
            };
        }
    }
}

impl Asset {
    /// Whether its profile says nothing: such a profile is not on the log.
    pub(super) fn is_blank(&self, asset: &str) -> bool {
        let blank = AssetProfile { asset: asset.to_owned(), ..AssetProfile::default() };
        self.profile.asset.is_empty() || *self.profile == blank
    }
}

/// What TRACK knows of one asset besides its findings.
#[derive(Debug, Clone, Default)]
pub(super) struct Asset {
    /// See [`Members`].
    pub(super) number: u32,
    /// What the context says; `None` until the first settle.
    pub(super) view: Option<Arc<AssetView>>,
    /// Scopes with a line in the ledger.
    pub(super) scopes: Arc<BTreeSet<String>>,
    /// Use, inventory, whether it ever ran.
    pub(super) profile: Arc<AssetProfile>,
}
