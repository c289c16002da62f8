//! The `mqadmin` program: the command line, and the exit code.

#![forbid(unsafe_code)]

use std::io::{Write, stderr};
use std::process::ExitCode;

use admin::args::CommandLine;
use admin::{AdminError, Terminal, carry_out};
use clap::Parser;
use runtime::{Placement, Spec, process};

fn main() -> ExitCode {
    process::abort_on_panic();
    // Ends with 2 on a mistake in the command line, as the others of our tools do.
    let CommandLine { command } = CommandLine::parse();
    let spec = Spec { name: "mqadmin".to_owned(), placement: Placement::Any, busy_poll: None };
    let ran =
        runtime::start(
            spec,
            move || async move { carry_out(&command, &Terminal::default()).await },
        );
    match ran.map(runtime::Executor::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error @ AdminError::Usage(_)))) => complain(&error, ExitCode::from(2)),
        Ok(Ok(Err(error))) => complain(&error, ExitCode::FAILURE),
        Ok(Err(error)) => complain(&error, ExitCode::FAILURE),
        Err(error) => complain(&error, ExitCode::FAILURE),
    }
}

fn complain(error: &dyn std::fmt::Display, code: ExitCode) -> ExitCode {
    drop(writeln!(stderr(), "mqadmin: {error}"));
    code
}
