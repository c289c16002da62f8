//! The inputs that are kept: every target holds on each of its own, and makes sense of some.
#![allow(clippy::disallowed_methods, reason = "this crate reads its files itself")]

use std::collections::BTreeSet;

use fuzzing::corpus::{self, Kept};
use fuzzing::{TARGETS, Target, hunt};

fn kept(target: &Target) -> Vec<Kept> {
    corpus::read(&corpus::folder(), target.name).expect("a corpus of each target")
}

#[test]
fn every_target_holds_and_reads_what_is_its_own() {
    for target in TARGETS {
        let all = kept(&target);
        let read = all.iter().filter(|kept| hunt::run(&target, &kept.input, |_| {}).is_read());
        let (read, all) = (read.count(), all.len());
        assert!(
            read * 2 >= all && read > 0,
            "{}: {read} of {all} inputs can be read; if the format has changed, make them anew: \
             cargo run --package fuzzing -- --seeds",
            target.name
        );
    }
}

#[test]
fn there_is_a_program_for_libfuzzer_of_each_target_and_nothing_else() {
    let folder = corpus::folder().join("../fuzz_targets");
    let programs = std::fs::read_dir(folder).expect("the shims");
    let programs: BTreeSet<_> = programs
        .map(|entry| entry.expect("a name").file_name().into_string().expect("a plain name"))
        .collect();
    let expected: BTreeSet<_> =
        TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    assert_eq!(programs, expected);
    let folders = std::fs::read_dir(corpus::folder()).expect("the corpora");
    assert_eq!(folders.count(), TARGETS.len());
}

#[test]
fn the_corpus_stays_small() {
    let sizes = TARGETS.iter().flat_map(kept).map(|kept| kept.input.len());
    assert!(sizes.clone().all(|size| size <= 8 * 1024), "an input is larger than 8 KiB");
    assert!(sizes.sum::<usize>() < 1024 * 1024, "the corpus is larger than 1 MiB");
}
