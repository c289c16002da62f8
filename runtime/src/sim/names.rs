//! The directories of a disk, and which changes of names a power cut could lose.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::{Rc, Weak};

use super::inode::Inode;
use super::power::Survival;
use crate::fs::Entry;

/// A file, whoever knows it: names, open files, writes in flight.
#[derive(Default)]
pub(super) struct SharedInode {
    pub(super) inode: RefCell<Inode>,
    /// Open files.
    pub(super) opens: Cell<u32>,
    named: Cell<bool>,
}

#[derive(Clone)]
enum Node {
    Dir,
    File(Rc<SharedInode>),
}

type Map = BTreeMap<PathBuf, Node>;

/// What some names stand for after it, all at once; `None`: nothing.
struct NameChange(Vec<(PathBuf, Option<Node>)>);

impl NameChange {
    fn apply(&self, map: &mut Map) {
        for (path, node) in &self.0 {
            match node {
                Some(node) => drop(map.insert(path.clone(), node.clone())),
                None => drop(map.remove(path)),
            }
        }
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().map(|(path, _)| path)
    }
}

pub(super) struct Names {
    current: Map,
    durable: Map,
    unsynced: Vec<NameChange>,
    /// Every file there is; those that have gone are swept out now and then.
    files: Vec<Weak<SharedInode>>,
}

pub(super) fn os_error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// The absolute path, without `.` and `..`; a node's working directory is its root.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut whole = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir => drop(whole.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    whole
}

impl Names {
    pub(super) fn new() -> Names {
        let root = Map::from([(PathBuf::from("/"), Node::Dir)]);
        Names { current: root.clone(), durable: root, unsynced: Vec::new(), files: Vec::new() }
    }

    fn change(&mut self, sets: Vec<(PathBuf, Option<Node>)>) {
        for (path, _) in &sets {
            self.mark_named(path, false);
        }
        let change = NameChange(sets);
        change.apply(&mut self.current);
        for path in change.paths() {
            self.mark_named(path, true);
        }
        self.unsynced.push(change);
    }

    fn mark_named(&self, path: &Path, named: bool) {
        if let Some(Node::File(file)) = self.current.get(path) {
            file.named.set(named);
        }
    }

