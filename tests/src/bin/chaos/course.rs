//! The course of a run: start, load, faults, and what must hold in the end.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ::tests::harness::drivers::Workshop;
use ::tests::harness::failure::{Failure, Trying, Verdict};
use ::tests::harness::process;
use ::tests::malformed::rng::Rng;

use crate::cluster::{Cluster, Programs, WELL_LIMIT};
use crate::java::{self, Java};
use crate::load::CALM;
use crate::options::Options;
use crate::plan::{Fault, SHORT};
use crate::strike::Strike;

/// Load before the first fault.
const QUIET: Duration = Duration::from_secs(2);
/// Of so many faults one follows the one before it at once, without a rest.
const WITHOUT_REST: usize = 4;
/// Messages behind those of the load.
const BEHIND: u32 = 3;
/// From a group that is well, or the healing of everything, to the next acknowledged message.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// For stores of the longest run.
const COMPARE_LIMIT: Duration = Duration::from_secs(300);

/// One run. On success its directory is removed, unless it is to be kept.
///
/// # Errors
/// Something that must hold did not; the diary has it.
pub fn run(options: &Options, programs: &Programs, java: Option<&Workshop>, dir: &Path) -> Verdict {
    let mut diary = Diary::new(dir)?;
    let ran = run_in(options, programs, java, dir, &mut diary);
    match &ran {
        Ok(made) => diary.say(&format!("clean, {made}, seed {}", options.seed)),
        Err(failure) => {
            diary.say(&format!("FAILED, seed {}: {failure}", options.seed));
            diary.say(&format!("stores and logs are in {}", dir.display()));
        }
    }
    if ran.is_ok() && !options.keep {
        std::fs::remove_dir_all(dir).trying(dir.display().to_string())?;
    }
    ran.map(|_| ())
        .map_err(|_| Failure::Wrong(format!("failed with seed {}, see above", options.seed)))
}

fn run_in(
    options: &Options,
    programs: &Programs,
    java: Option<&Workshop>,
    dir: &Path,
    diary: &mut Diary,
) -> Verdict<Made> {
    diary.say(&format!(
        "seed {}, {} messages a second, in {}",
        options.seed,
        options.rate,
        dir.display()
    ));
    let mut cluster = Cluster::start(programs, dir)?;
    diary.say(&format!(
        "the group is well; packets are lost and late by {:?}, {}",
        cluster.means,
        if cluster.throttle.is_some() {
            "disks can be slow"
        } else {
            "no blkio throttle: disks are never slow"
        }
    ));
    if let Some(shop) = java {
        let client = Java::start(shop, &cluster, dir, options.time)?;
        diary.say(&format!("the Java client sends {} messages a second", client.rate));
        cluster.java = Some(client);
    }
    cluster.load = Some(cluster.sender.start(&cluster.net, options.rate)?);
    cluster.pass(QUIET)?;
    let made = make_faults(options, &mut cluster, diary)?;
    made.judge()?;
    end(programs, &mut cluster, &made, dir, diary)?;
    Ok(made)
}

/// The faults of a run, by their names.
#[derive(Debug, Default)]
struct Made(BTreeMap<&'static str, u32>);

impl Made {
    fn add(&mut self, fault: &Fault) {
        *self.0.entry(fault.name()).or_default() += 1;
    }

    /// How many there were.
    fn count(&self) -> u32 {
        self.0.values().sum()
    }

    /// # Errors
    /// There was none: a group without faults proves nothing.
    fn judge(&self) -> Verdict {
        let text =
            "no fault was made: what --only asks for cannot be made here, or not in this form";
        if self.0.is_empty() { Err(Failure::Wrong(text.to_owned())) } else { Ok(()) }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, kinds) = (self.count(), self.0.len());
        write!(f, "{all} faults of {kinds} kinds")
    }
}

fn make_faults(options: &Options, cluster: &mut Cluster, diary: &mut Diary) -> Verdict<Made> {
    let mut made = Made::default();
    let mut rng = Rng::new(options.seed);
    let (can_slow, end) = (cluster.throttle.is_some(), Instant::now() + options.time);
    let may = |fault: &Fault| {
        let is_wanted =
            options.only.is_empty() || options.only.iter().any(|name| name == fault.name());
        is_wanted && (can_slow || !matches!(fault, Fault::SlowDisk(..)))
    };
    let mut listed = SHORT.into_iter().filter(|fault| may(fault));
    let mut is_well = true;
    // The short form is a list, and all of it is made: a slow machine would leave out what comes last.
    while options.short || Instant::now() < end {
        let fault = if options.short { listed.next() } else { Fault::draw(&mut rng, may) };
        let Some(fault) = fault else { break };
        if fault.needs_rest() && !is_well {
            rest(cluster, diary)?;
        }
        let strike = Strike::new(fault, cluster, &mut rng)?;
        diary.say(&strike.line(cluster));
        strike.carry_out(cluster)?;
        made.add(&fault);
        is_well = options.short || rng.below(WITHOUT_REST) > 0;
        if is_well {
            rest(cluster, diary)?;
        }
    }
    Ok(made)
}

