//! Finds the kind of a statement and the clauses that the endpoint has to move: FORMAT, SETTINGS, inline data.
//! One statement per request; a second one after `;` is refused.

use super::lexer::{Lexer, Token, TokenKind};
use super::syntax;
use crate::exec::Exception;

/// A statement, cut and rebuilt without comments.
#[derive(Debug)]
pub(crate) struct Statement {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its words, for the policy.
    pub(super) words: Vec<Word>,
    /// Names of parameters that stand for identifiers; their values need a check of their own.
    pub(crate) identifier_params: Vec<String>,
}

/// What kind of statement it is, with the texts to run it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It returns rows: `head` [INTO OUTFILE …] FORMAT `format` `tail`.
    Read {
        /// The statement up to FORMAT.
        head: String,
        /// The format that the statement names.
        format: Option<String>,
        /// What follows the format: a SETTINGS clause or nothing.
        tail: String,
    },
    /// It inserts data that follows: `head` [FROM INFILE …] `settings` FORMAT `format`.
    Insert {
        /// The statement up to SETTINGS, FORMAT or VALUES.
        head: String,
        /// The SETTINGS clause or nothing.
        settings: String,
        /// The format of the data; `None` leaves it to the request.
        format: Option<String>,
        /// Where in the source the data begins.
        data_at: usize,
    },
    /// It changes something and returns no rows.
    Write {
        /// The whole statement.
        sql: String,
    },
}

/// A token with its text, in lower case where case does not matter.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) kind: TokenKind,
    /// How many parentheses are open around it.
    pub(super) depth: usize,
    /// Lower case; without quotes for quoted identifiers; as written for strings.
    pub(super) text: String,
}

impl Word {
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text == keyword
    }

    pub(super) fn is_punct(&self, punct: u8) -> bool {
        self.kind == TokenKind::Punct(punct)
    }

    pub(super) fn names(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }
}

const READS: &[&str] = &["select", "with", "from", "show", "describe", "desc", "explain", "exists", "check"];
const WRITES: &[&str] = &[
    "create", "alter", "drop", "truncate", "rename", "exchange", "optimize", "delete", "update", "undrop", "kill",
    "system",
];

impl Statement {
    /// Cuts `source`, which is the SQL text and for an INSERT the data or its beginning.
    pub(crate) fn parse(source: &[u8]) -> Result<Self, Exception> {
        let mut scan = Scan { source, tokens: Vec::new(), words: Vec::new(), level: 0 };
        let mut lexer = Lexer::new(source);
        while let Some(token) = lexer.next()? {
            scan.push(token)?;
            if scan.data_begins() {
                break;
            }
        }
        let first = scan.words.iter().find(|word| !word.is_punct(b'('));
        let first = first.filter(|word| word.kind == TokenKind::Word).map_or("", |word| word.text.as_str());
        let kind = match first {
            "" => return Err(syntax("empty query")),
            "insert" => scan.insert(skip_line_end(source, lexer.position()))?,
            "with" if scan.top_level("insert").is_some() => {
                return Err(syntax("WITH before INSERT is not accepted; put WITH after it"));
            }
            first if READS.contains(&first) => scan.read()?,
            first if WRITES.contains(&first) => Kind::Write { sql: scan.text(0, scan.statement_end()?) },
            "set" | "use" => {
                return Err(syntax(
                    "every request is a session of its own: send settings and `database` with the request",
                ));
            }
            other => return Err(syntax(format!("a statement that begins with {other} is not accepted here"))),
        };
        let identifier_params = scan.identifier_params();
        Ok(Self { kind, words: scan.words, identifier_params })
    }
}

struct Scan<'a> {
    source: &'a [u8],
    tokens: Vec<Token>,
    words: Vec<Word>,
    level: usize,
}

