//! A child process with an end.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use super::summary::Outcome;

/// How often a running child is looked at. Short against any step, long against a busy loop.
const POLL: Duration = Duration::from_millis(50);

/// The exit code of a program that has found that it cannot do its work on this machine.
const SKIPPED: i32 = 77;

/// Runs `command` to its end, its output going where ours goes. After `limit` it is killed together
/// with everything it started.
pub fn run(command: &mut Command, limit: Duration) -> Outcome {
    match command.spawn() {
        Ok(child) => wait(child, Instant::now() + limit),
        Err(error) => {
            eprintln!("{}: {error}", command.get_program().display());
            Outcome::Failed
        }
    }
}

fn wait(mut child: Child, deadline: Instant) -> Outcome {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Outcome::Passed,
            Ok(Some(status)) if status.code() == Some(SKIPPED) => return Outcome::Skipped,
            Ok(Some(_)) | Err(_) => return Outcome::Failed,
            Ok(None) if Instant::now() >= deadline => break,
            Ok(None) => thread::sleep(POLL),
        }
    }
    kill_tree(child.id());
    match child.wait() {
        Ok(_) => Outcome::TimedOut,
        Err(_) => Outcome::Failed,
    }
}

/// Kills the process `top` and its descendants, found before the first of them dies, because the
/// children of the dead are handed to init. Nothing shares a process group with us for this, so
/// Ctrl-C on a terminal still reaches the whole tree.
fn kill_tree(top: u32) {
    let parents = parents();
    let mut doomed = BTreeSet::from([top]);
    let mut before = 0;
    while doomed.len() > before {
        before = doomed.len();
        for (pid, parent) in &parents {
            if doomed.contains(parent) {
                doomed.insert(*pid);
            }
        }
    }
    let pids = doomed.iter().map(u32::to_string);
    // Whoever is gone already makes `kill` complain, and that is all it does.
    drop(Command::new("kill").arg("-KILL").args(pids).status());
}

/// Every process of the machine with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?))
        })
        .collect()
}

/// The parent in `pid (name) state ppid …`; the name may hold spaces and parentheses.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::summary::Outcome;
    use super::{parent, run};

    fn shell(script: &str, limit: Duration) -> Outcome {
        run(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn the_exit_code_decides() {
        let limit = Duration::from_secs(30);
        assert_eq!(shell("exit 0", limit), Outcome::Passed);
        assert_eq!(shell("exit 3", limit), Outcome::Failed);
        assert_eq!(shell("exit 77", limit), Outcome::Skipped);
        assert_eq!(run(&mut Command::new("/no/such/program"), limit), Outcome::Failed);
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let note = std::env::temp_dir().join(format!("xtask-deadline-{}", std::process::id()));
        let started = Instant::now();
        let script = format!("sleep 60 & echo $! > {}; wait", note.display());
        assert_eq!(shell(&script, Duration::from_millis(500)), Outcome::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(20), "the limit was not kept");

        let pid = fs::read_to_string(&note).expect("the script wrote its child's pid");
        fs::remove_file(&note).expect("the note is ours");
        // A kill is delivered in its own time; a zombie that nobody has reaped is dead as well.
        while is_alive(pid.trim()) {
            assert!(started.elapsed() < Duration::from_secs(20), "the child still runs");
            thread::sleep(super::POLL);
        }
    }

    fn is_alive(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim());
        state.is_some_and(|state| !state.starts_with(['Z', 'X']))
    }

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (cat) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a) b (c)) R 8 1"), Some(8));
        assert_eq!(parent("nonsense"), None);
    }
}
