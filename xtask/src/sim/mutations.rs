//! Puts known bugs back, one at a time, in a copy of the tree, and sees how many seeds it takes to find each.
//!
//! `tests/mutations/*.txt` of the crates in [`ALL`] are the bugs: a line that says what it is, then what a
//! source file says and what it says with the bug. Told by text and not by place, so that they outlive code that moves;
//! spaces at the beginnings of lines do not count. Between them a line may name the suite that is to find it,
//! `suite: truncation`, and one the crate that has it, if that is none of ours: `crate: openraft`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use super::{SUITES, Suite, Wanted, build, command};

mod dependency;
mod search;

use search::{Found, place, search};

/// Bugs of one kind.
#[derive(Clone, Copy)]
struct Bugs {
    folder: &'static str,
    /// Where the code is that may have them.
    sources: &'static [&'static str],
    /// Package and target of the suite that is to find those that name none.
    suite: (&'static str, &'static str),
}

const ALL: [Bugs; 3] = [
    Bugs {
        folder: "storage/tests/mutations",
        sources: &["storage/src"],
        suite: ("storage", "histories"),
    },
    Bugs {
        folder: "raft/tests/mutations",
        sources: &["raft/src", "storage/src"],
        suite: ("raft", "cluster"),
    },
    Bugs {
        folder: "broker/tests/mutations",
        sources: &["broker/src", "storage/src"],
        suite: ("broker", "group_histories"),
    },
];
/// Below the tree: the files of its copies that have had bugs, a line each.
const CHANGED: &str = "target/mutations/changed";
const SUITE: &str = "suite: ";
const CRATE: &str = "crate: ";
const OLD: &str = "--- says\n";
const NEW: &str = "+++ with the bug\n";

/// One or more places of a known bug.
#[derive(Debug, PartialEq, Eq)]
struct Mutation {
    what: String,
    /// The suite that is to find it, by its target.
    suite: Option<String>,
    /// The crate that has it, unless it is one of ours.
    of_crate: Option<String>,
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
    let mut lines = Vec::new();
    let mut all_found = true;
    for (bugs, file) in files(root)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let what = match try_one(root, bugs, &file, from, seeds) {
            Ok((what, Found::After(count, place))) => {
                format!("found after {count} seeds ({what}), by {place}")
            }
            Ok((what, Found::Never)) => {
                all_found = false;
                format!("NOT FOUND by {seeds} seeds ({what})")
            }
            Ok((what, Found::WithoutIt(seed))) => {
                all_found = false;
                format!("NOT TRIED: seed {seed} fails without it, too ({what})")
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
        Some(only) if lines.is_empty() => Err(format!("no folder of known bugs has {only}.txt")),
        _ => Ok(all_found && !lines.is_empty()),
    }
}

/// The files of all mutations.
fn files(root: &Path) -> Result<Vec<(Bugs, PathBuf)>, String> {
    let mut all = Vec::new();
    for bugs in ALL {
        let mut files = sources(&root.join(bugs.folder), "txt")?;
        files.sort();
        all.extend(files.into_iter().map(|file| (bugs, file)));
    }
    Ok(all)
}

/// Tries the mutation of a file: what it is, and what came of it.
fn try_one(
    root: &Path,
    bugs: Bugs,
    file: &Path,
    from: u64,
    seeds: u64,
) -> Result<(String, Found), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mutation = parse(&text).ok_or("it is not understood")?;
    let suite = suite_of(bugs, &mutation).ok_or("there is no such suite")?;
    let copy = copy_tree(root)?;
    touch_what_was_changed(root)?;
    let sources = match &mutation.of_crate {
        Some(name) => vec![dependency::copy(root, &copy, name)?],
        None => sources_of(&copy, bugs),
    };
    for (old, new) in &mutation.changes {
        change(root, &sources, old, new)?;
    }
    let found = seeds_to_find(root, &copy, suite, from, seeds)?;
    Ok((mutation.what, found))
}

/// Where the code is that may have bugs of this kind, in the tree at `root`.
fn sources_of(root: &Path, bugs: Bugs) -> Vec<PathBuf> {
    bugs.sources.iter().map(|folder| root.join(folder)).collect()
}

/// The suite that is to find the bug.
fn suite_of(bugs: Bugs, mutation: &Mutation) -> Option<Suite> {
    let (package, usual) = bugs.suite;
    let target = mutation.suite.as_deref().unwrap_or(usual);
    SUITES.into_iter().find(|suite| (suite.package, suite.target) == (package, target))
}

/// Looks for a seed that fails with the bug, and passes in the tree as it is.
fn seeds_to_find(
    root: &Path,
    copy: &Path,
    suite: Suite,
    from: u64,
    seeds: u64,
) -> Result<Found, String> {
    // A target folder of its own: what is built from the copy must never be taken for the tree's.
    let target = root.join("target/mutations/target");
    let with_bug = program_of(copy, &target, suite);
    let with_bug = with_bug.ok_or("the tree does not build with the bug in it")?;
    search(
        from..from + seeds,
        |seed| fails(copy, suite, &with_bug, seed),
        |seed| {
            let without = program_of(root, &root.join("target"), suite);
            let without = without.ok_or("the tree does not build without the bug")?;
            fails(root, suite, &without, seed)
        },
    )
}

