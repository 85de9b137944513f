use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::ToolStatus;

use crate::event::code;
use crate::format::Format::Zap;
use crate::normalize::fixture;

const XML: &str = include_str!("../../../tests/fixtures/zap/report.xml");

/// The JSON of the same scan.
const JSON: &str = r#"{"@programName":"ZAP","@version":"2.15.0","@generated":"Fri, 6 Nov 2026 09:30:00","site":[
  {"@name":"https://Shop.example:443","@host":"shop.example","@port":"443","@ssl":"true","alerts":[
    {"pluginid":"40018","alert":"SQL Injection","name":"SQL Injection","riskcode":"3","confidence":"3","cweid":"89","instances":[
      {"uri":"https://shop.example/orders/17?q=1","method":"GET","param":"q","evidence":"fakeZapSession01"},
      {"uri":"https://shop.example/orders/18?q=2","method":"GET","param":"q","attack":"x' OR 1=1"},
      {"uri":"https://shop.example/orders/18","method":"post","param":"q"}]},
    {"pluginid":"10111","alert":"Noted","name":"Noted","riskcode":"0","confidence":"0","cweid":"-1","instances":[]}]},
  {"@name":"http://api.shop.example:8080","@host":"api.shop.example","@port":"8080","@ssl":"false","alerts":[]}]}"#;

#[test]
fn xml_and_json_say_the_same() {
    let ext = Extensions::default();
    assert_eq!(
        fixture::normalize(Zap, XML.as_bytes(), &ext).unwrap(),
        fixture::normalize(Zap, JSON.as_bytes(), &ext).unwrap()
    );
}

#[test]
fn an_alert_is_one_sighting_per_endpoint_and_parameter() {
    let events = fixture::normalize(Zap, XML.as_bytes(), &Extensions::default()).unwrap();
    let assets: Vec<_> = events.reports.iter().map(|r| (r.asset.as_str(), r.sightings.len())).collect();
    assert_eq!(
        assets,
        [("web:https://shop.example", 3), ("web:http://api.shop.example:8080", 0)],
        "a clean site is a scan"
    );
    let report = &events.reports[0];
    assert_eq!((report.started_at, report.tool_version.as_str()), (Some(1_793_957_400_000), "2.15.0"));
    let endpoints: Vec<_> = report.sightings.iter().map(|s| s.endpoint.clone().unwrap()).collect();
    assert_eq!(
        (endpoints[0].method.as_str(), endpoints[0].path_template.as_str(), endpoints[0].parameter.as_str()),
        ("GET", "/orders/{}", "q")
    );
    assert_eq!(endpoints[1].method, "POST");
    assert_eq!((report.sightings[0].severity, report.sightings[0].cwes.as_slice()), (Severity::High, &[89][..]));
    let noted = &report.sightings[2];
    assert_eq!((noted.status, noted.severity, noted.cwes.len()), (ToolStatus::Dismissed, Severity::Information, 0));
    assert_eq!((endpoints[2].method.as_str(), endpoints[2].path_template.as_str()), ("ANY", "*"));
}

/// Rule, title, path and parameter of the sightings of alerts.
fn seen(alerts: &str) -> Vec<(String, String, String, String)> {
    let body = format!(r#"{{"@version":"2.15.0","site":[{{"@name":"https://shop.example","alerts":[{alerts}]}}]}}"#);
    let report = fixture::report(Zap, &body, &Extensions::default());
    let of = |s: tributary_model::sighting::Sighting| {
        let at = s.endpoint.unwrap();
        (s.rule, s.title, format!("{} {}", at.method, at.path_template), at.parameter)
    };
    report.sightings.into_iter().map(of).collect()
}

fn alert(plugin: &str, reference: &str, name: &str, instances: &[(&str, &str, &str)]) -> String {
    let instances: Vec<String> = instances
        .iter()
        .map(|(path, param, attack)| {
            format!(r#"{{"uri":"https://shop.example{path}","method":"GET","param":"{param}","attack":"{attack}"}}"#)
        })
        .collect();
    format!(
        r#"{{"pluginid":"{plugin}","alertRef":"{reference}","name":"{name}","riskcode":"1","confidence":"2","cweid":"693","instances":[{}]}}"#,
        instances.join(",")
    )
}

fn row(rule: &str, title: &str, place: &str, parameter: &str) -> (String, String, String, String) {
    (rule.to_owned(), title.to_owned(), place.to_owned(), parameter.to_owned())
}

#[test]
fn a_passive_alert_is_one_sighting_of_the_site() {
    let header =
        alert("10021", "10021", "Missing", &[("/", "X-Type", ""), ("/cart", "X-Type", " "), ("/a", "X-Type", "")]);
    assert_eq!(seen(&header), [row("10021", "Missing", "ANY *", "X-Type")]);
    let cookies = alert("10010", "", "Cookie", &[("/", "a", ""), ("/", "b", "")]);
    assert_eq!(seen(&cookies), [row("10010", "Cookie", "ANY *", "")], "two cookies, one setting");
}

#[test]
fn an_attack_anywhere_in_an_alert_keeps_its_routes_apart() {
    let injection =
        alert("40018", "40018-1", "Injection", &[("/a/7", "q", ""), ("/a/8", "q", "' OR 1=1"), ("/b", "q", "'")]);
    assert_eq!(
        seen(&injection),
        [row("40018", "Injection", "GET /a/{}", "q"), row("40018", "Injection", "GET /b", "q")]
    );
}

#[test]
fn alerts_of_one_plugin_stay_apart() {
    let csp = "Content-Security-Policy";
    let wildcard = alert("10055", "10055-4", "CSP: Wildcard", &[("/", csp, "")]);
    let inline = alert("10055", "10055-6", "CSP: Inline", &[("/", csp, "")]);
    let rows = [row("10055-4", "CSP: Wildcard", "ANY *", csp), row("10055-6", "CSP: Inline", "ANY *", csp)];
    assert_eq!(seen(&[wildcard.as_str(), &inline].join(",")), rows);
    assert_eq!(seen(&[wildcard.as_str(), &inline, &wildcard].join(",")), rows, "said twice, it is one");
    let old =
        [alert("10096", "", "Timestamp - Unix", &[("/", "", "")]), alert("10096", "", "Timestamp - Windows", &[])];
    assert_eq!(seen(&old.join(",")).len(), 2);
    let sure = wildcard.replace(r#""confidence":"2""#, r#""confidence":"3""#);
    assert_eq!(seen(&[wildcard, sure].join(",")).len(), 2, "ZAP holds two claims apart that it is not equally sure of");
}

#[test]
fn times_of_other_languages_are_absent() {
    assert_eq!(super::generated("Fr., 30 Sep. 2022 08:40:35"), Some(1_664_527_235_000));
    assert_eq!(super::generated("ven., 30 août 2022 08:40:35"), None);
    assert_eq!(super::generated("é"), None);
}

#[test]
fn bad_input_is_a_rejection() {
    let reject = |body: &str| fixture::normalize(Zap, body.as_bytes(), &Extensions::default()).unwrap_err().code;
    assert_eq!(reject("{}"), code::MALFORMED);
    assert_eq!(reject(r#"{"site":[]}"#), code::NOTHING_IN_IT);
    assert_eq!(reject("<bom/>"), code::MALFORMED);
    assert_eq!(reject(r#"{"site":[{"alerts":[]}]}"#), code::NO_ASSET);
    fixture::survives(Zap, XML, &["fakeZapSession01"]);
    fixture::survives(Zap, JSON, &["fakeZapSession01"]);
}
