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
      {"uri":"https://shop.example/orders/18?q=2","method":"GET","param":"q"},
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
    assert_eq!((endpoints[2].method.as_str(), endpoints[2].path_template.as_str()), ("ANY", "/"));
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
