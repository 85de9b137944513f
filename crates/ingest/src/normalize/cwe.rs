//! CWE numbers in the many spellings of tools: `CWE-79: Cross-site …`, `external/cwe/cwe-079`, `cwe:79`, `79`.

/// Adds the number in a text that says CWE; a bare number counts too when `is_cwe_field` (the field is about CWEs alone).
pub fn collect(text: &str, is_cwe_field: bool, into: &mut Vec<u32>) {
    let text = text.trim();
    if is_cwe_field && let Ok(number) = text.parse() {
        into.push(number);
        return;
    }
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.as_str();
    while let Some(at) = rest.find("cwe") {
        rest = rest[at + 3..].trim_start_matches(['-', '_', ':', '/', ' ']);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Ok(number) = rest[..digits].parse() {
            into.push(number);
        }
        rest = &rest[digits..];
    }
}

/// Ascending, without repetitions, zeros, and ids of views and placeholders (`NVD-CWE-noinfo` has no number).
pub fn canonical(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.retain(|number| *number > 0);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, is_cwe_field: bool) -> Vec<u32> {
        let mut numbers = Vec::new();
        collect(text, is_cwe_field, &mut numbers);
        canonical(numbers)
    }

    #[test]
    fn spellings() {
        assert_eq!(of("CWE-79: Cross-site Scripting", false), [79]);
        assert_eq!(of("external/cwe/cwe-079", false), [79]);
        assert_eq!(of("cwe:89, CWE_20", false), [20, 89]);
        assert_eq!(of("79", true), [79]);
        assert_eq!(of("79", false), [0_u32; 0]);
        assert_eq!(of("NVD-CWE-noinfo", true), [0_u32; 0]);
        assert_eq!(of("cwe/cwe-99999999999", false), [0_u32; 0]);
    }
}
