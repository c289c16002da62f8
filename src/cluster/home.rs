//! The directory of a cluster: its file, a folder for each process with configuration, log and store, and the
//! process ids.

use std::path::{Path, PathBuf};

use config::Settings;

use super::ClusterError;
use super::layout::KEYS;
use super::layout::{Layout, OPTIONS, Process, group_name};
use crate::member::Role;

/// Bytes of a file that is read whole.
const TEXT_MAX: usize = 64 * 1024;
/// Bytes of the end of a log that are looked at.
const LOG_END: usize = 4096;
/// Size of a segment of the log: small, because a try shall not take much of the disk.
const SEGMENT: &str = "64MiB";
/// Memory for the end of the log.
const TAIL_BUDGET: &str = "16MiB";

/// A cluster's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// At this path, which may be relative to the working directory. Nothing needs to be there.
    ///
    /// # Errors
    /// A path that cannot stand in a configuration file.
    pub fn at(path: &Path) -> Result<Self, ClusterError> {
        let bad = |reason: String| ClusterError::Dir { path: path.to_owned(), reason };
        let dir = std::path::absolute(path).map_err(|error| bad(error.to_string()))?;
        let text = dir.to_str().ok_or_else(|| bad("it is not UTF-8".to_owned()))?;
        if text.chars().any(char::is_control) || text.ends_with(' ') {
            return Err(bad("it has control characters, or a blank at its end".to_owned()));
        }
        Ok(Self { dir })
    }

    /// The same directory by its one path without links, if it is there: processes are known by the path of their configuration, so
    /// by another one they would be none of this cluster's.
    ///
    /// # Errors
    /// That path cannot stand in a configuration file, or the file system does not tell it.
    pub fn resolved(self) -> Result<Self, ClusterError> {
        match runtime::process::real_path(&self.dir) {
            Ok(dir) => Self::at(&dir),
            // Then there is no cluster, which is said by whoever looks for its file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(self),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whoever starts or stops processes has this file locked.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    fn file(&self) -> PathBuf {
        self.dir.join("cluster.conf")
    }

    fn folder(&self, process: &Process) -> PathBuf {
        self.dir.join(&process.name)
    }

    /// The configuration of a process.
    pub fn conf(&self, process: &Process) -> PathBuf {
        let name = match process.role {
            Role::Namesrv => "namesrv.conf",
            Role::Broker => "broker.conf",
        };
        self.folder(process).join(name)
    }

    /// The log of a process.
    pub fn log(&self, process: &Process) -> PathBuf {
        self.folder(process).join("log")
    }

    /// The file with its process id: called by its port, which is what a route tells of a leader.
    pub fn pid(&self, process: &Process) -> PathBuf {
        self.dir.join("pids").join(process.port.to_string())
    }

    fn store(&self, process: &Process) -> PathBuf {
        self.folder(process).join("store")
    }

    /// The cluster that lies here.
    ///
    /// # Errors
    /// None does, or its file is wrong.
    pub fn layout(&self) -> Result<Layout, ClusterError> {
        let file = self.file();
        let text = runtime::process::read_config_file(&file, TEXT_MAX);
        let text = text.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ClusterError::NoCluster { dir: self.dir.clone() },
            _ => ClusterError::Io(source),
        })?;
        Ok(Layout::of_text(&file.display().to_string(), &text)?)
    }

    /// The cluster that lies here, or else the one that is asked for. A cluster that is there must be as the options say that
    /// were given.
    ///
    /// # Errors
    /// It is another one; or its file cannot be read.
    pub fn settle(&self, asked: &Settings, given: &[&'static str]) -> Result<Layout, ClusterError> {
        let wanted = Layout::of(asked)?;
        let known = match self.layout() {
            Ok(known) => known,
            Err(ClusterError::NoCluster { .. }) => return Ok(wanted),
            Err(error) => return Err(error),
        };
        let mut there = Settings::defaults(&KEYS);
        there.load(&config::Source::file(""), known.text().as_bytes())?;
        for (option, key) in OPTIONS.iter().filter(|(option, _)| given.contains(option)) {
            let (is, asked): (u16, u16) = (there.int(key), asked.int(key));
            if is != asked {
                return Err(ClusterError::Another { option, asked, is, dir: self.dir.clone() });
            }
        }
        Ok(known)
    }

    /// Writes the file of a cluster. From then on it lies here, and keeps its ports.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&self, layout: &Layout) -> Result<(), ClusterError> {
        Ok(runtime::process::write_config_file(self.file(), &layout.text())?)
    }

    /// Writes the configuration of a process, unless there is one.
    ///
    /// # Errors
    /// What the file system says.
    pub fn configure(&self, layout: &Layout, process: &Process) -> Result<(), ClusterError> {
        let path = self.conf(process);
        match runtime::process::read_last_lines(&path, 1) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let text = match process.role {
            Role::Namesrv => namesrv_conf(process),
            Role::Broker => broker_conf(layout, process, &self.store(process)),
        };
        Ok(runtime::process::write_config_file(path, &text)?)
    }

    /// The last line of a process' log, for a message; empty if there is none.
    pub fn last_words(&self, process: &Process) -> String {
        let end = runtime::process::read_last_lines(self.log(process), LOG_END).unwrap_or_default();
        end.trim_end().lines().next_back().unwrap_or_default().to_owned()
    }
}

