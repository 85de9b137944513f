//! Environments as people name them → `production`, `staging`, `development`, `test`, or as given.
//! Sources: labels say it outright; names of clusters and namespaces only hint at it.

/// The canonical word for an environment that was named outright: `prod` → `production`; unknown words stay, in lower case.
#[must_use]
pub fn canonical(given: &str) -> String {
    of_name(given).map_or_else(|| given.trim().to_ascii_lowercase(), str::to_owned)
}

/// The environment that the name of a cluster or namespace hints at, by its words: `eu-prod-2` → `production`.
/// A name that says "not production" hints at nothing, "before production" at staging.
#[must_use]
pub fn of_name(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .filter(|word| !word.is_empty())
        .collect();
    if words.iter().any(|word| matches!(*word, "non" | "no" | "not" | "nonprod" | "nonproduction")) {
        return None;
    }
    if words.contains(&"pre") {
        return Some("staging");
    }
    words.iter().find_map(|word| match *word {
        "prod" | "production" | "prd" | "live" => Some("production"),
        "staging" | "stage" | "stg" | "preprod" | "preproduction" => Some("staging"),
        "dev" | "development" | "devel" => Some("development"),
        "test" | "testing" | "qa" => Some("test"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hint_by_whole_words() {
        for (name, expected) in [
            ("prod-eu", Some("production")),
            ("eu_PRD_2", Some("production")),
            ("prod01", Some("production")),
            ("pre-prod", Some("staging")),
            ("payments-stg", Some("staging")),
            ("non-prod", None),
            ("products", None),
            ("qa", Some("test")),
            ("", None),
        ] {
            assert_eq!(of_name(name), expected, "{name}");
        }
        assert_eq!(canonical("Prod"), "production");
        assert_eq!(canonical("Canary "), "canary");
    }
}