    fn require_dir(&self, path: &Path) -> io::Result<()> {
        match self.current.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(os_error(libc::ENOTDIR)),
            None => Err(os_error(libc::ENOENT)),
        }
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) => self.require_dir(parent),
            None => Err(os_error(libc::EISDIR)),
        }
    }

    fn has_children(&self, dir: &Path) -> bool {
        self.current.keys().any(|path| path.parent() == Some(dir))
    }

    // --- files

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.current.contains_key(&absolute(path))
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Rc<SharedInode>> {
        let path = absolute(path);
        self.require_parent(&path)?;
        match self.current.get(&path) {
            Some(Node::Dir) => Err(os_error(libc::EISDIR)),
            Some(Node::File(file)) => Ok(file.clone()),
            None => Err(os_error(libc::ENOENT)),
        }
    }

    /// Makes an empty file; `full`: there is no place for it.
    pub(super) fn create(&mut self, path: &Path, full: bool) -> io::Result<Rc<SharedInode>> {
        let path = absolute(path);
        self.require_parent(&path)?;
        if self.current.contains_key(&path) {
            return Err(os_error(libc::EEXIST));
        }
        if full {
            return Err(os_error(libc::ENOSPC));
        }
        let file: Rc<SharedInode> = Rc::default();
        self.files.retain(|file| file.strong_count() > 0);
        self.files.push(Rc::downgrade(&file));
        self.change(vec![(path, Some(Node::File(file.clone())))]);
        Ok(file)
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        match self.current.get(&path) {
            None => Err(os_error(libc::ENOENT)),
            Some(Node::Dir) => Err(os_error(libc::EISDIR)),
            Some(Node::File(_)) => {
                self.change(vec![(path, None)]);
                Ok(())
            }
        }
    }

    /// Bytes on the disk: of files with a name, and of those that are open without one.
    pub(super) fn used(&self) -> u64 {
        let files = self.files.iter().filter_map(Weak::upgrade);
        let there = files.filter(|file| file.named.get() || file.opens.get() > 0);
        there.map(|file| file.inode.borrow().used()).sum()
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.files().map(|(_, file)| file.inode.borrow().unsynced_bytes()).sum()
    }

    /// The files that have a name, in order.
    pub(super) fn files(&self) -> impl Iterator<Item = (&PathBuf, &Rc<SharedInode>)> {
        self.current.iter().filter_map(|(path, node)| match node {
            Node::Dir => None,
            Node::File(file) => Some((path, file)),
        })
    }

    // --- directories

    pub(super) fn create_dir_all(&mut self, path: &Path, full: bool) -> io::Result<()> {
        let path = absolute(path);
        let mut missing = Vec::new();
        for dir in path.ancestors() {
            match self.current.get(dir) {
                Some(Node::Dir) => break,
                Some(Node::File(_)) if dir == path => return Err(os_error(libc::EEXIST)),
                Some(Node::File(_)) => return Err(os_error(libc::ENOTDIR)),
                None => missing.push(dir.to_path_buf()),
            }
        }
        if full && !missing.is_empty() {
            return Err(os_error(libc::ENOSPC));
        }
        for dir in missing.into_iter().rev() {
            self.change(vec![(dir, Some(Node::Dir))]);
        }
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let dir = absolute(dir);
        self.require_dir(&dir)?;
        let mut entries = Vec::new();
        for (path, node) in &self.current {
            let Some(name) = path.file_name().filter(|_| path.parent() == Some(&dir)) else {
                continue;
            };
            let (is_dir, len) = match node {
                Node::Dir => (true, 0),
                Node::File(file) => (false, file.inode.borrow().len()),
            };
            entries.push(Entry { name: name.to_string_lossy().into_owned(), is_dir, len });
        }
        entries.sort();
        Ok(entries)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (absolute(from), absolute(to));
        let moved = self.current.get(&from).cloned().ok_or_else(|| os_error(libc::ENOENT))?;
        self.require_parent(&to)?;
        if from == to {
            return Ok(());
        }
        match (&moved, self.current.get(&to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(os_error(libc::EISDIR)),
            (Node::Dir, Some(Node::File(_))) => return Err(os_error(libc::ENOTDIR)),
            (Node::Dir, Some(Node::Dir)) if self.has_children(&to) => {
                return Err(os_error(libc::ENOTEMPTY));
            }
            (Node::Dir, _) if to.starts_with(&from) => return Err(os_error(libc::EINVAL)),
            _ => {}
        }
        let mut sets = Vec::new();
        for (path, node) in self.current.iter().filter(|(path, _)| path.starts_with(&from)) {
            let rest = path.strip_prefix(&from).expect("it starts so");
            // Joining an empty rest would add a slash.
            let target = if *path == from { to.clone() } else { to.join(rest) };
            sets.push((path.clone(), None));
            sets.push((target, Some(node.clone())));
        }
        self.change(sets);
        Ok(())
    }

    // --- what is durable

    /// Makes the changes in `dir` durable, and those before them that they build on.
    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        let dir = absolute(dir);
        self.require_dir(&dir)?;
        let mut wanted: BTreeSet<PathBuf> = BTreeSet::new();
        let mut covered = Vec::new();
        for change in self.unsynced.iter().rev() {
            let is_covered =
                change.paths().any(|path| path.parent() == Some(&dir) || wanted.contains(path));
            if is_covered {
                wanted.extend(change.paths().cloned());
            }
            covered.push(is_covered);
        }
        for change in std::mem::take(&mut self.unsynced) {
            match covered.pop() {
                Some(true) => change.apply(&mut self.durable),
                _ => self.unsynced.push(change),
            }
        }
        assert!(covered.is_empty());
        Ok(())
    }

    /// All files that have a name or are open, in the order in which they were made.
    pub(super) fn inodes(&self) -> Vec<Rc<SharedInode>> {
        self.files.iter().filter_map(Weak::upgrade).collect()
    }

    /// The power goes: each change survives or not, but none without those before it that touched the same names.
    pub(super) fn power_cut(&mut self, survival: &mut Survival<'_>) {
        let mut lost: BTreeSet<PathBuf> = BTreeSet::new();
        for change in std::mem::take(&mut self.unsynced) {
            if survival.keeps() && !change.paths().any(|path| lost.contains(path)) {
                change.apply(&mut self.durable);
            } else {
                lost.extend(change.paths().cloned());
            }
        }
        let mut reachable = Map::new();
        // Parents come before their children.
        for (path, node) in &self.durable {
            let is_root = path.parent().is_none();
            let in_dir =
                path.parent().is_some_and(|dir| matches!(reachable.get(dir), Some(Node::Dir)));
            if is_root || in_dir {
                reachable.insert(path.clone(), node.clone());
            }
        }
        self.durable = reachable.clone();
        self.current = reachable;
        for file in self.files.iter().filter_map(Weak::upgrade) {
            file.named.set(false);
        }
        for (_, file) in self.files() {
            file.named.set(true);
            file.inode.borrow_mut().power_cut(survival);
        }
    }
}
