//! The process's own log: lines on the standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// One line an event; `RUST_LOG` chooses which, `info` and above by default.
pub fn log_to_stdout() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stdout().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_target(false);
    // What cannot be written is dropped and counted; telling it on the standard error could panic, or block.
    let log = log.log_internal_errors(false);
    match runtime::process::log_lines() {
        Ok(lines) => log.with_writer(lines).init(),
        Err(_) => log.with_writer(std::io::sink).init(), // there is no standard output
    }
}
