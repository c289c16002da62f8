//! The project speaks of itself alone: whoever clones it can follow every reference in it.

use super::finding::Finding;
use super::tree::File;

/// Marks of a reference that leads out of the project. Each is cut in two here, so that this file
/// is not its own first finding.
const OUTSIDE: [(&str, &str); 6] = [
    (concat!("/wo", "rk/"), "a path of someone's machine"),
    (concat!("shared", "/facts"), "a path outside the project"),
    (concat!("DESIGN", ".md"), "a page outside the project"),
    (concat!("DESIGN", " section"), "a page outside the project"),
    (concat!("SCENARIOS", ".md"), "a page outside the project"),
    (concat!("STYLE", ".md"), "a page outside the project"),
];

/// Hosts that anyone can reach; a name below one of them counts as well. All else in a URL must be
/// an address of this machine or a name kept for examples.
const PUBLIC_HOSTS: [&str; 14] = [
    "apache.org",
    "crates.io",
    "debian.org",
    "docs.rs",
    "example.com",
    "example.org",
    "github.com",
    "go.dev",
    "kernel.org",
    "localhost",
    "rust-lang.org",
    "rustup.rs",
    "w3.org",
    "xmlsoap.org",
];

/// Checks one file of any kind, prose and strings included. The lock file is written by cargo.
pub fn check(file: &File) -> Vec<Finding> {
    if file.path == "Cargo.lock" || file.extension() == "sum" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (mark, what) in OUTSIDE {
        for (at, _) in file.text.match_indices(mark) {
            findings.push(Finding::at(file, at, format!("`{mark}`: {what}")));
        }
    }
    for (at, _) in file.text.match_indices("://") {
        let host = host(&file.text[at + 3..]);
        if is_web(&file.text[..at]) && !is_public(host) {
            let message =
                format!("`{host}` is no host that anyone can reach (xtask/src/tidy/alone.rs)");
            findings.push(Finding::at(file, at, message));
        }
    }
    findings
}

fn is_web(before: &str) -> bool {
    before.ends_with("http") || before.ends_with("https")
}

/// The host at the start of what follows `://`; empty where a program puts one together.
fn host(rest: &str) -> &str {
    let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || ".-".contains(letter)));
    rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
}

fn is_public(host: &str) -> bool {
    let below = |public: &&str| {
        host.strip_suffix(*public).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    host.is_empty() || host.starts_with("127.") || PUBLIC_HOSTS.iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::{OUTSIDE, check, is_public};

    fn count(text: &str) -> usize {
        check(&File::new("docs/a.md", text)).len()
    }

    #[test]
    fn references_out_of_the_project_are_found() {
        for (mark, _) in OUTSIDE {
            assert_eq!(count(&format!("see {mark}x")), 1, "{mark}");
        }
        assert_eq!(count("the network/disk, shared state, our design"), 0);
    }

    #[test]
    fn hosts_that_not_everyone_can_reach_are_found() {
        assert_eq!(count(concat!("ask http", "://registry.corp:8081/simple")), 1);
        assert_eq!(count(concat!("ask https", "://notgithub.com/a")), 1);
        assert_eq!(
            count("https://github.com/apache/rocketmq http://127.0.0.1:9876 http://{host}"),
            0
        );
        assert!(is_public("maven.apache.org") && !is_public("10.0.0.1"));
    }

    #[test]
    fn lock_files_are_left_to_their_tools() {
        let text = concat!("/wo", "rk/");
        assert!(check(&File::new("Cargo.lock", text)).is_empty());
        assert!(check(&File::new("tests/interop/go/go.sum", text)).is_empty());
    }
}
