//! Whatever a power cut or a failing disk leaves behind is whole, or known to be unfinished.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime::sim::{DiskOp, Node, When};

use super::super::{PartError, Span, list, merge, write};
use super::*;

/// Writes two parts and merges them; counts in `done` what has returned.
async fn work(dir: PathBuf, done: Arc<AtomicUsize>) {
    fs::create_dir_all(&dir).await.expect("a new directory");
    fs::sync_dir("/").await.expect("durable");
    let mut log = Log::new(40, 1000);
    let (parts, mut files) = (parts_in(&dir), Vec::new());
    for _ in 0..2 {
        let (part, _) = log.part(1500);
        files.push(write(&parts, STORE, &part).await.expect("room"));
        done.fetch_add(1, Ordering::Relaxed);
    }
    let ends = log.ends();
    merge(&parts, STORE, &files, Some(ends.iter().copied())).await.expect("room");
    done.fetch_add(1, Ordering::Relaxed);
    parts.retire(files.into_iter().map(Rc::new).collect()).await.expect("renamed");
    // Over one of the first two, whose name it may have again when the power is back.
    let (part, _) = log.part(1400);
    write(&parts, STORE, &part).await.expect("room");
    done.fetch_add(1, Ordering::Relaxed);
}

async fn whole(path: &Path) -> PartFile {
    let file = PartFile::open(path, STORE).await.expect("whole");
    file.check().await.expect("whole");
    file
}

/// Opens everything that counts; the files that count, and whether one of them is complete.
async fn look(dir: PathBuf) -> (usize, bool) {
    if !fs::exists(&dir).await.expect("readable") {
        return (0, false);
    }
    let plan = list(&dir).await.expect("readable");
    assert!(plan.unknown.is_empty());
    let mut complete = false;
    for span in &plan.parts {
        complete |= whole(&dir.join(span.name())).await.is_complete();
    }
    // Those that do not count may stand in for the one that does, should that rot.
    for name in plan.remove.iter().filter(|name| Span::of_name(name).is_some()) {
        whole(&dir.join(name)).await;
    }
    (plan.parts.len(), complete)
}

#[test]
fn what_has_returned_is_durable() {
    let mut seen = [0; 5];
    for seed in 0..150 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let done = Arc::new(AtomicUsize::new(0));
        let told = done.clone();
        let writing = node.start("writing", move || work(PathBuf::from("/index"), told));
        simulation.run_for(Duration::from_micros(150 * seed));
        let done = done.load(Ordering::Relaxed);
        drop(writing);
        node.power_cut();
        let looking = node.start("looking", || look(PathBuf::from("/index")));
        let (parts, complete) = simulation.join(looking, LIMIT).expect("the second life ends");
        seen[done] += 1;
        let least = [0, 1, 2, 1, 2][done];
        assert!(
            parts >= least || complete && done < 4,
            "seed {seed}: {parts} parts, {done} had returned"
        );
        assert!(complete || done < 3, "seed {seed}: the merge had returned");
    }
    assert!(seen.iter().all(|times| *times > 0), "crashes at every stage: {seen:?}");
}

/// A machine with the directory in place.
fn prepared(seed: u64) -> (Simulation, Node) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let first = node.start("directory", || async {
        fs::create_dir_all("/index").await.expect("a new directory");
        fs::sync_dir("/").await.expect("durable");
    });
    simulation.join(first, LIMIT).expect("it ends");
    (simulation, node)
}

/// Writes two parts and merges them, each as often as it fails, but at most thrice. How often it failed,
/// and what there must be.
async fn try_hard() -> (usize, Content) {
    let dir = PathBuf::from("/index");
    let mut log = Log::new(40, 1000);
    let (mut files, mut contents, mut failed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..2 {
        let (part, content) = log.part(500);
        let mut file = write(&parts_in(&dir), STORE, &part).await;
        while let Err(error) = file {
            assert!(matches!(error, PartError::Io(_)), "{error}");
            failed += 1;
            assert!(failed <= 3, "{error}");
            file = write(&parts_in(&dir), STORE, &part).await;
        }
        files.push(file.expect("written"));
        contents.push(content);
    }
    let ends = log.ends();
    let mut merged = merge(&parts_in(&dir), STORE, &files, Some(ends.iter().copied())).await;
    while let Err(error) = merged {
        assert!(matches!(error, PartError::Io(_)), "{error}");
        failed += 1;
        assert!(failed <= 3, "{error}");
        merged = merge(&parts_in(&dir), STORE, &files, Some(ends.iter().copied())).await;
    }
    assert!(merged.expect("merged").is_complete());
    (failed, Content::joined(&contents))
}

#[test]
fn an_error_of_the_disk_is_told_and_then_all_is_as_before() {
    for op in [DiskOp::Read, DiskOp::Write, DiskOp::Flush, DiskOp::Metadata] {
        let mut told = 0;
        for nth in 1..20 {
            let (simulation, node) = prepared(nth);
            node.disk().fail(op, When::Nth(nth));
            let trying = node.start("trying", try_hard);
            let (failed, content) = simulation.join(trying, LIMIT).expect("it ends");
            assert!(failed <= 1, "{op:?} {nth} failed {failed} times");
            told += failed;
            node.power_cut();
            node.disk().heal();
            let looking = node.start("looking", || async move {
                let dir = PathBuf::from("/index");
                let plan = list(&dir).await.expect("readable");
                assert_eq!(plan.parts.len(), 1, "{plan:?}");
                let file = PartFile::open(&dir.join(plan.parts[0].name()), STORE).await;
                assert_says(&file.expect("whole"), &content).await;
            });
            simulation.join(looking, LIMIT).expect("it ends");
        }
        assert!(told >= 5, "{op:?}: {told} failures were told");
    }
}

#[test]
fn a_full_disk_gets_its_space_back() {
    let (simulation, node) = prepared(1);
    let disk = node.disk();
    disk.resize(disk.used() + 64 * 1024);
    let used = disk.used();
    let writing = node.start("writing", || async {
        let (part, _) = Log::new(40, 1000).part(20_000);
        let written = write(&parts_in(Path::new("/index")), STORE, &part).await;
        assert!(matches!(written, Err(PartError::Io(_))), "{written:?}");
    });
    simulation.join(writing, LIMIT).expect("it ends");
    assert_eq!((disk.used(), disk.files().len()), (used, 0));
}
