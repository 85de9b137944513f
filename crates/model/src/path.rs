//! Paths inside repositories and images, and paths of URLs, in one canonical spelling.

/// `/`-separated, relative, without `./`, `file://`, drive letters, empty or `.` segments; `..` is resolved and cannot escape the root.
#[must_use]
pub fn canonical(path: &str) -> String {
    let path = path.trim().trim_start_matches("file://");
    let path = match path.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => &path[2..],
        _ => path,
    };
    let mut canonical = String::with_capacity(path.len());
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => canonical.truncate(directory(&canonical).len()),
            segment => {
                if !canonical.is_empty() {
                    canonical.push('/');
                }
                canonical.push_str(segment);
            }
        }
    }
    canonical
}

/// The directory of a canonical path; empty at the root.
#[must_use]
pub fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Whether `path` is `prefix` or below it, by whole segments. The empty prefix contains everything.
#[must_use]
pub fn is_below(path: &str, prefix: &str) -> bool {
    prefix.is_empty() || path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

/// The path of a URL with variable segments replaced by `{}`: numbers, UUIDs, hexadecimal of 16 or more digits.
/// Query and fragment are dropped. Always starts with `/`.
#[must_use]
pub fn url_template(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("/", |slash| &rest[slash..]));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let mut template = String::with_capacity(path.len() + 1);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        template.push('/');
        template.push_str(if is_variable(segment) { "{}" } else { segment });
    }
    if template.is_empty() { "/".to_owned() } else { template }
}

fn is_variable(segment: &str) -> bool {
    let is_parameter = segment.starts_with([':', '{', '<']);
    let digits = segment.bytes().all(|b| b.is_ascii_digit());
    let hex = segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_parameter || digits || (hex && segment.len() >= 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(canonical("./src//a/../b.rs"), "src/b.rs");
        assert_eq!(canonical("../../etc/passwd"), "etc/passwd");
        assert_eq!(canonical("C:\\src\\a.cs"), "src/a.cs");
        assert_eq!(canonical("file:///app/x"), "app/x");
        assert_eq!(directory("a/b/c.lock"), "a/b");
        assert!(is_below("services/api/x.py", "services/api"));
        assert!(!is_below("services/api2/x.py", "services/api"));
    }

    #[test]
    fn templates() {
        assert_eq!(url_template("https://shop.example/orders/42/items?q=1"), "/orders/{}/items");
        assert_eq!(url_template("https://shop.example"), "/");
        assert_eq!(url_template("/u/6f9619ff-8b86-d011-b42d-00c04fc964ff"), "/u/{}");
        assert_eq!(url_template("/orders/:id"), "/orders/{}");
    }
}
