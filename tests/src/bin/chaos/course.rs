//! The course of a run: start, load, faults, and what must hold in the end.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ::tests::harness::failure::{Failure, Trying, Verdict};
use ::tests::harness::process;
use ::tests::malformed::rng::Rng;

use crate::cluster::{Cluster, Programs, WELL_LIMIT};
use crate::options::Options;
use crate::plan::{Fault, SHORT};
use crate::strike::Strike;

/// Load before the first fault.
const QUIET: Duration = Duration::from_secs(2);
/// Of so many faults one follows the one before it at once, without a rest.
const WITHOUT_REST: usize = 4;
/// From the healing of everything to the next acknowledged message.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// For stores of the longest run.
const COMPARE_LIMIT: Duration = Duration::from_secs(300);

/// One run. On success its directory is removed, unless it is to be kept.
pub fn run(options: &Options, programs: &Programs, dir: &Path) -> Verdict {
    let mut diary = Diary::new(dir)?;
    let ran = run_in(options, programs, dir, &mut diary);
    match &ran {
        Ok(()) => diary.say(&format!("clean, seed {}", options.seed)),
        Err(failure) => {
            diary.say(&format!("FAILED, seed {}: {failure}", options.seed));
            diary.say(&format!("stores and logs are in {}", dir.display()));
        }
    }
    if ran.is_ok() && !options.keep {
        std::fs::remove_dir_all(dir).trying(dir.display().to_string())?;
    }
    ran.map_err(|_| Failure::Wrong(format!("failed with seed {}, see above", options.seed)))
}

fn run_in(options: &Options, programs: &Programs, dir: &Path, diary: &mut Diary) -> Verdict {
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
    cluster.load = Some(cluster.sender.start(&cluster.net, options.rate)?);
    cluster.pass(QUIET)?;
    make_faults(options, &mut cluster, diary)?;
    end(programs, &mut cluster, dir, diary)
}

fn make_faults(options: &Options, cluster: &mut Cluster, diary: &mut Diary) -> Verdict {
    let mut rng = Rng::new(options.seed);
    let (can_slow, end) = (cluster.throttle.is_some(), Instant::now() + options.time);
    let may = |fault: &Fault| {
        let is_wanted =
            options.only.is_empty() || options.only.iter().any(|name| name == fault.name());
        is_wanted && (can_slow || !matches!(fault, Fault::SlowDisk(..)))
    };
    let mut listed = SHORT.into_iter().filter(|fault| may(fault));
    let mut is_well = true;
    while Instant::now() < end {
        let fault = if options.short { listed.next() } else { Fault::draw(&mut rng, may) };
        let Some(fault) = fault else { break };
        if fault.needs_rest() && !is_well {
            rest(cluster, diary)?;
        }
        let strike = Strike::new(fault, cluster, &mut rng)?;
        diary.say(&strike.line(cluster));
        strike.carry_out(cluster)?;
        is_well = options.short || rng.below(WITHOUT_REST) > 0;
        if is_well {
            rest(cluster, diary)?;
        }
    }
    Ok(())
}

fn rest(cluster: &mut Cluster, diary: &mut Diary) -> Verdict {
    let took = cluster.until_well(WELL_LIMIT, "after a fault all members are there again")?;
    diary.say(&format!("  well after {:.1} s", took.as_secs_f64()));
    Ok(())
}

/// Heals, and finds out whether all promises were kept.
fn end(programs: &Programs, cluster: &mut Cluster, dir: &Path, diary: &mut Diary) -> Verdict {
    cluster.heal()?;
    cluster.start_missing()?;
    let took = cluster.sender.until_acknowledged(&cluster.net, WRITE_LIMIT)?;
    diary.say(&format!("healed: a message is acknowledged after {:.1} s", took.as_secs_f64()));
    rest(cluster, diary)?;
    let load = cluster.load.take().expect("it was started");
    diary.say(&load.audit()?);
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
    match seen.status.success() {
        true => Ok(()),
        false => Err(Failure::Wrong("the stores of the members are not the same".to_owned())),
    }
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
