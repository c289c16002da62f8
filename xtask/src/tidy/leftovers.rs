//! What is left behind when work stops half way.

use super::finding::Finding;
use super::tree::File;
use super::words::words;

/// Macros that mark a hole.
const HOLES: [&str; 3] = ["dbg", "todo", "unimplemented"];

/// Checks one Rust file for holes and for tests that were switched off without a reason.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in words(&file.code) {
        let after = &file.code[word.at + word.text.len()..];
        if HOLES.contains(&word.text) && after.starts_with('!') {
            findings.push(Finding::at(file, word.at, format!("`{}!` is left", word.text)));
        }
        if word.text == "ignore"
            && file.code[..word.at].ends_with("#[")
            && !has_reason(file, word.at)
        {
            let message = "a test is switched off: say why, `#[ignore = \"reason\"]`";
            findings.push(Finding::at(file, word.at, message));
        }
    }
    findings
}

/// Whether the attribute at `offset` reads `ignore = "…"` with something in it. The masked text
/// finds the attribute; its reason is in the source.
fn has_reason(file: &File, offset: usize) -> bool {
    let attribute = file.text[offset..].split(']').next().unwrap_or_default();
    attribute
        .split_once('=')
        .is_some_and(|(_, reason)| !reason.trim().trim_matches('"').trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::check;

    fn count(source: &str) -> usize {
        check(&File::new("broker/src/a.rs", source)).len()
    }

    #[test]
    fn holes_are_found() {
        for source in ["todo!()", "unimplemented!(\"later\")", "dbg!(x)"] {
            assert_eq!(count(source), 1, "{source}");
        }
        assert_eq!(count("// todo!()\n\"dbg!(x)\"; let todo = 1; my_dbg!(x)"), 0);
    }

    #[test]
    fn a_test_switched_off_without_a_reason_is_found() {
        for source in ["#[ignore]", "#[ignore = \"\"]", "#[ignore = \"  \"]"] {
            assert_eq!(count(source), 1, "{source}");
        }
        assert_eq!(count("#[ignore = \"needs two disks\"]\n// #[ignore]\nlet ignore = 1;"), 0);
    }
}
