//! Puts known bugs back, one at a time, in a copy of the tree, and sees how many seeds it takes to find each.
//!
//! `storage/tests/mutations/*.txt` are the bugs: a line that says what it is, then what a source file says and what
//! it says with the bug. Told by text and not by place, so that they outlive code that moves; spaces at the
//! beginnings of lines do not count. A second line may name the suite that is to find it, `suite: truncation`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::{SUITES, Suite, Wanted, build, command};

const FOLDER: &str = "storage/tests/mutations";
const SOURCES: &str = "storage/src";
const SUITE: &str = "suite: ";
const OLD: &str = "--- says\n";
const NEW: &str = "+++ with the bug\n";

/// One or more places of a known bug.
#[derive(Debug, PartialEq, Eq)]
struct Mutation {
    what: String,
    /// The suite that is to find it, by its target; the first one, if none is named.
    suite: Option<String>,
    /// What is said, and what is said instead.
    changes: Vec<(String, String)>,
}

/// Tries the mutations, or the named one, with up to `seeds` seeds from `from` on. Fails when one is not found.
pub fn run(root: &Path, only: Option<&str>, from: u64, seeds: u64) -> ExitCode {
    match try_all(root, only, from, seeds) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("sim --mutations: {why}");
            ExitCode::FAILURE
        }
    }
}

fn try_all(root: &Path, only: Option<&str>, from: u64, seeds: u64) -> Result<bool, String> {
    let mut files: Vec<PathBuf> = sources(&root.join(FOLDER), "txt")?;
    files.sort();
    let mut lines = Vec::new();
    let mut all_found = true;
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let what = match try_one(root, &file, from, seeds) {
            Ok((what, Some(count))) => format!("found after {count} seeds ({what})"),
            Ok((what, None)) => {
                all_found = false;
                format!("NOT FOUND by {seeds} seeds ({what})")
            }
            Err(why) => {
                all_found = false;
                format!("NOT TRIED: {why}")
            }
        };
        println!("{name}: {what}");
        lines.push(format!("{name}: {what}"));
    }
    println!("\nmutations, seeds from {from}:\n  {}", lines.join("\n  "));
    match only {
        Some(only) if lines.is_empty() => Err(format!("{FOLDER} has no {only}.txt")),
        _ => Ok(all_found && !lines.is_empty()),
    }
}

/// Tries the mutation of a file: what it is, and how many seeds it takes to find it.
fn try_one(
    root: &Path,
    file: &Path,
    from: u64,
    seeds: u64,
) -> Result<(String, Option<u64>), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mutation = parse(&text).ok_or("it is not understood")?;
    let suite = suite_of(&mutation).ok_or("there is no such suite")?;
    let copy = copy_tree(root)?;
    for (old, new) in &mutation.changes {
        change(&copy.join(SOURCES), old, new)?;
    }
    let found = seeds_to_find(root, &copy, suite, from, seeds)?;
    Ok((mutation.what, found))
}

/// The suite that is to find the bug, one of the storage engine's.
fn suite_of(mutation: &Mutation) -> Option<Suite> {
    let ours = SUITES.into_iter().filter(|suite| suite.package == "storage");
    let wanted = |suite: &Suite| mutation.suite.as_ref().is_none_or(|name| name == suite.target);
    ours.into_iter().find(wanted)
}

/// How many seeds it takes until one fails.
fn seeds_to_find(
    root: &Path,
    copy: &Path,
    suite: Suite,
    from: u64,
    seeds: u64,
) -> Result<Option<u64>, String> {
    // A target folder of its own: what is built from the copy must never be taken for the tree's.
    let programs = build(copy, &root.join("target/mutations/target"), &[suite]);
    let program = programs.and_then(|programs| programs.into_iter().next());
    let program = program.ok_or("the tree does not build with the bug in it")?;
    for count in 0..seeds {
        let wanted = Wanted { seed: Some(from + count), ..Wanted::default() };
        let mut command = command(copy, &suite, &program, &wanted);
        let output = command.env("RUST_BACKTRACE", "0").output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Ok(Some(count + 1));
        }
    }
    Ok(None)
}

/// A copy of all that git knows of the tree, as it is now.
fn copy_tree(root: &Path) -> Result<PathBuf, String> {
    let copy = root.join("target/mutations/tree");
    drop(fs::remove_dir_all(&copy)); // the last one's
    fs::create_dir_all(&copy).map_err(|error| error.to_string())?;
    let script = "git ls-files -z | xargs -0 cp --parents --preserve=timestamps -t \"$0\"";
    let status = Command::new("sh").args(["-c", script]).arg(&copy).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(copy),
        _ => Err("the tree cannot be copied".to_owned()),
    }
}

