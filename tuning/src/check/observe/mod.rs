//! Looking at a machine. Every reading may fail by itself: in a container much of /sys is missing.

mod cgroup;
mod device;
mod machine;
mod store;

use std::fs;
use std::path::Path;

use super::facts::{Facts, Reading, Unknown};

/// Looks at the machine, and at the file system and disk of `store` if it is given. Changes nothing: a direct write goes
/// to a file without a name that is gone when this returns. Takes milliseconds.
#[must_use]
pub fn observe(store: Option<&Path>) -> Facts {
    Facts {
        kernel: machine::kernel(),
        limits: machine::limits(),
        cpu: machine::cpu(),
        memory: machine::memory(),
        store: store.map(store::store),
    }
}

/// The text of a small file of the kernel, without blanks around it.
fn line(path: impl AsRef<Path>) -> Reading<String> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Ok(text.trim().to_owned())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Unknown {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => Unknown(format!("there is no {path} here")),
        _ => Unknown(format!("{path}: {error}")),
    }
}

/// A number in such a file.
fn number<T: std::str::FromStr>(path: impl AsRef<Path>) -> Reading<T> {
    let path = path.as_ref();
    let text = line(path)?;
    text.parse().map_err(|_| Unknown(format!("{} says `{text}`", path.display())))
}

/// The word in brackets, as in `always [madvise] never`.
fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0)
}

/// How many numbers a list like `0-3,8` names.
fn count_of_list(list: &str) -> Option<usize> {
    let mut count = 0;
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(chosen("always [madvise] never"), Some("madvise"));
        assert_eq!(chosen("[none] mq-deadline"), Some("none"));
        assert_eq!(chosen("none"), None);
        assert_eq!(count_of_list("0-3,8\n"), Some(5));
        assert_eq!(count_of_list("0"), Some(1));
        assert_eq!(count_of_list(""), None);
        assert_eq!(count_of_list("3-1"), None);
    }

    #[test]
    fn what_is_not_there_is_unknown_with_the_path() {
        let why = line("/sys/no/such/file").unwrap_err();
        assert_eq!(why.to_string(), "there is no /sys/no/such/file here");
        assert!(number::<u32>("/proc/self/comm").unwrap_err().to_string().contains("says `"));
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let facts = observe(Some(Path::new("/no/such/directory")));
        assert!(facts.cpu.allowed > 0);
        let store = facts.store.expect("it was named");
        assert_eq!(store.looked_at, Path::new("/"));
        assert!(super::super::decide(&observe(None)).len() >= 10);
    }
}
