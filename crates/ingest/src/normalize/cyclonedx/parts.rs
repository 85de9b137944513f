//! The components of a BOM by reference, with who depends on them.

use std::collections::HashMap;

use tributary_model::observation::InventoryItem;
use tributary_model::path;
use tributary_model::sighting::{DependencyScope, Package};

use super::shape::{Bom, Component};
use crate::normalize::image_reference::percent_decode;
use crate::normalize::lenient::first;
use crate::normalize::package_of;

/// Index of the components, nested ones included, in the order of the BOM.
pub struct Parts<'b> {
    all: Vec<&'b Component<'b>>,
    by_ref: HashMap<&'b str, &'b Component<'b>>,
    parent: HashMap<&'b str, &'b str>,
    root: &'b str,
}

impl<'b> Parts<'b> {
    /// Indexes a BOM. The parser has bounded the depth.
    pub fn of(bom: &'b Bom<'b>) -> Self {
        let mut all = Vec::with_capacity(bom.components.len());
        bom.components.iter().for_each(|component| flatten(component, &mut all));
        let mut by_ref = HashMap::with_capacity(all.len());
        for component in all.iter().copied().chain([&*bom.metadata.component]) {
            for reference in [&*component.bom_ref, &*component.purl] {
                if !reference.is_empty() {
                    by_ref.entry(reference).or_insert(component);
                }
            }
        }
        let mut parent = HashMap::new();
        if !bom.vulnerabilities.is_empty() {
            for dependency in &bom.dependencies {
                for on in &dependency.depends_on {
                    parent.entry(&**on).or_insert(&*dependency.of);
                }
            }
        }
        Self { all, by_ref, parent, root: &bom.metadata.component.bom_ref }
    }

    /// Whether the BOM lists nothing.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The component that a reference names: within this BOM, or as a link into another, whose last part is the reference.
    pub fn find(&self, reference: &str) -> Option<&'b Component<'b>> {
        if let Some(component) = self.by_ref.get(reference) {
            return Some(component);
        }
        self.by_ref.get(linked(reference).as_str()).copied()
    }

    /// From the direct dependency down to what brings the component in, without the root and the component itself.
    pub fn path_to(&self, component: &Component<'_>) -> Vec<String> {
        let mut path: Vec<String> = Vec::new();
        let mut of: &str = &component.bom_ref;
        while let Some(parent) = self.parent.get(of).copied().filter(|_| path.len() < 16) {
            let name = self.by_ref.get(parent).map_or_else(|| parent.to_owned(), |c| label(c));
            if parent.is_empty() || parent == self.root || path.contains(&name) || parent == &*component.bom_ref {
                break;
            }
            path.push(name);
            of = parent;
        }
        path.reverse();
        path
    }

    /// Everything that is a package. Files and operating systems are not.
    pub fn inventory(&self) -> Vec<InventoryItem> {
        self.all.iter().filter_map(|component| item(component)).collect()
    }
}

fn flatten<'b>(component: &'b Component<'b>, into: &mut Vec<&'b Component<'b>>) {
    into.push(component);
    component.components.iter().for_each(|nested| flatten(nested, into));
}

/// `urn:cdx:<serial>/<version>#<reference>`, the reference percent-encoded → the reference; others stay.
pub fn linked(reference: &str) -> String {
    match reference.strip_prefix("urn:cdx:").and_then(|link| link.split_once('#')) {
        Some((_, reference)) => percent_decode(reference),
        None => reference.to_owned(),
    }
}

fn label(component: &Component<'_>) -> String {
    let name = full_name(component, ":");
    if component.version.is_empty() { name } else { format!("{name}@{}", &*component.version) }
}

fn full_name(component: &Component<'_>, separator: &str) -> String {
    match component.group.given() {
        Some(group) => format!("{group}{separator}{}", &*component.name),
        None => component.name.to_string(),
    }
}

/// The package of a component, by its purl, else by the names that its maker gave it.
pub fn package(component: &Component<'_>, is_repository: bool) -> Package {
    let mut package = package_of::from_purl(&component.purl)
        .or_else(|| package_of::from_purl(&component.bom_ref))
        .unwrap_or_else(|| package_of::build("generic", "", &full_name(component, "/"), &component.version));
    if let Some(version) = component.version.given() {
        version.clone_into(&mut package.version);
    }
    let property = |name: &str| component.properties.iter().find(|p| *p.name == *name).map_or("", |p| &*p.value);
    package_of::set_source(&mut package, property("aquasecurity:trivy:SrcName"));
    if !package.is_os_package {
        let occurrence = component.evidence.occurrences.first().map_or("", |occurrence| &*occurrence.location);
        let file = first([
            property("SrcFile"),
            property("aquasecurity:trivy:FilePath"),
            property("syft:location:0:path"),
            occurrence,
        ]);
        package.file = path::canonical(file);
        if is_repository {
            path::directory(&package.file).clone_into(&mut package.manifest_dir);
        }
    }
    package.scope = match &*component.scope {
        _ if property("cdx:npm:package:development") == "true"
            || property("cdx:composer:package:isDevRequirement") == "true" =>
        {
            DependencyScope::Development
        }
        "required" => DependencyScope::Runtime,
        "excluded" => DependencyScope::Test,
        _ => DependencyScope::Unknown,
    };
    package
}

fn item(component: &Component<'_>) -> Option<InventoryItem> {
    let is_package = !component.purl.is_empty() || matches!(&*component.kind, "library" | "framework");
    if !is_package || component.name.is_empty() {
        return None;
    }
    let package = package(component, false);
    let licences = component.licenses.iter().filter_map(|choice| {
        Some(first([&*choice.expression, &*choice.license.id, &*choice.license.name]))
            .filter(|licence| !licence.is_empty())
    });
    let occurrences = component.evidence.occurrences.iter().filter_map(|occurrence| occurrence.location.given());
    let own = component.properties.iter().filter(|_| !package.is_os_package);
    let own = own.filter(|p| {
        p.name.starts_with("syft:location:") && p.name.ends_with(":path") || *p.name == *"aquasecurity:trivy:FilePath"
    });
    let mut files: Vec<String> = Vec::new();
    for file in occurrences.chain(own.filter_map(|property| property.value.given())) {
        let file = format!("/{}", path::canonical(file));
        if files.len() < 32 && !files.contains(&file) {
            files.push(file);
        }
    }
    Some(InventoryItem {
        licence: licences.collect::<Vec<_>>().join(" AND "),
        purl: package.purl,
        name: package.name,
        version: package.version,
        ecosystem: package.ecosystem,
        files,
    })
}