/// The files of this kind in a folder and below it.
fn sources(folder: &Path, kind: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder);
    let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sources(&path, kind)?);
        } else if path.extension().is_some_and(|extension| extension == kind) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Replaces `old`, which must be there once in all files below `folder`.
fn change(folder: &Path, old: &str, new: &str) -> Result<(), String> {
    let (path, changed) = find_place(folder, old, new)?;
    fs::write(path, changed).map_err(|error| error.to_string())
}

/// The one file below `folder` that says `old`, and what it says with `new` instead.
fn find_place(folder: &Path, old: &str, new: &str) -> Result<(PathBuf, String), String> {
    let mut places = Vec::new();
    for path in sources(folder, "rs")? {
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let (changed, times) = replace(&text, old, new);
        if times > 0 {
            places.push((path, changed, times));
        }
    }
    match places.as_slice() {
        [(path, changed, 1)] => Ok((path.clone(), changed.clone())),
        [] => Err(format!("{SOURCES} does not say this any more: write it anew\n{old}")),
        _ => Err(format!("{SOURCES} says this more than once: write it longer\n{old}")),
    }
}

/// The text with every `old` replaced by `new`, line by line and without regard to indents; how often.
fn replace(text: &str, old: &str, new: &str) -> (String, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let old: Vec<&str> = old.lines().map(str::trim).collect();
    let (mut out, mut at, mut times) = (String::new(), 0, 0);
    while at < lines.len() {
        let here = lines.get(at..at + old.len());
        if here.is_some_and(|here| here.iter().map(|line| line.trim()).eq(old.iter().copied())) {
            out.push_str(new);
            at += old.len();
            times += 1;
        } else {
            out.push_str(lines[at]);
            out.push('\n');
            at += 1;
        }
    }
    (out, times)
}

/// Reads a mutation's file.
fn parse(text: &str) -> Option<Mutation> {
    let (head, mut rest) = text.split_once(OLD)?;
    let named = head.lines().nth(1).and_then(|line| line.strip_prefix(SUITE));
    let (what, suite) = (head.lines().next()?, named.map(str::to_owned));
    let mut changes = Vec::new();
    loop {
        let (old, after) = rest.split_once(NEW)?;
        let (new, next) = match after.split_once(OLD) {
            Some((new, next)) => (new, Some(next)),
            None => (after, None),
        };
        if old.trim().is_empty() {
            return None;
        }
        changes.push((old.to_owned(), new.to_owned()));
        match next {
            Some(next) => rest = next,
            None => return Some(Mutation { what: what.trim().to_owned(), suite, changes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{
        FOLDER, Mutation, NEW, OLD, SOURCES, find_place, parse, replace, sources, suite_of,
    };

    #[test]
    fn every_mutation_still_has_its_place_in_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the tree");
        let files = sources(&root.join(FOLDER), "txt").expect("there are some");
        assert!(files.len() >= 5, "{files:?}");
        for file in files {
            let text = fs::read_to_string(&file).expect("it is a text");
            let mutation = parse(&text).unwrap_or_else(|| panic!("{}: not read", file.display()));
            assert!(suite_of(&mutation).is_some(), "{}: no such suite", file.display());
            for (old, new) in &mutation.changes {
                let place = find_place(&root.join(SOURCES), old, new);
                place.unwrap_or_else(|why| panic!("{}: {why}", file.display()));
            }
        }
    }

    #[test]
    fn a_mutation_is_read_and_made() {
        let text =
            "forgets b\n--- says\na\n  b\n+++ with the bug\na\n--- says\nc\n+++ with the bug\n";
        let mutation = parse(text).expect("it is one");
        assert_eq!(mutation.what, "forgets b");
        assert_eq!(suite_of(&mutation).map(|suite| suite.target), Some("histories"));
        let named = parse(&format!("what\nsuite: truncation\n{OLD}a\n{NEW}b\n")).expect("read");
        assert_eq!(suite_of(&named).map(|suite| suite.target), Some("truncation"));
        let unknown = Mutation { suite: Some("none".to_owned()), ..named };
        assert!(suite_of(&unknown).is_none());
        let expected = [("a\n  b\n", "a\n"), ("c\n", "")];
        assert_eq!(mutation.changes, expected.map(|(old, new)| (old.to_owned(), new.to_owned())));
        let (old, new) = &mutation.changes[0];
        assert_eq!(replace("x\n    a\nb\ny\n", old, new), ("x\na\ny\n".to_owned(), 1));
        assert_eq!(replace("x\na\n", old, new), ("x\na\n".to_owned(), 0));
        assert_eq!(parse("nothing"), None);
        assert_eq!(parse("what\n--- says\n+++ with the bug\nx\n"), None);
    }
}
