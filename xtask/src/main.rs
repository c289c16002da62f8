//! `cargo xtask`: the project's chores.
//!
//! - `ci`: the one gate. Reads only; what it says here is what it says on the build machine.
//! - `fix`: the one writer. Formats, and applies what clippy can apply.
//! - `sim`: random histories in the simulator.
//! - `tidy`: the checks that lints cannot make (crate edges, names, lengths, links).
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a build tool reads files, starts processes and times them; it is no part of a server"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod ci;
mod fix;
mod sim;
mod tidy;
mod usage;

use self::usage::Wish;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = workspace_root();
    match usage::parse(&args) {
        Ok(Wish::Ci { only }) => ci::run(&root, &only),
        Ok(Wish::Fix) => fix::run(&root),
        Ok(Wish::Sim(wanted)) => sim::run(&root, &wanted),
        Ok(Wish::Tidy) => tidy::run(&root),
        Ok(Wish::Help(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}

/// The folder of the workspace. Cargo names xtask's own folder when it runs it; a binary started by
/// hand falls back on where it was built.
fn workspace_root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}
