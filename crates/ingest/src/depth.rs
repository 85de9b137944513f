//! Refuses texts that nest too deep before a parser sees them: some parsers recurse, some take quadratic time.

use crate::detect::shape::DEPTH_MAX;
use crate::event::{Rejection, code};
use crate::format::Format;

/// Brackets open at one time in a YAML text. They are counted without regard to quotes, because YAML's quotes depend on
/// what is around them: so many do not occur in scripts inside manifests, and so few cost the parser no time (its time is
/// quadratic in this).
const YAML_OPEN_MAX: usize = 2_000;

/// # Errors
/// `too_deep`, with the place.
pub fn check(text: &[u8], format: Format) -> Result<(), Rejection> {
    let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let is_yaml = matches!(format, Format::Backstage | Format::Kubernetes | Format::TrivyOperator);
    let (at, limit) = match (is_json && format != Format::CodeOwners, is_yaml) {
        (true, _) => (too_deep(text, DEPTH_MAX, true), DEPTH_MAX),
        (false, true) => (too_deep(text, YAML_OPEN_MAX, false), YAML_OPEN_MAX),
        (false, false) => (None, DEPTH_MAX),
    };
    at.map_or(Ok(()), |at| {
        let reason = format!("the {} text nests deeper than {limit} levels", format.name());
        Err(Rejection::at(code::TOO_DEEP, reason, format!("byte {at}")))
    })
}

/// Where more than `depth_max` brackets are open, counting those in JSON strings or not.
fn too_deep(text: &[u8], depth_max: usize, skips_strings: bool) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' if skips_strings => at = end_of_string(text, at + 1),
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Index of the closing quote, or the end of the text.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(rest) = text.get(at..) {
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(offset) if rest[offset] == b'"' => return at + offset,
            Some(offset) => at += offset + 2,
            None => break,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_too_deep(text: &str, format: Format) -> bool {
        check(text.as_bytes(), format).is_err_and(|rejection| rejection.code == code::TOO_DEEP)
    }

    #[test]
    fn json() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":["#.repeat(depth / 2), "]}".repeat(depth / 2));
        assert!(!is_too_deep(&nested(128), Format::Sarif));
        assert!(is_too_deep(&nested(130), Format::Sarif));
        assert!(is_too_deep(&format!("{}\n{}", nested(2), nested(130)), Format::Falco), "in any line");
        assert!(!is_too_deep(&format!("{}\n", nested(100)).repeat(9), Format::Falco));
        assert!(!is_too_deep(&format!(r#"{{"a\"":"\\", "b":"{}"}}"#, "[".repeat(500)), Format::Sarif), "a text");
        assert!(!is_too_deep("{\"a\": \"cut\\", Format::Sarif));
    }

    #[test]
    fn yaml_and_the_rest() {
        assert!(is_too_deep(&format!("a: {}", "[".repeat(100_000)), Format::Backstage));
        assert!(!is_too_deep(&"x: \"[[ -f a ]] && [[\"\n".repeat(900), Format::Kubernetes));
        assert!(!is_too_deep(&"[Section] @acme/a\n/[\n".repeat(900), Format::CodeOwners));
    }
}
