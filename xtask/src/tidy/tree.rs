//! The files of the working tree that rules look at, read once.

use std::fs;
use std::path::Path;

use super::mask::mask;

/// What holds no source of ours: version control (a file in a linked worktree), build output, the quick
/// start's store.
const SKIPPED: [&str; 3] = [".git", "target", "data"];

/// Larger files are recordings, not text that someone wrote. Bytes.
const FILE_MAX: u64 = 1 << 20;

/// One text file of the project.
pub struct File {
    /// Path from the workspace root, with `/` between its parts.
    pub path: String,
    pub text: String,
    /// For Rust, the text without comments and literals; else empty.
    pub code: String,
}

impl File {
    /// A file made of its text.
    pub fn new(path: &str, text: &str) -> Self {
        assert!(!path.starts_with('/'), "{path} must be relative to the workspace");
        let code = if extension(path) == "rs" { mask(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    pub fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    pub fn extension(&self) -> &str {
        extension(&self.path)
    }

    /// The folder of the crate the file is in: the first part of the path. The root package's
    /// `src` stands for itself.
    pub fn krate(&self) -> &str {
        self.path.split('/').next().expect("splitting gives at least one part")
    }

    /// The line, counted from 1, that holds the byte at `offset`.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().expect("splitting gives at least one part");
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Reads every text file below `root`, sorted by path. What is not UTF-8 is no text.
pub fn read(root: &Path) -> Result<Vec<File>, std::io::Error> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                // A work tree beside the first has a file of that name, which says where the first lies.
                && name != ".git"
                && entry.metadata()?.len() <= FILE_MAX
                && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
            {
                files.push(File::new(&path, &text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
