//! Bugs in a crate that the tree depends on: a copy of it takes its place in the copy of the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::cargo;

/// Puts a copy of the crate into its place in `copy`, a copy of the tree at `root`; where its sources are.
pub(super) fn copy(root: &Path, copy: &Path, name: &str) -> Result<PathBuf, String> {
    // Not in the copied tree, whose workspace it would be in.
    let place = root.join("target/mutations").join(name);
    drop(fs::remove_dir_all(&place)); // the last one's
    let original = folder(root, name)?;
    let copied = Command::new("cp").arg("-r").args([&original, &place]).status();
    if !copied.is_ok_and(|status| status.success()) {
        return Err(format!("{} cannot be copied", original.display()));
    }
    let patch = format!("\n[patch.crates-io]\n{name} = {{ path = {place:?} }}\n");
    rewrite(&copy.join("Cargo.toml"), |text| text + &patch)?;
    rewrite(&copy.join("Cargo.lock"), |text| unlocked(&text, name))?;
    Ok(place.join("src"))
}

/// Where the sources are that the tree at `root` is built with.
#[cfg(test)]
pub(super) fn sources(root: &Path, name: &str) -> Result<PathBuf, String> {
    folder(root, name).map(|folder| folder.join("src"))
}

fn rewrite(path: &Path, change: impl FnOnce(String) -> String) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    fs::write(path, change(text)).map_err(|error| error.to_string())
}

/// The folder of the crate.
fn folder(root: &Path, name: &str) -> Result<PathBuf, String> {
    let output = Command::new(cargo())
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    find(&text, name).ok_or_else(|| format!("the tree does not depend on {name}"))
}

/// The folder of the crate, as cargo's metadata has it: named as the crate, with its version behind.
fn find(metadata: &str, name: &str) -> Option<PathBuf> {
    let manifests = metadata.split(r#""manifest_path":""#).skip(1);
    let mut folders =
        manifests.filter_map(|text| text.split_once("/Cargo.toml\"").map(|(at, _)| at));
    let folder = folders.find(|folder| {
        let version = folder.rsplit('/').next().and_then(|last| last.strip_prefix(name));
        let version = version.and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|one: char| one.is_ascii_digit()))
    });
    folder.map(PathBuf::from)
}

/// The lock file, which does not say any more where the crate is from.
fn unlocked(lock: &str, name: &str) -> String {
    let parts = lock.split("\n\n").map(|part| {
        if !part.contains(&format!("name = \"{name}\"\n")) {
            return part.to_owned();
        }
        let from = |line: &&str| line.starts_with("source = ") || line.starts_with("checksum = ");
        part.lines().filter(|line| !from(line)).collect::<Vec<_>>().join("\n")
    });
    parts.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::{find, unlocked};

    #[test]
    fn the_folder_of_a_crate_is_found() {
        let metadata = r#"{"manifest_path":"/r/raft-macros-0.1.0/Cargo.toml"},
            {"manifest_path":"/t/raft/Cargo.toml"},{"manifest_path":"/r/raft-0.10.0-alpha.37/Cargo.toml"}"#;
        assert_eq!(find(metadata, "raft"), Some("/r/raft-0.10.0-alpha.37".into()));
        assert_eq!(find(metadata, "none"), None);
    }

    #[test]
    fn the_lock_file_forgets_where_a_crate_is_from() {
        let one = |name: &str, from: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1\"{from}\n\n")
        };
        let from = "\nsource = \"registry\"\nchecksum = \"1\"";
        let lock = format!("version = 4\n\n{}{}end\n", one("a", from), one("ab", from));
        let expected = format!("version = 4\n\n{}{}end\n", one("a", ""), one("ab", from));
        assert_eq!(unlocked(&lock, "a"), expected);
    }
}
