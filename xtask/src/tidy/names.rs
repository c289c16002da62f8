//! Names that say nothing, or that bring a class tree with them.

use super::finding::Finding;
use super::tree::File;
use super::words::words;
use super::workspace::Crate;

/// A crate, module or file so called collects what has no home.
const NO_HOME: [&str; 7] = ["base", "common", "helper", "helpers", "misc", "util", "utils"];

/// Last words of type names that hide what the type is.
const EMPTY_SUFFIX: [&str; 7] =
    ["Factory", "Helper", "Manager", "Processor", "Service", "Util", "Wrapper"];

/// Names that the standard library has made idiomatic.
const IDIOMATIC: [&str; 7] = [
    "get_many_mut",
    "get_mut",
    "get_or_insert_with",
    "get_unchecked",
    "set_len",
    "set_linger",
    "set_nodelay",
];

/// Crates called after nothing, or not after their folder.
pub fn check_crates(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in crates {
        let folder = krate.manifest.trim_end_matches("Cargo.toml").trim_end_matches('/');
        if !folder.is_empty() && folder != krate.name {
            let message = format!("one folder, one crate: `{}` is not in `{0}/`", krate.name);
            findings.push(Finding::of(&krate.manifest, message));
        }
        if NO_HOME.contains(&krate.name.as_str()) {
            findings.push(Finding::of(&krate.manifest, no_home(&krate.name)));
        }
    }
    findings
}

/// Checks the path and the code of one Rust file.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = file.path.trim_end_matches(".rs");
    for part in path.split('/').filter(|part| NO_HOME.contains(part)) {
        findings.push(Finding::of(&file.path, no_home(part)));
    }
    let mut before = "";
    for word in words(&file.code) {
        let complaint = match before {
            "mod" if NO_HOME.contains(&word.text) => Some(no_home(word.text)),
            "struct" | "enum" | "trait" | "type" => empty_suffix(word.text),
            "fn" if is_public(file, word.at) => accessor(word.text),
            _ => None,
        };
        if let Some(complaint) = complaint {
            findings.push(Finding::at(file, word.at, complaint));
        }
        before = word.text;
    }
    findings
}

fn no_home(name: &str) -> String {
    format!("`{name}` says nothing: name it after the concept it holds")
}

fn empty_suffix(name: &str) -> Option<String> {
    let suffix = EMPTY_SUFFIX.iter().find(|suffix| name.ends_with(**suffix))?;
    Some(format!("`{name}`: `{suffix}` says nothing; name the type after what it is"))
}

fn accessor(name: &str) -> Option<String> {
    let rest = name.strip_prefix("get_").or_else(|| name.strip_prefix("set_"))?;
    (!IDIOMATIC.contains(&name))
        .then(|| format!("`{name}`: call it `{rest}`, or after what it does for the caller"))
}

/// Whether the function whose name is at `offset` is in the public API: rustfmt keeps `pub` and
/// `fn` on one line.
fn is_public(file: &File, offset: usize) -> bool {
    let line = file.code[..offset].rsplit('\n').next().expect("splitting gives at least one part");
    line.trim_start().starts_with("pub ")
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::super::workspace::sample;
    use super::{check, check_crates};

    fn count(path: &str, source: &str) -> usize {
        check(&File::new(path, source)).len()
    }

    #[test]
    fn files_modules_and_crates_without_a_concept_are_found() {
        for path in ["broker/src/util.rs", "broker/src/common/a.rs", "broker/src/helpers/mod.rs"] {
            assert_eq!(count(path, ""), 1, "{path}");
        }
        assert_eq!(count("broker/src/a.rs", "mod utils { }"), 1);
        assert_eq!(count("broker/src/database.rs", "mod utility;"), 0);
        assert_eq!(check_crates(&[sample("common", &[], &[])]).len(), 1);
        assert_eq!(check_crates(&[sample("broker", &[], &[])]).len(), 0);
    }

    #[test]
    fn a_crate_in_a_folder_of_another_name_is_found() {
        let mut moved = sample("broker", &[], &[]);
        moved.manifest = "crates/broker/Cargo.toml".into();
        assert_eq!(check_crates(&[moved]).len(), 1);
    }

    #[test]
    fn types_that_hide_what_they_are_are_found() {
        for source in
            ["pub struct TopicManager;", "enum FooWrapper {}", "pub(crate) trait PullService {}"]
        {
            assert_eq!(count("broker/src/a.rs", source), 1, "{source}");
        }
        assert_eq!(count("broker/src/a.rs", "struct Serviceable; let m: TopicManager;"), 0);
    }

    #[test]
    fn public_accessors_with_a_prefix_are_found() {
        for source in
            ["pub fn get_topic() {}", "    pub async fn set_offset() {}", "pub const fn get_x() {}"]
        {
            assert_eq!(count("broker/src/a.rs", source), 1, "{source}");
        }
        for source in
            ["fn get_topic() {}", "pub fn getter() {}", "pub fn get_mut() {}", "pub fn get() {}"]
        {
            assert_eq!(count("broker/src/a.rs", source), 0, "{source}");
        }
    }
}
