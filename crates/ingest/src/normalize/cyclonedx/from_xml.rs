//! A BOM in XML → the same shape as one in JSON. Before version 1.4 vulnerabilities were an extension inside components or beside
//! them, with other names.

use super::shape::{
    Affected, Analysis, Bom, Component, Dependency, Licence, LicenceChoice, Link, Metadata, Party, Property, Rating,
    Reference, Tool, Tools, Version, Vulnerability,
};
use crate::event::{Rejection, code};
use crate::normalize::lenient::{List, Number, Object, Text};
use crate::normalize::xml_tree::Element;

/// The BOM under a root element.
///
/// # Errors
/// When the root is another element.
pub fn bom(root: &Element) -> Result<Bom<'_>, Rejection> {
    if root.name != "bom" {
        return Err(Rejection::new(code::MALFORMED, "the root element is not the bom of CycloneDX"));
    }
    let components = list(root, "components", "component", component);
    let mut vulnerabilities = list(root, "vulnerabilities", "vulnerability", vulnerability);
    components.iter().for_each(|component| collect_nested(component, &mut vulnerabilities.items));
    Ok(Bom {
        bom_format: "CycloneDX".into(),
        serial_number: root.attribute("serialNumber").into(),
        metadata: Object(root.child("metadata").map(metadata).unwrap_or_default()),
        components,
        dependencies: list(root, "dependencies", "dependency", dependency),
        vulnerabilities,
    })
}

/// The children of a container, read one by one.
fn list<'e, T>(parent: &'e Element, container: &str, name: &'static str, read: impl Fn(&'e Element) -> T) -> List<T> {
    match parent.child(container) {
        Some(container) => container.children(name).map(read).collect::<Vec<_>>().into(),
        None => List::default(),
    }
}

fn text<'e>(element: &'e Element, name: &str) -> Text<'e> {
    element.text(name).into()
}

fn metadata(element: &Element) -> Metadata<'_> {
    let tool = |tool| Tool { name: text(tool, "name"), version: text(tool, "version"), components: List::default() };
    let old = list(element, "tools", "tool", tool);
    let new = element.child("tools").map(|tools| list(tools, "components", "component", tool)).unwrap_or_default();
    Metadata {
        timestamp: text(element, "timestamp"),
        tools: Tools(old.items.into_iter().chain(new.items).collect()),
        component: Object(element.child("component").map(component).unwrap_or_default()),
        authors: list(element, "authors", "author", |author| Party { name: text(author, "name") }),
        supplier: Object(Party { name: element.child("supplier").map_or("", |supplier| supplier.text("name")).into() }),
    }
}

fn component(element: &Element) -> Component<'_> {
    let reference = element.attribute("bom-ref");
    let choices = element.child("licenses").into_iter().flat_map(|licenses| &licenses.children).map(licence);
    Component {
        kind: element.attribute("type").into(),
        bom_ref: reference.into(),
        group: text(element, "group"),
        name: text(element, "name"),
        version: text(element, "version"),
        purl: text(element, "purl"),
        scope: text(element, "scope"),
        licenses: choices.collect::<Vec<_>>().into(),
        properties: list(element, "properties", "property", |property| Property {
            name: property.attribute("name").into(),
            value: property.text.as_str().into(),
        }),
        external_references: list(element, "externalReferences", "reference", |link| Link {
            kind: link.attribute("type").into(),
            url: text(link, "url"),
        }),
        evidence: Object::default(),
        components: list(element, "components", "component", component),
        vulnerabilities: list(element, "vulnerabilities", "vulnerability", |nested| {
            let mut nested = vulnerability(nested);
            if nested.affects.is_empty() {
                let target = if reference.is_empty() { element.text("purl") } else { reference };
                nested.affects = vec![Affected { target: target.into(), versions: List::default() }].into();
            }
            nested
        }),
    }
}

fn licence(element: &Element) -> LicenceChoice<'_> {
    if element.name == "expression" {
        return LicenceChoice { expression: element.text.as_str().into(), ..LicenceChoice::default() };
    }
    let license = Object(Licence { id: text(element, "id"), name: text(element, "name") });
    LicenceChoice { license, ..LicenceChoice::default() }
}

/// Moves a copy of what the extension put into components to the list that newer versions have.
fn collect_nested<'e>(component: &Component<'e>, into: &mut Vec<Vulnerability<'e>>) {
    into.extend(component.vulnerabilities.iter().cloned());
    component.components.iter().for_each(|nested| collect_nested(nested, into));
}

fn dependency(element: &Element) -> Dependency<'_> {
    Dependency {
        of: element.attribute("ref").into(),
        depends_on: element.children("dependency").map(|on| on.attribute("ref").into()).collect::<Vec<_>>().into(),
    }
}

fn vulnerability(element: &Element) -> Vulnerability<'_> {
    let own_target = element.attribute("ref");
    let mut affects = list(element, "affects", "target", |target| Affected {
        target: text(target, "ref"),
        versions: list(target, "versions", "version", |version| Version {
            version: text(version, "version"),
            status: text(version, "status"),
        }),
    });
    if affects.is_empty() && !own_target.is_empty() {
        affects = vec![Affected { target: own_target.into(), versions: List::default() }].into();
    }
    let old_recommendation = element.child("recommendations").map_or("", |r| r.text("recommendation"));
    let recommendation = element.text("recommendation");
    Vulnerability {
        id: text(element, "id"),
        references: list(element, "references", "reference", |reference| Reference { id: text(reference, "id") }),
        ratings: list(element, "ratings", "rating", rating),
        cwes: list(element, "cwes", "cwe", |cwe| cwe.text.as_str().into()),
        description: text(element, "description"),
        detail: text(element, "detail"),
        recommendation: if recommendation.is_empty() { old_recommendation } else { recommendation }.into(),
        analysis: Object(element.child("analysis").map(analysis).unwrap_or_default()),
        affects,
    }
}

/// The score is text now and was an element with a base score before.
fn rating(element: &Element) -> Rating<'_> {
    let score = element.child("score").map(|score| match score.text("base") {
        "" => score.text.as_str(),
        base => base,
    });
    Rating {
        score: Number(score.and_then(|score| score.parse().ok())),
        severity: text(element, "severity"),
        method: text(element, "method"),
        vector: text(element, "vector"),
    }
}

fn analysis(element: &Element) -> Analysis<'_> {
    Analysis {
        state: text(element, "state"),
        justification: text(element, "justification"),
        response: list(element, "responses", "response", |response| response.text.as_str().into()),
    }
}
