//! The parts of a Checkov report that are read, borrowed from its bytes.
#![allow(clippy::struct_field_names)] // the names are the format's

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer};

use crate::normalize::lenient::{List, Number, Object, Text};

/// One framework; a run that found no file of any framework is a bare summary.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct Framework<'a> {
    #[serde(borrow)]
    pub check_type: Text<'a>,
    #[serde(borrow)]
    pub results: Object<Results<'a>>,
    #[serde(borrow)]
    pub summary: Object<Summary<'a>>,
    #[serde(borrow)]
    pub checkov_version: Text<'a>,
    pub parsing_errors: Number,
}

impl Framework<'_> {
    pub fn is_checkov(&self) -> bool {
        !self.check_type.is_empty() || !self.checkov_version.is_empty() || self.results.failed_checks.was_given
    }

    /// Files that did not parse were not checked; a run that looked at no resource looked at nothing.
    pub fn is_partial(&self) -> bool {
        let errors = self.summary.parsing_errors.0.or(self.parsing_errors.0).unwrap_or(0.0);
        let is_bare = self.check_type.is_empty() && !self.results.failed_checks.was_given;
        errors > 0.0 || !self.results.parsing_errors.is_empty() || is_bare
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct Results<'a> {
    #[serde(borrow)]
    pub passed_checks: List<PassedCheck<'a>>,
    #[serde(borrow)]
    pub failed_checks: List<Check<'a>>,
    #[serde(borrow)]
    pub skipped_checks: List<Check<'a>>,
    #[serde(borrow)]
    pub parsing_errors: List<Text<'a>>,
}

/// Compliance evidence: only its rule is read.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct PassedCheck<'a> {
    #[serde(borrow)]
    pub check_id: Text<'a>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct Check<'a> {
    #[serde(borrow)]
    pub check_id: Text<'a>,
    #[serde(borrow)]
    pub check_name: Text<'a>,
    #[serde(borrow)]
    pub short_description: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub file_path: Text<'a>,
    #[serde(borrow)]
    pub repo_file_path: Text<'a>,
    pub file_line_range: List<Number>,
    #[serde(borrow)]
    pub resource: Text<'a>,
    #[serde(borrow)]
    pub resource_address: Text<'a>,
    #[serde(borrow)]
    pub code_block: CodeBlock<'a>,
    #[serde(borrow)]
    pub vulnerability_details: Object<Details<'a>>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct Details<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub package_name: Text<'a>,
    #[serde(borrow)]
    pub package_version: Text<'a>,
    #[serde(borrow)]
    pub package_type: Text<'a>,
    #[serde(alias = "lowest_fixed_version", borrow)]
    pub fix_version: Text<'a>,
    #[serde(borrow)]
    pub vector: Text<'a>,
    pub cvss: Number,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub struct Summary<'a> {
    #[serde(borrow)]
    pub checkov_version: Text<'a>,
    pub parsing_errors: Number,
}

/// The first line of `[[12, "text"], [13, "text"], …]`.
#[derive(Default)]
pub struct CodeBlock<'a>(Option<Cow<'a, str>>);

impl CodeBlock<'_> {
    /// The line, where there is one.
    pub fn first(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for CodeBlock<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A line is a list whose elements are a number and a text; `Line` keeps the text of either shape.
        struct Line<'a>(Text<'a>);
        impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let parts = List::<Text<'a>>::deserialize(deserializer)?;
                Ok(Line(parts.items.into_iter().nth(1).unwrap_or_default()))
            }
        }
        let lines = List::<Line<'a>>::deserialize(deserializer)?;
        Ok(Self(lines.items.into_iter().next().map(|line| line.0.0)))
    }
}
