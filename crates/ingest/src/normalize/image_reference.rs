//! References to container images in the spellings that builds, clusters and sensors use.
//! `registry/name:tag@sha256:…`, `docker-pullable://…`, `pkg:oci/…?repository_url=…`, `pkg:docker/…`, a bare digest.

/// A reference taken apart. Empty strings: not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageReference {
    /// `registry/repository` without tag and digest.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// `sha256:` and 64 lower-case hexadecimal digits.
    pub digest: String,
}

impl ImageReference {
    /// Takes a reference apart; what is not there stays empty.
    #[must_use]
    pub fn parse(reference: &str) -> Self {
        let reference = reference.trim();
        match reference.strip_prefix("pkg:") {
            Some(purl) => Self::of_purl(purl),
            None => Self::of_name(reference.split_once("://").map_or(reference, |(_, rest)| rest)),
        }
    }

    /// `registry/repository:tag`, or without tag; empty when it has no name.
    #[must_use]
    pub fn tagged_name(&self) -> String {
        match (self.name.is_empty(), self.tag.is_empty()) {
            (true, _) => String::new(),
            (_, true) => self.name.clone(),
            _ => format!("{}:{}", self.name, self.tag),
        }
    }

    fn of_name(reference: &str) -> Self {
        if let Some(digest) = digest(reference).filter(|_| reference.starts_with("sha256:")) {
            return Self { digest, ..Self::default() };
        }
        let (rest, digest_text) = reference.split_once('@').unwrap_or((reference, ""));
        // A colon after the last slash starts a tag; one before it belongs to the registry's port.
        let at = rest.rfind(':').filter(|at| !rest[*at..].contains('/'));
        let (name, tag) = at.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        Self { name: name.to_owned(), tag: tag.to_owned(), digest: digest(digest_text).unwrap_or_default() }
    }

    /// `oci/name@sha256%3A…?repository_url=registry/name&tag=1` or `docker/registry/name@1?digest=sha256:…`.
    fn of_purl(purl: &str) -> Self {
        let (kind, rest) = purl.split_once('/').unwrap_or(("", purl));
        if !matches!(kind, "oci" | "docker") {
            return Self::default();
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (name, version) = path.split_once('@').unwrap_or((path, ""));
        let qualifier = |key: &str| {
            let found = qualifiers.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            found.map(percent_decode).unwrap_or_default()
        };
        let version = percent_decode(version);
        let version_digest = digest(&version).unwrap_or_default();
        let url = qualifier("repository_url");
        let tag = qualifier("tag");
        Self {
            name: if url.is_empty() { percent_decode(name) } else { strip_scheme(&url).to_owned() },
            tag: if tag.is_empty() && version_digest.is_empty() { version } else { tag },
            digest: if version_digest.is_empty() {
                digest(&qualifier("digest")).unwrap_or_default()
            } else {
                version_digest
            },
        }
    }
}

/// `sha256:…` in canonical spelling, from text that starts with one or from 64 bare hexadecimal digits.
#[must_use]
pub fn digest(text: &str) -> Option<String> {
    let hex = text.trim().strip_prefix("sha256:").unwrap_or(text.trim());
    let is_digest = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| format!("sha256:{}", hex.to_ascii_lowercase()))
}

fn strip_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// Replaces `%XX`; anything that is not an escape, or not UTF-8 afterwards, stays as it is.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let byte = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let hex = "ab".repeat(32);
        let digest = format!("sha256:{hex}");
        for (text, name, tag, has_digest) in [
            (format!("docker-pullable://r.example:5000/a/b@sha256:{hex}"), "r.example:5000/a/b", "", true),
            ("r.example:5000/a/b:1.2".to_owned(), "r.example:5000/a/b", "1.2", false),
            ("alpine".to_owned(), "alpine", "", false),
            (format!("docker://sha256:{hex}"), "", "", true),
            (format!("pkg:oci/b@sha256%3A{hex}?repository_url=r.example/a/b&tag=1.2"), "r.example/a/b", "1.2", true),
            ("pkg:docker/r.example/a/b@1.2?platform=linux%2Famd64".to_owned(), "r.example/a/b", "1.2", false),
            (format!("pkg:docker/a/b@1?digest=sha256:{hex}"), "a/b", "1", true),
            ("pkg:golang/example.com/x@v1".to_owned(), "", "", false),
            ("%é@%".to_owned(), "%é", "", false),
        ] {
            let parsed = ImageReference::parse(&text);
            assert_eq!((parsed.name.as_str(), parsed.tag.as_str()), (name, tag), "{text}");
            assert_eq!(parsed.digest, if has_digest { digest.clone() } else { String::new() }, "{text}");
        }
        assert_eq!(percent_decode("a%2Fb%"), "a/b%");
    }
}