/// Waits until the group says that it is well, and a message is acknowledged: what it says of itself is not enough.
fn rest(cluster: &mut Cluster, diary: &mut Diary) -> Verdict {
    let took = cluster.until_well(WELL_LIMIT, "after a fault all members are there again")?;
    let more = cluster.sender.until_acknowledged(&cluster.net, WRITE_LIMIT)?;
    let (took, more) = (took.as_secs_f64(), more.as_secs_f64());
    let mut line =
        format!("  well after {took:.1} s, and a message is acknowledged after {more:.1} s");
    if let Some(java) = &mut cluster.java {
        let more = java.until_acknowledged(WRITE_LIMIT)?.as_secs_f64();
        line += &format!(", one of the Java client after {more:.1} s");
    }
    diary.say(&line);
    Ok(())
}

/// Heals, and finds out whether all promises were kept.
fn end(
    programs: &Programs,
    cluster: &mut Cluster,
    made: &Made,
    dir: &Path,
    diary: &mut Diary,
) -> Verdict {
    cluster.heal()?;
    cluster.start_missing()?;
    let took = cluster.sender.until_acknowledged(&cluster.net, WRITE_LIMIT)?;
    diary.say(&format!("healed: a message is acknowledged after {:.1} s", took.as_secs_f64()));
    rest(cluster, diary)?;
    if let Some(java) = cluster.java.take() {
        let counts = java.end()?;
        diary.say(&format!("the Java client: {counts}"));
        java::judge(&counts, made.count())?;
    }
    // Of its last messages some are acknowledged: who waits above is another client.
    cluster.pass(CALM)?;
    let load = cluster.load.take().expect("it was started");
    diary.say(&load.audit()?);
    rest(cluster, diary)?;
    let state = cluster.group.state(&cluster.net)?;
    let committed = state.map_or(0, |state| state.committed);
    // A store knows that an entry is committed by those behind it.
    for _ in 0..BEHIND {
        cluster.sender.until_acknowledged(&cluster.net, WRITE_LIMIT)?;
    }
    for at in cluster.members.clone() {
        cluster.brokers[at].stop()?;
    }
    let stores: Vec<PathBuf> =
        cluster.members.iter().map(|at| cluster.brokers[*at].store()).collect();
    let mut command = Command::new(programs.named("mqstore"));
    command.args(["check", "--compare"]).args(&stores);
    let seen = process::run("compare", &mut command, dir, COMPARE_LIMIT)?;
    let text = seen.out + &seen.err;
    text.lines().filter(|line| !line.is_empty()).for_each(|line| diary.say(&format!("  {line}")));
    if !seen.status.success() {
        return Err(Failure::Wrong("the stores of the members are not the same".to_owned()));
    }
    all_was_compared(&text, stores.len(), committed)
}

/// What was committed before the members were stopped is among what was compared: a comparison ends where a store knows of no more.
fn all_was_compared(text: &str, stores: usize, committed: i64) -> Verdict {
    const KNOWN: &str = "known as committed before entry ";
    let behind = text.lines().filter_map(|line| line.split_once(KNOWN));
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    let ends: Vec<i64> = behind.filter_map(|(_, end)| number(end)).collect();
    if ends.len() == stores && committed > 0 && ends.iter().all(|end| *end > committed) {
        return Ok(());
    }
    let text = format!(
        "entry {committed} was committed before the members were stopped; {stores} stores know of all before {ends:?}"
    );
    Err(Failure::Wrong(text))
}

/// One line for everything that happens, on the screen and in a file.
struct Diary {
    begin: Instant,
    file: File,
}

impl Diary {
    fn new(dir: &Path) -> Verdict<Self> {
        let path = dir.join("run.log");
        let file = File::create(&path).trying(path.display().to_string())?;
        Ok(Self { begin: Instant::now(), file })
    }

    fn say(&mut self, text: &str) {
        let line = format!("{:8.1}  {text}", self.begin.elapsed().as_secs_f64());
        println!("{line}");
        // A full disk must not end the run: the screen has it.
        drop(writeln!(self.file, "{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_that_ends_too_early_is_not_clean() {
        let text = "store a\n  entries 0 to 9, 70 bytes; known as committed before entry 9\n\
                    store b\n  entries 0 to 9, 70 bytes; known as committed before entry 8; torn\n";
        assert!(all_was_compared(text, 2, 7).is_ok());
        for (stores, committed) in [(2, 8), (3, 7), (2, 0)] {
            assert!(all_was_compared(text, stores, committed).is_err(), "{stores} {committed}");
        }
    }

    #[test]
    fn a_run_without_a_fault_is_not_clean() {
        let mut made = Made::default();
        assert!(made.judge().unwrap_err().to_string().contains("no fault was made"));
        for fault in SHORT {
            made.add(&fault);
        }
        assert!(made.judge().is_ok());
        assert_eq!(made.to_string(), "6 faults of 5 kinds");
    }
}
