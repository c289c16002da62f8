//! Whatever a crash leaves behind is whole, or known to be unfinished.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{list, merge, write};
use super::*;

/// Writes two parts and merges them; counts in `done` what has returned.
async fn work(dir: PathBuf, done: Arc<AtomicUsize>) {
    fs::create_dir_all(&dir).await.expect("a new directory");
    fs::sync_dir("/").await.expect("durable");
    let mut log = Log::new(40, 1000);
    let mut files = Vec::new();
    for _ in 0..2 {
        let (part, _) = log.part(1500);
        files.push(write(&dir, STORE, &part).await.expect("room"));
        done.fetch_add(1, Ordering::Relaxed);
    }
    let ends = log.ends();
    merge(&dir, STORE, &files, Some(ends.iter().copied())).await.expect("room");
    done.fetch_add(1, Ordering::Relaxed);
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
        let file = PartFile::open(&dir.join(span.name()), STORE).await.expect("whole");
        file.check().await.expect("whole");
        complete |= file.is_complete();
    }
    (plan.parts.len(), complete)
}

#[test]
fn what_has_returned_is_durable() {
    let mut seen = [0; 4];
    for seed in 0..60 {
        let simulation = Simulation::new(seed);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let done = Arc::new(AtomicUsize::new(0));
        let told = done.clone();
        let writing = node.start("writing", move || work(PathBuf::from("/index"), told));
        simulation.run_for(Duration::from_micros(250 * seed));
        let done = done.load(Ordering::Relaxed);
        drop(writing);
        node.crash();
        let looking = node.start("looking", || look(PathBuf::from("/index")));
        let (parts, complete) = simulation.join(looking, LIMIT).expect("the second life ends");
        seen[done] += 1;
        let least = [0, 1, 2, 1][done];
        assert!(parts >= least || complete, "seed {seed}: {parts} parts, {done} had returned");
        assert!(complete || done < 3, "seed {seed}: the merge had returned");
    }
    assert!(seen.iter().all(|times| *times > 0), "crashes at every stage: {seen:?}");
}
