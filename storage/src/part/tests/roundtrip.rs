//! What is written is what is read, on the simulated disk and on a real one.

use std::future::poll_fn;
use std::pin::pin;

use runtime::{Placement, Spec};

use super::super::{PartError, list, merge as merge_parts, write};
use super::*;

#[test]
fn a_file_says_what_the_part_said() {
    for seed in 0..40 {
        simulated(seed, |dir| async move {
            let mut log = Log::random();
            let (part, content) = log.part(random_below(5000));
            let file = write(&parts_in(&dir), STORE, &part).await.expect("room");
            assert_says(&file, &content).await;
            assert!(!file.is_complete());
            assert_eq!((file.span(), file.base()), (part.span(), BASE));
            assert_eq!(names(&dir).await, [part.span().name()]);
            file.remove().await.expect("it is there");
            assert_eq!(names(&dir).await, [""; 0]);
        });
    }
}

#[test]
fn nothing_is_a_part_too() {
    simulated(3, |dir| async move {
        let part = Growing::new(BASE, BASE).freeze(BASE.plus(4096));
        let file = write(&parts_in(&dir), STORE, &part).await.expect("room");
        assert_says(&file, &Content::default()).await;
        assert_eq!((file.queues(), file.len(), file.times()), (0, 4096, None));
    });
}

#[test]
fn an_older_file_of_the_name_is_replaced() {
    simulated(4, |dir| async move {
        let mut log = Log::new(3, 10);
        let (part, content) = log.part(100);
        let (mut shrunk, _) = (Growing::new(BASE, part.from()), ());
        shrunk.reserve(1);
        write(&parts_in(&dir), STORE, &shrunk.freeze(part.span().to)).await.expect("room");
        let leftover = dir.join(part.span().unready_name());
        let file = runtime::File::open(&leftover, runtime::OpenMode::CreateNew).await;
        file.expect("a new file").close().await.expect("closable");
        let file = write(&parts_in(&dir), STORE, &part).await.expect("room");
        assert_says(&file, &content).await;
        assert_eq!(names(&dir).await, [part.span().name()]);
    });
}

#[test]
fn others_run_while_a_large_part_is_written() {
    simulated(5, |dir| async move {
        let mut log = Log::new(5000, 1 << 32);
        let (part, content) = log.part(60_000);
        let mut turns = 0_usize;
        let parts = parts_in(&dir);
        let mut writing = pin!(write(&parts, STORE, &part));
        let file = poll_fn(|cx| {
            turns += 1;
            writing.as_mut().poll(cx)
        });
        let file = file.await.expect("room");
        // Units, queues and keys are each looked at more than once; a slice is 10,000 looks. A write
        // has at most 32 blocks, and there are some dozen other calls.
        let writes = file.len() as usize / (32 * runtime::BLOCK);
        let slices = 3 * (60_000 + content.keys.len()) / 10_000;
        assert!(turns >= slices + writes, "only {turns} turns, {slices} slices, {writes} writes");
        assert_says(&file, &content).await;
    });
}

#[test]
fn a_real_disk_holds_what_the_simulated_one_does() {
    let tests = std::env::current_exe().expect("this test's file");
    let beside = tests.parent().expect("a directory").to_owned();
    let spec = Spec { name: "index".into(), placement: Placement::Any, busy_poll: None };
    let run = move || async move {
        let dir = beside.join(format!("index-{}-{}", std::process::id(), runtime::random_u64()));
        fs::create_dir_all(&dir).await.expect("a writable target directory");
        let mut log = Log::new(300, 1000);
        let (first, a) = log.part(4000);
        let (second, b) = log.part(4000);
        let mut files = Vec::new();
        for (part, content) in [(first, &a), (second, &b)] {
            let file = write(&parts_in(&dir), STORE, &part).await.expect("room");
            assert_says(&file, content).await;
            files.push(file);
        }
        let ends = log.ends();
        let merged = merge_parts(&parts_in(&dir), STORE, &files, Some(ends.iter().copied())).await;
        let merged = merged.expect("room");
        assert_says(&merged, &Content::joined(&[a, b])).await;
        let plan = list(&dir).await.expect("readable");
        assert_eq!((plan.parts.as_slice(), plan.remove.len()), (&[merged.span()][..], 2));
        for file in files {
            file.remove().await.expect("it is there");
        }
        let path = dir.join(merged.span().name());
        let other = PartFile::open(&path, StoreId(1)).await;
        assert!(matches!(other, Err(PartError::Foreign { .. })));
        merged.remove().await.expect("it is there");
        dir
    };
    let executor = runtime::start(spec, run).expect("an executor");
    let dir = executor.join().expect("the run ends");
    #[allow(clippy::disallowed_methods, reason = "a test removes its own directory")]
    std::fs::remove_dir(&dir).expect("it is empty");
}
