//! The parts of a BOM that are read, borrowed from its bytes.
#![allow(clippy::struct_field_names)] // the names are the format's

use serde::Deserialize;

use crate::normalize::lenient::{List, Number, Object, Text};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Bom<'a> {
    #[serde(borrow)]
    pub bom_format: Text<'a>,
    #[serde(borrow)]
    pub serial_number: Text<'a>,
    #[serde(borrow)]
    pub metadata: Object<Metadata<'a>>,
    #[serde(borrow)]
    pub components: List<Component<'a>>,
    #[serde(borrow)]
    pub dependencies: List<Dependency<'a>>,
    #[serde(borrow)]
    pub vulnerabilities: List<Vulnerability<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Metadata<'a> {
    #[serde(borrow)]
    pub timestamp: Text<'a>,
    #[serde(borrow)]
    pub tools: Tools<'a>,
    #[serde(borrow)]
    pub component: Object<Component<'a>>,
    #[serde(borrow)]
    pub authors: List<Party<'a>>,
    #[serde(borrow)]
    pub supplier: Object<Party<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Party<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
}

/// A list before version 1.5, an object with components and services since.
#[derive(Default)]
pub struct Tools<'a>(pub Vec<Tool<'a>>);

impl<'a> std::ops::Deref for Tools<'a> {
    type Target = [Tool<'a>];
    fn deref(&self) -> &[Tool<'a>] {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tools<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = List::<Tool<'a>>::deserialize(deserializer)?;
        let nested = list.items.into_iter().flat_map(|tool| {
            let has_own = !tool.name.is_empty() || tool.components.is_empty();
            let Tool { name, version, components } = tool;
            let own = has_own.then(|| Tool { name, version, components: List::default() });
            own.into_iter().chain(components.items)
        });
        Ok(Self(nested.collect()))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Tool<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub components: List<Tool<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Component<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(rename = "bom-ref", borrow)]
    pub bom_ref: Text<'a>,
    #[serde(borrow)]
    pub group: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub purl: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    #[serde(borrow)]
    pub licenses: List<LicenceChoice<'a>>,
    #[serde(borrow)]
    pub properties: List<Property<'a>>,
    #[serde(rename = "externalReferences", borrow)]
    pub external_references: List<Link<'a>>,
    #[serde(borrow)]
    pub evidence: Object<Evidence<'a>>,
    #[serde(borrow)]
    pub components: List<Component<'a>>,
    /// Before version 1.4 vulnerabilities were an extension inside components; only XML had it.
    #[serde(skip)]
    pub vulnerabilities: List<Vulnerability<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct LicenceChoice<'a> {
    #[serde(borrow)]
    pub expression: Text<'a>,
    #[serde(borrow)]
    pub license: Object<Licence<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Licence<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Property<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub value: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Link<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub url: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Evidence<'a> {
    #[serde(borrow)]
    pub occurrences: List<Occurrence<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Occurrence<'a> {
    #[serde(borrow)]
    pub location: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Dependency<'a> {
    #[serde(rename = "ref", borrow)]
    pub of: Text<'a>,
    #[serde(borrow)]
    pub depends_on: List<Text<'a>>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Vulnerability<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub references: List<Reference<'a>>,
    #[serde(borrow)]
    pub ratings: List<Rating<'a>>,
    #[serde(borrow)]
    pub cwes: List<Text<'a>>,
    #[serde(borrow)]
    pub description: Text<'a>,
    #[serde(borrow)]
    pub detail: Text<'a>,
    #[serde(borrow)]
    pub recommendation: Text<'a>,
    #[serde(borrow)]
    pub analysis: Object<Analysis<'a>>,
    #[serde(borrow)]
    pub affects: List<Affected<'a>>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Reference<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Rating<'a> {
    pub score: Number,
    #[serde(borrow)]
    pub severity: Text<'a>,
    #[serde(borrow)]
    pub method: Text<'a>,
    #[serde(borrow)]
    pub vector: Text<'a>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Analysis<'a> {
    #[serde(borrow)]
    pub state: Text<'a>,
    #[serde(borrow)]
    pub justification: Text<'a>,
    #[serde(borrow)]
    pub response: List<Text<'a>>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Affected<'a> {
    #[serde(rename = "ref", borrow)]
    pub target: Text<'a>,
    #[serde(borrow)]
    pub versions: List<Version<'a>>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Version<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
}
