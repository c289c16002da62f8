//! `mqnamesrv`: the NameServer as a process.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use namesrv::{Config, KEYS, limits};
use runtime::{IoError, Placement, Spec};
use transport::BindError;

/// NameServer of a RocketMQ-compatible cluster: tells clients which broker has which queues.
#[derive(Parser)]
#[command(name = "mqnamesrv", version)]
struct Args {
    /// Configuration file (Java properties); without it every key has its default
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print the configuration and exit
    #[arg(short = 'p', long = "printConfigItem")]
    print: bool,
}

/// Why the process ends with an error. Each says what to do.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the configuration file: {0}")]
    Unreadable(IoError),
    #[error("{0}")]
    Signals(IoError),
    #[error("the configuration is wrong:\n{0}")]
    Config(#[from] ::config::ConfigErrors),
    #[error("{0}")]
    Probe(#[from] runtime::probe::ProbeError),
    #[error("{0}")]
    Start(#[from] runtime::executor::StartError),
    #[error("{0}")]
    Died(#[from] runtime::executor::JoinError),
    #[error("{source}; {handle} sets it")]
    Bind { source: BindError, handle: String },
}

fn main() -> ExitCode {
    let help = format!("Keys of the configuration file that have an effect:\n\n{}", KEYS.help());
    let matches = Args::command().after_long_help(help).get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    runtime::process::abort_on_panic();
    match run(&args) {
        Ok(()) => {
            runtime::process::flush_log();
            ExitCode::SUCCESS
        }
        Err(failure) => runtime::process::end_with_error("mqnamesrv", &failure),
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    if !args.print {
        log_to_stdout();
    }
    let file = match &args.config {
        Some(path) => {
            let text = runtime::process::read_config_file(path, limits::MAX_CONFIG_FILE)
                .map_err(Failure::Unreadable)?;
            Some((path.display().to_string(), text))
        }
        None => None,
    };
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let (config, settings, warnings) = Config::load(file)?;
    if args.print {
        for warning in warnings {
            eprintln!("warning: {warning}");
        }
        print!("{}", settings.listing());
        return Ok(());
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    runtime::probe::probe(None)?;
    let spec = Spec { name: "namesrv".to_owned(), placement: Placement::Any, busy_poll: None };
    let served = runtime::start(spec, move || serve(config))?.join()?;
    served.map_err(|failure| match failure {
        ServeError::Signals(error) => Failure::Signals(error),
        ServeError::Bind(source) => {
            let key = if source.is_about_the_ip() { "bindAddress" } else { "listenPort" };
            Failure::Bind { source, handle: settings.handle(key) }
        }
    })
}

enum ServeError {
    Signals(IoError),
    Bind(BindError),
}

/// Serves until SIGTERM or SIGINT.
async fn serve(config: Config) -> Result<(), ServeError> {
    let signals = runtime::process::stop_signals_second_ends("mqnamesrv");
    let mut signals = signals.map_err(ServeError::Signals)?;
    let server = namesrv::start(config).await.map_err(ServeError::Bind)?;
    let signal = signals.next().await;
    tracing::info!(signal = signal.map(tracing::field::display), "stopping");
    server.stop().await;
    Ok(())
}

/// One line an event; `RUST_LOG` chooses which, `info` and above by default.
fn log_to_stdout() {
    use std::io::IsTerminal;

    use tracing_subscriber::EnvFilter;
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
