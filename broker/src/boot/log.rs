//! The process's own log: lines on the standard output.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is said unless `RUST_LOG` chooses otherwise. Each change of a role and of a connection is a line of ours; what openraft says of its
/// steps is for those who look into it. It warns of each heartbeat that is not answered and of each waiter that is gone: a leader that
/// misses a member would fill the log with dozens a second.
const DEFAULT: &str = "info,openraft=error";

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
    fn a_member_that_is_away_does_not_fill_the_log() {
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new(DEFAULT));
        tracing::subscriber::with_default(subscriber, || {
            const HEARTBEATS: &str = "openraft::core::heartbeat::worker";
            assert!(!tracing::enabled!(target: HEARTBEATS, tracing::Level::WARN));
            assert!(tracing::enabled!(target: HEARTBEATS, tracing::Level::ERROR));
            assert!(tracing::enabled!(target: "raft::net::lane", tracing::Level::WARN));
            assert!(tracing::enabled!(target: "broker::shard", tracing::Level::INFO));
        });
    }
}
