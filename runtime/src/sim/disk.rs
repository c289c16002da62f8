//! The directories of a node, its locks, and which name changes a power cut could lose.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::inode::Inode;
use crate::fs::{Entry, LockFailure, Space};

/// Size of a simulated disk, in bytes. Not enforced: disks do not fill up yet.
const DISK_SIZE: u64 = 64 << 30;

pub(super) type SharedInode = Rc<RefCell<Inode>>;

#[derive(Clone)]
pub(super) enum Node {
    Dir,
    File(SharedInode),
}

type Names = BTreeMap<PathBuf, Node>;

/// What a name now stands for; `None`: nothing.
type NameChange = (PathBuf, Option<Node>);

struct State {
    current: Names,
    durable: Names,
    unsynced: Vec<NameChange>,
    locks: BTreeMap<PathBuf, u32>,
}

pub(crate) struct Disk {
    state: RefCell<State>,
}

fn os_error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// The absolute path, without `.` and `..`; a node's working directory is its root.
fn absolute(path: &Path) -> PathBuf {
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

impl State {
    fn set(&mut self, path: &Path, node: Option<Node>) {
        match &node {
            Some(node) => drop(self.current.insert(path.to_path_buf(), node.clone())),
            None => drop(self.current.remove(path)),
        }
        self.unsynced.push((path.to_path_buf(), node));
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
}

impl Disk {
    pub(super) fn new() -> Disk {
        let names = Names::from([(PathBuf::from("/"), Node::Dir)]);
        let state = State {
            current: names.clone(),
            durable: names,
            unsynced: Vec::new(),
            locks: BTreeMap::new(),
        };
        Disk { state: RefCell::new(state) }
    }

    pub(super) fn open(&self, path: &Path, create_new: bool) -> io::Result<SharedInode> {
        let path = absolute(path);
        let mut state = self.state.borrow_mut();
        state.require_parent(&path)?;
        match state.current.get(&path) {
            Some(_) if create_new => Err(os_error(libc::EEXIST)),
            Some(Node::Dir) => Err(os_error(libc::EISDIR)),
            Some(Node::File(inode)) => Ok(inode.clone()),
            None if create_new => {
                let inode = SharedInode::default();
                state.set(&path, Some(Node::File(inode.clone())));
                Ok(inode)
            }
            None => Err(os_error(libc::ENOENT)),
        }
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        let mut state = self.state.borrow_mut();
        let mut missing = Vec::new();
        for dir in path.ancestors() {
            match state.current.get(dir) {
                Some(Node::Dir) => break,
                Some(Node::File(_)) if dir == path => return Err(os_error(libc::EEXIST)),
                Some(Node::File(_)) => return Err(os_error(libc::ENOTDIR)),
                None => missing.push(dir),
            }
        }
        for dir in missing.into_iter().rev() {
            state.set(dir, Some(Node::Dir));
        }
        Ok(())
    }

    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let dir = absolute(dir);
        let state = self.state.borrow();
        state.require_dir(&dir)?;
        let mut entries = Vec::new();
        for (path, node) in &state.current {
            let Some(name) = path.file_name().filter(|_| path.parent() == Some(&dir)) else {
                continue;
            };
            let (is_dir, len) = match node {
                Node::Dir => (true, 0),
                Node::File(inode) => (false, inode.borrow().len()),
            };
            entries.push(Entry { name: name.to_string_lossy().into_owned(), is_dir, len });
        }
        entries.sort();
        Ok(entries)
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.state.borrow().current.contains_key(&absolute(path))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (absolute(from), absolute(to));
        let mut state = self.state.borrow_mut();
        let moved = state.current.get(&from).cloned().ok_or_else(|| os_error(libc::ENOENT))?;
        state.require_parent(&to)?;
        if from == to {
            return Ok(());
        }
        match (&moved, state.current.get(&to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(os_error(libc::EISDIR)),
            (Node::Dir, Some(Node::File(_))) => return Err(os_error(libc::ENOTDIR)),
            (Node::Dir, Some(Node::Dir)) if state.has_children(&to) => {
                return Err(os_error(libc::ENOTEMPTY));
            }
            (Node::Dir, _) if to.starts_with(&from) => return Err(os_error(libc::EINVAL)),
            _ => {}
        }
        let below: Vec<(PathBuf, Node)> = state
            .current
            .iter()
            .filter(|(path, _)| path.starts_with(&from))
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect();
        for (path, node) in below {
            let rest = path.strip_prefix(&from).expect("it starts so");
            // Joining an empty rest would add a slash.
            let target = if path == from { to.clone() } else { to.join(rest) };
            state.set(&path, None);
            state.set(&target, Some(node));
        }
        Ok(())
    }

    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let path = absolute(path);
        let mut state = self.state.borrow_mut();
        match state.current.get(&path) {
            None => Err(os_error(libc::ENOENT)),
            Some(Node::Dir) => Err(os_error(libc::EISDIR)),
            Some(Node::File(_)) => {
                state.set(&path, None);
                Ok(())
            }
        }
    }

    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = absolute(dir);
        let mut state = self.state.borrow_mut();
        state.require_dir(&dir)?;
        let changes = std::mem::take(&mut state.unsynced);
        let (covered, rest): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(path, _)| path.parent() == Some(&dir));
        for (path, node) in covered {
            match node {
                Some(node) => drop(state.durable.insert(path, node)),
                None => drop(state.durable.remove(&path)),
            }
        }
        state.unsynced = rest;
        Ok(())
    }

    pub(crate) fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.state.borrow();
        if !state.current.contains_key(&absolute(path)) {
            return Err(os_error(libc::ENOENT));
        }
        let used: u64 = state.files().map(|inode| inode.borrow().len()).sum();
        Ok(Space { total: DISK_SIZE, available: DISK_SIZE.saturating_sub(used) })
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.state.borrow().files().map(|inode| inode.borrow().unsynced_bytes()).sum()
    }
}

impl State {
    fn files(&self) -> impl Iterator<Item = &SharedInode> {
        self.current.values().filter_map(|node| match node {
            Node::Dir => None,
            Node::File(inode) => Some(inode),
        })
    }
}

/// A lock file that is locked; free again when dropped, also by a crash of the process.
pub(crate) struct SimLock {
    disk: Rc<Disk>,
    path: PathBuf,
}

impl SimLock {
    pub(super) fn take(disk: &Rc<Disk>, path: &Path, pid: u32) -> Result<SimLock, LockFailure> {
        let path = absolute(path);
        match disk.open(&path, true) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(LockFailure::Io(error)),
        }
        let mut state = disk.state.borrow_mut();
        if let Some(holder) = state.locks.get(&path) {
            return Err(LockFailure::Held { pid: Some(*holder) });
        }
        state.locks.insert(path.clone(), pid);
        Ok(SimLock { disk: disk.clone(), path })
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let held = self.disk.state.borrow_mut().locks.remove(&self.path);
        assert!(held.is_some(), "a lock is released once");
    }
}

impl std::fmt::Debug for SimLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SimLock").field(&self.path).finish()
    }
}
