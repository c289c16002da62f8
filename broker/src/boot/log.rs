//! The process's own log: lines on the standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// One line an event; `RUST_LOG` chooses which, `info` and above by default.
pub fn log_to_stdout() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stdout().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_target(false).init();
}
