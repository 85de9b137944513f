//! OWASP ZAP, JSON and XML. An active alert (an attack worked: injection …) is fixed where it was found, so it is one sighting per
//! method, templated path and parameter. A passive one (headers, cookies, disclosures) is an observation about the site: eleven
//! pages without a header are one fix, so it is one sighting. Requests, responses, evidence and attacks may hold session tokens
//! and are not copied.

use std::collections::HashSet;

use serde::Deserialize;
use tributary_model::asset;
use tributary_model::path;
use tributary_model::severity::Severity;
use tributary_model::sighting::{Endpoint, FindingClass, Sighting, ToolStatus};
use tributary_model::time::Millis;

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::asset_of::{self, Subject};
use crate::normalize::lenient::{List, Number, Text, first};
use crate::normalize::xml_tree::{self, Element};
use crate::normalize::{cwe, title};
use crate::report::Report;
use crate::time;

#[cfg(test)]
mod tests;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document<'a> {
    #[serde(rename = "@version", borrow)]
    version: Text<'a>,
    #[serde(rename = "@generated", borrow)]
    generated: Text<'a>,
    #[serde(borrow)]
    created: Text<'a>,
    #[serde(borrow)]
    site: List<Site<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Site<'a> {
    #[serde(rename = "@name", borrow)]
    name: Text<'a>,
    #[serde(rename = "@host", borrow)]
    host: Text<'a>,
    #[serde(rename = "@port", borrow)]
    port: Text<'a>,
    #[serde(rename = "@ssl", borrow)]
    ssl: Text<'a>,
    #[serde(borrow)]
    alerts: List<Alert<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Alert<'a> {
    #[serde(rename = "pluginid", borrow)]
    plugin: Text<'a>,
    /// The plugin and which of its alerts: `10055-4`. Since version 2.10.
    #[serde(rename = "alertRef", borrow)]
    reference: Text<'a>,
    #[serde(borrow)]
    #[allow(clippy::struct_field_names)] // the name is the format's
    alert: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(rename = "riskcode")]
    risk: Number,
    confidence: Number,
    #[serde(rename = "cweid", borrow)]
    cwe: Text<'a>,
    #[serde(borrow)]
    instances: List<Instance<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Instance<'a> {
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    param: Text<'a>,
    /// Read for whether there is one, never copied.
    #[serde(borrow)]
    attack: Text<'a>,
}

impl Alert<'_> {
    fn is_active(&self) -> bool {
        self.instances.iter().any(|instance| instance.attack.given().is_some())
    }
}

/// One report per site.
///
/// # Errors
/// Neither JSON nor XML, not ZAP's, or a site without a host.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let tree;
    let document = if input.body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        serde_json::from_slice(input.body).map_err(|error| Rejection::json("ZAP", &error))?
    } else {
        tree = xml_tree::parse("ZAP", input.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input.body))?;
        of_xml(&tree)?
    };
    if !document.site.was_given {
        return Err(Rejection::new(code::MALFORMED, "the object has no site, as every ZAP report has"));
    }
    if document.site.is_empty() {
        return Err(Rejection::new(code::NOTHING_IN_IT, "the ZAP report names no site: the target was not reached"));
    }
    let reports = document.site.iter().map(|site| report(input, &document, site)).collect::<Result<_, _>>()?;
    Ok(Events { reports, ..Events::default() })
}

fn report(input: &Input<'_>, document: &Document<'_>, site: &Site<'_>) -> Result<Report, Rejection> {
    let scheme = if site.ssl.eq_ignore_ascii_case("true") { "https" } else { "http" };
    let by_host = || asset::web(&format!("{scheme}://{}:{}", site.host.given()?, first([&*site.port, "80"])));
    let origin = asset::web(&site.name).or_else(by_host);
    let mut seen = HashSet::new();
    let sightings = site.alerts.iter().flat_map(sightings).filter(|sighting| seen.insert(key(sighting))).collect();
    Ok(Report {
        asset: asset_of::choose(input, Subject::Running, origin)?,
        tool: "owasp zap".to_owned(),
        tool_version: document.version.to_string(),
        started_at: time::parse(&document.created).or_else(|| generated(&document.generated)),
        classes: vec![FindingClass::Web],
        sightings,
        ..Report::default()
    })
}

type Key = (String, String, Severity, Severity, Option<(String, String, String)>);

/// What a report says twice is one sighting. Risk and confidence are in it: ZAP tells one alert apart by them, and TRACK folds the
/// claims that are about one finding.
fn key(sighting: &Sighting) -> Key {
    let endpoint = sighting.endpoint.clone().map(|at| (at.method, at.path_template, at.parameter));
    (sighting.rule.clone(), sighting.title.clone(), sighting.severity, sighting.confidence, endpoint)
}

