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
    let errors = findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    let warnings = findings.len() - errors;
    println!("tidy: {} files, {errors} errors, {warnings} warnings", files.len());
    if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

#[cfg(test)]
mod tests {
    use super::tree::File;
    use super::workspace::sample;

    /// Each rule has its own tests; this one shows that each is asked.
    #[test]
    fn every_rule_is_asked() {
        let crates =
            [sample("storage", &["broker"], &[("openraft", "^0.10")]), sample("misc", &[], &[])];
        let mut storage = String::from("struct LogManager; enum RaftRole {} fn f() { todo!() }\n");
        storage.push_str("use openraft::Raft;\n");
        storage.push_str(&"// long\n".repeat(800));
        let files = [
            File::new("docs/adr/one.md", concat!("[gone](gone.md) shared", "/facts")),
            File::new("storage/Cargo.toml", "[dependencies]\nopenraft = \"0.10\"\n"),
            File::new("storage/src/lib.rs", &storage),
        ];
        let findings = super::check(&crates, &files);
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        for expected in [
            "edge storage → broker",
            "there is no crate `broker`",
            "only raft may name openraft",
            "pin openraft",
            "`misc` says nothing",
            "`#![forbid(unsafe_code)]` is missing",
            "`gone.md` leads nowhere",
            "a path outside the project",
            "storage/src/lib.rs: 802 lines",
            "list it in [workspace.dependencies]",
            "storage/src/lib.rs:2: only raft may name openraft",
            "storage knows no raft",
            "`Manager` says nothing",
            "`todo!` is left",
        ] {
            let said = findings.iter().any(|finding| finding.contains(expected));
            assert!(said, "nobody said {expected:?} in {findings:#?}");
        }
    }
}
