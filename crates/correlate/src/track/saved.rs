//! TRACK's state in pieces. Scopes, views and timers are derived anew when everything is loaded.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use tributary_model::AvroRecord;
use tributary_model::id::FindingId;
use tributary_model::profile::AssetProfile;
use tributary_model::scan::ScanRun;
use tributary_stream::stage::NotAPiece;

use super::held::Kept;
use super::stage::{Parts, Track};
use crate::saved::{self, PARTS_MAX};

type Id = ByteArray<16>;

#[derive(Serialize, Deserialize)]
enum Piece<'a> {
    /// Findings of an asset.
    Findings {
        asset: &'a str,
        #[serde(borrow)]
        findings: Vec<(Id, Kept<'a>)>,
    },
    /// An asset's profile, as its record has it.
    Profile { asset: &'a str, profile: ByteBuf },
    /// A line of the ledger, as its record has it.
    Run { key: &'a str, run: ByteBuf },
    /// What the parts of a scan saw.
    Parts { run: &'a str, parts: Vec<(u32, Vec<Id>)> },
}

pub(super) fn save(stage: &Track, put: &mut dyn FnMut(&[u8])) {
    // Nothing is no record: then no snapshot is written.
    let encoded = |record: Result<Vec<u8>, _>| record.map(ByteBuf::from);
    if stage.members.len() != stage.findings.len() {
        put(&[]); // findings go by their assets: one without would be left out
    }
    for (asset, known) in stage.assets.iter() {
        let mut findings = stage.members.of(known.number).peekable();
        while findings.peek().is_some() {
            let some = findings.by_ref().take(PARTS_MAX.div_ceil(4));
            let some = some.filter_map(|id| Some((Id::new(id.0), stage.findings.get(&id)?.keep())));
            saved::put(&Piece::Findings { asset, findings: some.collect() }, put);
        }
        if !known.is_blank(asset) {
            match encoded(known.profile.encode()) {
                Ok(profile) => saved::put(&Piece::Profile { asset, profile }, put),
                Err(_) => put(&[]),
            }
        }
    }
    for (key, run) in stage.runs.iter() {
        match encoded(run.encode()) {
            Ok(run) => saved::put(&Piece::Run { key, run }, put),
            Err(_) => put(&[]),
        }
    }
    for (run, parts) in stage.parts.iter() {
        let parts = parts.iter().map(|(part, seen)| (*part, seen.iter().map(|id| Id::new(id.0)).collect()));
        saved::put(&Piece::Parts { run, parts: parts.collect() }, put);
    }
}

pub(super) fn adopt(stage: &mut Track, piece: &[u8]) -> Result<usize, NotAPiece> {
    let broken = |error: tributary_model::CodecError| NotAPiece(error.to_string());
    Ok(match saved::read(piece)? {
        Piece::Findings { asset, findings } => {
            let (asset, count) = (stage.asset_key(asset), findings.len());
            let number = stage.number(&asset);
            for (id, kept) in findings {
                let id = FindingId(id.into_array());
                stage.members.load(number, id);
                stage.findings.load(id, kept.held(Arc::clone(&asset)));
            }
            count
        }
        Piece::Profile { asset, profile } => {
            let profile = AssetProfile::decode(&profile).map_err(broken)?;
            let asset = stage.asset_key(asset);
            if let Some(mut known) = stage.assets.get(&asset).cloned() {
                known.profile = Arc::new(profile);
                stage.assets.load(asset, known);
            }
            1
        }
        Piece::Run { key, run } => {
            stage.runs.load(key.to_owned(), Arc::new(ScanRun::decode(&run).map_err(broken)?));
            1
        }
        Piece::Parts { run, parts } => {
            let seen = |seen: Vec<Id>| seen.into_iter().map(|id| FindingId(id.into_array())).collect();
            let parts: Parts = parts.into_iter().map(|(part, ids)| (part, seen(ids))).collect();
            let count = parts.len();
            stage.parts.load(run.to_owned(), Arc::new(parts));
            count
        }
    })
}
