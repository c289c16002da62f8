//! A merged part says what its parts said, and names every queue.

use super::super::{BadPart, PartError, list, merge, write};
use super::*;

/// Writes `count` parts of random sizes.
async fn parts(dir: &Path, log: &mut Log, count: u64) -> (Vec<PartFile>, Vec<Content>) {
    let (mut files, mut contents) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let messages = [0, 1, 50, 2000][random_below(4) as usize];
        let (part, content) = log.part(messages);
        files.push(write(&parts_in(dir), STORE, &part).await.expect("room"));
        contents.push(content);
    }
    (files, contents)
}

/// Checks that the directory names just these queues.
async fn assert_complete(file: &PartFile, ends: &[(QueueKey, QueueOffset)]) {
    assert!(file.is_complete());
    let mut directory = file.directory();
    let mut listed = Vec::new();
    while let Some((key, run)) = directory.next().await.expect("intact") {
        listed.push((key, run.end()));
        assert_eq!(file.run(&key).await.expect("intact"), Some(run));
    }
    assert_eq!(listed, ends);
}

#[test]
fn it_says_what_its_parts_said_without_what_was_deleted() {
    for seed in 0..30 {
        simulated(seed, |dir| async move {
            let mut log = Log::random();
            log.next.entry(queue(40, 2000)).or_insert(77); // never gets a message
            let count = 2 + random_below(5);
            let (files, contents) = parts(&dir, &mut log, count).await;
            let mut content = Content::joined(&contents);
            for _ in 0..random_below(3).min(log.queues.len() as u64 - 1) {
                content.runs.remove(&log.delete_one());
            }
            let ends = log.ends();
            let merged = merge(&parts_in(&dir), STORE, &files, Some(ends.iter().copied())).await;
            let merged = merged.expect("room");
            assert_says(&merged, &content).await;
            assert_complete(&merged, &ends).await;
            let idle = merged.run(&queue(40, 2000)).await.expect("intact").expect("listed");
            assert_eq!((idle.first, idle.count), (QueueOffset(77), 0));
            assert_eq!(list(&dir).await.expect("readable").parts, [merged.span()]);
        });
    }
}

#[test]
fn rounds_come_to_the_same() {
    for seed in 0..10 {
        simulated(seed, |dir| async move {
            let mut log = Log::random();
            let (mut files, contents) = parts(&dir, &mut log, 6).await;
            let no_ends = None::<std::iter::Empty<(QueueKey, QueueOffset)>>;
            let some = merge(&parts_in(&dir), STORE, &files[..4], no_ends).await.expect("room");
            assert!(!some.is_complete());
            assert_says(&some, &Content::joined(&contents[..4])).await;
            files.splice(..4, [some]);
            let ends = log.ends();
            let all = merge(&parts_in(&dir), STORE, &files, Some(ends.iter().copied()))
                .await
                .expect("room");
            assert_says(&all, &Content::joined(&contents)).await;
            assert_complete(&all, &ends).await;
        });
    }
}

#[test]
fn a_part_alone_is_completed_in_its_place() {
    simulated(7, |dir| async move {
        let mut log = Log::new(200, 1000);
        let (part, content) = log.part(100);
        let file = write(&parts_in(&dir), STORE, &part).await.expect("room");
        let ends = log.ends();
        let merged =
            merge(&parts_in(&dir), STORE, &[file], Some(ends.iter().copied())).await.expect("room");
        assert_says(&merged, &content).await;
        assert_complete(&merged, &ends).await;
        assert_eq!(names(&dir).await, [part.span().name()]);
    });
}

#[test]
fn parts_that_do_not_go_together_are_refused_and_leave_nothing() {
    simulated(8, |dir| async move {
        let mut log = Log::new(2, 10);
        let (first, _) = log.part(50);
        *log.next.values_mut().next().expect("a queue") += 1; // a message is missing
        let (second, _) = log.part(50);
        let files = [
            write(&parts_in(&dir), STORE, &first).await.expect("room"),
            write(&parts_in(&dir), STORE, &second).await.expect("room"),
        ];
        let before = names(&dir).await;
        let ends = log.ends();
        let refused = merge(&parts_in(&dir), STORE, &files, Some(ends.iter().copied())).await;
        let why = |result| match result {
            Err(PartError::Damaged { why, .. }) => why,
            other => panic!("not damaged: {other:?}"),
        };
        assert!(matches!(why(refused), BadPart::Gap { .. }));
        let beyond = ends.iter().map(|(key, end)| (*key, end.plus(1)));
        let refused = merge(&parts_in(&dir), STORE, &files[1..], Some(beyond)).await;
        assert!(matches!(why(refused), BadPart::Gap { .. }));
        assert_eq!(names(&dir).await, before);
    });
}
