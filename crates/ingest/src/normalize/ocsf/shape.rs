//! The parts of an OCSF event that are read.
#![allow(clippy::struct_field_names)] // the names are the format's

use serde::Deserialize;

use crate::normalize::lenient::{List, Number, Object, Text, first};

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Event<'a> {
    pub class_uid: Number,
    pub activity_id: Number,
    #[serde(borrow)]
    pub metadata: Object<Metadata<'a>>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    pub severity_id: Number,
    #[serde(borrow)]
    pub status: Text<'a>,
    pub status_id: Number,
    #[serde(borrow)]
    pub status_code: Text<'a>,
    #[serde(borrow)]
    pub message: Text<'a>,
    pub time: Number,
    #[serde(borrow)]
    pub time_dt: Text<'a>,
    #[serde(borrow)]
    pub event_time: Text<'a>,
    #[serde(borrow)]
    pub finding_info: Object<FindingInfo<'a>>,
    /// Class 2001.
    #[serde(borrow)]
    pub finding: Object<FindingInfo<'a>>,
    /// One object in old versions.
    #[serde(alias = "resource", borrow)]
    pub resources: List<Resource<'a>>,
    #[serde(borrow)]
    pub cloud: Object<Cloud<'a>>,
    #[serde(borrow)]
    pub device: Object<Device<'a>>,
    #[serde(borrow)]
    pub compliance: Object<Compliance<'a>>,
    #[serde(borrow)]
    pub vulnerabilities: List<Vulnerability<'a>>,
    #[serde(borrow)]
    pub unmapped: Object<Unmapped<'a>>,
    pub count: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Metadata<'a> {
    #[serde(borrow)]
    pub event_code: Text<'a>,
    #[serde(borrow)]
    pub product: Object<Product<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Product<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub vendor_name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct FindingInfo<'a> {
    #[serde(borrow)]
    pub uid: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    #[serde(borrow)]
    pub created_time: Text<'a>,
    #[serde(borrow)]
    pub types: List<Text<'a>>,
    #[serde(borrow)]
    pub analytic: Object<Analytic<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Analytic<'a> {
    #[serde(borrow)]
    pub uid: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Resource<'a> {
    #[serde(borrow)]
    pub uid: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub namespace: Text<'a>,
}

impl Resource<'_> {
    /// What identifies it.
    pub fn address(&self) -> &str {
        first([&*self.uid, &*self.name])
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Cloud<'a> {
    #[serde(borrow)]
    pub provider: Text<'a>,
    #[serde(borrow)]
    pub account: Object<Account<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Account<'a> {
    #[serde(borrow)]
    pub uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Device<'a> {
    #[serde(borrow)]
    pub hostname: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Compliance<'a> {
    #[serde(borrow)]
    pub control: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    pub status_id: Number,
}

/// Prowler 5 says here which provider an event about a cluster is from.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Unmapped<'a> {
    #[serde(borrow)]
    pub provider: Text<'a>,
    #[serde(borrow)]
    pub provider_uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Vulnerability<'a> {
    #[serde(borrow)]
    pub cve: Object<Cve<'a>>,
    #[serde(borrow)]
    pub advisory: Object<Uid<'a>>,
    #[serde(borrow)]
    pub title: Text<'a>,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub cwe: Object<Uid<'a>>,
    #[serde(alias = "packages", borrow)]
    pub affected_packages: List<Package<'a>>,
    #[serde(borrow)]
    pub affected_code: List<Code<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Cve<'a> {
    #[serde(borrow)]
    pub uid: Text<'a>,
    #[serde(borrow)]
    pub cvss: List<Cvss<'a>>,
    #[serde(borrow)]
    pub related_cwes: List<Uid<'a>>,
    #[serde(borrow)]
    pub cwe_uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Uid<'a> {
    #[serde(borrow)]
    pub uid: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Cvss<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub vector_string: Text<'a>,
    pub base_score: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Package<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub purl: Text<'a>,
    #[serde(borrow)]
    pub package_manager: Text<'a>,
    #[serde(borrow)]
    pub fixed_in_version: Text<'a>,
    #[serde(borrow)]
    pub path: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Code<'a> {
    #[serde(borrow)]
    pub file: Object<File<'a>>,
    pub start_line: Number,
    pub end_line: Number,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct File<'a> {
    #[serde(borrow)]
    pub path: Text<'a>,
}
