//! Who owns a path by CODEOWNERS: the last rule whose pattern matches. Patterns are like those of gitignore, with GitHub's
//! differences: no negation, brackets are plain, and `dir/*` reaches files in `dir` only.

use crate::fact::value::CodeOwnersRule;

/// The rule that decides about a path (relative, `/`-separated). A rule without owners decides too: nobody owns the path.
#[must_use]
pub fn owners_of<'a>(rules: &'a [CodeOwnersRule], path: &str) -> Option<&'a CodeOwnersRule> {
    let path: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    rules.iter().rev().find(|rule| matches_segments(&segments(&rule.pattern), &path))
}

/// Whether a pattern matches a path. Time is bounded by the product of the two lengths, whatever the pattern.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    matches_segments(&segments(pattern), &path)
}

/// One segment of a pattern.
#[derive(Clone, Copy, PartialEq)]
enum Segment<'a> {
    /// `**`: any number of segments, also none.
    Any,
    /// Exactly one segment.
    One(&'a str),
}

/// A pattern in its full form: anchored, and saying itself whether it goes on below what it names.
fn segments(pattern: &str) -> Vec<Segment<'_>> {
    let is_directory = pattern.ends_with('/') && !pattern.ends_with("\\/");
    let trimmed = pattern.trim_matches('/');
    if trimmed.is_empty() {
        return Vec::new();
    }
    let is_anchored = pattern.starts_with('/') || trimmed.contains('/');
    let mut segments = Vec::with_capacity(8);
    if !is_anchored {
        segments.push(Segment::Any);
    }
    for text in trimmed.split('/').filter(|text| !text.is_empty()) {
        let segment = if text == "**" { Segment::Any } else { Segment::One(text) };
        if segment != Segment::Any || segments.last() != Some(&Segment::Any) {
            segments.push(segment);
        }
    }
    match segments.last() {
        // `dir/**`: something below, not the directory itself.
        Some(Segment::Any) => {
            segments.pop();
            segments.extend([Segment::Any, Segment::One("*")]);
        }
        _ if is_directory => segments.extend([Segment::Any, Segment::One("*")]),
        // `dir/*` and `/*` stay at their level; a lone `*` is unanchored and so reaches everything anyway.
        Some(Segment::One("*")) => {}
        // A name matches the file, or the directory and all that is in it.
        _ => segments.push(Segment::Any),
    }
    segments
}

/// Greedy matching that returns to the last `**` only: never worse than pattern × path.
fn matches_segments(pattern: &[Segment<'_>], path: &[&str]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while s < path.len() {
        match pattern.get(p) {
            Some(Segment::Any) => {
                retry = Some((p + 1, s));
                p += 1;
            }
            Some(Segment::One(glob)) if matches_name(glob, path[s]) => {
                p += 1;
                s += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    p = after;
                    s = from + 1;
                }
                None => return false,
            },
        }
    }
    !pattern.is_empty() && pattern[p..].iter().all(|segment| *segment == Segment::Any)
}

/// `*`, `?` and `\` inside one segment, by the same greedy method.
fn matches_name(glob: &str, name: &str) -> bool {
    let glob = tokens(glob);
    let name: Vec<char> = name.chars().collect();
    let (mut g, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some(Token::Star) => {
                retry = Some((g + 1, n));
                g += 1;
            }
            Some(Token::Any) => (g, n) = (g + 1, n + 1),
            Some(Token::Char(c)) if *c == name[n] => (g, n) = (g + 1, n + 1),
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    (g, n) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|token| matches!(token, Token::Star))
}

enum Token {
    Star,
    Any,
    Char(char),
}

fn tokens(glob: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(glob.len());
    let mut characters = glob.chars();
    while let Some(c) = characters.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(characters.next().unwrap_or('\\')),
            c => Token::Char(c),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, hits: &[&str], misses: &[&str]) {
        for path in hits {
            assert!(matches(pattern, path), "{pattern} must match {path}");
        }
        for path in misses {
            assert!(!matches(pattern, path), "{pattern} must not match {path}");
        }
    }

    #[test]
    fn names_at_any_depth_and_anchored() {
        check("till", &["till", "till/a", "shop/till", "shop/till/a/b"], &["till.rs", "shop"]);
        check("/till", &["till", "till/a/b"], &["shop/till", "tills"]);
        check("shop/till", &["shop/till", "shop/till/x"], &["eu/shop/till", "shop/tills"]);
        check("till/", &["till/a", "shop/till/a/b"], &["till", "shop/till"]);
        check("/till/", &["till/a"], &["till", "shop/till/a"]);
        check("/", &[], &["till"]);
        check("", &[], &["till", ""]);
    }

    #[test]
    fn stars() {
        check("*", &["a", "a/b", "a/b/c"], &[]);
        check("/*", &["a"], &["a/b"]);
        check("/*/", &["a/b", "a/b/c"], &["a"]);
        check("docs/*", &["docs/a"], &["docs", "docs/a/b", "x/docs/a"]);
        check("docs/*.md", &["docs/a.md"], &["docs/a/b.md", "x/docs/a.md"]);
        check("docs/*/img", &["docs/a/img", "docs/a/img/x"], &["docs/img", "docs/a"]);
        check("*.md", &["a.md", "x/a.md"], &["md", "a.mdx"]);
        check("a*b*c", &["abc", "axxbxxc"], &["acb", "ab"]);
        check("t?ll", &["till"], &["tll", "tilll"]);
    }

    #[test]
    fn double_stars() {
        check("**/a/b", &["a/b", "x/a/b", "x/y/a/b/c"], &["a/x/b"]);
        check("a/**", &["a/b", "a/b/c"], &["a", "x/a/b"]);
        check("a/**/", &["a/b", "a/b/c"], &["a"]);
        check("a/**/b", &["a/b", "a/x/b", "a/x/y/b/z"], &["x/a/b"]);
        check("a/**/b/c*", &["a/b/cd", "a/x/b/c"], &["a/b", "a/b/d"]);
        check("a/**/*", &["a/b", "a/b/c"], &["a"]);
    }

    #[test]
    fn what_is_not_special() {
        check("/[id]/x", &["[id]/x"], &["i/x"]);
        check("a^b:c", &["a^b:c"], &["ab:c"]);
        check(r"a\*b", &["a*b"], &["axb"]);
        check(r"a\?", &["a?"], &["ab"]);
        check(r"my\ docs/", &["my docs/a"], &["my docs"]);
        check("\\", &["\\"], &["x"]);
    }

    #[test]
    fn hostile_patterns_stay_cheap() {
        let pattern = format!("{}b", "**/a*a*a*/".repeat(40));
        let path = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/".repeat(200);
        assert!(!matches(&pattern, &path));
    }

    #[test]
    fn the_last_rule_decides() {
        let rule = |pattern: &str, owner: &str| CodeOwnersRule {
            pattern: pattern.into(),
            owners: Some(owner).filter(|owner| !owner.is_empty()).map(str::to_owned).into_iter().collect(),
        };
        let rules = [rule("*", "@all"), rule("/libs/", "@libs"), rule("/libs/old/", "")];
        let owners = |path: &str| owners_of(&rules, path).map(|rule| rule.owners.join(" "));
        assert_eq!(owners("libs/a.rs").as_deref(), Some("@libs"));
        assert_eq!(owners("main.rs").as_deref(), Some("@all"));
        assert_eq!(owners("libs/old/a.rs").as_deref(), Some(""), "a rule without owners disowns");
        assert_eq!(owners_of(&rules[1..], "main.rs"), None);
    }
}
