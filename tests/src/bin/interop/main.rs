//! `interop`: stock RocketMQ clients and tools, crashes and hostile peers against servers that run as
//! processes of their own. One line a check, the failures by name at the end; see `--help`.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test program starts processes, makes directories and measures time"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tests::harness::check::Check;
use tests::harness::drivers::Workshop;
use tests::harness::failure::{Trying, Verdict};
use tests::harness::lab::Lab;
use tests::harness::options::{Options, USAGE};
use tests::harness::process;
use tests::harness::servers::Maker;
use tests::harness::tools::Tools;

mod bench;
mod clients;
mod kill9;
mod malformed;
mod mqadmin;
mod runner;
mod shards2;
mod standalone;
mod swap;

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("interop: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.help {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let checks: Vec<Check> =
        all(options.against).into_iter().filter(|check| options.wants(&check.name)).collect();
    if checks.is_empty() {
        eprintln!("interop: no check has a name like that; --list shows them");
        return ExitCode::from(2);
    }
    if options.list {
        checks.iter().for_each(|check| println!("{}", check.name));
        return ExitCode::SUCCESS;
    }
    match prepare(&options) {
        Ok(mut lab) => {
            let good = runner::run(&mut lab, &checks, options.build);
            // Empty unless something failed or `--keep` was given.
            drop(fs::remove_dir(lab.scratch()));
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("interop: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Every check, in the order in which they run.
fn all(against: Maker) -> Vec<Check> {
    let mut checks = clients::checks(against);
    checks.extend(mqadmin::checks(against));
    checks.extend(kill9::checks(against));
    if against == Maker::Ours {
        checks.extend(shards2::checks());
        checks.extend(swap::checks());
        checks.extend(malformed::checks());
        checks.extend(standalone::checks());
        checks.extend(bench::checks());
    }
    checks
}

fn prepare(options: &Options) -> Verdict<Lab> {
    let root = workspace_root();
    let prebuilt = env::var_os("INTEROP_BIN").map(PathBuf::from);
    let shop = Workshop {
        bin: prebuilt.clone().unwrap_or_else(|| built_beside(&root)),
        prebuilt: prebuilt.is_some(),
        root,
        tools: Tools::find(),
    };
    let lab = Lab::new(shop, options.against, options.keep)?;
    clean_up_at_the_end(lab.scratch(), options.keep).trying("handling signals")?;
    Ok(lab)
}

/// A panic or a signal ends the harness without running destructors: it takes the children with it.
fn clean_up_at_the_end(scratch: &Path, keep: bool) -> std::io::Result<()> {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        process::kill_all();
    }));
    let scratch = scratch.to_owned();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            eprintln!("\ninterop: stopped by signal {signal}");
            process::kill_all();
            if !keep {
                drop(fs::remove_dir_all(scratch));
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Where cargo puts programs: beside this one, wherever its target directory is.
fn built_beside(root: &Path) -> PathBuf {
    let own = env::current_exe().ok();
    let target = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    target.map_or_else(|| root.join("target"), Path::to_path_buf).join("release")
}

/// The folder of the workspace. Cargo names this crate's folder when it runs us; a binary started by
/// hand falls back on where it was built.
fn workspace_root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}
