//! ASSESS's state in pieces. What is around components is not among them: it is read anew when everything is judged again.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use tributary_model::id::{FindingId, RiskId};
use tributary_model::sighting::FindingClass;
use tributary_stream::stage::NotAPiece;

use super::Assess;
use super::cells::Member;
use crate::saved::{self, PARTS_MAX};

type Id = ByteArray<16>;

#[derive(Serialize, Deserialize)]
enum Piece<'a> {
    /// Members of a cell; those of a large one come in several pieces, ascending.
    Cell {
        id: Id,
        component: &'a str,
        class: FindingClass,
        #[serde(borrow)]
        members: Vec<Kept<'a>>,
    },
    /// Which cells hold which findings.
    Homes(Vec<(Id, Id)>),
    /// Records of risks.
    Risks(#[serde(borrow)] Vec<(Id, &'a serde_bytes::Bytes)>),
}

#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    finding: Id,
    risk: Option<Id>,
    asset: &'a str,
    #[serde(with = "serde_bytes")]
    record: &'a [u8],
}

pub(super) fn save(stage: &Assess, put: &mut dyn FnMut(&[u8])) {
    for (id, cell) in stage.cells.iter() {
        for members in cell.members.chunks(PARTS_MAX) {
            let members = members.iter().map(|member| Kept {
                finding: Id::new(member.finding.0),
                risk: member.risk.map(|risk| Id::new(risk.0)),
                asset: &member.asset,
                record: &member.record,
            });
            let (component, class, members) = (&*cell.component, cell.class, members.collect());
            saved::put(&Piece::Cell { id: Id::new(*id), component, class, members }, put);
        }
    }
    let mut homes = stage.cells.homes().map(|(key, cell)| (Id::new(*key), Id::new(*cell))).peekable();
    while homes.peek().is_some() {
        saved::put(&Piece::Homes(homes.by_ref().take(PARTS_MAX).collect()), put);
    }
    let mut risks = stage.risks.iter().map(|(id, record)| (Id::new(id.0), serde_bytes::Bytes::new(record))).peekable();
    while risks.peek().is_some() {
        saved::put(&Piece::Risks(risks.by_ref().take(PARTS_MAX.div_ceil(16)).collect()), put);
    }
}

pub(super) fn adopt(stage: &mut Assess, piece: &[u8]) -> Result<usize, NotAPiece> {
    Ok(match saved::read(piece)? {
        Piece::Cell { id, component, class, members } => {
            let count = members.len();
            let component = stage.cells.shared(component);
            let members = members.into_iter().map(|kept| Member {
                finding: FindingId(kept.finding.into_array()),
                risk: kept.risk.map(|risk| RiskId(risk.into_array())),
                asset: stage.cells.shared(kept.asset),
                record: Arc::from(kept.record),
            });
            let members: Vec<Member> = members.collect();
            stage.cells.adopt(id.into_array(), component, class, members);
            count
        }
        Piece::Homes(homes) => {
            for (key, cell) in homes {
                stage.cells.adopt_home(key.into_array(), cell.into_array());
            }
            0
        }
        Piece::Risks(risks) => {
            let count = risks.len();
            for (id, record) in risks {
                stage.risks.load(RiskId(id.into_array()), Bytes::copy_from_slice(record));
            }
            count
        }
    })
}
