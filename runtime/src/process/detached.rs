//! Processes that go on when this one has ended.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::error::{IoError, IoOp};
use crate::executor::use_core;

/// A process to be started that outlives this one.
#[derive(Debug, Clone)]
pub struct Detached {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// What it prints goes to the end of this file, which is made if it is not there.
    pub log: PathBuf,
    /// The only CPU that it may use, one of [`allowed_cores`](crate::allowed_cores); `None` leaves it those of this process.
    pub core: Option<usize>,
}

impl Detached {
    /// Starts it, in a group of processes of its own, so that a Ctrl-C in this one's terminal does not end it; its process id.
    /// Whether it stays up is not known yet. Blocks for milliseconds, and not on an executor.
    ///
    /// # Errors
    /// The program or the log cannot be opened, or there can be no process.
    pub fn start(self) -> Result<u32, IoError> {
        let program = self.program.clone();
        let failed = |error| IoError::path(IoOp::Start, &program, error);
        // A process begins on the CPUs of the thread that starts it: that thread is one that has nothing else to do.
        let starter = thread::Builder::new().name("starter".to_owned()).spawn(move || self.spawn());
        let started = starter.map_err(&failed)?.join();
        started.expect("starting a process does not panic")
    }

    fn spawn(self) -> Result<u32, IoError> {
        let on_log = |error| IoError::path(IoOp::Open, &self.log, error);
        let log = OpenOptions::new().append(true).create(true).open(&self.log).map_err(on_log)?;
        let errors = log.try_clone().map_err(on_log)?;
        let failed = |error: io::Error| IoError::path(IoOp::Start, &self.program, error);
        if let Some(core) = self.core {
            use_core(core).map_err(failed)?;
        }
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        Ok(command.spawn().map_err(failed)?.id())
    }
}

/// The program of this process, as a path under which it can be started again.
///
/// # Errors
/// The kernel does not tell, or the file was removed since.
pub fn own_program() -> Result<PathBuf, IoError> {
    let failed = |error| IoError::name(IoOp::Start, "this program".to_owned(), error);
    let path = std::env::current_exe().map_err(failed)?;
    check(&path).map_err(|error| IoError::path(IoOp::Start, &path, error))?;
    Ok(path)
}

fn check(path: &Path) -> io::Result<()> {
    std::fs::metadata(path).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A directory of this test alone.
    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("runtime-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).expect("a writable directory");
        dir
    }

    fn shell(dir: &Path, line: &str, core: Option<usize>) -> Detached {
        let args = ["-c", line].map(OsString::from).to_vec();
        Detached { program: "/bin/sh".into(), args, log: dir.join("log"), core }
    }

    fn log_with(dir: &Path, lines: usize) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(dir.join("log")).expect("it was made");
            if text.lines().count() >= lines {
                return text;
            }
            assert!(Instant::now() < end, "too few lines: {text}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_it_prints_goes_to_the_end_of_its_log() {
        let dir = dir("detached");
        for word in ["one", "two"] {
            let line = format!("echo {word}; echo {word} >&2");
            let pid = shell(&dir, &line, None).start().expect("a shell");
            assert!(pid > 1);
            log_with(&dir, if word == "one" { 2 } else { 4 });
        }
        assert_eq!(log_with(&dir, 4), "one\none\ntwo\ntwo\n");
        std::fs::remove_dir_all(dir).expect("our directory");
    }

    #[test]
    fn it_keeps_to_its_core_in_a_group_of_its_own() {
        let dir = dir("core");
        let core = *crate::allowed_cores().last().expect("there is one");
        let line =
            "echo $$; cut -d' ' -f5 /proc/$$/stat; grep Cpus_allowed_list: /proc/self/status";
        shell(&dir, line, Some(core)).start().expect("a shell");
        let text = log_with(&dir, 3);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], lines[1], "it leads its group of processes");
        assert_eq!(lines[2].split_whitespace().last(), Some(core.to_string().as_str()));
        std::fs::remove_dir_all(dir).expect("our directory");
    }

    #[test]
    fn a_program_or_a_log_that_is_not_there_is_named() {
        let dir = dir("missing");
        let missing = Detached { program: dir.join("none"), ..shell(&dir, "", None) };
        let error = missing.start().expect_err("there is no such program").to_string();
        assert!(error.starts_with("cannot start ") && error.contains("/none: "), "{error}");
        let nowhere = Detached { log: dir.join("a/b"), ..shell(&dir, "", None) };
        let error = nowhere.start().expect_err("there is no such directory").to_string();
        assert!(error.starts_with("cannot open ") && error.contains("/a/b: "), "{error}");
        std::fs::remove_dir_all(dir).expect("our directory");
    }
}
