//! `mqbroker`: the broker as a process.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use ::config::Effect;
use broker::boot::{self, BootError, ConfigFile, FileError, Loaded};
use broker::config::{IMPORTANT, KEYS, LoadError};
use clap::{CommandFactory, FromArgMatches, Parser};
use runtime::IoError;

/// Broker of a RocketMQ-compatible cluster: stores messages and hands them out
#[derive(Parser)]
#[command(name = "mqbroker", version)]
struct Args {
    /// Configuration file (Java properties); without it every key has its default
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config: Option<PathBuf>,

    /// NameServers to register at, `host:port`, several separated by `;`
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRESSES")]
    namesrv: Option<String>,

    /// Print every key with its value and exit
    #[arg(short = 'p', long = "printConfigItem")]
    print_all: bool,

    /// Print the keys that have an effect, with their values, and exit
    #[arg(short = 'm', long = "printImportantConfig")]
    print_important: bool,

    /// Run the gRPC proxy in this process; not in this build, only `false` is possible
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    enable_proxy: bool,

    /// Configuration of the gRPC proxy; without effect in this build (also -pc)
    #[arg(long = "proxyConfig", value_name = "FILE")]
    proxy_config: Option<PathBuf>,
}

/// Why the process ends with an error. Each says what to do.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the configuration does not start a broker:\n{0}")]
    Config(#[from] LoadError),
    #[error(
        "--enable-proxy: the gRPC proxy is not in this build; leave the option out, or run Apache's proxy in cluster mode"
    )]
    Proxy,
    #[error(transparent)]
    Signals(#[from] IoError),
    #[error(transparent)]
    Boot(#[from] BootError),
}

fn main() -> ExitCode {
    let help = format!("Keys of the configuration file that have an effect:\n\n{}", KEYS.help());
    let matches = Args::command().after_long_help(help).get_matches_from(arguments());
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    runtime::process::abort_on_panic();
    match run(&args) {
        Ok(()) => {
            runtime::process::flush_log();
            ExitCode::SUCCESS
        }
        Err(failure) => runtime::process::end_with_error("mqbroker", &failure),
    }
}

/// The arguments, with Apache's two-letter option as a long one.
fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().map(|arg| if arg == "-pc" { OsString::from("--proxyConfig") } else { arg })
}

fn run(args: &Args) -> Result<(), Failure> {
    if args.enable_proxy {
        return Err(Failure::Proxy);
    }
    let prints = args.print_all || args.print_important;
    if !prints {
        boot::log_to_stdout();
    }
    let file = args.config.as_deref().map(ConfigFile::read).transpose()?;
    let options: Vec<_> =
        args.namesrv.iter().map(|addr| ("-n", "namesrvAddr", addr.clone())).collect();
    let loaded = boot::load(&[], file.as_ref(), &options)?;
    if prints {
        print(&loaded, args.print_all);
        return Ok(());
    }
    loaded.log_warnings();
    if let Some(path) = &args.proxy_config {
        tracing::warn!(
            "option -pc (--proxyConfig {}) has no effect: the gRPC proxy is not in this build",
            path.display()
        );
    }
    let config = loaded.config()?;
    let signals = runtime::process::stop_signals_second_ends("mqbroker")?;
    Ok(boot::serve(config, signals)?)
}

/// `-p` and `-m`: what the process would start with.
fn print(loaded: &Loaded, all: bool) {
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    if let Err(error) = loaded.config() {
        eprintln!("this configuration does not start a broker:\n{error}");
    }
    if all {
        print!("{}", loaded.settings.listing());
        return;
    }
    for key in IMPORTANT.keys().iter().filter(|key| key.effect == Effect::Full) {
        println!("{}={}", key.name, loaded.settings.text(key.name));
    }
}
