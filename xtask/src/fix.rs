//! `cargo xtask fix`: the one command that writes.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::ci::cargo;

/// Applies clippy's machine-applicable fixes to the working tree, then formats it. Formatting runs
/// even when clippy found what it cannot fix, so the tree is never left half done.
pub fn run(root: &Path) -> ExitCode {
    let fixes: [&[&str]; 2] = [
        &["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"],
        &["fmt", "--all"],
    ];
    let mut code = ExitCode::SUCCESS;
    for args in fixes {
        println!("fix: cargo {}", args.join(" "));
        let status = Command::new(cargo()).args(args).current_dir(root).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("fix: cargo {} failed", args[0]);
            code = ExitCode::FAILURE;
        }
    }
    code
}
