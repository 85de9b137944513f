//! Which weaknesses are one flaw in the words of two tools: equal, Base and Variant of each other, or a shipped pair.
//! Classes and pillars join nothing: injection of SQL and of script share a class.

use std::collections::BTreeSet;
use std::sync::LazyLock;

static PARENTS: LazyLock<BTreeSet<(u32, u32)>> =
    LazyLock::new(|| pairs(include_str!("../../../../schemas/cwe/parents.csv")));
static SHIPPED: LazyLock<BTreeSet<(u32, u32)>> =
    LazyLock::new(|| pairs(include_str!("../../../../schemas/cwe/pairs.csv")));
static ABSTRACT: LazyLock<BTreeSet<u32>> = LazyLock::new(|| {
    lines(include_str!("../../../../schemas/cwe/abstract.csv")).filter_map(|line| line.parse().ok()).collect()
});

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1)
}

/// Both orders of each pair.
fn pairs(text: &'static str) -> BTreeSet<(u32, u32)> {
    lines(text)
        .filter_map(|line| {
            let mut fields = line.split(',');
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .flat_map(|(left, right)| [(left, right), (right, left)])
        .collect()
}

/// Whether two CWE numbers can name one flaw.
#[must_use]
pub fn is_same_flaw(left: u32, right: u32) -> bool {
    if SHIPPED.contains(&(left, right)) {
        return true;
    }
    if ABSTRACT.contains(&left) || ABSTRACT.contains(&right) {
        return false;
    }
    left == right || PARENTS.contains(&(left, right))
}

/// Whether any number of one list and any of the other can name one flaw.
#[must_use]
pub fn any_same_flaw(left: &[u32], right: &[u32]) -> bool {
    left.iter().any(|left| right.iter().any(|right| is_same_flaw(*left, *right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_variants_and_pairs_join_and_classes_do_not() {
        for (left, right) in [(89, 89), (564, 89), (89, 564), (23, 22), (78, 77), (321, 798), (328, 327)] {
            assert!(is_same_flaw(left, right), "{left} {right}");
        }
        // 79 and 89 share class 74; 20 and 200 are classes; 284 is a pillar.
        for (left, right) in [(79, 89), (20, 20), (200, 200), (284, 284), (79, 74), (89, 943)] {
            assert!(!is_same_flaw(left, right), "{left} {right}");
        }
        assert!(any_same_flaw(&[20, 564], &[943, 89]));
        assert!(!any_same_flaw(&[], &[89]));
    }

    #[test]
    fn the_data_is_read() {
        assert!(PARENTS.len() > 600 && SHIPPED.len() > 30 && ABSTRACT.len() > 100);
    }
}