fn namesrv_conf(process: &Process) -> String {
    format!(
        "# {}: made by `turbopump cluster start`, and yours to change.\nlistenPort = {}\nbindAddress = 127.0.0.1\n",
        process.name, process.port
    )
}

/// As an operator writes one, with the keys of Apache's DLedger mode.
fn broker_conf(layout: &Layout, process: &Process, store: &Path) -> String {
    let Process { group, node, port, .. } = *process;
    let (name, namesrv, peers) = (group_name(group), layout.namesrv_addr(), layout.peers(group));
    let store =
        store.to_str().expect("looked at when the directory was named").replace('\\', "\\\\");
    format!(
        "# Member n{node} of group {name}: made by `turbopump cluster start`, and yours to change, but for ports,\n\
         # names and members: they are those of ../cluster.conf. Every key is in docs/configuration.md.\n\
         brokerClusterName = RaftCluster\n\
         brokerName = {name}\n\
         listenPort = {port}\n\
         bindAddress = 127.0.0.1\n\
         brokerIP1 = 127.0.0.1\n\
         namesrvAddr = {namesrv}\n\
         storePathRootDir = {store}\n\
         enableDLegerCommitLog = true\n\
         dLegerGroup = {name}\n\
         dLegerPeers = {peers}\n\
         dLegerSelfId = n{node}\n\
         # Longer than usual, because all members share this machine; a process that dies is noticed at once all the same.\n\
         raftHeartbeatMillis = 200\n\
         raftElectionMinMillis = 2000\n\
         raftElectionMaxMillis = 3000\n\
         # Small, because a try shall take little of the disk and of the memory: without these lines 1GiB and more.\n\
         mappedFileSizeCommitLog = {SEGMENT}\n\
         tailBudget = {TAIL_BUDGET}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_file_is_one_that_a_broker_takes() {
        let layout = Layout::of_text("f", "groups = 2").expect("the defaults fit");
        let home = Home::at(Path::new("/a dir/with\\backslash")).expect("a good path");
        for process in layout.processes().iter().filter(|one| one.role == Role::Broker) {
            let text = broker_conf(&layout, process, &home.store(process));
            let path = home.conf(process);
            let file = broker::boot::ConfigFile { path, text };
            let loaded = broker::boot::load(&[], Some(&file), &[]).expect("it loads");
            assert_eq!(loaded.warnings, [], "nothing to say of it");
            let config = loaded.config().expect("it fits");
            assert_eq!(config.store_dir, home.store(process));
            let group = config.raft_group.expect("it has a group");
            assert_eq!((group.peers.len(), group.own), (3, usize::from(process.node)));
        }
    }

    #[test]
    fn a_directory_that_no_file_could_name_is_refused() {
        for bad in ["a\nb", "a\u{7f}", "a "] {
            let error = Home::at(Path::new(bad)).expect_err("it is refused").to_string();
            assert!(error.contains("--data"), "{error}");
        }
        assert!(Home::at(Path::new("a b")).expect("a good path").dir().is_absolute());
    }
}
