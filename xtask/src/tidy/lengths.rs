//! How long a file and a function may be.

use std::ops::Range;

use super::finding::Finding;
use super::tree::File;
use super::words::{Word, words};

/// Lines of a file: more than the first is worth a thought, more than the second fails.
const FILE_WARN: usize = 500;
const FILE_MAX: usize = 800;

/// Lines of a function, from `fn` to its closing brace, comments included.
const FUNCTION_MAX: usize = 70;

const _: () = assert!(FUNCTION_MAX < FILE_WARN && FILE_WARN < FILE_MAX);

/// Kinds of files that people write and read as programs.
const PROGRAMS: [&str; 5] = ["go", "java", "py", "rs", "sh"];

/// Checks one file, and for Rust each function in it.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if PROGRAMS.contains(&file.extension()) && lines > FILE_WARN {
        let finding = Finding::of(
            &file.path,
            format!("{lines} lines; split it by concept before it has {FILE_MAX}"),
        );
        findings.push(if lines > FILE_MAX { finding } else { finding.warning() });
    }
    for (name, span) in functions(&file.code) {
        let lines = file.line(span.end - 1) - file.line(span.start) + 1;
        if lines > FUNCTION_MAX {
            let message = format!("fn {}: {lines} lines, at most {FUNCTION_MAX}", name.text);
            findings.push(Finding::at(file, name.at, message));
        }
    }
    findings
}

/// The functions with a body in masked `code`: each one's name, and its bytes from the name to the
/// closing brace.
fn functions(code: &str) -> Vec<(Word<'_>, Range<usize>)> {
    let mut found = Vec::new();
    let mut before = "";
    for word in words(code) {
        if before == "fn"
            && let Some(end) = body(code, word.at).and_then(|open| closing(code, open))
        {
            found.push((word, word.at..end + 1));
        }
        before = word.text;
    }
    found
}

/// Where the body of the function named at `from` opens: the first brace outside brackets and
/// parentheses. `None` for a declaration without a body.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' | b'}' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where the brace that opens at `open` closes.
fn closing(code: &str, open: usize) -> Option<usize> {
    assert_eq!(code.as_bytes()[open], b'{');
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::finding::Weight;
    use super::super::tree::File;
    use super::{FILE_MAX, FILE_WARN, FUNCTION_MAX, check, functions};

    #[test]
    fn functions_are_found_with_their_whole_body() {
        let code = "fn a(x: [u8; { 3 }]) -> impl Fn() where T: X<{ 1 }> { if x { y } }\n\
                    fn declared(x: fn(u8) -> u8);\n trait T { fn b() {} }";
        // A braced const argument outside parentheses ends the scan early; rustfmt'd code has none.
        let names: Vec<_> = functions(code).iter().map(|(name, _)| name.text).collect();
        assert_eq!(names, ["a", "b"]);
        let (_, span) = &functions("fn a() { if x { y } else { z } } fn b() {}")[0];
        assert_eq!(span.end, "fn a() { if x { y } else { z } }".len());
    }

    #[test]
    fn a_long_function_is_found_and_a_string_with_braces_does_not_confuse() {
        let function =
            |lines| format!("fn f() {{\n{}}}\n", "    g(\"{\"); // }\n".repeat(lines - 2));
        assert!(check(&File::new("a/src/b.rs", &function(FUNCTION_MAX))).is_empty());
        let findings = check(&File::new("a/src/b.rs", &function(FUNCTION_MAX + 1)));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "a/src/b.rs:1");
    }

    #[test]
    fn a_long_file_is_a_warning_and_a_very_long_one_an_error() {
        let weights = |lines| {
            let file = File::new("a/B.java", &"x;\n".repeat(lines));
            check(&file).into_iter().map(|finding| finding.weight).collect::<Vec<_>>()
        };
        assert_eq!(weights(FILE_WARN), []);
        assert_eq!(weights(FILE_MAX), [Weight::Warning]);
        assert_eq!(weights(FILE_MAX + 1), [Weight::Error]);
    }
}