impl Scan<'_> {
    fn push(&mut self, token: Token) -> Result<(), Exception> {
        let text = std::str::from_utf8(&self.source[token.start..token.end]);
        let text = text.map_err(|_| syntax(format!("the text at byte {} is not UTF-8", token.start)))?;
        let text = match token.kind {
            TokenKind::Quoted => text[1..text.len() - 1].to_ascii_lowercase(),
            TokenKind::Text => text.to_owned(),
            _ => text.to_ascii_lowercase(),
        };
        if let TokenKind::Punct(b')' | b']' | b'}') = token.kind {
            self.level = self.level.saturating_sub(1);
        }
        let depth = self.level;
        if let TokenKind::Punct(b'(' | b'[' | b'{') = token.kind {
            self.level += 1;
        }
        self.tokens.push(token);
        self.words.push(Word { kind: token.kind, depth, text });
        Ok(())
    }

    /// Whether the token just read is the last one of an INSERT before its data.
    fn data_begins(&self) -> bool {
        let count = self.words.len();
        if count < 3 || !self.words[0].is("insert") || self.level > 0 {
            return false;
        }
        // The table may be called `values` or `format`: neither keyword can follow INSERT INTO [TABLE] directly.
        let clause = |index: usize, keyword: &str| {
            let plain = |before: &Word| !before.is("into") && !before.is("table") && !before.is_punct(b'.');
            index >= 2 && self.words[index].is(keyword) && plain(&self.words[index - 1])
        };
        let format = clause(count - 2, "format") && self.words[count - 1].kind == TokenKind::Word;
        let values = clause(count - 1, "values") && !self.words[count - 2].is("format");
        (format || values) && self.top_level("select").is_none() && self.top_level("with").is_none()
    }

    fn top_level(&self, keyword: &str) -> Option<usize> {
        (0..self.words.len()).find(|index| self.words[*index].depth == 0 && self.words[*index].is(keyword))
    }

    fn insert(&self, data_at: usize) -> Result<Kind, Exception> {
        let count = self.words.len();
        if self.top_level("select").is_some() || self.top_level("with").is_some() || self.top_level("watch").is_some() {
            return Ok(Kind::Write { sql: self.text(0, self.statement_end()?) });
        }
        let (end, format) = if !self.data_begins() {
            (self.statement_end()?, None)
        } else if self.words[count - 2].is("format") {
            (count - 2, Some(self.text(count - 1, count)))
        } else {
            (count - 1, Some("Values".to_owned()))
        };
        let settings = self.top_level("settings").filter(|index| *index > 2 && *index < end).unwrap_or(end);
        Ok(Kind::Insert { head: self.text(0, settings), settings: self.text(settings, end), format, data_at })
    }

    fn read(&self) -> Result<Kind, Exception> {
        let end = self.statement_end()?;
        let is_format = |index: &usize| {
            self.words[*index].depth == 0
                && self.words[*index].is("format")
                && self.words[*index + 1].kind == TokenKind::Word
                && (*index + 2 == end || self.words[*index + 2].is("settings"))
        };
        Ok(match (1..end.saturating_sub(1)).find(is_format) {
            Some(index) => Kind::Read {
                head: self.text(0, index),
                format: Some(self.text(index + 1, index + 2)),
                tail: self.text(index + 2, end),
            },
            None => Kind::Read { head: self.text(0, end), format: None, tail: String::new() },
        })
    }

    /// The number of tokens before a closing `;`; a token after it is a second statement.
    fn statement_end(&self) -> Result<usize, Exception> {
        let end = self.words.iter().position(|word| word.is_punct(b';')).unwrap_or(self.words.len());
        if self.words[end..].iter().all(|word| word.is_punct(b';')) {
            Ok(end)
        } else {
            Err(syntax("Multi-statements are not allowed"))
        }
    }

    /// The tokens from..to as text, comments replaced by one space.
    fn text(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        for token in &self.tokens[from..to] {
            if token.spaced && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&String::from_utf8_lossy(&self.source[token.start..token.end]));
        }
        text
    }

    fn identifier_params(&self) -> Vec<String> {
        let placeholders = self.words.windows(5).enumerate();
        placeholders
            .filter(|(_, five)| five[0].is_punct(b'{') && five[2].is_punct(b':') && five[3].is("identifier"))
            .map(|(index, _)| self.text(index + 1, index + 2))
            .collect()
    }
}

/// Data begins after the blanks and the one line end that follow the last word: binary data may begin with blanks.
fn skip_line_end(source: &[u8], mut at: usize) -> usize {
    while matches!(source.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if source.get(at) == Some(&b'\r') {
        at += 1;
    }
    if source.get(at) == Some(&b'\n') { at + 1 } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(source: &str) -> Kind {
        Statement::parse(source.as_bytes()).unwrap().kind
    }

    fn read(head: &str, format: Option<&str>, tail: &str) -> Kind {
        Kind::Read { head: head.into(), format: format.map(str::to_owned), tail: tail.into() }
    }

    #[test]
    fn the_format_clause_is_found_only_where_it_is_one() {
        assert_eq!(kind("SELECT 1"), read("SELECT 1", None, ""));
        assert_eq!(kind("select a, format from t format JSON;"), read("select a, format from t", Some("JSON"), ""));
        assert_eq!(kind("SELECT 1 FORMAT CSV SETTINGS a=1"), read("SELECT 1", Some("CSV"), "SETTINGS a=1"));
        assert_eq!(kind("SELECT format('{}', 1)"), read("SELECT format('{}', 1)", None, ""));
        assert_eq!(kind("(SELECT 1) -- x\nUNION ALL(SELECT 2)"), read("(SELECT 1) UNION ALL(SELECT 2)", None, ""));
    }

    #[test]
    fn insert_data_begins_after_the_format() {
        let source = "INSERT INTO t(a, b) SETTINGS x = 1 FORMAT RowBinary\n\n\nA";
        let expected = Kind::Insert {
            head: "INSERT INTO t(a, b)".into(),
            settings: "SETTINGS x = 1".into(),
            format: Some("RowBinary".into()),
            data_at: source.len() - 3,
        };
        assert_eq!(kind(source), expected);
        let Kind::Insert { format, data_at, .. } = kind("insert into values values (1, ';'), (2, '$$')") else {
            panic!("not an insert")
        };
        assert_eq!((format.as_deref(), data_at), (Some("Values"), 26));
        let expected = Kind::Insert {
            head: "INSERT INTO t".into(),
            settings: String::new(),
            format: Some("Values".into()),
            data_at: 28,
        };
        assert_eq!(kind("INSERT INTO t FORMAT Values (1)"), expected);
    }

    #[test]
    fn an_insert_from_a_query_has_no_data() {
        let sql = "INSERT INTO t SELECT 'a' AS format FROM u";
        assert_eq!(kind(sql), Kind::Write { sql: sql.into() });
    }

    #[test]
    fn one_statement_and_only_known_ones() {
        for source in ["select 1; select 2", "exit", "", ";", "set a = 1", "use x", "1 + 1", "attach table t from '/x'"]
        {
            assert!(Statement::parse(source.as_bytes()).is_err(), "{source}");
        }
        assert_eq!(kind("select ';' ; -- done"), read("select ';'", None, ""));
    }

    #[test]
    fn identifier_parameters_are_named() {
        let statement = Statement::parse(b"select {a:UInt8} from {T : Identifier}").unwrap();
        assert_eq!(statement.identifier_params, ["T"]);
    }
}
