//! The CPU quota of the control group, versions 1 and 2.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::facts::{Reading, Unknown};
use super::{line, unreadable};

/// The tightest quota among the group of this process and those above it, in cores' worth. `None`: no limit. `root` is
/// where the file system begins.
pub(super) fn quota(root: &Path) -> Reading<Option<f64>> {
    let groups = root.join("proc/self/cgroup");
    let text = fs::read_to_string(&groups).map_err(|error| unreadable(&groups, &error))?;
    let mut seen = false;
    let mut tightest: Option<f64> = None;
    for dir in directories(root, &text) {
        for quota in [version_2(&dir), version_1(&dir)].into_iter().flatten() {
            seen = true;
            tightest = match (tightest, quota) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    // The top group of a machine has no quota file at all.
    if seen || is_top(&text) {
        return Ok(tightest);
    }
    Err(Unknown("the files of the control group are not to be seen here".to_owned()))
}

fn is_top(text: &str) -> bool {
    text.lines().all(|line| line.ends_with(":/"))
}

/// The directory of each group of the process that may have a quota, and those above it.
fn directories(root: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let base = match controllers {
            "" => root.join("sys/fs/cgroup"),
            list if list.split(',').any(|name| name == "cpu") => root.join("sys/fs/cgroup/cpu"),
            _ => continue,
        };
        for above in Path::new(path).ancestors() {
            found.push(base.join(above.strip_prefix("/").unwrap_or(above)));
        }
    }
    found
}

/// `cpu.max`: quota and period in microseconds, or `max`.
fn version_2(dir: &Path) -> Option<Option<f64>> {
    let text = line(dir.join("cpu.max")).ok()?;
    let (quota, period) = text.split_once(' ')?;
    if quota == "max" {
        return Some(None);
    }
    cores(quota, period)
}

/// Two files; -1 is no quota.
fn version_1(dir: &Path) -> Option<Option<f64>> {
    let quota = line(dir.join("cpu.cfs_quota_us")).ok()?;
    if quota.starts_with('-') {
        return Some(None);
    }
    cores(&quota, &line(dir.join("cpu.cfs_period_us")).ok()?)
}

fn cores(quota: &str, period: &str) -> Option<Option<f64>> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(Some(quota / period))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up /proc and /sys; removed when it is dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root = std::env::temp_dir().join(format!("mqtune-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Tree(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let tree = Tree::new(
            "v2",
            &[
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
                ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ],
        );
        assert_eq!(quota(&tree.0), Ok(Some(1.5)));
    }

    #[test]
    fn version_1_is_read() {
        let tree = Tree::new(
            "v1",
            &[
                ("proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/x\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "50000\n"),
                ("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"),
            ],
        );
        assert_eq!(quota(&tree.0), Ok(Some(0.5)));
    }

    #[test]
    fn no_limit_and_not_to_be_seen_are_two_things() {
        let top = Tree::new("top", &[("proc/self/cgroup", "0::/\n")]);
        assert_eq!(quota(&top.0), Ok(None));
        let hidden = Tree::new("hidden", &[("proc/self/cgroup", "0::/a\n")]);
        assert!(quota(&hidden.0).is_err());
        let nothing = Tree::new("nothing", &[("x", "")]);
        assert!(quota(&nothing.0).unwrap_err().to_string().contains("proc/self/cgroup"));
    }
}
