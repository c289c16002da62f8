//! `cargo xtask ci`: the one gate. It reads only, and says the same on a laptop and on the build
//! machine; `CI=true` merely forbids to skip what a laptop may not have.

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use self::steps::{STEPS, Step};
use self::summary::{Line, Outcome};

mod process;
mod steps;
mod summary;

/// The cargo that runs us, so that a chosen toolchain stays chosen.
pub fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Name and cargo command of each step, in order.
pub fn steps() -> impl Iterator<Item = (&'static str, &'static str)> {
    STEPS.iter().map(|step| (step.name, step.args))
}

/// The names of all steps, in order, for messages.
fn step_names() -> String {
    STEPS.map(|step| step.name).join(", ")
}

/// Reads `--only <step>`, any number of times. No name means all steps.
pub fn parse<'a>(args: &[&'a str]) -> Result<Vec<&'a str>, String> {
    let mut only = Vec::new();
    let mut rest = args;
    while let [option, name, after @ ..] = rest {
        if *option != "--only" {
            return Err(unknown(option));
        }
        if !STEPS.iter().any(|step| step.name == *name) {
            return Err(format!("there is no step {name}; there are {}", step_names()));
        }
        only.push(*name);
        rest = after;
    }
    match rest {
        [] => Ok(only),
        ["--only", ..] => Err(format!("--only needs the name of a step: {}", step_names())),
        [option, ..] => Err(unknown(option)),
    }
}

fn unknown(option: &str) -> String {
    format!("ci has no option {option}; it has --only <step> and --help")
}

/// Runs the steps named by `only`, or all, and prints a table of what came of each. A failed step
/// does not keep later ones from running, except when what they run could not be built.
pub fn run(root: &Path, only: &[&str]) -> ExitCode {
    let chosen = STEPS.iter().filter(|step| only.is_empty() || only.contains(&step.name));
    let mut lines: Vec<Line> = Vec::new();
    let mut stopped = false;
    for step in chosen {
        let line = if stopped { Line::not_run(step.name) } else { run_step(root, step) };
        stopped |= step.is_build && !line.outcome.is_good();
        lines.push(line);
    }
    print!("\n{}", summary::table(&lines));
    if lines.iter().all(|line| line.outcome.is_good()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_step(root: &Path, step: &Step) -> Line {
    println!("\n=== {}: cargo {}", step.name, step.args);
    // A lost line of our own output must not fail a step, and there is nobody left to tell.
    drop(std::io::stdout().flush());
    let started = Instant::now();
    let mut command = Command::new(cargo());
    command.args(step.args.split(' ')).envs(step.env.iter().copied()).current_dir(root);
    let ended = process::run(&mut command, Duration::from_secs(step.limit_minutes * 60));
    let outcome = judge(step, ended);
    let line = Line { name: step.name, outcome, took: started.elapsed() };
    println!("=== {}: {}, {:.1} s", step.name, line.outcome, line.took.as_secs_f64());
    line
}

/// What a step comes to that ended so: only some may be skipped.
fn judge(step: &Step, ended: Outcome) -> Outcome {
    match ended {
        Outcome::Skipped if !step.may_skip => Outcome::Failed,
        ended => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::summary::Outcome;
    use super::{STEPS, judge, parse, step_names};

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(parse(&[]), Ok(vec![]));
        assert_eq!(parse(&["--only", "fmt", "--only", "tidy"]), Ok(vec!["fmt", "tidy"]));
        for bad in [&["--only"][..], &["--only", "no-such"], &["fmt"], &["--all", "fmt"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_the_step_that_needs_rights_may_be_skipped() {
        for step in &STEPS {
            let wanted = if step.name == "chaos" { Outcome::Skipped } else { Outcome::Failed };
            assert_eq!(judge(step, Outcome::Skipped), wanted, "{}", step.name);
            assert_eq!(judge(step, Outcome::Failed), Outcome::Failed, "{}", step.name);
        }
    }

    #[test]
    fn step_names_are_unique_and_each_reads_only() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..index].iter().all(|other| other.name != step.name), "{}", step.name);
            assert!(!step.args.contains("--fix"), "{} must not write", step.name);
        }
        assert_eq!(step_names().split(", ").count(), STEPS.len());
    }
}
