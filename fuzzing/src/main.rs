//! `cargo run --package fuzzing`: every target on its corpus and on changed inputs, for a while.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod options;

use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use cap::Cap;
use fuzzing::hunt::{self, Note};
use fuzzing::{Outcome, TARGETS, Target, seeds, watch};
use options::{Options, USAGE, Wish};

/// Refuses what a target must not need: a length that nobody has checked ends in an abort.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

fn allow(bytes: usize) {
    let limit = MEMORY.allocated().saturating_add(bytes);
    MEMORY.set_limit(limit).expect("more than is in use");
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let on_build_machine = std::env::var("CI").is_ok_and(|value| value == "true");
    let done = match Options::parse(&args) {
        Ok(Options { wish: Wish::Help, .. }) => {
            print!("{USAGE}");
            Ok(())
        }
        Ok(Options { wish: Wish::Seeds, .. }) => seeds::write().map_err(|error| error.to_string()),
        Ok(Options { wish: Wish::Replay { target, file }, .. }) => replay(target, &file),
        Ok(Options { wish: Wish::Inside { target, note }, seed, time }) => {
            let (seed, time) = (seed.unwrap_or_default(), time.unwrap_or_default());
            inside(target, seed, time, &note)
        }
        Ok(Options { wish: Wish::Hunt { only }, seed, time }) => {
            let usual = Duration::from_secs(if on_build_machine { 60 } else { 8 });
            all(only, seed.unwrap_or_else(fresh_seed), time.unwrap_or(usual))
        }
        Err(error) => Err(format!("{error}\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzzing: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) << 32 | u64::from(std::process::id())
}

/// Hunts with each target, or with one, in `time` altogether.
fn all(only: Option<&'static Target>, seed: u64, time: Duration) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let targets: Vec<_> =
        TARGETS.iter().filter(|it| only.is_none_or(|only| only.name == it.name)).collect();
    let each = time / u32::try_from(targets.len()).expect("there are a few targets");
    println!("fuzzing: {} targets, {:.1} s each, seed {seed}", targets.len(), each.as_secs_f64());
    let failures: Vec<_> = targets
        .iter()
        .filter_map(|target| watch::hunt(&program, target, seed, each).err())
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// The process that is watched.
fn inside(target: &Target, seed: u64, time: Duration, note: &str) -> Result<(), String> {
    lift_limit_on_panic();
    let note = Note::create(note.as_ref()).map_err(|error| format!("{note}: {error}"))?;
    let bag =
        hunt::hunt(target, seed, time, Some(&note), allow).map_err(|error| error.to_string())?;
    println!(
        "{:<14} {:>9} runs, {:>9} read, {:>4} kinds of outcomes, seed {seed}",
        target.name, bag.runs, bag.read, bag.kinds
    );
    Ok(())
}

fn replay(target: &Target, file: &str) -> Result<(), String> {
    lift_limit_on_panic();
    let input = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    match hunt::run(target, &input, allow) {
        Outcome::Read => println!("{}: {file} could be read", target.name),
        Outcome::Refused(why) => println!("{}: {file} was refused: {why}", target.name),
    }
    Ok(())
}

/// To tell what went wrong may take more memory than the target has.
fn lift_limit_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        allow(usize::MAX);
        tell(panic);
    }));
}
