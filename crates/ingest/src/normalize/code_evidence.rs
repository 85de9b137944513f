//! Evidence of where in a file something was seen that survives moved lines: hashes of the line and of the snippet without
//! their white space. The code itself is not kept.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Hashes of the first line that says something and of the whole snippet; empty when the tool gave no code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeEvidence {
    /// Hash of the line.
    pub line_hash: String,
    /// Hash of the snippet.
    pub snippet_hash: String,
}

/// Evidence from the code in a report.
pub fn of(code: &str) -> CodeEvidence {
    // Semgrep writes this in place of code and fingerprints for users that are not logged in.
    let Some(line) = code.lines().find(|line| !line.trim().is_empty()).filter(|_| code.trim() != "requires login")
    else {
        return CodeEvidence::default();
    };
    CodeEvidence { line_hash: hash(line), snippet_hash: hash(code) }
}

/// Hash of a line whose secret the tool has masked; empty when nothing but the mask is left of it.
pub fn of_masked(line: &str) -> String {
    let says_something = line.bytes().any(|b| b.is_ascii_alphanumeric());
    if says_something { of(line).line_hash } else { String::new() }
}

/// 128 bits of SHA-256 over the words, in hex. Indentation and line ends do not count.
fn hash(code: &str) -> String {
    let mut hasher = Sha256::new();
    for (index, word) in code.split_whitespace().enumerate() {
        if index > 0 {
            hasher.update(b" ");
        }
        hasher.update(word.as_bytes());
    }
    let mut hex = String::with_capacity(32);
    for byte in &hasher.finalize()[..16] {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_count() {
        assert_eq!(of("  eval( x )\r\n"), of("\teval( x )"));
        assert_eq!(of("\n\n  a = 1\n  b = 2\n").line_hash, of("a = 1").line_hash);
        assert_ne!(of("a = 1\nb = 2").snippet_hash, of("a = 1").snippet_hash);
        assert_eq!(of("a = 1").line_hash, "b5bc1ffd90912fb18bef6e7d80909192");
    }

    #[test]
    fn a_placeholder_is_no_evidence() {
        assert_eq!(of("requires login"), CodeEvidence::default());
        assert_eq!(of(" \n"), CodeEvidence::default());
    }
}
