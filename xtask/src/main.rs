//! `cargo xtask`: the project's chores.
//!
//! - `ci`: the one gate. Reads only; what it says here is what it says on the build machine.
//! - `fix`: the one writer. Formats, and applies what clippy can apply.
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
mod tidy;

const USAGE: &str = "\
usage: cargo xtask <command>

  ci [--only <step>]...   run the gate, or only the named steps of it; changes nothing
  fix                     format, and apply what clippy can apply
  tidy                    check what lints cannot: edges, names, lengths, links
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = workspace_root();
    match args.as_slice() {
        ["ci", rest @ ..] => match ci::parse(rest) {
            Ok(only) => ci::run(&root, &only),
            Err(message) => usage_error(&message),
        },
        ["fix"] => fix::run(&root),
        ["tidy"] => tidy::run(&root),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        [] => usage_error("a command is missing"),
        other => usage_error(&format!("unknown: {}", other.join(" "))),
    }
}

fn usage_error(message: &str) -> ExitCode {
    eprintln!("xtask: {message}\n\n{USAGE}\nsteps of ci: {}", ci::step_names());
    ExitCode::from(2)
}

/// The folder of the workspace. Cargo names xtask's own folder when it runs it; a binary started by
/// hand falls back on where it was built.
fn workspace_root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_path_buf)
}
