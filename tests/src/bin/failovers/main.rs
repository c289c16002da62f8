//! `failovers`: stock RocketMQ clients while brokers and NameServers are killed, and what becomes of each message. No
//! part of the gate; see `--help`.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test program starts processes, makes directories and measures time"
)]

use std::cell::RefCell;
use std::env;
use std::fs;
use std::process::ExitCode;
use std::rc::Rc;

use tests::harness::check::Check;
use tests::harness::options::Options;
use tests::harness::servers::Maker;
use tests::harness::{runner, setup};
use tests::net::wire;

mod apart;
mod group;
mod land;
mod links;
mod masters;
mod report;
mod sends;
mod sites;

use crate::report::{Report, reported};

const USAGE: &str = "\
usage: failovers [--filter TEXT]... [--out FILE] [--list] [--build] [--keep]

Kills brokers and NameServers under stock clients, and prints a line of counts for each case. A case fails when
something is broken that is promised: messages that are lost or come more often than they were under way, sends that
fail where none may, or more of them than a client needs to find another leader, and a group without another leader.

  --filter TEXT      only cases whose name contains TEXT (one of them, if given several times)
  --out FILE         keep what each case counted there, an object in JSON on a line for each case
  --list             print the names of the cases and end
  --build            build everything the cases need and end
  --keep             leave stores and logs of every case under target/interop/run

Cases `sends`: the node of a leader is killed. `links`: it loses its link, and gets it back. `sites`: two groups at two
sites; leaders and NameServers are killed, and for `late` and `cut` the sites are 5 ms apart, or the link between them is cut.
`masters`: brokers without replicas. `links`, `late` and `cut` make network namespaces: they need root, iproute2 and taskset.

environment: INTEROP_BIN=DIR      take our servers from there instead of building them
             FAILOVERS_TIMES=...  `default`: the groups' times are those of the product. Without it they are longer,
                                  for machines on which three brokers and a client share a few cores; a process
                                  that dies is noticed at once with either
";

fn main() -> ExitCode {
    if let Some(code) = on_a_machine() {
        return code;
    }
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("failovers: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.help {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if options.against != Maker::Ours {
        eprintln!(
            "failovers: --against is an option of `interop`; Apache's groups have another form"
        );
        return ExitCode::from(2);
    }
    let mut cases: Vec<Check> = sends::cases();
    cases.extend(links::cases());
    cases.extend(sites::cases());
    cases.extend(apart::cases());
    cases.extend(masters::cases());
    cases.retain(|case| options.wants(&case.name));
    if cases.is_empty() {
        eprintln!("failovers: no case has a name like that; --list shows them");
        return ExitCode::from(2);
    }
    if options.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    }
    if let Some(path) = &options.out {
        let report = match Report::create(path) {
            Ok(report) => Rc::new(RefCell::new(report)),
            Err(failure) => {
                eprintln!("failovers: {failure}");
                return ExitCode::from(2);
            }
        };
        cases = cases.into_iter().map(|case| reported(case, &report)).collect();
    }
    match setup::lab("failovers", options.against, options.keep) {
        Ok(mut lab) => {
            let good = runner::run(&mut lab, &cases, options.build);
            // Empty unless something failed or `--keep` was given.
            drop(fs::remove_dir(lab.scratch()));
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("failovers: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What this program does on a machine of its own network, where it is started by itself; `None` if it was not.
fn on_a_machine() -> Option<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.first()?.as_str() {
        "--wire" => wire::run(&words[1..]),
        "--dial" => land::dial(words.get(1).map_or("", String::as_str)),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failovers: {failure}");
            ExitCode::FAILURE
        }
    })
}
