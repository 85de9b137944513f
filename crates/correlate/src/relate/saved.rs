//! RELATE's state in pieces: what it holds of each entity, as its record has it.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tributary_model::AvroRecord;
use tributary_model::fact::EntityAssertions;
use tributary_stream::stage::NotAPiece;

use super::stage::{Held, Relate};
use crate::saved;

#[derive(Serialize, Deserialize)]
struct Piece {
    record: ByteBuf,
}

pub(super) fn save(stage: &Relate, put: &mut dyn FnMut(&[u8])) {
    for (entity, held) in stage.entities.iter() {
        match held.record(entity).encode() {
            Ok(record) => saved::put(&Piece { record: record.into() }, put),
            // Nothing is no piece: then no snapshot is written.
            Err(_) => put(&[]),
        }
    }
}

pub(super) fn adopt(stage: &mut Relate, piece: &[u8]) -> Result<usize, NotAPiece> {
    let Piece { record } = saved::read(piece)?;
    let record = EntityAssertions::decode(&record).map_err(|error| NotAPiece(error.to_string()))?;
    let (entity, held) = Held::of(record);
    stage.take(entity, held);
    Ok(1)
}
