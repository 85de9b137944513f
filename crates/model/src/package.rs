//! Package URLs without version and qualifiers: the identity of a package.

use std::borrow::Cow;
use std::str::FromStr;

use packageurl::PackageUrl;

/// A purl taken apart into what identity uses and what it does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsedPurl {
    /// Canonical purl without version and qualifiers; for OS packages without architecture and distribution version.
    pub purl: String,
    /// Purl type.
    pub ecosystem: String,
    /// Namespace and name as the ecosystem writes them: `org.apache.logging.log4j:log4j-core`, `@babel/core`.
    pub name: String,
    /// Version; empty when absent.
    pub version: String,
    /// `upstream` or `source` qualifier: name of the distribution's source package; empty when absent.
    pub upstream: String,
}

/// Parses and canonicalises a purl. `None` when it is not one.
#[must_use]
pub fn parse(purl: &str) -> Option<ParsedPurl> {
    let parsed = PackageUrl::from_str(purl.trim()).ok()?;
    let ecosystem = parsed.ty().to_ascii_lowercase();
    let upstream = parsed.qualifiers().get("upstream").map(|upstream| {
        // Syft writes `name@version`; identity wants the name.
        upstream.split_once('@').map_or(upstream.as_ref(), |(name, _)| name).to_owned()
    });
    Some(ParsedPurl {
        purl: canonical(&ecosystem, parsed.namespace().unwrap_or_default(), parsed.name()),
        name: display_name(&ecosystem, parsed.namespace().unwrap_or_default(), parsed.name()),
        version: parsed.version().unwrap_or_default().to_owned(),
        upstream: upstream.unwrap_or_default(),
        ecosystem,
    })
}

/// Builds a canonical purl from an ecosystem and a name as the ecosystem writes it
/// (`group:artifact` for Maven, `@scope/name` for npm, `host/org/repo` for Go).
#[must_use]
pub fn build(ecosystem: &str, name: &str) -> String {
    let ecosystem = ecosystem.to_ascii_lowercase();
    let name = name.trim();
    let (namespace, name) = match ecosystem.as_str() {
        "maven" => name.rsplit_once(':').or_else(|| name.rsplit_once('/')).unwrap_or(("", name)),
        _ => name.rsplit_once('/').unwrap_or(("", name)),
    };
    canonical(&ecosystem, namespace, name)
}

/// Lower-cases what the ecosystem treats without case, folds PyPI's separators, percent-encodes.
fn canonical(ecosystem: &str, namespace: &str, name: &str) -> String {
    let fold = matches!(
        ecosystem,
        "pypi" | "github" | "bitbucket" | "deb" | "rpm" | "apk" | "golang" | "composer" | "npm" | "nuget"
    );
    let case = |text| if fold { lower_case(text) } else { Cow::Borrowed(text) };
    let name = match ecosystem {
        "pypi" => Cow::Owned(fold_pypi(name)),
        _ => case(name),
    };
    let mut purl = String::with_capacity("pkg://".len() + ecosystem.len() + namespace.len() + name.len());
    purl.push_str("pkg:");
    purl.push_str(ecosystem);
    purl.push('/');
    for segment in namespace.split('/').filter(|segment| !segment.is_empty()) {
        encode(&case(segment), &mut purl);
        purl.push('/');
    }
    encode(&name, &mut purl);
    purl
}

/// The text without upper case; mostly it has none.
fn lower_case(text: &str) -> Cow<'_, str> {
    let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
}

/// PEP 503: runs of `-`, `_`, `.` are one `-`; case does not count.
fn fold_pypi(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if matches!(c, '-' | '_' | '.') { '-' } else { c.to_ascii_lowercase() };
        if c != '-' || !folded.ends_with('-') {
            folded.push(c);
        }
    }
    folded
}

fn encode(segment: &str, out: &mut String) {
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => out.push(byte as char),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
}

fn display_name(ecosystem: &str, namespace: &str, name: &str) -> String {
    match (ecosystem, namespace) {
        (_, "") | ("deb" | "rpm" | "apk", _) => name.to_owned(),
        ("maven", namespace) => format!("{namespace}:{name}"),
        (_, namespace) => format!("{namespace}/{name}"),
    }
}

/// Whether the purl type is one of an operating system's package manager.
#[must_use]
pub fn is_os(ecosystem: &str) -> bool {
    matches!(ecosystem, "deb" | "rpm" | "apk" | "alpm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_package() {
        let canonical = |purl: &str| parse(purl).unwrap().purl;
        assert_eq!(canonical("pkg:pypi/Zope.Interface@5?x=y"), "pkg:pypi/zope-interface");
        assert_eq!(canonical("pkg:npm/%40Babel/core@7.0.0"), "pkg:npm/%40babel/core");
        assert_eq!(build("npm", "@babel/core"), "pkg:npm/%40babel/core");
        assert_eq!(
            build("maven", "org.apache.logging.log4j:log4j-core"),
            "pkg:maven/org.apache.logging.log4j/log4j-core"
        );
        assert_eq!(
            canonical("pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?type=jar"),
            build("maven", "org.apache.logging.log4j:log4j-core")
        );
        let deb =
            parse("pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl%403.0.11").unwrap();
        assert_eq!(
            (deb.purl.as_str(), deb.upstream.as_str(), deb.name.as_str()),
            ("pkg:deb/debian/libssl3", "openssl", "libssl3")
        );
        assert_eq!(parse("not a purl"), None);
    }
}
