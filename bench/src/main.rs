//! The `mqbench` program: the command line, and what goes to the terminal.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use bench::BenchError;
use bench::args::{CommandLine, Mode};
use bench::report::{Progress, Summary};
use clap::Parser;
use runtime::{Placement, Spec, process};

fn main() -> ExitCode {
    process::abort_on_panic();
    let CommandLine { mode } = CommandLine::parse();
    let json = mode.run().json;
    match carry_out(mode) {
        Ok(summary) => {
            let text = if json { format!("{}\n", summary.json()) } else { summary.to_string() };
            // Nobody reads it: the exit code still tells.
            drop(stdout().write_all(text.as_bytes()));
            match summary.verdict() {
                Some(verdict) => complain(&verdict),
                None => ExitCode::SUCCESS,
            }
        }
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(line: &str) -> ExitCode {
    drop(writeln!(stderr(), "mqbench: {line}"));
    ExitCode::FAILURE
}

fn carry_out(mode: Mode) -> Result<Summary, BenchError> {
    let signals = process::stop_signals().map_err(BenchError::Signals)?;
    // It only waits, so it may stay where the load is.
    let placement = match &mode.run().cores {
        Some(cores) => Placement::Core(cores.0[0]),
        None => Placement::Any,
    };
    let spec = Spec { name: "mqbench".to_owned(), placement };
    let coordinator = runtime::start(spec, move || async move {
        let mut progress = None;
        let shows = stderr().is_terminal();
        let mut on_second = |window: &bench::recorder::Window, executors: usize| {
            if !shows {
                return;
            }
            let progress = progress.get_or_insert_with(|| Progress::new(executors));
            if let Some(line) = progress.line(window) {
                drop(writeln!(stderr(), "{line}"));
            }
        };
        let outcome = bench::run::run(mode.clone(), Some(signals), &mut on_second).await?;
        Ok(Summary::new(&mode, outcome))
    })?;
    coordinator.join()?
}
