//! Which of two versions is later, per ecosystem, well enough to choose a fix.
//! Distribution packages follow dpkg's algorithm (rpm and apk agree with it where versions occur); the rest a common core.

use std::cmp::Ordering;

/// Compares two versions of one package.
#[must_use]
pub fn compare(ecosystem: &str, left: &str, right: &str) -> Ordering {
    match ecosystem {
        "deb" | "rpm" | "apk" | "alpm" => distribution(left, right),
        _ => common(left, right),
    }
}

/// The smallest fixed version above the installed one; the greatest fixed version when none is above it (a report that
/// contradicts itself, or a backport); `None` when no fix is known.
#[must_use]
pub fn smallest_fix<'a>(ecosystem: &str, installed: &str, fixed: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut above: Option<&str> = None;
    let mut greatest: Option<&str> = None;
    for version in fixed.flat_map(|version| version.split(',')).map(str::trim).filter(|version| !version.is_empty()) {
        if greatest.is_none_or(|best| compare(ecosystem, version, best).is_gt()) {
            greatest = Some(version);
        }
        let is_above = installed.is_empty() || compare(ecosystem, version, installed).is_gt();
        if is_above && above.is_none_or(|best| compare(ecosystem, version, best).is_lt()) {
            above = Some(version);
        }
    }
    above.or(greatest)
}

/// The greater of two; the first when equal.
#[must_use]
pub fn later<'a>(ecosystem: &str, left: &'a str, right: &'a str) -> &'a str {
    if compare(ecosystem, right, left).is_gt() { right } else { left }
}

fn distribution(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = epoch(left);
    let (right_epoch, right) = epoch(right);
    let (left_upstream, left_revision) = left.rsplit_once('-').unwrap_or((left, ""));
    let (right_upstream, right_revision) = right.rsplit_once('-').unwrap_or((right, ""));
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| dpkg(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| dpkg(left_revision.as_bytes(), right_revision.as_bytes()))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => epoch.parse().map_or((0, version), |epoch| (epoch, rest)),
        None => (0, version),
    }
}

