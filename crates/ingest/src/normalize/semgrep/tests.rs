use tributary_model::record::Extensions;
use tributary_model::severity::Severity;
use tributary_model::sighting::{FindingClass, ToolStatus};

use crate::event::code;
use crate::format::Format::Semgrep;
use crate::normalize::{code_evidence, fixture};

const SCAN: &str = include_str!("../../../tests/fixtures/semgrep/scan.json");

#[test]
fn a_scan_covers_the_directories_of_its_files() {
    let report = fixture::report(Semgrep, SCAN, &fixture::repository());
    assert_eq!(report.asset, "repo:github.com/acme/shop#main");
    assert_eq!(report.paths, ["app", "setup.cfg", "web"]);
    assert_eq!(report.complete, None, "a warning is no gap");
    assert_eq!(report.classes, [FindingClass::Vulnerability, FindingClass::Weakness, FindingClass::Secret]);
    let failed = SCAN.replace("\"warn\"", "\"error\"");
    assert_eq!(fixture::report(Semgrep, &failed, &fixture::repository()).complete, Some(false));
}

#[test]
fn placeholders_are_no_evidence_and_ignored_results_are_proposals() {
    let report = fixture::report(Semgrep, SCAN, &fixture::repository());
    let eval = &report.sightings[0];
    let location = eval.location.as_ref().unwrap();
    assert_eq!((location.path.as_str(), location.start_line, location.end_line), ("app/calc.py", 4, 5));
    assert_eq!((location.line_hash.as_str(), location.snippet_hash.as_str()), ("", ""));
    assert_eq!((eval.cwes.as_slice(), eval.severity, eval.confidence), (&[94, 95][..], Severity::High, Severity::High));
    assert_eq!((eval.title.as_str(), eval.status), ("eval of user input", ToolStatus::Open));
    let hash = &report.sightings[1];
    assert_eq!((hash.status, hash.cwes.as_slice()), (ToolStatus::Dismissed, &[327][..]));
    assert_eq!(hash.location.as_ref().unwrap().line_hash, code_evidence::of("h = md5( x )").line_hash);
}

#[test]
fn secrets_and_dependencies_have_their_own_class() {
    let report = fixture::report(Semgrep, SCAN, &fixture::repository());
    let secret = &report.sightings[2];
    assert!(secret.secret.as_ref().unwrap().verified);
    assert_eq!(
        (secret.title.as_str(), secret.location.as_ref().unwrap().line_hash.as_str()),
        ("generic.secrets.aws-key", "")
    );
    let lodash = &report.sightings[3];
    let package = lodash.package.as_ref().unwrap();
    assert_eq!(
        (lodash.class, lodash.rule.as_str(), lodash.reachable),
        (FindingClass::Vulnerability, "CVE-2020-8203", Some(true))
    );
    assert_eq!((package.purl.as_str(), package.manifest_dir.as_str()), ("pkg:npm/lodash", "web"));
    assert_eq!(package.fixed_versions, ["4.17.19"]);
}

#[test]
fn bad_input_is_a_rejection() {
    let reject = |body: &str, ext: &Extensions| fixture::normalize(Semgrep, body.as_bytes(), ext).unwrap_err().code;
    assert_eq!(reject(SCAN, &Extensions::default()), code::NO_ASSET);
    assert_eq!(reject("{}", &fixture::repository()), code::MALFORMED);
    fixture::survives(Semgrep, SCAN, &["FAKEsecretFIXTURE02"]);
}
