//! CODEOWNERS (GitHub, GitLab with sections) → the whole rule list of a repository as one fact.
//! Patterns stay as written; `tributary_model::codeowners` matches them.

use tributary_model::entity;
use tributary_model::fact::Attribute;
use tributary_model::fact::value::{CodeOwners, CodeOwnersRule};
use tributary_model::repository;

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;

/// One `CodeOwners` fact by `codeowners` on the repository that the `repo` extension names.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let text = std::str::from_utf8(input.body)
        .map_err(|_| Rejection::new(code::ENCODING, "the CODEOWNERS file is not UTF-8: convert it"))?;
    let repo = input.ext.repo.as_deref().and_then(repository::canonical).ok_or_else(|| {
        Rejection::new(code::NO_ASSET, "CODEOWNERS does not name its repository: send it with --repo host/org/name")
    })?;
    let rules = rules(text);
    let mut claims = Claims::new(input, "codeowners");
    if !rules.is_empty() {
        claims.say(&entity::repo(&repo), Attribute::CodeOwners, "", &rules);
    }
    claims.into_events("the CODEOWNERS file has no rules")
}

/// The rules in file order. Under a GitLab section a rule without owners has the section's.
fn rules(text: &str) -> CodeOwners {
    let mut rules = CodeOwners::new();
    let mut of_section: Vec<String> = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(owners) = section(line) {
            of_section = owners;
            continue;
        }
        let mut words = words(line).into_iter();
        let Some(pattern) = words.next() else { continue };
        let mut owners: Vec<String> = words.collect();
        if owners.is_empty() {
            owners.clone_from(&of_section);
        }
        rules.push(CodeOwnersRule { pattern, owners });
    }
    rules
}

/// Default owners of `[Name] @owner`, `^[Optional]`, `[Name][2]`; `None` when the line is a rule.
fn section(line: &str) -> Option<Vec<String>> {
    let rest = line.strip_prefix('^').unwrap_or(line).strip_prefix('[')?;
    let (name, mut rest) = rest.split_once(']')?;
    if let Some((count, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && count.bytes().all(|b| b.is_ascii_digit())
    {
        rest = after;
    }
    // `[abc]/x @owner` is a pattern with brackets: a section's name is followed by a space or nothing.
    let is_section = !name.is_empty() && (rest.is_empty() || rest.starts_with(char::is_whitespace));
    is_section.then(|| words(rest))
}

/// Words of a line up to a comment. `\` keeps a space or `#` in the word; it stays in the pattern, whose matcher reads it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                word.push(c);
                word.extend(characters.next());
            }
            '#' if word.is_empty() => break,
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, run};

    fn of_repo() -> Extensions {
        Extensions { repo: Some("https://github.com/Acme/Till.git".into()), ..Extensions::default() }
    }

    #[test]
    fn one_fact_with_all_rules() {
        check(
            normalize,
            "# owners\n* @acme/all # everybody\n\n/docs\\ old/ a@example.com @b\n/vendor/\n\\#odd @c\n",
            of_repo(),
            &[
                r#"repo:github.com/acme/till code_owners = [{"pattern":"*","owners":["@acme/all"]},{"pattern":"/docs\\ old/","owners":["a@example.com","@b"]},{"pattern":"/vendor/","owners":[]},{"pattern":"\\#odd","owners":["@c"]}] (codeowners)"#,
            ],
        );
    }

    #[test]
    fn sections_lend_their_owners() {
        let found = rules("[Docs][2] @writers\n*.md\n/api.md @api\n^[Optional]\n/x\n[a-z]/y @z");
        let shown: Vec<_> = found.iter().map(|rule| (rule.pattern.as_str(), rule.owners.join(" "))).collect();
        let expected = [("*.md", "@writers"), ("/api.md", "@api"), ("/x", ""), ("[a-z]/y", "@z")];
        assert_eq!(shown, expected.map(|(pattern, owners)| (pattern, owners.to_owned())));
    }

    #[test]
    fn it_must_be_said_whose_it_is() {
        assert_eq!(run(normalize, "* @a", Extensions::default()).unwrap_err().code, code::NO_ASSET);
        assert_eq!(run(normalize, "# nothing\n", of_repo()).unwrap_err().code, code::NOTHING_IN_IT);
        assert!(run(normalize, "\\", of_repo()).is_ok());
    }
}
