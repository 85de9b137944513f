//! One line for people from what a tool wrote. Every sighting's title is scrubbed and cut to its final length behind the
//! normalisers (`scrub::title`); here it only becomes one line that cannot be huge.

/// Bytes kept of a title: enough that scrubbing sees a whole secret across the final limit of 300 characters.
const BYTES_MAX: usize = 2_048;

/// The text on one line. CodeQL says a sentence again for every path to the flaw; once is enough.
pub fn line(text: &str) -> String {
    let mut title = String::with_capacity(text.len().min(BYTES_MAX));
    let mut said = "";
    for sentence in text.lines().map(str::trim) {
        if std::mem::replace(&mut said, sentence) == sentence {
            continue;
        }
        for word in sentence.split_whitespace() {
            if title.len() + word.len() >= BYTES_MAX {
                return title;
            }
            if !title.is_empty() {
                title.push(' ');
            }
            title.push_str(word);
        }
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bounded_line() {
        assert_eq!(line("  a\n b\t c "), "a b c");
        assert_eq!(line("It depends on input.\nIt depends on input.\r\nAnd more."), "It depends on input. And more.");
        assert!(line(&"word ".repeat(4_000)).len() < BYTES_MAX);
        assert_eq!(line(&"x".repeat(4_000)), "");
    }
}
