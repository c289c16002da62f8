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
use std::process::ExitCode;

use tests::harness::check::Check;
use tests::harness::options::{Options, USAGE};
use tests::harness::runner;
use tests::harness::servers::Maker;
use tests::harness::setup;

mod bench;
mod clients;
mod kill9;
mod malformed;
mod mqadmin;
mod shards2;
mod standalone;
mod swap;
mod trio;

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
    if options.out.is_some() {
        eprintln!("interop: --out is an option of `failovers`; no check here counts");
        return ExitCode::from(2);
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
    match setup::lab("interop", options.against, options.keep) {
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
        checks.extend(trio::checks());
        checks.extend(swap::checks());
        checks.extend(malformed::checks());
        checks.extend(standalone::checks());
        checks.extend(bench::checks());
    }
    checks
}
