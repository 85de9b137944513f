//! The outline of a JSON text: keys of the first object and a little of what is below, read once, without a tree of the whole.
//! Never recurses deeper than [`DETAIL`]; stops as soon as its caller has seen enough.

/// Deepest nesting that is accepted: `serde_json`'s own limit, so that detection and normalisers agree on what is too deep.
pub const DEPTH_MAX: usize = 128;
/// Levels that are kept; below them values are skipped.
const DETAIL: usize = 3;
/// Keys kept per object. Formats are told apart by far fewer; objects keyed by path or id can have millions.
const KEYS_MAX: usize = 48;
/// Bytes kept of a text: enough for a schema URL.
const TEXT_BYTES_MAX: usize = 200;

/// The outline of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A value that has not been read yet.
    Unread,
    /// `null`, `true`, `false` or a number.
    Scalar,
    /// A text, cut to [`TEXT_BYTES_MAX`].
    Text(String),
    /// An array and its first element.
    Array(Option<Box<Node>>),
    /// An object and its first keys.
    Object(Keys),
}

/// Keys of an object, in order, with the outline of their values.
pub type Keys = Vec<(String, Node)>;

/// Why reading stopped before the end of the outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The caller has seen enough.
    Enough,
    /// The text ends in the middle.
    Truncated,
    /// Deeper than [`DEPTH_MAX`], at this byte.
    TooDeep(usize),
    /// Not JSON, at this byte.
    Malformed(usize),
}

/// The first object of a text: the text itself, or the first element of the array that it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// Keys read so far.
    pub keys: Keys,
    /// Whether the object is the first element of an array.
    pub is_list: bool,
    /// Whether the object was read to its end.
    pub is_whole: bool,
    /// What the text is when it is neither an object nor an array of objects.
    pub other: Option<&'static str>,
}

impl Outline {
    /// The outline of the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        find(&self.keys, key)
    }

    /// Whether the key is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The text at a key; empty when there is none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.get(key).map_or("", Node::text)
    }

    /// Outline of the value at a key of the object (or of the first object of the array) at `outer`.
    #[must_use]
    pub fn below(&self, outer: &str, key: &str) -> Option<&Node> {
        self.get(outer).and_then(|node| node.inner(key))
    }
}

impl Node {
    /// The text; empty for everything else.
    #[must_use]
    pub fn text(&self) -> &str {
        if let Node::Text(text) = self { text } else { "" }
    }

    /// The value at a key of this object, or of this array's first object.
    #[must_use]
    pub fn inner(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Object(keys) => find(keys, key),
            Node::Array(Some(first)) => match &**first {
                Node::Object(keys) => find(keys, key),
                _ => None,
            },
            _ => None,
        }
    }
}

fn find<'a>(keys: &'a Keys, key: &str) -> Option<&'a Node> {
    keys.iter().find(|(name, _)| name == key).map(|(_, node)| node)
}

