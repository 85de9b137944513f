//! Who owns which slot of which group. In memory only: the directory is locked, so every zombie is in this process.

use std::sync::Mutex;

use hashbrown::HashMap;
use tributary_model::Topic;

use super::tail::lock;
use crate::log::{LogError, Subscription};

/// A worker's right to commit for its partitions.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub group: String,
    pub topics: Vec<Topic>,
    pub partitions: Vec<u32>,
    epoch: u64,
}

/// The current owner of every (group, partition): the epoch of its claim.
#[derive(Debug, Default)]
pub(super) struct Fences {
    owners: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    /// Counts claims.
    epoch: u64,
    /// By group and partition.
    current: HashMap<(String, u32), u64>,
}

impl Fences {
    /// Claims partitions for a group; whoever had one of them can commit no more.
    pub(super) fn claim(&self, subscription: &Subscription, partitions: Vec<u32>) -> Claim {
        let mut owners = lock(&self.owners);
        owners.epoch += 1;
        let epoch = owners.epoch;
        for partition in &partitions {
            owners.current.insert((subscription.group.clone(), *partition), epoch);
        }
        Claim { group: subscription.group.clone(), topics: subscription.topics.clone(), partitions, epoch }
    }

    /// Whether the claim still holds. A producer has none and is never fenced.
    pub(super) fn check(&self, claim: Option<&Claim>) -> Result<(), LogError> {
        let Some(claim) = claim else { return Ok(()) };
        let owners = lock(&self.owners);
        let lost = claim
            .partitions
            .iter()
            .find(|partition| owners.current.get(&(claim.group.clone(), **partition)) != Some(&claim.epoch));
        match lost {
            None => Ok(()),
            Some(partition) => Err(LogError::fatal(format!(
                "fenced: partition {partition} of group {} belongs to a newer worker",
                claim.group
            ))),
        }
    }
}