fn sightings(alert: &Alert<'_>) -> Vec<Sighting> {
    if !alert.is_active() {
        return vec![sighting(alert, first([&*alert.reference, &*alert.plugin]), of_site(&alert.instances))];
    }
    alert.instances.iter().map(|instance| sighting(alert, &alert.plugin, of_route(instance))).collect()
}

fn of_route(instance: &Instance<'_>) -> Endpoint {
    Endpoint {
        method: first([&*instance.method, Endpoint::ANY_METHOD]).to_ascii_uppercase(),
        path_template: path::url_template(&instance.uri),
        parameter: instance.param.trim().to_owned(),
    }
}

/// No page is named as an example: a path beside a web finding would be taken for its route where code and web confirm each other.
fn of_site(instances: &[Instance<'_>]) -> Endpoint {
    let parameter = instances.first().map_or("", |instance| instance.param.trim());
    let is_shared = instances.iter().all(|instance| instance.param.trim() == parameter);
    Endpoint {
        method: Endpoint::ANY_METHOD.to_owned(),
        path_template: Endpoint::WHOLE_SITE.to_owned(),
        parameter: if is_shared { parameter.to_owned() } else { String::new() },
    }
}

fn sighting(alert: &Alert<'_>, rule: &str, endpoint: Endpoint) -> Sighting {
    let mut cwes = Vec::new();
    cwe::collect(&alert.cwe, true, &mut cwes);
    let (severity, confidence) = (alert.risk.0.map_or(-1, |n| n as i32), alert.confidence.0.map_or(-1, |n| n as i32));
    Sighting {
        class: FindingClass::Web,
        rule: rule.to_owned(),
        title: title::line(first([&*alert.name, &*alert.alert, &*alert.plugin])),
        severity: match severity {
            0 => Severity::Information,
            1 => Severity::Low,
            2 => Severity::Medium,
            3 => Severity::High,
            _ => Severity::Unknown,
        },
        confidence: match confidence {
            1 => Severity::Low,
            2 => Severity::Medium,
            3 | 4 => Severity::High,
            _ => Severity::Unknown,
        },
        // Confidence 0 is how people mark a false positive in ZAP.
        status: if confidence == 0 { ToolStatus::Dismissed } else { ToolStatus::Open },
        cwes: cwe::canonical(cwes),
        endpoint: Some(endpoint),
        ..Sighting::default()
    }
}

/// `Sat, 7 Nov 2026 22:10:41`, in the language and the zone of the machine; only the English form is read, as UTC.
fn generated(text: &str) -> Option<Millis> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty()).skip(1);
    let day: u8 = words.next()?.parse().ok()?;
    let name = words.next()?.to_lowercase();
    let month = MONTHS.iter().position(|month| name.starts_with(month))? + 1;
    let (year, clock) = (words.next()?, words.next()?);
    time::parse(&format!("{year}-{month:02}-{day:02}T{clock}Z"))
}

fn of_xml(root: &Element) -> Result<Document<'_>, Rejection> {
    if root.name != "OWASPZAPReport" {
        return Err(Rejection::new(code::MALFORMED, "the root element is not the OWASPZAPReport of ZAP"));
    }
    Ok(Document {
        version: root.attribute("version").into(),
        generated: root.attribute("generated").into(),
        created: root.attribute("created").into(),
        site: root.children("site").map(site_of).collect::<Vec<_>>().into(),
    })
}

fn site_of(site: &Element) -> Site<'_> {
    let alerts = site.children("alerts").flat_map(|alerts| alerts.children("alertitem"));
    Site {
        name: site.attribute("name").into(),
        host: site.attribute("host").into(),
        port: site.attribute("port").into(),
        ssl: site.attribute("ssl").into(),
        alerts: alerts.map(alert).collect::<Vec<_>>().into(),
    }
}

fn instance(instance: &Element) -> Instance<'_> {
    Instance {
        uri: instance.text("uri").into(),
        method: instance.text("method").into(),
        param: instance.text("param").into(),
        attack: instance.text("attack").into(),
    }
}

fn alert(item: &Element) -> Alert<'_> {
    let number = |name: &str| Number(item.text(name).parse().ok());
    let instances: Vec<Instance<'_>> =
        item.children("instances").flat_map(|instances| instances.children("instance")).map(instance).collect();
    // Old versions have the one instance in the alert itself.
    let own = Instance { method: "".into(), ..instance(item) };
    let instances = if instances.is_empty() && !item.text("uri").is_empty() { vec![own] } else { instances };
    Alert {
        plugin: item.text("pluginid").into(),
        reference: item.text("alertRef").into(),
        alert: item.text("alert").into(),
        name: item.text("name").into(),
        risk: number("riskcode"),
        confidence: number("confidence"),
        cwe: item.text("cweid").into(),
        instances: instances.into(),
    }
}
