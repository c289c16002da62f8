//! What a crate must not contain: the invariants of ARCHITECTURE.md that are absences.

use super::finding::Finding;
use super::tree::File;
use super::words::{Word, snake, words};
use super::workspace::Crate;

/// Crates that are bytes in, values out.
const PURE: [&str; 3] = ["config", "model", "remoting"];

/// Crates whose state belongs to one shard each.
const UNSHARED: [&str; 3] = ["broker", "raft", "storage"];

/// The only crates that may contain `unsafe`: they call the kernel where the standard library does not.
const UNSAFE: [&str; 2] = ["runtime", "tuning"];

/// Words that mean something one floor above storage.
const ABOVE_STORAGE: [&str; 8] = [
    "candidate",
    "consumer_group",
    "election",
    "follower",
    "leader",
    "learner",
    "raft",
    "request_code",
];

/// Checks the code of one file.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in words(&file.code) {
        let complaint =
            impure(file, word).or_else(|| shared(file, word)).or_else(|| above_storage(file, word));
        if let Some(complaint) = complaint {
            findings.push(Finding::at(file, word.at, complaint));
        }
    }
    findings
}

fn impure(file: &File, word: Word<'_>) -> Option<String> {
    let banned = matches!(word.text, "async" | "await" | "unsafe" | "Instant" | "SystemTime");
    (banned && PURE.contains(&file.krate())).then(|| {
        format!("`{}` in {}: this crate has no I/O, no clock, no unsafe", word.text, file.krate())
    })
}

fn shared(file: &File, word: Word<'_>) -> Option<String> {
    // What outlives a simulated process in a test must be outside of every shard.
    if !UNSHARED.contains(&file.krate()) || file.path.contains("/tests/") {
        return None;
    }
    let locked = word.text == "Arc" && {
        // `Arc<Mutex<…`, `Arc < std::sync::RwLock<…`: the last part of the path in the brackets.
        let inside = file.code[word.at + word.text.len()..].trim_start().strip_prefix('<');
        let path = inside.and_then(|inside| inside.split(['<', '>', ',', ';', '(']).next());
        let last = path.and_then(|path| path.rsplit("::").next()).map(str::trim);
        matches!(last, Some("Mutex" | "RwLock"))
    };
    (locked || word.text == "DashMap").then(|| {
        "shared state behind a lock: a shard owns its state, others send it a message".into()
    })
}

fn above_storage(file: &File, word: Word<'_>) -> Option<String> {
    let name = snake(word.text);
    let banned = ABOVE_STORAGE.iter().find(|banned| name.contains(&format!("_{banned}_")))?;
    (file.krate() == "storage")
        .then(|| format!("`{}`: storage knows no {}", word.text, banned.replace('_', " ")))
}

/// Every crate but these forbids `unsafe` at the root of each library and binary.
pub fn check_roots(crates: &[Crate], files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let safe = |krate: &&Crate| !UNSAFE.contains(&krate.name.as_str());
    for root in crates.iter().filter(safe).flat_map(|krate| &krate.roots) {
        let file = files.iter().find(|file| file.path == *root);
        if !file.is_some_and(|file| file.code.contains("#![forbid(unsafe_code)]")) {
            findings.push(Finding::of(root, "`#![forbid(unsafe_code)]` is missing"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::super::workspace::sample;
    use super::{check, check_roots};

    fn count(path: &str, source: &str) -> usize {
        check(&File::new(path, source)).len()
    }

    #[test]
    fn pure_crates_have_no_async_no_clock_and_no_unsafe() {
        for source in ["async fn f() {}", "unsafe { f() }", "x.await", "use std::time::Instant;"] {
            assert_eq!(count("remoting/src/a.rs", source), 1, "{source}");
            assert_eq!(count("model/src/a.rs", source), 1, "{source}");
            assert_eq!(count("transport/src/a.rs", source), 0, "{source}");
        }
        assert_eq!(count("model/src/a.rs", "// async\n#![forbid(unsafe_code)]"), 0);
    }

    #[test]
    fn a_lock_around_shared_state_is_found_however_it_is_spelled() {
        for source in [
            "x: Arc<Mutex<u8>>",
            "Arc<std::sync::RwLock<u8>>",
            "Arc<\n  Mutex<u8>>",
            "DashMap::new()",
        ] {
            assert_eq!(count("broker/src/a.rs", source), 1, "{source}");
            assert_eq!(count("client/src/a.rs", source), 0, "{source}");
            assert_eq!(count("broker/tests/a.rs", source), 0, "{source}");
        }
        assert_eq!(count("storage/src/a.rs", "Arc<Log>; Rc<RefCell<u8>>; Mutex<u8>"), 0);
    }

    #[test]
    fn storage_speaks_no_language_from_above() {
        for source in
            ["ConsumerGroup", "fn request_code()", "REQUEST_CODE", "is_leader", "RaftRole"]
        {
            assert_eq!(count("storage/src/a.rs", source), 1, "{source}");
            assert_eq!(count("broker/src/a.rs", source), 0, "{source}");
        }
        assert_eq!(count("storage/src/a.rs", "group_commit; draft; misleading; // the leader"), 0);
    }

    #[test]
    fn a_root_that_does_not_forbid_unsafe_is_found() {
        let crates = [sample("broker", &[], &[]), sample("runtime", &[], &[])];
        let safe = File::new("broker/src/lib.rs", "#![forbid(unsafe_code)]");
        let prose = File::new("broker/src/lib.rs", "// #![forbid(unsafe_code)]");
        assert!(check_roots(&crates, &[safe]).is_empty());
        assert_eq!(check_roots(&crates, &[prose]).len(), 1);
        assert_eq!(check_roots(&crates, &[]).len(), 1);
    }
}
