//! Child processes that never outlive the harness and never run without an end.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, Trying, Verdict};

/// How often a child is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(20);

/// Lines of a program's output that a failure shows.
const TAIL_LINES: usize = 25;

/// Children that were not reaped yet.
static ALIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Kills every child that still runs. For the end of the harness, whatever the reason.
pub fn kill_all() {
    let alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if !alive.is_empty() {
        send(Signal::Kill, alive.iter().copied());
    }
}

/// The same, and none is started any more: whoever tries, or looks at one, waits for the end of the harness.
pub fn kill_all_for_good() {
    let alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if !alive.is_empty() {
        send(Signal::Kill, alive.iter().copied());
    }
    std::mem::forget(alive);
}

/// What a process is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL: gone at once.
    Kill,
    /// SIGTERM: end in good order.
    Terminate,
    /// SIGINT: what Ctrl-C sends.
    Interrupt,
    /// SIGSTOP: stand still.
    Stop,
    /// SIGCONT: go on.
    Continue,
}

/// Through the program `kill`: this crate is without unsafe code.
fn send(signal: Signal, pids: impl Iterator<Item = u32>) {
    let option = match signal {
        Signal::Kill => "-KILL",
        Signal::Terminate => "-TERM",
        Signal::Interrupt => "-INT",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
    };
    let mut command = Command::new("kill");
    command.arg(option).args(pids.map(|pid| pid.to_string()));
    // One that has just ended makes `kill` complain, and that is all it does.
    drop(command.stdin(Stdio::null()).stderr(Stdio::null()).status());
}

/// A child process with its output in a file; killed when dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts a program with both outputs going to the file `log`, which is appended to.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Verdict<Self> {
        let out = append(log)?;
        let err = out.try_clone().trying("a second handle on a log")?;
        command.stdout(out).stderr(err).stdin(Stdio::null());
        Self::spawn(name, command, log)
    }

    /// Starts a program whose input is ours to close, with its output in one file and its errors in `log`.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start_talking(
        name: &str,
        command: &mut Command,
        output: &Path,
        log: &Path,
    ) -> Verdict<(Self, ChildStdin)> {
        command.stdout(append(output)?).stderr(append(log)?).stdin(Stdio::piped());
        let mut running = Self::spawn(name, command, log)?;
        let input = running.child.stdin.take().expect("asked for above");
        Ok((running, input))
    }

    fn spawn(name: &str, command: &mut Command, log: &Path) -> Verdict<Self> {
        let program = command.get_program().display().to_string();
        let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn().trying(format!("starting {program}"))?;
        assert!(alive.insert(child.id()), "an id is reused only after it was reaped");
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), status: None })
    }

    /// Id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // The lock keeps a reaped id from being signalled.
            let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
            self.status = self.child.try_wait().expect("it is our child");
            if self.status.is_some() {
                assert!(alive.remove(&self.child.id()), "reaped once");
            }
        }
        self.status
    }

    /// Waits for its end. What does not end in time is killed.
    ///
    /// # Errors
    /// `Deadline`.
    pub fn wait(&mut self, limit: Duration) -> Verdict<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() >= end {
                let output = self.tail();
                self.kill();
                let (program, what) = (self.name.clone(), "its end".to_owned());
                return Err(Failure::Deadline { program, what, limit, output });
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until `done` says so.
    ///
    /// # Errors
    /// `Deadline` with `what`; `Exit` if the program ends meanwhile; what `done` reports.
    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut() -> Verdict<bool>,
    ) -> Verdict {
        let end = Instant::now() + limit;
        while !done()? {
            let program = self.name.clone();
            if let Some(status) = self.ended() {
                return Err(Failure::Exit { program, status, output: self.tail() });
            }
            if Instant::now() >= end {
                let (what, output) = (what.to_owned(), self.tail());
                return Err(Failure::Deadline { program, what, limit, output });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            send(signal, std::iter::once(self.child.id()));
        }
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            // Not through another process: what is killed to test a crash shall die at once.
            drop(self.child.kill());
        }
        while self.ended().is_none() {
            thread::sleep(POLL);
        }
    }

    /// Asks it to end with SIGTERM and waits.
    ///
    /// # Errors
    /// `Deadline`; the process is killed then.
    pub fn stop(&mut self, limit: Duration) -> Verdict<ExitStatus> {
        self.signal(Signal::Terminate);
        self.wait(limit)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    /// The whole of its log.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program wrote, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs a program to its end, its outputs kept in `scratch` under `name`.
///
/// # Errors
/// If it cannot be started or does not end in time. A bad exit status is no error here.
pub fn run(
    name: &str,
    command: &mut Command,
    scratch: &Path,
    limit: Duration,
) -> Verdict<Finished> {
    let file = |kind: &str| scratch.join(format!("{}.{kind}", name.replace([' ', '/'], "-")));
    let (out, err) = (file("out"), file("err"));
    for old in [&out, &err] {
        drop(fs::remove_file(old));
    }
    let (mut running, input) = Running::start_talking(name, command, &out, &err)?;
    drop(input);
    let status = running.wait(limit).map_err(|failure| with_output(failure, &out))?;
    Ok(Finished { status, out: read(&out), err: read(&err) })
}

fn with_output(failure: Failure, out: &Path) -> Failure {
    match failure {
        Failure::Deadline { program, what, limit, output } => {
            Failure::Deadline { program, what, limit, output: tail(out) + &output }
        }
        other => other,
    }
}

impl Finished {
    /// Itself, if the program ended with exit code 0.
    ///
    /// # Errors
    /// `Exit` with the end of both outputs.
    pub fn clean(self, name: &str) -> Verdict<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let output = last_lines(&self.out) + &last_lines(&self.err);
        Err(Failure::Exit { program: name.to_owned(), status: self.status, output })
    }
}

/// The last lines of a file, each indented; empty if it cannot be read.
#[must_use]
pub fn tail(path: &Path) -> String {
    last_lines(&read(path))
}

fn last_lines(text: &str) -> String {
    // What logback says while it starts drowns what the program says.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("|-")).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..].iter().map(|line| format!("    {line}\n")).collect()
}

fn read(path: &Path) -> String {
    fs::read(path)
        .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn append(path: &Path) -> Verdict<File> {
    File::options().create(true).append(true).open(path).trying(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("process-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn output_and_status_are_kept() {
        let dir = scratch("kept");
        let limit = Duration::from_secs(20);
        let seen = run("a", &mut shell("echo one; echo two >&2; exit 3"), &dir, limit).unwrap();
        assert_eq!((seen.out.as_str(), seen.err.as_str()), ("one\n", "two\n"));
        let failure = seen.clean("a").unwrap_err().to_string();
        assert!(failure.contains("one") && failure.contains("two"), "{failure}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let dir = scratch("killed");
        let started = Instant::now();
        let failure =
            run("b", &mut shell("echo here; exec sleep 60"), &dir, Duration::from_millis(300));
        assert!(failure.unwrap_err().to_string().contains("here"));
        assert!(started.elapsed() < Duration::from_secs(20));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let dir = scratch("dropped");
        let running = Running::start("c", &mut shell("exec sleep 60"), &dir.join("log")).unwrap();
        let pid = running.pid();
        drop(running);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
