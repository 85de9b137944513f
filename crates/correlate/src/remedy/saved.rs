//! REMEDY's state in pieces.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use tributary_model::id::{RemedyId, RiskId};
use tributary_model::time::Millis;
use tributary_stream::stage::NotAPiece;

use super::stage::{Members, Remedy};
use crate::saved::{self, PARTS_MAX};

type Id = ByteArray<16>;

#[derive(Serialize, Deserialize)]
enum Piece<'a> {
    /// Members of a remedy; those of a large one come in several pieces.
    Members {
        remedy: Id,
        #[serde(borrow)]
        members: Vec<(Id, &'a serde_bytes::Bytes)>,
    },
    /// The last revision of a ticket, and when it goes.
    Ticket {
        remedy: Id,
        #[serde(with = "serde_bytes")]
        record: &'a [u8],
        retires: Option<Millis>,
    },
}

pub(super) fn save(stage: &Remedy, put: &mut dyn FnMut(&[u8])) {
    for (remedy, members) in stage.members.iter() {
        let mut members =
            members.iter().map(|(risk, member)| (Id::new(risk.0), serde_bytes::Bytes::new(member))).peekable();
        while members.peek().is_some() {
            let members = members.by_ref().take(PARTS_MAX).collect();
            saved::put(&Piece::Members { remedy: Id::new(remedy.0), members }, put);
        }
    }
    for (remedy, record) in stage.tickets.iter() {
        let retires = stage.retiring.of(remedy);
        saved::put(&Piece::Ticket { remedy: Id::new(remedy.0), record, retires }, put);
    }
}

pub(super) fn adopt(stage: &mut Remedy, piece: &[u8]) -> Result<usize, NotAPiece> {
    Ok(match saved::read(piece)? {
        Piece::Members { remedy, members } => {
            let (remedy, count) = (RemedyId(remedy.into_array()), members.len());
            let members =
                members.into_iter().map(|(risk, member)| (RiskId(risk.into_array()), Bytes::copy_from_slice(member)));
            let mut all: Members = stage.members.get(&remedy).map(|known| Members::clone(known)).unwrap_or_default();
            all.extend(members);
            stage.members.load(remedy, Arc::new(all));
            count
        }
        Piece::Ticket { remedy, record, retires } => {
            let remedy = RemedyId(remedy.into_array());
            stage.tickets.load(remedy, Bytes::copy_from_slice(record));
            stage.retiring.set(&remedy, retires);
            1
        }
    })
}
