//! I5 and I6 as predicates over records, for the simulation, for tests, and for debug builds of the stage itself.

use std::collections::BTreeMap;

use tributary_model::finding::Finding;
use tributary_model::id::{FindingId, RiskId};
use tributary_model::risk::{Change, Contribution, Risk, RiskState};

use super::chain::{self, ChainError};
use super::{deadline, group, snapshot};

/// How records break an invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// I5.
    #[error("I5: finding {finding} of {component} counts and is in {risks} open risks, not in one")]
    NotInOneRisk {
        /// The component.
        component: String,
        /// The finding.
        finding: FindingId,
        /// How many open risks name it.
        risks: usize,
    },
    /// I5.
    #[error("I5: risk {0} is open without a counting finding")]
    OpenWithoutFinding(RiskId),
    /// I6.
    #[error("I6: risk {0}: {1}")]
    Chain(RiskId, ChainError),
    /// I6.
    #[error("I6: risk {0} is not what its last change says")]
    NotTheHead(RiskId),
}

/// I5: every counting finding is in exactly one risk of its component; every open risk has at least one.
///
/// Over the latest record of every key. A risk with more evidence than a record carries is judged by what it carries.
pub fn i5<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    risks: impl IntoIterator<Item = &'a Risk>,
) -> Result<(), Violation> {
    let mut named: BTreeMap<(&str, FindingId), usize> = BTreeMap::new();
    let mut overflowing: Vec<&str> = Vec::new();
    for risk in risks.into_iter().filter(|risk| risk.state != RiskState::Resolved) {
        if !risk.evidence.iter().any(|evidence| evidence.counts) {
            return Err(Violation::OpenWithoutFinding(risk.risk));
        }
        if risk.evidence_total as usize > snapshot::MAX_EVIDENCE {
            overflowing.push(&risk.component);
        }
        for evidence in risk.evidence.iter().filter(|evidence| evidence.counts) {
            *named.entry((&risk.component, evidence.finding)).or_default() += 1;
        }
    }
    for finding in findings
        .into_iter()
        .filter(|finding| group::keeps_open(finding.end, finding.tracked.counts, finding.tracked.state))
    {
        let risks = named.get(&(finding.component.as_str(), finding.tracked.finding)).copied().unwrap_or_default();
        let may_be_beyond = risks == 0 && overflowing.contains(&finding.component.as_str());
        if risks != 1 && !may_be_beyond {
            let (component, finding) = (finding.component.clone(), finding.tracked.finding);
            return Err(Violation::NotInOneRisk { component, finding, risks });
        }
    }
    Ok(())
}

/// I6: the changes of each risk, in the order of the log, form a chain whose head is the risk's record.
pub fn i6<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    risks: impl IntoIterator<Item = &'a Risk>,
) -> Result<(), Violation> {
    let mut chains: BTreeMap<RiskId, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        chains.entry(change.risk).or_default().push(change);
    }
    for (risk, changes) in &chains {
        chain::verify(changes.iter().copied()).map_err(|error| Violation::Chain(*risk, error))?;
    }
    for risk in risks {
        let last = chains.get(&risk.risk).and_then(|changes| changes.last());
        let is_head = last.is_some_and(|last| last.hash == risk.chain_head && last.revision == risk.revision);
        if !is_head {
            return Err(Violation::NotTheHead(risk.risk));
        }
    }
    Ok(())
}

/// One step of I6: what a record and its change must be after the record before.
pub fn follows(previous: Option<&Risk>, risk: &Risk, change: &Change) -> Result<(), Violation> {
    let (revision, head) = previous.map_or((0, ""), |previous| (previous.revision, previous.chain_head.as_str()));
    let agrees = risk.revision == revision + 1
        && change.revision == risk.revision
        && change.previous_hash == head
        && change.hash == risk.chain_head
        && previous.is_none_or(|previous| previous.generation == risk.generation);
    if !agrees {
        return Err(Violation::NotTheHead(risk.risk));
    }
    chain::verify([change]).map_err(|error| Violation::Chain(risk.risk, error))
}

/// What I3 compares of an open risk, in an order that can be compared: everything a re-ordering of topics must not change.
/// The deadline is the computed one, and times at which a word was repeated are left out.
#[must_use]
pub fn i3_view(risk: &Risk) -> impl PartialEq + std::fmt::Debug + Clone + use<> {
    let contributions: Vec<Contribution> =
        risk.contributions.iter().map(|one| Contribution { observed_at: 0, ..one.clone() }).collect();
    let members: Vec<FindingId> = risk.evidence.iter().map(|evidence| evidence.finding).collect();
    (
        (risk.risk, members, risk.vulnerability_ids.clone(), risk.band, risk.score),
        (contributions, risk.owner.clone(), risk.fix.clone(), risk.clock_start),
        (deadline::computed(risk.clock_start, risk.band), risk.state, risk.suppressed_by.clone()),
    )
}
