//! What a program has left that was killed: its namespaces, and what runs in them.
//!
//! Names of what a run makes hold its process: the number, and when it began, for numbers are given again.

use std::fs;
use std::process::{Command, Stdio};

/// The field of `/proc/N/stat` with the time of the start, counted behind the name, which may have spaces in it.
const START: usize = 19;

/// How the names of all that a program makes begin; its run follows.
#[must_use]
pub fn prefix(program: &str) -> String {
    format!("tp{program}-")
}

/// The run of this process, as it is written into names.
#[must_use]
pub fn own_run() -> String {
    let number = std::process::id();
    format!("{number}.{}", start_of(number).unwrap_or_default())
}

/// Whether the process of a run still runs.
#[must_use]
pub fn is_running(run: &str) -> bool {
    let Some((number, start)) = run.split_once('.') else { return false };
    number.parse().ok().and_then(start_of).is_some_and(|began| began == start)
}

fn start_of(number: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(START).map(str::to_owned)
}

/// The namespaces of those runs of a program that are wanted.
pub(super) fn names(program: &str, whose: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| run_in(program, name).is_some_and(&whose)).collect()
}

/// The run that made a namespace of this program's.
fn run_in<'a>(program: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(&prefix(program))?;
    let (run, _) = rest.split_once('-')?;
    run.starts_with(|first: char| first.is_ascii_digit()).then_some(run)
}

/// Kills what runs in a namespace.
pub(super) fn kill_all_in(name: &str) {
    let mut list = Command::new("ip");
    let listed = list.args(["netns", "pids", name]).stdin(Stdio::null()).output();
    let listed = listed.map_or_else(|_| Vec::new(), |listed| listed.stdout);
    let pids = String::from_utf8_lossy(&listed).into_owned();
    if pids.trim().is_empty() {
        return;
    }
    let mut kill = Command::new("kill");
    // One that has just ended makes `kill` complain, and that is all it does.
    drop(kill.arg("-KILL").args(pids.split_whitespace()).stderr(Stdio::null()).status());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_namespaces_are_ours() {
        assert_eq!(run_in("chaos", "tpchaos-17.5-n0"), Some("17.5"));
        // As they were called before.
        assert_eq!(run_in("chaos", "tpchaos-17-n0"), Some("17"));
        for name in ["tpchaos", "tpchaos-17", "tpchaos-x-n0", "other-17-n0", "xtpchaos-17-n0"] {
            assert_eq!(run_in("chaos", name), None, "{name}");
        }
        assert_eq!(run_in("failovers", "tpchaos-17-n0"), None);
    }

    #[test]
    fn a_run_is_over_when_its_number_is_another_process_by_now() {
        let own = own_run();
        assert!(is_running(&own), "{own}");
        let (number, start) = own.split_once('.').unwrap();
        assert!(start.parse::<u64>().unwrap() > 0);
        for other in [format!("{number}.1"), number.to_owned(), format!("0.{start}"), "x.y".into()]
        {
            assert!(!is_running(&other), "{other}");
        }
    }
}
