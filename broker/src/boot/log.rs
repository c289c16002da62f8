//! The process's own log: lines on the standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is said unless `RUST_LOG` chooses otherwise. Each change of a role is a line of ours; what openraft says of its steps
/// is for those who look into it.
const DEFAULT: &str = "info,openraft=warn";

/// One line an event.
pub fn log_to_stdout() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let ansi = std::io::stdout().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_target(false);
    // What cannot be written is dropped and counted; telling it on the standard error could panic, or block.
    let log = log.log_internal_errors(false);
    match runtime::process::log_lines() {
        Ok(lines) => log.with_writer(lines).init(),
        Err(_) => log.with_writer(std::io::sink).init(), // there is no standard output
    }
}
