//! The directory of the parts, and the files in it that are used again.
//!
//! A file system that is mounted with `discard` has the device forget each block that is freed, and a flush
//! of the log waits behind that: milliseconds for every file of the index that is removed. So a file that
//! nobody needs any more is kept under another name, and the next part is written over what it holds. Not so where a
//! part takes the name of the one that it replaces, as in a segment of one part: that one's blocks are freed.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{File, IoError, OpenMode, fs};

use super::file::PartFile;
use super::name::{self, Span};

/// Files that are kept, at most; a segment of the usual size has half as many parts.
const MOST_OLD: usize = 64;
/// A file is used for a part of at least its size divided by this, so that a small part does not hold on to
/// a large file.
const MOST_WASTE: u64 = 4;

/// A file that a part may be written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Old {
    number: u64,
    len: u64,
}

/// The directory of the parts.
pub(crate) struct PartDir {
    path: PathBuf,
    /// Bytes of the files that are kept, at most.
    most_bytes: u64,
    old: RefCell<Vec<Old>>,
    /// No file has this number yet, or a larger one.
    next: Cell<u64>,
}

impl PartDir {
    /// The directory at `path`, in which old files of at most `most_bytes` are kept. Those that are there are
    /// taken over by [`PartDir::find_old`].
    pub(crate) fn new(path: PathBuf, most_bytes: u64) -> Self {
        Self { path, most_bytes, old: RefCell::default(), next: Cell::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the part that covers `span`.
    pub(crate) fn of(&self, span: Span) -> PathBuf {
        self.path.join(span.name())
    }

    fn of_old(&self, number: u64) -> PathBuf {
        self.path.join(name::old_name(number))
    }

    /// Takes over the old files that an earlier life has left, and removes those that are too many. That life may have ended
    /// before the names were durable; they are when this returns.
    ///
    /// # Errors
    /// The disk.
    pub(crate) async fn find_old(&self) -> Result<(), IoError> {
        for entry in fs::list(&self.path).await? {
            let number = name::number_of_old(&entry.name).filter(|_| !entry.is_dir);
            let Some(number) = number else { continue };
            self.next.set(self.next.get().max(number + 1));
            match self.has_room_for(&[], entry.len) {
                true => self.old.borrow_mut().push(Old { number, len: entry.len }),
                false => fs::remove_file(self.of_old(number)).await?,
            }
        }
        let none = self.old.borrow().is_empty();
        if none { Ok(()) } else { fs::sync_dir(&self.path).await }
    }

    /// Keeps the files of `parts` for parts to come, as far as there is room for them and nobody reads them;
    /// removes the others. What counts instead of them must be durable. When the power goes one of them may have its
    /// name again, but never with something else in it: nothing is written over it before it has lost that for good.
    ///
    /// # Errors
    /// The disk, the first of its errors. A file that could be neither kept nor removed has its name still, and is removed at
    /// the next start.
    pub(crate) async fn retire(&self, parts: Vec<Rc<PartFile>>) -> Result<(), IoError> {
        let (mut kept, mut went) = (Vec::new(), Ok(()));
        for part in parts {
            let (path, len) = (self.of(part.span()), part.file_len());
            let unread = Rc::try_unwrap(part).ok().filter(|_| self.has_room_for(&kept, len));
            let gone = match unread {
                Some(part) => {
                    self.keep(part, &path).await.map(|number| kept.push(Old { number, len }))
                }
                None => fs::remove_file(path).await,
            };
            went = went.and(gone);
        }
        if !kept.is_empty() {
            fs::sync_dir(&self.path).await?; // what is not entered is taken over by the next life
            self.old.borrow_mut().extend(kept);
        }
        went
    }

    /// Gives the file of `part` at `path` the name of an old one; its number.
    async fn keep(&self, part: PartFile, path: &Path) -> Result<u64, IoError> {
        part.close().await?;
        let number = self.next.replace(self.next.get() + 1);
        fs::rename(path, self.of_old(number)).await?;
        Ok(number)
    }

    /// Removes all old files, because the disk is full; tells whether there were any. What cannot be removed
    /// is kept.
    pub(crate) async fn remove_old(&self) -> bool {
        let (mut removed, mut stay) = (false, Vec::new());
        loop {
            let Some(old) = self.old.borrow_mut().pop() else { break };
            match fs::remove_file(self.of_old(old.number)).await {
                Ok(()) => removed = true,
                Err(error) if error.kind() == ErrorKind::NotFound => {} // somebody has tidied up
                Err(_) => stay.push(old),
            }
        }
        self.old.borrow_mut().extend(stay);
        removed
    }

    /// A file to write a part of about `len` bytes into, and its path: an old one that goes with it, whatever
    /// that holds, or else a new one called `unready`, which an unfinished one of that name makes way for.
    pub(super) async fn file_for(
        &self,
        len: u64,
        unready: &str,
    ) -> Result<(File, PathBuf), IoError> {
        while let Some(old) = self.take(len) {
            let path = self.of_old(old.number);
            match File::open(&path, OpenMode::ReadWrite).await {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.is_out_of_descriptors() => {
                    self.old.borrow_mut().push(old); // it is as it was
                    return Err(error);
                }
                Err(_) => {} // somebody has tidied up, or it is of no use: there are others
            }
        }
        let path = self.path.join(unready);
        if fs::exists(&path).await? {
            fs::remove_file(&path).await?;
        }
        Ok((File::open(&path, OpenMode::CreateNew).await?, path))
    }

    fn take(&self, len: u64) -> Option<Old> {
        let mut old = self.old.borrow_mut();
        let at = best(&old, len)?;
        Some(old.swap_remove(at))
    }

    /// Whether another file may be kept, beside those that are and `more`.
    fn has_room_for(&self, more: &[Old], len: u64) -> bool {
        let old = self.old.borrow();
        let bytes: u64 = old.iter().chain(more).map(|old| old.len).sum();
        old.len() + more.len() < MOST_OLD && bytes + len <= self.most_bytes
    }
}

/// Which of the files a part of about `len` bytes goes into: the smallest that has room for all of it, else the
/// largest, which grows.
fn best(old: &[Old], len: u64) -> Option<usize> {
    let usable = |at: &usize| old[*at].len <= len.saturating_mul(MOST_WASTE);
    let whole = (0..old.len()).filter(usable).filter(|at| old[*at].len >= len);
    let smallest = whole.min_by_key(|at| old[*at].len);
    smallest.or_else(|| (0..old.len()).filter(usable).max_by_key(|at| old[*at].len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_into_the_file_that_wastes_least() {
        let old = [10, 40, 30, 200].map(|len| Old { number: len, len });
        assert_eq!(best(&old, 25), Some(2));
        assert_eq!(best(&old, 31), Some(1));
        assert_eq!(
            best(&old, 41),
            Some(1),
            "one that grows; the next one would be too large by far"
        );
        assert_eq!(best(&old, 50), Some(3));
        assert_eq!(best(&old, 300), Some(3));
        assert_eq!(best(&old, 2), None);
        assert_eq!(best(&[], 25), None);
    }
}
