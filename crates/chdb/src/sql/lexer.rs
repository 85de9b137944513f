//! Cuts SQL into tokens, and rebuilds it without comments. Where ClickHouse's lexer has an unusual reading (curly
//! quotes, heredocs, `#` and `//` comments), the text is refused: what we see must be what the engine sees.

use super::syntax;
use crate::exec::Exception;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or a bare identifier.
    Word,
    /// An identifier in double quotes or backticks.
    Quoted,
    /// A string in single quotes.
    Text,
    /// A number, or a run of letters and digits that starts with a digit.
    Number,
    /// One character of punctuation.
    Punct(u8),
}

/// A token, by its place in the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether white space or a comment stood before it.
    pub(super) spaced: bool,
}

/// Walks over the bytes of a request; an INSERT stops it where the data begins.
pub(super) struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { source, at: 0 }
    }

    /// Where the next token or the data after the last one begins.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next token, `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Exception> {
        let before = self.at;
        self.skip_blanks()?;
        let start = self.at;
        let Some(&first) = self.source.get(start) else { return Ok(None) };
        let kind = match first {
            b'\'' => self.quoted(b'\'', TokenKind::Text)?,
            b'"' | b'`' => self.quoted(first, TokenKind::Quoted)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.run(TokenKind::Word),
            b'0'..=b'9' => self.run(TokenKind::Number),
            b'#' | b'$' | b'\\' => return Err(unusual(first as char, start)),
            0x21..=0x7e => {
                self.at += 1;
                TokenKind::Punct(first)
            }
            _ => return Err(syntax(format!("only ASCII is accepted outside of quotes, see byte {start}"))),
        };
        Ok(Some(Token { kind, start, end: self.at, spaced: start > before }))
    }

    fn run(&mut self, kind: TokenKind) -> TokenKind {
        while self.source.get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            self.at += 1;
        }
        kind
    }

    /// A quote ends at the same quote, unless that is doubled or follows a backslash: ClickHouse's own rule.
    fn quoted(&mut self, quote: u8, kind: TokenKind) -> Result<TokenKind, Exception> {
        let start = self.at;
        self.at += 1;
        loop {
            match (self.source.get(self.at), self.source.get(self.at + 1)) {
                (Some(b'\\'), Some(_)) => self.at += 2,
                (Some(byte), Some(next)) if *byte == quote && *next == quote => self.at += 2,
                (Some(byte), _) if *byte == quote => break,
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(syntax(format!("the quote at byte {start} is not closed"))),
            }
        }
        self.at += 1;
        let inside = &self.source[start + 1..self.at - 1];
        // A quoted identifier with a slash is a file to the engine (`SELECT * FROM "/etc/passwd"`), and one with a
        // backslash can spell any name in a way that no list would recognise.
        if kind == TokenKind::Quoted && inside.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0)) {
            return Err(super::denied(format!("the name at byte {start} has a slash, a backslash or a zero byte")));
        }
        Ok(kind)
    }

    fn skip_blanks(&mut self) -> Result<(), Exception> {
        loop {
            let rest = &self.source[self.at..];
            match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => self.at += 1,
                [b'-', b'-', ..] => self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
                [b'/', b'*', ..] => match rest[2..].windows(2).position(|pair| pair == b"*/") {
                    Some(length) => self.at += length + 4,
                    None => return Err(syntax(format!("the comment at byte {} is not closed", self.at))),
                },
                [b'/', b'/', ..] => return Err(unusual('/', self.at)),
                _ => return Ok(()),
            }
        }
    }
}

fn unusual(what: char, at: usize) -> Exception {
    syntax(format!("`{what}` at byte {at} is not accepted outside of quotes (comments are `--` and `/* */`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Result<Vec<String>, String> {
        let mut lexer = Lexer::new(source.as_bytes());
        let mut found = Vec::new();
        while let Some(token) = lexer.next().map_err(|error| error.to_string())? {
            found.push(source[token.start..token.end].to_owned());
        }
        Ok(found)
    }

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        assert_eq!(tokens(source).unwrap(), expected);
    }

    #[test]
    fn quotes_follow_the_engines_rules() {
        check(r"'a\'b''c' d", &[r"'a\'b''c'", "d"]);
        check(r#""a""b" `c``d`"#, &[r#""a""b""#, "`c``d`"]);
        check(r"'\\' x", &[r"'\\'", "x"]);
        check("'/* -- ' x", &["'/* -- '", "x"]);
    }

    #[test]
    fn comments_are_gaps_and_do_not_nest() {
        check("a--b\nc", &["a", "c"]);
        check("a/* /* */c", &["a", "c"]);
        check("a -- 'b", &["a"]);
    }

    #[test]
    fn what_the_engine_reads_in_its_own_way_is_refused() {
        for source in ["a # b", "$$a$$", "a // b", "select ‘a’", "select\u{a0}1", "'a", "/* a", r"\x", "\"fi\\x6ce\""]
        {
            assert!(tokens(source).is_err(), "{source}");
        }
        assert!(tokens("select * from `/etc/passwd`").unwrap_err().contains("slash"));
    }
}