fn program_of(root: &Path, target: &Path, suite: Suite) -> Option<PathBuf> {
    build(root, target, &[suite]).and_then(|programs| programs.into_iter().next())
}

/// Where the history of this seed fails, if it does.
fn fails(root: &Path, suite: Suite, program: &Path, seed: u64) -> Result<Option<String>, String> {
    let wanted = Wanted { seed: Some(seed), ..Wanted::default() };
    let mut command = command(root, &suite, program, &wanted);
    let output = command.env("RUST_BACKTRACE", "0").output().map_err(|error| error.to_string())?;
    let said = [output.stderr, output.stdout].concat();
    Ok((!output.status.success()).then(|| place(&String::from_utf8_lossy(&said))))
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

/// Replaces `old`, which must be there once in all sources in these folders.
fn change(root: &Path, folders: &[PathBuf], old: &str, new: &str) -> Result<(), String> {
    let (path, changed) = find_place(folders, old, new)?;
    remember(root, &path)?;
    fs::write(path, changed).map_err(|error| error.to_string())
}

/// Notes that a file of the copy is about to get a bug.
fn remember(root: &Path, path: &Path) -> Result<(), String> {
    let mut notes = fs::OpenOptions::new().create(true).append(true).open(root.join(CHANGED));
    let noted = notes.as_mut().map(|notes| writeln!(notes, "{}", path.display()));
    noted.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Files that have had a bug are as they were, and as old as they were: cargo would take what it has built of them with
/// the bug for theirs.
fn touch_what_was_changed(root: &Path) -> Result<(), String> {
    let notes = fs::read_to_string(root.join(CHANGED)).unwrap_or_default();
    for path in notes.lines().map(Path::new).filter(|path| path.exists()) {
        let file = fs::File::options().write(true).open(path);
        let touched = file.and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The one source file that says `old`, and what it says with `new` instead.
fn find_place(folders: &[PathBuf], old: &str, new: &str) -> Result<(PathBuf, String), String> {
    let mut places = Vec::new();
    for folder in folders {
        for path in sources(folder, "rs")? {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let (changed, times) = replace(&text, old, new);
            if times > 0 {
                places.push((path, changed, times));
            }
        }
    }
    match places.as_slice() {
        [(path, changed, 1)] => Ok((path.clone(), changed.clone())),
        [] => Err(format!("{folders:?}: nothing says this any more: write it anew\n{old}")),
        _ => Err(format!("{folders:?}: this is said more than once: write it longer\n{old}")),
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
    let named = |what: &str| head.lines().skip(1).find_map(|line| line.strip_prefix(what));
    let (suite, of_crate) = (named(SUITE).map(str::to_owned), named(CRATE).map(str::to_owned));
    let what = head.lines().next()?.trim().to_owned();
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
            None => return Some(Mutation { what, suite, of_crate, changes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{
        ALL, Mutation, NEW, OLD, dependency, files, find_place, parse, replace, sources_of,
        suite_of,
    };

    #[test]
    fn every_mutation_still_has_its_place_in_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the tree");
        let files = files(root).expect("there are some");
        for bugs in ALL {
            let count = files.iter().filter(|(of, _)| of.folder == bugs.folder).count();
            assert!(count > 0, "{}: {count}", bugs.folder);
        }
        for (bugs, file) in files {
            let text = fs::read_to_string(&file).expect("it is a text");
            let mutation = parse(&text).unwrap_or_else(|| panic!("{}: not read", file.display()));
            assert!(suite_of(bugs, &mutation).is_some(), "{}: no such suite", file.display());
            let sources = match &mutation.of_crate {
                Some(name) => vec![dependency::sources(root, name).expect("it is there")],
                None => sources_of(root, bugs),
            };
            for (old, new) in &mutation.changes {
                let place = find_place(&sources, old, new);
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
        let usual = ALL.map(|bugs| suite_of(bugs, &mutation).expect("the usual one").target);
        assert_eq!(usual, ["histories", "cluster", "group_histories"]);
        let named = parse(&format!("what\nsuite: truncation\n{OLD}a\n{NEW}b\n")).expect("read");
        assert_eq!(suite_of(ALL[0], &named).map(|suite| suite.target), Some("truncation"));
        assert!(suite_of(ALL[1], &named).is_none(), "it is another package's");
        assert_eq!(named.of_crate, None);
        let of_crate = parse(&format!("what\ncrate: openraft\n{OLD}a\n{NEW}b\n")).expect("read");
        assert_eq!((of_crate.of_crate.as_deref(), of_crate.suite), (Some("openraft"), None));
        let unknown = Mutation { suite: Some("none".to_owned()), ..named };
        assert!(suite_of(ALL[0], &unknown).is_none());
        let expected = [("a\n  b\n", "a\n"), ("c\n", "")];
        assert_eq!(mutation.changes, expected.map(|(old, new)| (old.to_owned(), new.to_owned())));
        let (old, new) = &mutation.changes[0];
        assert_eq!(replace("x\n    a\nb\ny\n", old, new), ("x\na\ny\n".to_owned(), 1));
        assert_eq!(replace("x\na\n", old, new), ("x\na\n".to_owned(), 0));
        assert_eq!(parse("nothing"), None);
        assert_eq!(parse("what\n--- says\n+++ with the bug\nx\n"), None);
    }
}
