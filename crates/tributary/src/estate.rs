//! The sample estate that the binary carries: its files, and the order in which they arrive.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde::Deserialize;
use tributary_model::record::{Extensions, RawClass};
use tributary_model::time::Millis;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/estate.zst"));

/// `estate.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    as_of: String,
    #[serde(default)]
    grant: Vec<Grant>,
    record: Vec<RecordEntry>,
}

/// What a credential of the estate may say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Name of the credential.
    pub name: String,
    /// Asset patterns.
    pub assets: Vec<String>,
    /// Classes it may send.
    pub classes: Vec<String>,
    /// observe, withdraw, decide.
    pub verbs: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordEntry {
    file: String,
    class: String,
    source: Option<String>,
    time: String,
    format: Option<String>,
    r#type: Option<String>,
    repo: Option<String>,
    branch: Option<String>,
    commit: Option<String>,
    image: Option<String>,
    resource: Option<String>,
    scanid: Option<String>,
    scanscope: Option<String>,
    complete: Option<bool>,
    #[serde(default)]
    backfill: bool,
    grant: Option<String>,
}

/// One record of the estate, ready to be appended.
#[derive(Debug, Clone)]
pub struct EstateRecord {
    /// Class.
    pub class: RawClass,
    /// What is said beside the bytes.
    pub ext: Extensions,
    /// The bytes.
    pub body: Vec<u8>,
}

/// The sample estate.
#[derive(Debug)]
pub struct Estate {
    /// The day on which the demo takes place.
    pub as_of: Millis,
    /// Credentials that may not say everything.
    pub grants: Vec<Grant>,
    /// Records in order of arrival.
    pub records: Vec<EstateRecord>,
}

/// Unpacks and reads the estate.
pub fn load() -> anyhow::Result<Estate> {
    let files = unpack()?;
    let manifest = files.get("estate.toml").context("the estate has no estate.toml")?;
    let manifest: Manifest = toml::from_str(std::str::from_utf8(manifest)?).context("estate.toml")?;
    let time = |text: &str| {
        tributary_ingest::time::parse(text).with_context(|| format!("estate.toml: {text:?} is not a time"))
    };
    let mut records = Vec::with_capacity(manifest.record.len());
    for entry in manifest.record {
        let Some(body) = files.get(&entry.file) else { bail!("estate.toml names {}, which is not there", entry.file) };
        let class = RawClass::parse(&entry.class).with_context(|| format!("estate.toml: class {:?}", entry.class))?;
        let at = time(&entry.time)?;
        let ext = Extensions {
            event_type: entry.r#type,
            source: entry.source,
            time: Some(at),
            content_type: None,
            format: entry.format,
            repo: entry.repo,
            branch: entry.branch,
            commit: entry.commit,
            image: entry.image,
            resource: entry.resource,
            scan_id: entry.scanid,
            scan_scope: entry.scanscope,
            complete: entry.complete,
            backfill: entry.backfill,
            credential: entry.grant,
            received_at: at,
        };
        records.push(EstateRecord { class, ext, body: body.clone() });
    }
    Ok(Estate { as_of: time(&manifest.as_of)?, grants: manifest.grant, records })
}

/// Name and contents of every packed file.
fn unpack() -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let packed = zstd::decode_all(PACKED).context("the packed estate is damaged")?;
    let mut rest = packed.as_slice();
    let mut part = || -> anyhow::Result<Option<Vec<u8>>> {
        let Some((length, tail)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        let (body, tail) = tail.split_at_checked(length).context("the packed estate is cut")?;
        rest = tail;
        Ok(Some(body.to_vec()))
    };
    let mut files = BTreeMap::new();
    while let Some(name) = part()? {
        let body = part()?.context("the packed estate is cut")?;
        files.insert(String::from_utf8(name)?, body);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_estate_is_whole() {
        let estate = super::load().unwrap();
        assert!(estate.records.len() > 100);
        assert!(estate.records.iter().all(|record| record.ext.time <= Some(estate.as_of)));
    }
}
