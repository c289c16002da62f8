//! `chaos`: a group of three brokers as processes, each in a network of its own, under load and under faults that a seed
//! draws; in the end every acknowledged message must be where its acknowledgement said, and the stores the same byte for byte.
//! See `--help`, and docs/chaos.md.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test program starts processes, makes directories and measures time"
)]

mod cluster;
mod conf;
mod course;
mod disk;
mod java;
mod load;
mod options;
mod plan;
mod strike;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::tests::harness::failure::{Trying, Verdict};
use ::tests::harness::process;
use ::tests::net::{self, Missing};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cluster::Programs;
use crate::options::{Options, USAGE};

/// What its namespaces and its throttle are called by.
pub const PROGRAM: &str = "chaos";
const WRONG_CALL: u8 = 2;
/// By it the gate tells a run that could not be made here from a good one.
const SKIPPED: u8 = 77;

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("chaos: {error}\n\n{USAGE}");
            return ExitCode::from(WRONG_CALL);
        }
    };
    if options.help {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let missing = net::missing(PROGRAM);
    if let Some(missing) = missing.or_else(|| options.java.then(java::missing).flatten()) {
        return without(&missing);
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("chaos: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The end where nothing can be done. What can be installed has to be there in CI; rights cannot be installed.
fn without(missing: &Missing) -> ExitCode {
    let is_ci = env::var_os("CI").is_some_and(|value| value == "true");
    if is_ci && matches!(missing, Missing::Program(_)) {
        println!("chaos: FAILED: {missing}");
        return ExitCode::FAILURE;
    }
    println!("chaos: skipped: {missing}");
    ExitCode::from(SKIPPED)
}

fn run(options: &Options) -> Verdict {
    let beside = env::current_exe().ok().and_then(|own| own.parent().map(Path::to_path_buf));
    let bin = options.bin.clone().or(beside).unwrap_or_else(|| PathBuf::from("target/release"));
    let bin = std::path::absolute(bin).trying("the directory of the programs")?;
    let java = options.java.then(|| java::workshop(&bin));
    let programs = Programs::new(bin)?;
    clean_up_at_the_end().trying("handling signals")?;
    // Before the group starts: a compiler beside it takes its cores.
    if let Some(shop) = &java {
        shop.build(java::CLIENT.part())?;
    }
    let runs = options.dir.clone().unwrap_or_else(|| PathBuf::from("target/chaos"));
    let runs = std::path::absolute(runs).trying("the directory of the run")?;
    let dir = runs.join(format!("{}-{}", options.seed, std::process::id()));
    std::fs::create_dir_all(&dir).trying(dir.display().to_string())?;
    course::run(options, &programs, java.as_ref(), &dir)
}

/// A panic or a signal ends this program without running destructors: it takes the processes and the network with it.
fn clean_up_at_the_end() -> std::io::Result<()> {
    fn clean_up() {
        // What is in a namespace holds it for a moment longer, which does not keep its name.
        net::remove_own(PROGRAM);
        disk::remove_own();
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::kill_all();
        clean_up();
    }));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            eprintln!("\nchaos: stopped by signal {signal}");
            // The run goes on until this process ends: it shall start nothing meanwhile.
            process::kill_all_for_good();
            clean_up();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
