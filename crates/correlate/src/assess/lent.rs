//! Findings of tests as they are judged: written first, then borrowed from what was written.

use tributary_model::AvroRecord;
use tributary_model::borrowed::Borrowed;
use tributary_model::finding::Finding;

/// Written findings.
pub(crate) struct Records(Vec<Vec<u8>>);

impl Records {
    pub(crate) fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        Self(findings.into_iter().map(|finding| finding.encode().unwrap()).collect())
    }

    pub(crate) fn lend(&self) -> Vec<super::Finding<'_>> {
        self.0.iter().map(|record| super::Finding::decode(record).unwrap()).collect()
    }
}
