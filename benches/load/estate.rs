//! A generated estate on disk: what to send, in which order, about what.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use serde::Deserialize;

/// One record.
#[derive(Deserialize)]
pub struct Entry {
    pub file: String,
    pub class: String,
    /// Findings that this record is the first to report.
    pub findings: u64,
    pub headers: BTreeMap<String, String>,
}

impl Entry {
    /// The asset that a scan is about, as TRACK names it.
    pub fn asset(&self) -> Option<String> {
        match (self.headers.get("ce-image"), self.headers.get("ce-repo"), self.headers.get("ce-branch")) {
            (Some(image), _, _) => image.split_once('@').map(|(_, digest)| format!("image:{digest}")),
            (None, Some(repo), Some(branch)) => Some(format!("repo:{repo}#{branch}")),
            _ => None,
        }
    }
}

/// What to generate.
pub struct Plan {
    pub first: u32,
    pub components: u32,
    pub findings: u32,
    pub night: u32,
}

/// The records.
pub struct Estate {
    directory: PathBuf,
    pub entries: Vec<Entry>,
    pub findings: u64,
    /// Bytes of all scan reports.
    pub scan_bytes: u64,
}

impl Estate {
    /// Has the binary generate it.
    pub fn generate(binary: &Path, directory: PathBuf, plan: &Plan) -> anyhow::Result<Self> {
        let made = Command::new(binary)
            .args(["estate", "--seed", "1", "--first", &plan.first.to_string(), "--night", &plan.night.to_string()])
            .args(["--components", &plan.components.to_string(), "--findings", &plan.findings.to_string(), "--out"])
            .arg(&directory)
            .output()?;
        ensure!(made.status.success(), "estate: {}", String::from_utf8_lossy(&made.stderr));
        let manifest = BufReader::new(std::fs::File::open(directory.join("manifest.jsonl"))?);
        let entries: Vec<Entry> =
            manifest.lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect::<anyhow::Result<_>>()?;
        let findings = entries.iter().map(|entry| entry.findings).sum();
        let scans = entries.iter().filter(|entry| entry.class == "scanner");
        let sizes = scans.map(|entry| std::fs::metadata(directory.join(&entry.file)).map(|meta| meta.len()));
        let scan_bytes = sizes.sum::<Result<u64, _>>()?;
        Ok(Self { directory, entries, findings, scan_bytes })
    }

    /// The bytes of a record.
    pub fn body(&self, entry: &Entry) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.directory.join(&entry.file))
    }
}
