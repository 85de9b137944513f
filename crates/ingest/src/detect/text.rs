//! Everything that is not JSON: XML by its root element, CSV by its header, YAML by its first keys, CODEOWNERS by its lines.

use quick_xml::Reader;
use quick_xml::events::Event;
use tributary_model::record::RawClass;

use crate::event::{Rejection, code};
use crate::format::Format;

/// Lines that are looked at. A header comes first, a YAML document's kind within its first keys; licences in comments are long.
const LINES_MAX: usize = 400;

/// XML by its root element.
pub(super) fn xml(text: &[u8], class: Option<RawClass>) -> Result<Format, Rejection> {
    let mut reader = Reader::from_reader(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(root) | Event::Empty(root)) => {
                let name = root.local_name().as_ref().to_owned();
                let is_cyclonedx = || {
                    root.attributes().flatten().any(|attribute| {
                        attribute.key.as_ref().starts_with("xmlns")
                            && attribute.value.contains("cyclonedx.org/schema/bom")
                    })
                };
                return match name.as_str() {
                    "OWASPZAPReport" => Ok(Format::Zap),
                    "bom" if is_cyclonedx() => Ok(Format::CycloneDx),
                    "html" => Err(Rejection::new(
                        code::UNKNOWN_FORMAT,
                        "this is an HTML page, perhaps an error page that was saved as a report: look at the job that wrote it",
                    )),
                    name => Err(super::unknown(&format!("XML with the root element <{}>", super::cut(name)), class)),
                };
            }
            Ok(Event::Eof) => {
                return Err(Rejection::new(
                    code::TRUNCATED,
                    "the XML text ends before its root element: send the whole file",
                ));
            }
            Ok(_) => {}
            Err(_) => {
                let at = format!("byte {}", reader.error_position());
                return Err(Rejection::at(code::MALFORMED, "the text begins like XML but is not valid XML", at));
            }
        }
    }
}

/// CSV, YAML, CODEOWNERS.
pub(super) fn detect(text: &[u8], class: Option<RawClass>) -> Result<Format, Rejection> {
    if let Some(format) = csv(text).or_else(|| yaml(text)) {
        return Ok(format);
    }
    if is_codeowners(text) {
        return Ok(Format::CodeOwners);
    }
    Err(match text {
        b"null" | b"true" | b"false" => {
            Rejection::new(code::EMPTY, "there is no report in this: it is a single JSON value")
        }
        _ => super::unknown(&describe(text), class),
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| *byte == b'\n').take(LINES_MAX).filter_map(|line| std::str::from_utf8(line).ok())
}

fn csv(text: &[u8]) -> Option<Format> {
    let mut lines = lines(text).map(str::trim_end);
    let first = lines.next()?;
    let is_epss = |line: &str| line.to_ascii_lowercase().replace(' ', "").starts_with("cve,epss");
    if first.starts_with("#model_version:") || is_epss(first) {
        return Some(Format::Epss);
    }
    let has = |name: &str| first.split(';').any(|column| column.trim_matches('"').eq_ignore_ascii_case(name));
    (has("PROVIDER") && has("CHECK_ID")).then_some(Format::ProwlerCsv)
}

fn yaml(text: &[u8]) -> Option<Format> {
    let mut api = None;
    let mut has_kind = false;
    for line in lines(text) {
        // A second document may be of another kind; the normaliser reads them all.
        if line.starts_with("---") && api.is_some() {
            break;
        }
        if let Some(value) = line.strip_prefix("apiVersion:") {
            api = Some(value.trim().trim_matches(['"', '\'']).to_owned());
        }
        has_kind |= line.starts_with("kind:");
    }
    let api = api?;
    match () {
        () if api.starts_with("backstage.io/") => Some(Format::Backstage),
        () if api.starts_with("aquasecurity.github.io/") => Some(Format::TrivyOperator),
        () => has_kind.then_some(Format::Kubernetes),
    }
}

/// Whether every line is a comment, a section, or a pattern with owners behind it, and at least one has an owner.
pub(super) fn is_codeowners(text: &[u8]) -> bool {
    let mut owners = 0;
    for line in lines(text).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line = line.split(" #").next().unwrap_or_default();
        let is_section = line.starts_with('[') || line.starts_with("^[");
        let words = if is_section { line.split_once(']').map_or("", |(_, rest)| rest) } else { line };
        let named = words.split_whitespace().skip(usize::from(!is_section));
        for owner in named {
            // A GitLab section may carry a number of approvals in brackets.
            if !owner.contains('@') && !owner.starts_with('[') {
                return false;
            }
            owners += 1;
        }
    }
    owners > 0
}

fn describe(text: &[u8]) -> String {
    let first = lines(text).next().unwrap_or_default();
    for (separator, name) in [(',', "commas"), (';', "semicolons"), ('\t', "tabs")] {
        let columns = first.split(separator).count();
        if columns >= 3 {
            return format!("a table with {columns} columns, separated by {name}");
        }
    }
    "plain text".to_owned()
}
