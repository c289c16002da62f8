//! The inputs that are kept: one file each, in `fuzz/corpus/<target>`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// An input and where it came from.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub input: Vec<u8>,
}

/// Where the corpora of all targets are in this source tree.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// The corpus of a target, sorted by name.
///
/// # Errors
/// The disk; the error names the file.
pub fn read(folder: &Path, target: &str) -> io::Result<Vec<Kept>> {
    let folder = folder.join(target);
    let named = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| named(&folder, error))? {
        let path = entry?.path();
        let input = fs::read(&path).map_err(|error| named(&path, error))?;
        all.push(Kept { path, input });
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}
