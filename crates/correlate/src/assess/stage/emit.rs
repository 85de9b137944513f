//! From a step's result to records on the log: risk, change and remedy member together, and only when they differ.

use bytes::Bytes;
use tributary_model::AvroRecord;
use tributary_model::id::{RemedyId, RiskId};
use tributary_model::reject::{Origin, Reject};
use tributary_model::risk::Risk;
use tributary_model::time::Millis;
use tributary_model::topic::Topic;
use tributary_stream::message::{Output, Outputs};

use super::settle::Step;
use super::{Assess, NAME, retires_at};
use crate::assess::transition::{self, Cause, Gone, Next};
use crate::assess::{invariants, member};

impl Assess {
    /// Transitions one risk and emits what differs.
    pub(super) fn emit(
        &mut self,
        id: RiskId,
        next: Next,
        cause: &Cause,
        now: Millis,
        out: &mut Outputs,
    ) -> Result<(), Reject> {
        let previous = self.risks.get(&id).and_then(|record| Risk::decode(record).ok());
        let Some((risk, change)) = transition::transition(previous.as_ref(), next, cause, now) else { return Ok(()) };
        debug_assert_eq!(invariants::follows(previous.as_ref(), &risk, &change), Ok(()));
        let key = id.to_string();
        let record = Bytes::from(risk.encode().map_err(|error| unwritable(&key, &error))?);
        self.risks.insert(id, record.clone());
        out.push(Output {
            topic: Topic::Risks,
            partition_key: risk.component.clone(),
            key: key.clone().into(),
            value: Some(record),
            headers: Vec::new(),
        });
        out.put(Topic::Changes, &risk.component, key.clone(), &change).map_err(|error| unwritable(&key, &error))?;
        let news = member::news(previous.as_ref(), &risk, &cause.origin);
        if let Some(left) = news.left {
            out.delete(Topic::Remedies, &left.to_string(), member_key(left, id));
        }
        if let Some(member) = news.member {
            out.put(Topic::Remedies, &member.remedy.to_string(), member_key(member.remedy, id), &member)
                .map_err(|error| unwritable(&key, &error))?;
        }
        Ok(())
    }

    /// Risks that lost all their findings in this step, and open ones that a restore found without any.
    pub(super) fn settle_vanished(&mut self, step: &Step, now: Millis, out: &mut Outputs) -> Result<(), Reject> {
        let mut vanished = step.vanished.clone();
        for orphan in self.orphans.take() {
            vanished.entry(orphan).or_default();
        }
        for (id, cause) in vanished.into_iter().filter(|(id, _)| !step.alive.contains(id)) {
            let gone = step.successors.get(&id).map_or(Gone::Closed, |successor| Gone::Merged(*successor));
            self.emit(id, Next::Gone(gone, Vec::new()), &cause, now, out)?;
            let closed = self.risks.get(&id).and_then(|record| Risk::decode(record).ok());
            self.retiring.set(&id, closed.map(|risk| retires_at(risk.resolved_at, risk.decided_at)));
        }
        Ok(())
    }

    /// Records of closed risks whose time is over: tombstones, also of what they told REMEDY.
    pub(super) fn retire(&mut self, now: Millis, out: &mut Outputs) {
        for id in self.retiring.due(now) {
            let Some(risk) = self.risks.get(&id).and_then(|record| Risk::decode(record).ok()) else {
                self.retiring.set(&id, None);
                continue;
            };
            if let Some(member) = member::member_of(&risk, &Origin::default()) {
                out.delete(Topic::Remedies, &member.remedy.to_string(), member_key(member.remedy, id));
            }
            out.delete(Topic::Risks, &risk.component, id.to_string());
            self.risks.remove(&id);
            self.retiring.set(&id, None);
        }
    }
}

fn member_key(remedy: RemedyId, risk: RiskId) -> String {
    format!("{remedy}|{risk}")
}

fn unwritable(key: &str, error: &tributary_model::CodecError) -> Reject {
    Reject {
        stage: NAME.to_owned(),
        code: "unencodable".to_owned(),
        reason: format!("the record of {key} cannot be written: {error}"),
        ..Reject::default()
    }
}
