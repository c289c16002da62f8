//! The process's own log: lines on the standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is said unless `RUST_LOG` chooses otherwise. Each change of a role is a line of ours; what openraft says of its steps
/// is for those who look into it. That a waiter is gone it says in a warning for each entry: a leader that is cut off would fill the log
/// with hundreds a second, and they are told what became of their messages.
const DEFAULT: &str = "info,openraft=warn,openraft::raft::responder=error";

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

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn waiters_that_are_gone_do_not_fill_the_log() {
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new(DEFAULT));
        tracing::subscriber::with_default(subscriber, || {
            const GONE: &str = "openraft::raft::responder::impls::progress_responder";
            assert!(!tracing::enabled!(target: GONE, tracing::Level::WARN));
            assert!(tracing::enabled!(target: GONE, tracing::Level::ERROR));
            assert!(tracing::enabled!(target: "openraft::raft", tracing::Level::WARN));
            assert!(!tracing::enabled!(target: "openraft::raft", tracing::Level::INFO));
            assert!(tracing::enabled!(target: "broker::shard", tracing::Level::INFO));
        });
    }
}