/// Reads the outline. `enough` is asked when a key is seen (its value [`Node::Unread`]) and again when its value is read.
pub fn read(bytes: &[u8], enough: &mut dyn FnMut(&Outline) -> bool) -> (Outline, Result<(), Stop>) {
    let mut outline = Outline::default();
    let mut scanner = Scanner { bytes, pos: 0 };
    let result = scanner.root(&mut outline, enough);
    (outline, result)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl Scanner<'_> {
    fn root(&mut self, outline: &mut Outline, enough: &mut dyn FnMut(&Outline) -> bool) -> Result<(), Stop> {
        if self.peek()? == b'[' {
            self.pos += 1;
            outline.is_list = true;
            if self.peek()? == b']' {
                outline.other = Some("an empty list");
                return Ok(());
            }
        }
        if self.peek()? != b'{' {
            let node = self.value(0)?;
            outline.other = Some(match (outline.is_list, node) {
                (true, _) => "a list of values that are not objects",
                (false, Node::Text(_)) => "a single text",
                (false, _) => "a single value",
            });
            return Ok(());
        }
        self.pos += 1;
        if self.peek()? == b'}' {
            outline.other = Some(if outline.is_list { "a list of empty objects" } else { "an empty object" });
            return Ok(());
        }
        loop {
            let key = self.key()?;
            let kept = outline.keys.len() < KEYS_MAX;
            if kept {
                outline.keys.push((key, Node::Unread));
                if enough(outline) {
                    return Err(Stop::Enough);
                }
            }
            let node = self.value(1)?;
            if let Some(last) = outline.keys.last_mut().filter(|_| kept) {
                last.1 = node;
                if enough(outline) {
                    return Err(Stop::Enough);
                }
            }
            if !self.more(b'}')? {
                outline.is_whole = true;
                return Ok(());
            }
        }
    }

    /// Next byte that is not white space.
    fn peek(&mut self) -> Result<u8, Stop> {
        while let Some(&byte) = self.bytes.get(self.pos) {
            if !byte.is_ascii_whitespace() {
                return Ok(byte);
            }
            self.pos += 1;
        }
        Err(Stop::Truncated)
    }

    /// After an element: a comma and more, or the end.
    fn more(&mut self, end: u8) -> Result<bool, Stop> {
        let byte = self.peek()?;
        self.pos += 1;
        match byte {
            b',' => Ok(true),
            byte if byte == end => Ok(false),
            _ => Err(Stop::Malformed(self.pos - 1)),
        }
    }

    fn key(&mut self) -> Result<String, Stop> {
        if self.peek()? != b'"' {
            return Err(Stop::Malformed(self.pos));
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(Stop::Malformed(self.pos));
        }
        self.pos += 1;
        Ok(key)
    }

    fn value(&mut self, level: usize) -> Result<Node, Stop> {
        match self.peek()? {
            b'"' => self.string().map(Node::Text),
            b'{' | b'[' if level >= DETAIL => self.skip(level).map(|()| Node::Unread),
            b'{' => self.object(level),
            b'[' => self.array(level),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') = self.bytes.get(self.pos) {
                    self.pos += 1;
                }
                Ok(Node::Scalar)
            }
            _ => Err(Stop::Malformed(self.pos)),
        }
    }

    fn object(&mut self, level: usize) -> Result<Node, Stop> {
        self.pos += 1;
        let mut keys = Keys::new();
        if self.peek()? == b'}' {
            self.pos += 1;
            return Ok(Node::Object(keys));
        }
        loop {
            let key = self.key()?;
            if keys.len() < KEYS_MAX {
                let node = self.value(level + 1)?;
                keys.push((key, node));
            } else {
                self.value(DETAIL)?;
            }
            if !self.more(b'}')? {
                return Ok(Node::Object(keys));
            }
        }
    }

    fn array(&mut self, level: usize) -> Result<Node, Stop> {
        self.pos += 1;
        if self.peek()? == b']' {
            self.pos += 1;
            return Ok(Node::Array(None));
        }
        let first = self.value(level + 1)?;
        if self.more(b']')? {
            self.skip_open(level, 1)?;
        }
        Ok(Node::Array(Some(Box::new(first))))
    }

    /// Skips one object or array.
    fn skip(&mut self, level: usize) -> Result<(), Stop> {
        self.skip_open(level, 0)
    }

    /// Skips to the end of the array or object of which `open` brackets were read. Brackets are counted, not matched:
    /// the normaliser's parser validates.
    fn skip_open(&mut self, level: usize, mut open: usize) -> Result<(), Stop> {
        loop {
            let rest = self.bytes.get(self.pos..).unwrap_or_default();
            let Some(offset) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']')) else {
                return Err(Stop::Truncated);
            };
            self.pos += offset;
            match rest[offset] {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                _ => open -= 1,
            }
            self.pos += 1;
            if open == 0 {
                return Ok(());
            }
            if level + open > DEPTH_MAX {
                return Err(Stop::TooDeep(self.pos));
            }
        }
    }

    /// The content of a string, escapes left as they are.
    fn string(&mut self) -> Result<String, Stop> {
        let start = self.pos + 1;
        self.skip_string()?;
        let content = &self.bytes[start..self.pos - 1];
        let cut = &content[..content.len().min(TEXT_BYTES_MAX)];
        Ok(String::from_utf8_lossy(cut).trim_end_matches('\u{fffd}').to_owned())
    }

    fn skip_string(&mut self) -> Result<(), Stop> {
        self.pos += 1;
        loop {
            let rest = self.bytes.get(self.pos..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                None => return Err(Stop::Truncated),
                Some(offset) if rest[offset] == b'"' => {
                    self.pos += offset + 1;
                    return Ok(());
                }
                Some(offset) => self.pos += offset + 2,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> (Outline, Result<(), Stop>) {
        read(text.as_bytes(), &mut |_| false)
    }

    #[test]
    fn outlines() {
        let (outline, result) = whole(r#"{"a": "x\"y", "b": [{"c": 1, "d": {"e": {"f": 1}}}, 2], "g": {}}"#);
        assert_eq!(result, Ok(()));
        assert!(outline.is_whole && !outline.is_list);
        assert_eq!(outline.text("a"), r#"x\"y"#);
        assert_eq!(outline.below("b", "c"), Some(&Node::Scalar));
        assert_eq!(outline.get("g"), Some(&Node::Object(Keys::new())));
        assert_eq!(whole(" [ ] ").0.other, Some("an empty list"));
        assert_eq!(whole("{}").0.other, Some("an empty object"));
        assert_eq!(whole("null").0.other, Some("a single value"));
        assert!(whole(r#"[{"a":1}"#).0.is_list);
    }

    #[test]
    fn damage_and_depth() {
        for text in [r#"{"a""#, r#"{"a": [1, "#, r#"{"a": "x\"#, "[", "", r#"{"a": {"b": {"c": {"#] {
            assert_eq!(whole(text).1, Err(Stop::Truncated), "{text}");
        }
        for text in ["{a}", r#"{"a" 1}"#, r#"{"a": 1 2}"#, "[)", "{]"] {
            assert!(matches!(whole(text).1, Err(Stop::Malformed(_))), "{text}");
        }
        for open in ["[", r#"{"a":"#] {
            assert!(matches!(whole(&open.repeat(100_000)).1, Err(Stop::TooDeep(_))), "{open}");
        }
    }
}
