//! The known name nearest to one that nobody knows.

/// Names further away than this many edits (or a third of the longer name) are no help.
const MAX_EDITS: usize = 4;

/// The candidate with the fewest edits (insert, delete, replace, swap neighbours; case does not count), if one is near.
pub(crate) fn nearest<'a>(
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|name| (distance(wanted, name), name))
        .filter(|&(edits, name)| edits <= MAX_EDITS.min(name.len().max(wanted.len()) / 3))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, name)| name)
}

/// Edits between two names, ignoring case: three rows of the usual table.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut edits = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits = edits.min(before[j - 2] + 1);
            }
            row[j] = edits;
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["listenPort", "brokerName", "brokerRole", "flushDiskType"];

    #[test]
    fn typing_errors_find_their_key() {
        for (typed, key) in [
            ("listenprt", "listenPort"),
            ("LISTENPORT", "listenPort"),
            ("brokerNmae", "brokerName"),
            ("flushDiskTyp", "flushDiskType"),
        ] {
            assert_eq!(nearest(typed, NAMES.into_iter()), Some(key));
        }
    }

    #[test]
    fn strangers_find_nothing() {
        for typed in ["colour", "x", "", "storePathRootDir"] {
            assert_eq!(nearest(typed, NAMES.into_iter()), None, "{typed}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
