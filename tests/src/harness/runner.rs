//! Builds what the checks need, runs them one after the other and prints what came of them.

use std::collections::BTreeSet;
use std::env;
use std::io::Write as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::check::Check;
use super::drivers::{self, Part};
use super::failure::Verdict;
use super::lab::Lab;
use super::process;
use super::summary::{Outcome, Summary};
use crate::net::Missing;

/// After its children were killed a check gets this long to notice.
const LAST_GRACE: Duration = Duration::from_secs(60);

/// Runs the checks, or only builds what they need. Whether nothing failed.
///
/// # Panics
/// If the thread that watches the time does, which it does not.
pub fn run(lab: &mut Lab, checks: &[Check], only_build: bool) -> bool {
    let started = Instant::now();
    let mut summary = Summary::default();
    let unbuilt = build(lab, checks, &mut summary);
    if !only_build {
        for check in checks {
            say(&format!("{} ... ", check.name));
            let begun = Instant::now();
            let outcome = run_one(lab, check, &unbuilt);
            let seconds = begun.elapsed().as_secs_f64();
            match &outcome {
                Outcome::Passed => say(&format!("ok ({seconds:.1} s)\n")),
                Outcome::Failed => say(&format!("{}: FAILED ({seconds:.1} s)\n", check.name)),
                Outcome::Skipped(missing) => say(&format!("skipped: {missing}\n")),
            }
            summary.add(&check.name, outcome);
        }
        if let Err(failure) = lab.end_cluster() {
            say(&format!("stopping the last servers: {failure}\n"));
            summary.add("stopping the last servers", Outcome::Failed);
        }
    }
    say(&summary.text(started.elapsed().as_secs_f64()));
    summary.is_good()
}

/// Builds each part whose tools are there; returns the parts that could not be built.
fn build(lab: &Lab, checks: &[Check], summary: &mut Summary) -> BTreeSet<Part> {
    let parts: BTreeSet<Part> = checks
        .iter()
        .filter(|check| missing(lab, check).is_none())
        .flat_map(|check| check.parts.clone())
        .collect();
    let mut unbuilt = BTreeSet::new();
    for part in parts {
        let begun = Instant::now();
        if let Err(failure) = lab.shop.build(part) {
            let name = format!("build/{}", part.name());
            say(&format!("{name} ... FAILED\n{failure}\n"));
            summary.add(&name, Outcome::Failed);
            unbuilt.insert(part);
        } else if begun.elapsed() > Duration::from_millis(500) {
            say(&format!("built {} ({:.1} s)\n", part.name(), begun.elapsed().as_secs_f64()));
        }
    }
    unbuilt
}

/// What a check needs and this machine has not.
struct Lack {
    what: String,
    /// Nobody can install it, so that CI=true does not forbid the skip.
    is_for_good: bool,
}

fn missing(lab: &Lab, check: &Check) -> Option<Lack> {
    let mut needed: Vec<_> = check.parts.iter().flat_map(|part| part.tools()).copied().collect();
    needed.sort_unstable();
    needed.dedup();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < check.cores {
        let what = format!("{} cores, and only {cores} allowed", check.cores);
        return Some(Lack { what, is_for_good: false });
    }
    if let Some(what) = lab.shop.tools.missing(&needed) {
        return Some(Lack { what, is_for_good: false });
    }
    let missing = lab.missing_for_net(check.net?)?;
    Some(Lack { what: missing.to_string(), is_for_good: matches!(missing, Missing::Means(_)) })
}

fn run_one(lab: &mut Lab, check: &Check, unbuilt: &BTreeSet<Part>) -> Outcome {
    if let Some(Lack { what, is_for_good }) = missing(lab, check) {
        if !is_for_good && env::var_os("CI").is_some_and(|ci| ci == "true") {
            say(&format!("{what}, and CI=true forbids a skip\n"));
            return Outcome::Failed;
        }
        return Outcome::Skipped(what);
    }
    let verdict = match check.parts.iter().find(|part| unbuilt.contains(part)) {
        Some(part) => Err(drivers::not_built(*part)),
        // A group goes on without a member that has died, so its clients do not tell.
        None => bounded(check.limit, || (check.body)(lab)).and_then(|()| lab.look()),
    };
    match verdict {
        Ok(()) => Outcome::Passed,
        Err(failure) => {
            say(&format!("\n{failure}\n"));
            if let Some(cluster) = lab.cluster_at_hand() {
                say(&cluster.tails());
                say(&format!("  files: {}\n", cluster.dir.display()));
            }
            // The next check shall not inherit what this one has found or done.
            lab.drop_cluster();
            Outcome::Failed
        }
    }
}

/// Runs `body` on this thread; past `limit` every child is killed, which ends whatever waits for one.
fn bounded(limit: Duration, body: impl FnOnce() -> Verdict) -> Verdict {
    let (done, ended) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            say(&format!("\nnot finished within {} s: killing what it started\n", limit.as_secs()));
            process::kill_all();
            if ended.recv_timeout(LAST_GRACE) == Err(RecvTimeoutError::Timeout) {
                say("\nstill not finished: giving up the whole run\n");
                std::process::exit(1);
            }
        }
    });
    let verdict = body();
    drop(done);
    watch.join().expect("it does not panic");
    verdict
}

/// Prints at once, also in the middle of a line. A reader that is gone is no reason to fail.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    use super::super::cluster::Cluster;
    use super::super::drivers::Workshop;
    use super::super::servers::Maker;
    use super::super::tools::Tools;
    use super::*;

    fn lab(dir: &std::path::Path) -> Lab {
        let tools = Tools { jdk: None, maven: None, go: None };
        let shop = Workshop {
            root: dir.to_owned(),
            bin: PathBuf::from("/nowhere"),
            prebuilt: true,
            tools,
        };
        Lab::new(shop, Maker::Ours, false).unwrap()
    }

    #[test]
    fn a_check_fails_if_a_member_has_died_that_it_did_not_miss() {
        let dir = std::env::temp_dir().join(format!("runner-{}", std::process::id()));
        let mut lab = lab(&dir);
        let body = |lab: &mut Lab| {
            let place = lab.new_dir("cluster")?;
            let script = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
            lab.take_over(Cluster::of_scripts(&place, &[script; 3]));
            Ok(())
        };
        let unbuilt = BTreeSet::new();
        let good = Check::new("well", Maker::Ours, &[], 60, body);
        assert_eq!(run_one(&mut lab, &good, &unbuilt), Outcome::Passed);
        let killed = Check::new("died", Maker::Ours, &[], 60, move |lab| {
            body(lab)?;
            let follower = lab.started().broker_pid().to_string();
            drop(Command::new("kill").args(["-ABRT", &follower]).status());
            let killed = Instant::now();
            while lab.started().is_alive() {
                assert!(killed.elapsed() < Duration::from_secs(20), "SIGABRT has ended nobody");
                thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        });
        assert_eq!(run_one(&mut lab, &killed, &unbuilt), Outcome::Failed);
        assert!(lab.cluster_at_hand().is_none(), "the next check does not inherit it");
        fs::remove_dir_all(dir).unwrap();
    }
}
