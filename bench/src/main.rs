//! The `mqbench` program: the command line, and what goes to the terminal.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use bench::args::{Command, CommandLine, Gather, Output};
use bench::interrupts::Interrupts;
use bench::report::{Document, Screen, markdown, page};
use bench::study::Session;
use bench::{BenchError, Findings, files};
use clap::{CommandFactory, Parser};
use runtime::{Placement, Spec, process};

fn main() -> ExitCode {
    process::abort_on_panic();
    let CommandLine { command, output } = CommandLine::parse();
    let result = match &command {
        Command::Report(gather) => gather_results(gather, &output),
        _ => measure(command, &output),
    };
    match result {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(verdict)) => complain(&verdict),
        Err(error) => complain(&error.to_string()),
    }
}

fn complain(line: &str) -> ExitCode {
    drop(writeln!(stderr(), "mqbench: {line}"));
    ExitCode::FAILURE
}

/// Makes a page, or tables, of results that are there already.
fn gather_results(gather: &Gather, output: &Output) -> Result<Option<String>, BenchError> {
    if output.report.is_none() && !gather.markdown {
        let kind = clap::error::ErrorKind::MissingRequiredArgument;
        let message = "give --report FILE for a page, or --markdown for tables";
        CommandLine::command().error(kind, message).exit();
    }
    let mut documents = Vec::new();
    for file in &gather.files {
        documents.extend(files::read_results(file)?);
    }
    if gather.markdown {
        let tables: Vec<String> = documents.iter().map(markdown).collect();
        // Nobody reads it: the exit code still tells.
        drop(stdout().write_all(tables.join("\n").as_bytes()));
    }
    if let Some(path) = &output.report {
        files::write_page(path, &page(&gather.title, &documents))?;
    }
    Ok(None)
}

/// Measures, and prints the result; why it counts as failed, if it does.
fn measure(command: Command, output: &Output) -> Result<Option<String>, BenchError> {
    let findings = on_executor(command, output)?;
    let text = if output.json { format!("{}\n", findings.json()) } else { findings.text() };
    // Nobody reads it: the exit code still tells.
    drop(stdout().write_all(text.as_bytes()));
    if let Some(path) = &output.report {
        write_report(path, &findings)?;
    }
    Ok(findings.verdict())
}

fn write_report(path: &Path, findings: &Findings) -> Result<(), BenchError> {
    let value = findings.value();
    let name = value["mode"].as_str().unwrap_or_default();
    let document = Document::read(name, &value)
        .map_err(|reason| BenchError::File { path: path.to_owned(), reason })?;
    files::write_page(path, &page(&format!("mqbench {name}"), &[document]))
}

fn on_executor(command: Command, output: &Output) -> Result<Findings, BenchError> {
    let signals = process::stop_signals().map_err(BenchError::Signals)?;
    let hdr = output.hdr.clone();
    // It only waits, so it may stay where the load is.
    let placement = match command.cores() {
        Some(cores) => Placement::Core(cores.0[0]),
        None => Placement::Any,
    };
    let spec = Spec { name: "mqbench".to_owned(), placement, busy_poll: None };
    let coordinator = runtime::start(spec, move || async move {
        let log = hdr.as_deref().map(files::begin_log).transpose()?;
        let session = Session {
            interrupts: Interrupts::from_signals(signals),
            screen: Screen::new(stderr().is_terminal(), log),
        };
        let findings = bench::carry_out(&session, &command).await?;
        let closed = session.screen.close();
        closed.map_err(|error| {
            let path = hdr.clone().unwrap_or_default();
            BenchError::File { path, reason: error.to_string() }
        })?;
        Ok(findings)
    })?;
    coordinator.join()?
}
