//! A small tree of an XML document, for the reports that come as XML: bounded depth, no entities but the standard ones, names
//! without prefixes.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::event::{Rejection, code};

/// Deeper documents than any report; as many levels as JSON is allowed.
const DEPTH_MAX: usize = 128;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Name without prefix.
    pub name: String,
    /// Attributes, names without prefix.
    pub attributes: Vec<(String, String)>,
    /// Text directly in it, trimmed.
    pub text: String,
    /// Elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child with a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children with a name.
    pub fn children<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child with a name; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// An attribute; empty when there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// The root element.
///
/// # Errors
/// Not well-formed, ends in the middle, or too deep.
pub fn parse(format: &str, body: &[u8]) -> Result<Element, Rejection> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Rejection::at(
            code::ENCODING,
            format!("the {format} report is not UTF-8"),
            format!("byte {}", error.valid_up_to()),
        )
    })?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let at = reader.buffer_position();
        let malformed = || {
            Rejection::at(code::MALFORMED, format!("the {format} report is not well-formed XML"), format!("byte {at}"))
        };
        let closed = match reader.read_event().map_err(|_| malformed())? {
            Event::Start(start) if open.len() < DEPTH_MAX => {
                open.push(element(&start));
                None
            }
            Event::Start(_) => {
                let reason = format!("the {format} report nests deeper than {DEPTH_MAX} levels");
                return Err(Rejection::at(code::TOO_DEEP, reason, format!("byte {at}")));
            }
            Event::Empty(start) => Some(element(&start)),
            Event::End(_) => Some(open.pop().ok_or_else(malformed)?),
            Event::Text(part) => {
                append(&mut open, &part);
                None
            }
            Event::CData(part) => {
                append(&mut open, &part);
                None
            }
            Event::GeneralRef(reference) => {
                append(&mut open, &quick_xml::escape::unescape(&format!("&{};", &*reference)).unwrap_or_default());
                None
            }
            Event::Eof => {
                return Err(Rejection::at(
                    code::TRUNCATED,
                    format!("the {format} report ends in the middle: send the whole file"),
                    format!("byte {at}"),
                ));
            }
            _ => None,
        };
        if let Some(mut element) = closed {
            let text = element.text.trim().to_owned();
            element.text = text;
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Ok(element),
            }
        }
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().flatten().map(|attribute| {
        let value = quick_xml::escape::unescape(&attribute.value).unwrap_or_default().into_owned();
        (attribute.key.local_name().as_ref().to_owned(), value)
    });
    Element { name: start.local_name().as_ref().to_owned(), attributes: attributes.collect(), ..Element::default() }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_prefixes() {
        let root = parse(
            "X",
            br#"<?xml version="1.0"?><!-- c --><v:a x="1 &lt; 2"><b> t &amp; u </b><b/><c><![CDATA[<z>]]></c></v:a>"#,
        )
        .unwrap();
        assert_eq!(
            (root.name.as_str(), root.attribute("x"), root.text("b"), root.text("c")),
            ("a", "1 < 2", "t & u", "<z>")
        );
        assert_eq!(root.children("b").count(), 2);
    }

    #[test]
    fn bad_documents_are_rejections() {
        let code_of = |body: &[u8]| parse("X", body).unwrap_err().code;
        assert_eq!(code_of(b"<a><b></a>"), code::MALFORMED);
        assert_eq!(code_of(b"<a><b>"), code::TRUNCATED);
        assert_eq!(code_of(b""), code::TRUNCATED);
        assert_eq!(code_of(b"<a>\xff</a>"), code::ENCODING);
        assert_eq!(code_of("<a>".repeat(200).as_bytes()), code::TOO_DEEP);
        let bomb = br#"<!DOCTYPE a [<!ENTITY x "y">]><a>&x;&x;</a>"#;
        assert_eq!(parse("X", bomb).unwrap().text, "", "entities of the document are not expanded");
    }
}
