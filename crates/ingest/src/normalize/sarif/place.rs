//! Where a result is: URIs relative to bases, indexes into the artifacts, absolute paths of the machine that scanned.

use tributary_model::path;

use super::shape::{ArtifactLocation, Run};
use crate::normalize::image_reference::percent_decode;

/// Directories in which hosted runners check out a repository; what follows is relative to its root. The star is one segment.
const CHECKOUTS: [&str; 6] = [
    "github/workspace",
    "home/runner/work/*/*",
    "builds/*/*",
    "home/vsts/work/1/s",
    "bitbucket/pipelines/agent/build",
    "__w/*/*",
];

/// How deep bases may refer to bases; a cycle ends here.
const BASES_MAX: usize = 8;

/// The directories that paths of a run are relative to.
pub struct Roots<'r> {
    run: &'r Run<'r>,
    /// Canonical absolute directories, without the leading slash, longest first.
    absolute: Vec<String>,
}

impl<'r> Roots<'r> {
    /// The roots that a run declares: working directories and bases with absolute URIs.
    pub fn of(run: &'r Run<'r>) -> Self {
        let directories = run.invocations.iter().map(|invocation| &*invocation.working_directory.uri);
        let bases = run.original_uri_base_ids.0.iter().map(|(_, base)| &*base.uri);
        let mut absolute: Vec<String> = directories
            .chain(bases)
            .filter(|uri| is_absolute(uri))
            .map(|uri| path::canonical(&local(uri)))
            .filter(|root| !root.is_empty())
            .collect();
        absolute.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        absolute.dedup();
        Self { run, absolute }
    }

    /// Path relative to the repository root; empty when the location has none.
    pub fn path(&self, location: &ArtifactLocation<'_>) -> String {
        let indexed = || location.index.index().and_then(|index| self.run.artifacts.get(index)).map(|a| &*a.location);
        let location = match location.uri.given() {
            Some(_) => location,
            None => match indexed() {
                Some(location) => location,
                None => return String::new(),
            },
        };
        let uri = location.uri.trim();
        if is_absolute(uri) {
            return self.relative(&path::canonical(&local(uri)));
        }
        let mut relative = local(uri);
        let mut base = &*location.uri_base_id;
        for _ in 0..BASES_MAX {
            let Some(next) = self.run.original_uri_base_ids.get(base) else { break };
            let prefix = next.uri.trim();
            if is_absolute(prefix) {
                break;
            }
            relative = format!("{}/{relative}", local(prefix));
            base = &next.uri_base_id;
        }
        path::canonical(&relative)
    }

    fn relative(&self, path: &str) -> String {
        let declared = self.absolute.iter().find(|root| path::is_below(path, root)).map(|root| &path[root.len()..]);
        let rest = declared.or_else(|| CHECKOUTS.iter().find_map(|pattern| strip(path, pattern))).unwrap_or(path);
        rest.trim_start_matches('/').to_owned()
    }
}

/// What follows a pattern of whole segments.
fn strip<'p>(path: &'p str, pattern: &str) -> Option<&'p str> {
    let mut rest = path;
    for expected in pattern.split('/') {
        let (segment, after) = rest.split_once('/')?;
        if expected != "*" && expected != segment {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// `file:` URIs, and paths of a machine written without one.
fn is_absolute(uri: &str) -> bool {
    let uri = uri.trim();
    let has_drive = uri.as_bytes().get(1) == Some(&b':') && uri.as_bytes()[0].is_ascii_alphabetic();
    uri.starts_with("file:") || uri.starts_with('/') || has_drive
}

/// The path of a URI, decoded; the host of `file://host/…` is dropped.
fn local(uri: &str) -> String {
    let uri = uri.trim();
    let Some(rest) = uri.strip_prefix("file:") else { return percent_decode(uri) };
    let rest = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => rest,
    };
    let decoded = percent_decode(rest);
    // `/C:/src` is a drive behind the slash that every `file:` URI has.
    match decoded.as_bytes() {
        [b'/', drive, b':', ..] if drive.is_ascii_alphabetic() => decoded[1..].to_owned(),
        _ => decoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(run: &str, location: &str) -> String {
        let run: Run<'_> = serde_json::from_str(run).unwrap();
        let location: ArtifactLocation<'_> = serde_json::from_str(location).unwrap();
        Roots::of(&run).path(&location)
    }

    #[test]
    fn paths_are_relative_to_the_repository() {
        let run = r#"{
            "originalUriBaseIds": {"ROOT": {"uri": "file://build.example/work/"}, "SRC": {"uri": " src/", "uriBaseId": "ROOT"},
                                   "A": {"uri": "a/", "uriBaseId": "B"}, "B": {"uri": "b/", "uriBaseId": "A"}},
            "invocations": [{"workingDirectory": {"uri": "file:///home/me/shop"}}],
            "artifacts": [{"location": {"uri": "web/index.ts"}}]}"#;
        for (location, expected) in [
            (r#"{"uri": "list.cpp", "uriBaseId": "SRC"}"#, "src/list.cpp"),
            (r#"{"uri": "file:///work/src/x%20y.cpp"}"#, "src/x y.cpp"),
            (r#"{"uri": "file:///home/me/shop/app/a.py"}"#, "app/a.py"),
            (r#"{"uri": "/home/runner/work/shop/shop/app/a.py"}"#, "app/a.py"),
            (r#"{"uri": "/github/workspace/a.py"}"#, "a.py"),
            (r#"{"uri": "file:///C:/other/a.cs"}"#, "other/a.cs"),
            (r#"{"index": 0}"#, "web/index.ts"),
            (r#"{"index": -1}"#, ""),
            (r#"{"index": 9, "uri": "./b.py"}"#, "b.py"),
            ("{}", ""),
        ] {
            assert_eq!(path_of(run, location), expected, "{location}");
        }
        assert!(path_of(run, r#"{"uri": "x", "uriBaseId": "A"}"#).ends_with("/x"), "a cycle of bases ends");
    }
}
