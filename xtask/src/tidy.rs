//! `cargo xtask tidy`: what lints cannot say.
//!
//! Each rule is one small file with tests that show that it can fail. Rules look at the working
//! tree, tracked or not, so they speak before a commit and not after it.

use std::path::Path;
use std::process::ExitCode;

use self::finding::{Finding, Weight};
use self::tree::File;
use self::workspace::Crate;

mod absences;
mod alone;
mod docs;
mod edges;
mod finding;
mod leftovers;
mod lengths;
mod manifests;
mod mask;
mod names;
mod outsiders;
mod tree;
mod words;
mod workspace;

/// Prints what every rule has to say about the tree at `root`; fails when one of it is an error.
pub fn run(root: &Path) -> ExitCode {
    let crates = match workspace::read(root) {
        Ok(crates) => crates,
        Err(message) => {
            eprintln!("tidy: {message}");
            return ExitCode::FAILURE;
        }
    };
    let files = match tree::read(root) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("tidy: reading {}: {error}", root.display());
            return ExitCode::FAILURE;
        }
    };
    let findings = check(&crates, &files);
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Error)
        .count();
    let warnings = findings.len() - errors;
    println!(
        "tidy: {} files, {errors} errors, {warnings} warnings",
        files.len()
    );
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn check(crates: &[Crate], files: &[File]) -> Vec<Finding> {
    let mut findings = edges::check(crates);
    findings.extend(edges::check_table(crates));
    findings.extend(outsiders::check_manifests(crates));
    findings.extend(names::check_crates(crates));
    findings.extend(absences::check_roots(crates, files));
    findings.extend(docs::check(files));
    for file in files {
        findings.extend(alone::check(file));
        findings.extend(lengths::check(file));
        if file.path.ends_with("Cargo.toml") {
            findings.extend(manifests::check(file));
        }
        if file.is_rust() {
            findings.extend(outsiders::check_source(file));
            findings.extend(absences::check(file));
            findings.extend(names::check(file));
            findings.extend(leftovers::check(file));
        }
    }
    findings
}
