//! Whether what was built from some files was built from these files.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file that keeps the fingerprint beside what was built.
const STAMP: &str = "fingerprint";

/// One number for names and contents of all files below `paths` (files or directories).
///
/// # Errors
/// What the system reports for one that cannot be read.
pub fn of(paths: &[PathBuf]) -> io::Result<u64> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.as_os_str().as_encoded_bytes());
        hasher.write(&[0]);
        let content = fs::read(&file)?;
        hasher.write_usize(content.len());
        hasher.write(&content);
    }
    Ok(hasher.finish())
}

/// Whether `built` was made from files with this fingerprint. What has none was not finished.
#[must_use]
pub fn is_current(built: &Path, fingerprint: u64) -> bool {
    let kept = fs::read_to_string(built.join(STAMP)).ok();
    kept.is_some_and(|kept| kept.trim() == format!("{fingerprint:016x}"))
}

/// Notes what `built` was made from. The last step of building it.
///
/// # Errors
/// What the system reports.
pub fn keep(built: &Path, fingerprint: u64) -> io::Result<()> {
    fs::write(built.join(STAMP), format!("{fingerprint:016x}\n"))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_noticed() {
        let dir = std::env::temp_dir().join(format!("fingerprint-{}", std::process::id()));
        fs::create_dir_all(dir.join("src")).unwrap();
        fs::create_dir_all(dir.join("built")).unwrap();
        fs::write(dir.join("src/a"), "one").unwrap();
        let before = of(&[dir.join("src")]).unwrap();
        assert!(!is_current(&dir.join("built"), before));
        keep(&dir.join("built"), before).unwrap();
        assert!(is_current(&dir.join("built"), of(&[dir.join("src")]).unwrap()));
        fs::write(dir.join("src/a"), "two").unwrap();
        assert!(!is_current(&dir.join("built"), of(&[dir.join("src")]).unwrap()));
        fs::remove_dir_all(dir).unwrap();
    }
}
