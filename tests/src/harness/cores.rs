//! Which cores a member of a group gets: on one machine all would put their first shard on the first core.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

/// The cores that this process may use, in order; none if the kernel does not say.
#[must_use]
pub fn allowed() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map_or_else(Vec::new, |list| parse(list.trim()))
}

/// The cores in `0-2,5`.
fn parse(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// Those of member `number` with so many shards: so many one after the other, where the member before has its last. A broker gives its
/// shards their cores in rising order, so nobody's begin again at the first core behind the last one: who would need that gets the
/// last so many. Where there are not enough for all, some first shards share a core with others, but not all with each other.
#[must_use]
pub fn share(allowed: &[usize], number: usize, shards: usize) -> Vec<usize> {
    if shards >= allowed.len() {
        return allowed.to_vec();
    }
    let first = (number * shards % allowed.len()).min(allowed.len() - shards);
    allowed[first..first + shards].to_vec()
}

/// A command for a program on these cores only; its process is the program's. All that this process may use if there are none.
#[must_use]
pub fn command(cores: &[usize], program: &OsStr) -> Command {
    if cores.is_empty() {
        return Command::new(program);
    }
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cores.join(",")).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_are_read() {
        assert_eq!(parse("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(parse("3"), [3]);
        assert!(parse("").is_empty());
        assert!(!allowed().is_empty());
    }

    #[test]
    fn members_take_turns_over_the_cores() {
        let shares = |allowed: &[usize], shards| {
            (0..3).map(|number| share(allowed, number, shards)).collect::<Vec<_>>()
        };
        assert_eq!(shares(&[0, 1], 1), [[0], [1], [0]]);
        assert_eq!(shares(&[0, 2, 4, 6, 8, 9], 2), [[0, 2], [4, 6], [8, 9]]);
        // The first shards are on different cores where the order of each share allows it, and never all on one.
        assert_eq!(shares(&[0, 1, 2, 3, 4], 2), [[0, 1], [2, 3], [3, 4]]);
        assert_eq!(shares(&[0, 1, 2, 3, 4], 3), [[0, 1, 2], [2, 3, 4], [1, 2, 3]]);
        assert_eq!(shares(&[0, 1, 2, 3], 3), [[0, 1, 2], [1, 2, 3], [1, 2, 3]]);
        assert_eq!(shares(&[0, 1, 2], 2), [[0, 1], [1, 2], [1, 2]]);
        // Not enough for each shard: the broker says so itself.
        assert_eq!(shares(&[0, 1], 3), [[0, 1]; 3]);
        assert!(share(&[], 1, 1).is_empty());
    }

    #[test]
    fn a_program_is_kept_on_its_cores() {
        let core = *allowed().last().unwrap();
        let mut command = command(&[core], OsStr::new("grep"));
        let said = command.args(["Cpus_allowed_list", "/proc/self/status"]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said.split_whitespace().last(), Some(core.to_string().as_str()), "{said}");
    }
}