/// deb-version(7): runs of non-digits by a modified ASCII order (`~` before the end, letters before the rest), runs of
/// digits by value, in turn.
fn dpkg(mut left: &[u8], mut right: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    while !left.is_empty() || !right.is_empty() {
        while left.first().is_some_and(|byte| !byte.is_ascii_digit())
            || right.first().is_some_and(|byte| !byte.is_ascii_digit())
        {
            let order = weight(left.first()).cmp(&weight(right.first()));
            if order.is_ne() {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let order = number(&mut left).cmp(&number(&mut right));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes a run of digits off the front, as (length without leading zeros, digits): the order of the numbers, at any size.
fn number<'a>(text: &mut &'a [u8]) -> (usize, &'a [u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

/// A piece of a version: a word before a release, the end, a word that means the release itself, a later word, a number.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Before(u8, Word<'a>),
    End,
    After(Word<'a>),
    /// See [`number`].
    Number(usize, &'a [u8]),
}

/// ASCII letters, whatever their case.
#[derive(Debug)]
struct Word<'a>(&'a [u8]);

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().map(u8::to_ascii_lowercase).cmp(other.0.iter().map(u8::to_ascii_lowercase))
    }
}

impl PartialOrd for Word<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Word<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Word<'_> {}

fn common(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (pieces(left), pieces(right));
    loop {
        // A missing number is zero: 1.0 equals 1.0.0; a missing word is the release.
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(Piece::Number(size, _)), None) => size.cmp(&0),
            (None, Some(Piece::Number(size, _))) => 0.cmp(&size),
            (left, right) => left.unwrap_or(Piece::End).cmp(&right.unwrap_or(Piece::End)),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn pieces(version: &str) -> impl Iterator<Item = Piece<'_>> {
    let version = version.trim().trim_start_matches(['v', 'V', '=']);
    let version = version.split_once('+').map_or(version, |(version, _)| version);
    let mut rest = version.as_bytes();
    std::iter::from_fn(move || {
        let at = rest.iter().position(u8::is_ascii_alphanumeric)?;
        rest = &rest[at..];
        if rest[0].is_ascii_digit() {
            let (size, digits) = number(&mut rest);
            return Some(Piece::Number(size, digits));
        }
        let end = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(piece_of(word))
    })
}

/// Words before a release, earliest first: synonyms share a line.
const BEFORE: [&[&str]; 6] = [
    &["dev", "snapshot", "canary", "nightly"],
    &["a", "alpha"],
    &["b", "beta"],
    &["m", "milestone"],
    &["pre", "preview"],
    &["c", "cr", "rc"],
];

/// Words that mean the release itself.
const RELEASE: [&str; 5] = ["final", "ga", "release", "jre", "android"];

fn piece_of(word: &[u8]) -> Piece<'_> {
    let is_one_of = |words: &[&str]| words.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word));
    if is_one_of(&RELEASE) {
        return Piece::End;
    }
    match BEFORE.iter().position(|words| is_one_of(words)) {
        Some(rank) => Piece::Before(rank as u8, Word(word)),
        None => Piece::After(Word(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_versions_ascend() {
        let ladders: &[(&str, &[&str])] = &[
            ("deb", &["1.0~rc1-1", "1.0-1", "1.0-1+deb12u1", "1.0-1+deb12u2", "1.0.1-1", "1:0.1-1"]),
            ("deb", &["2.5.0-1", "2.5.0-1+deb12u1", "2.5.0-1+deb12u10"]),
            ("apk", &["3.1.3-r0", "3.1.4-r0", "3.1.4-r1", "3.1.4-r10"]),
            ("npm", &["1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"]),
            ("maven", &["2.0-SNAPSHOT", "2.0", "2.12.4", "2.15.0", "2.16.0", "2.17.1"]),
            ("maven", &["4.1.93.Final", "4.1.94.Final", "4.2.0.Alpha1", "4.2.0.Final"]),
            ("pypi", &["1.0.dev1", "1.0a1", "1.0b1", "1.0rc1", "1.0", "1.0.post1", "42.0.0", "42.0.4"]),
            ("golang", &["v0.0.0-20210101000000-abcdef", "v0.17.0", "v0.31.0", "v1.2.3+incompatible"]),
            ("deb", &["5", "99999999999999999999998", "99999999999999999999999"]),
        ];
        for (ecosystem, ladder) in ladders {
            for (low, high) in ladder.iter().zip(&ladder[1..]) {
                assert_eq!(compare(ecosystem, low, high), Ordering::Less, "{ecosystem}: {low} < {high}");
                assert_eq!(compare(ecosystem, high, low), Ordering::Greater, "{ecosystem}: {high} > {low}");
                assert_eq!(compare(ecosystem, low, low), Ordering::Equal, "{ecosystem}: {low}");
            }
        }
        assert_eq!(compare("npm", "1.0", "v1.0.0"), Ordering::Equal);
        assert_eq!(compare("maven", "32.0.0-android", "32.0.0-jre"), Ordering::Equal);
    }

    #[test]
    fn the_smallest_version_that_fixes() {
        let fix = |installed, fixed: &[&'static str]| smallest_fix("maven", installed, fixed.iter().copied());
        assert_eq!(fix("2.14.1", &["2.3.1", "2.12.2", "2.15.0"]), Some("2.15.0"));
        assert_eq!(fix("2.14.1", &["2.17.1, 2.15.0"]), Some("2.15.0"));
        assert_eq!(fix("", &["2.16.0", "2.12.2"]), Some("2.12.2"));
        assert_eq!(fix("3.0", &["2.16.0", "2.12.2"]), Some("2.16.0"));
        assert_eq!(fix("3.0", &[]), None);
        assert_eq!(fix("3.0", &["", " "]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_two_texts_compare_the_same_both_ways(left in ".{0,12}", right in ".{0,12}", deb in proptest::bool::ANY) {
            let ecosystem = if deb { "deb" } else { "npm" };
            proptest::prop_assert_eq!(compare(ecosystem, &left, &right), compare(ecosystem, &right, &left).reverse());
        }
    }
}
