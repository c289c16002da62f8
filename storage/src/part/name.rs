//! The names of the index files, and which of them count.

use std::path::Path;

use model::PhysicalOffset;
use runtime::{IoError, fs};

/// What a file is called until it is complete and flushed.
const UNREADY: &str = ".tmp";
/// What a file is called, but for its number, that a part to come may be written over.
const OLD: &str = "spare.";
const DIGITS: usize = 20;

/// The name of old file `number`.
pub(super) fn old_name(number: u64) -> String {
    format!("{OLD}{number}")
}

/// The number of the old file of this name; `None` for any other name.
pub(super) fn number_of_old(name: &str) -> Option<u64> {
    let number = name.strip_prefix(OLD)?.parse().ok().filter(|number| *number < u64::MAX)?;
    (old_name(number) == name).then_some(number)
}

/// The range of the log that a part covers: from `from` up to, but without, `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: PhysicalOffset,
    pub to: PhysicalOffset,
}

impl Span {
    /// The file name of the part that covers this.
    pub(crate) fn name(self) -> String {
        format!("{:0DIGITS$}-{:0DIGITS$}", self.from.0, self.to.0)
    }

    /// What the part is called while it is being written.
    pub(crate) fn unready_name(self) -> String {
        self.name() + UNREADY
    }

    /// What a file of this name covers; `None` for any other name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (from, to) = name.split_once('-')?;
        let digits = |text: &str| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(from) || !digits(to) {
            return None;
        }
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        let possible = from <= to && i64::try_from(to).is_ok();
        possible.then_some(Self { from: PhysicalOffset(from), to: PhysicalOffset(to) })
    }
}

/// What to do with the files of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The parts that count, in the order of the log. None overlaps another.
    pub parts: Vec<Span>,
    /// Names to remove: files that were never finished, and parts that are covered by one that counts.
    /// Best removed after the latter was opened, because they could stand in for it.
    pub remove: Vec<String>,
    /// Files that nobody needs, for a part to come.
    pub old: Vec<String>,
    /// Names that are none of ours.
    pub unknown: Vec<String>,
}

/// Sorts out what the files called `names` are good for. A part that contains others counts, and they
/// do not: it was merged from them. Old files, which hold nothing that counts, are told apart. Parts that overlap in another way are never written; should there be
/// some, the one that begins first counts.
pub(crate) fn plan<'a>(names: impl IntoIterator<Item = &'a str>) -> Plan {
    let mut plan = Plan::default();
    let mut spans = Vec::new();
    for name in names {
        if let Some(span) = Span::of_name(name) {
            spans.push(span);
        } else if name.strip_suffix(UNREADY).and_then(Span::of_name).is_some() {
            plan.remove.push(name.to_owned());
        } else if number_of_old(name).is_some() {
            plan.old.push(name.to_owned());
        } else {
            plan.unknown.push(name.to_owned());
        }
    }
    // Of those that begin together the longest comes first.
    spans.sort_unstable_by_key(|span| (span.from, std::cmp::Reverse(span.to)));
    for span in spans {
        let end = plan.parts.last().map_or(PhysicalOffset(0), |last: &Span| last.to);
        if span.from >= end && span.from < span.to {
            plan.parts.push(span);
        } else {
            plan.remove.push(span.name());
        }
    }
    plan
}

/// Reads the directory `dir` and sorts out what is in it. Changes nothing.
///
/// # Errors
/// The disk.
pub(crate) async fn list(dir: &Path) -> Result<Plan, IoError> {
    let entries = fs::list(dir).await?;
    Ok(plan(entries.iter().map(|entry| entry.name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> Span {
        Span { from: PhysicalOffset(from), to: PhysicalOffset(to) }
    }

    #[test]
    fn names_are_ranges() {
        let name = "00000000000000004096-00000000001073741824";
        assert_eq!(span(4096, 1 << 30).name(), name);
        assert_eq!(Span::of_name(name), Some(span(4096, 1 << 30)));
        for other in [
            "",
            "-",
            "00000000001073741824",
            "4096-1073741824",
            "00000000001073741824-00000000000000004096",
            "00000000000000004096-99999999999999999999",
            "00000000000000004096-18446744073709551615",
            "00000000000000004096-0000000000107374182x",
            "00000000000000004096-00000000001073741824.tmp",
        ] {
            assert_eq!(Span::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_part_that_contains_others_counts() {
        let (a, b, both) = (span(0, 10), span(10, 20), span(0, 20));
        let names = [a.name(), b.name(), both.name(), span(20, 30).name()];
        let found = plan(names.iter().map(String::as_str));
        assert_eq!(found.parts, [both, span(20, 30)]);
        assert_eq!(found.remove, [a.name(), b.name()]);
        assert!(found.unknown.is_empty());
    }

    #[test]
    fn what_was_never_finished_goes_and_what_is_foreign_stays() {
        let (part, unready) = (span(5, 9), span(9, 12));
        let names = [part.name(), unready.unready_name(), "notes.tmp".into(), "notes".into()];
        let found = plan(names.iter().map(String::as_str));
        assert_eq!(found.parts, [part]);
        assert_eq!(found.remove, [unready.unready_name()]);
        assert_eq!(found.unknown, ["notes.tmp", "notes"]);
        let old = ["spare.0", "spare.17"];
        let found = plan(old);
        assert_eq!(found.old, old);
        assert!(found.remove.is_empty() && found.unknown.is_empty());
        assert_eq!(plan(["spare.", "spare.+1", "spare.01"]).unknown.len(), 3);
    }

    #[test]
    fn parts_that_count_never_overlap() {
        let spans = [span(0, 10), span(5, 30), span(10, 20), span(15, 15), span(25, 40)];
        let names = spans.map(Span::name);
        let found = plan(names.iter().map(String::as_str));
        assert_eq!(found.parts, [span(0, 10), span(10, 20), span(25, 40)]);
        assert_eq!(found.remove, [span(5, 30).name(), span(15, 15).name()]);
    }
}
